/// \file
/// What becomes of pages and bits where one graph takes the place of another: a comparison of two
/// plans, array by array.
///
/// Thread safety: a function of its arguments. Cost: O(arrays).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <sheaf/graph/model_data.hpp>
#include <sheaf/graph/plan.hpp>
#include <sheaf/page/delta.hpp>
#include <sheaf/page/delta_apply.hpp>
#include <sheaf/page/frame_store.hpp>
#include <sheaf/propagate/delay_queue.hpp>

namespace sheaf::inline v0 {

class executor;

/// Pages of an array that has frames: a source or an eager node.
struct array_pages {
  std::uint32_t slot = 0;
  std::uint32_t count = 0;  ///< 0: no frames
  std::uint64_t length = 0;
  page_class page = page_class::b64;
  dtype type = dtype::f32;
  bool contiguous = false;

  /// Lines that hold elements.
  [[nodiscard]] std::uint64_t lines() const noexcept {
    return ((length << size_shift(type)) - 1) / line_size + 1;
  }
};
[[nodiscard]] array_pages pages_of(const plan& graph, std::uint32_t array) noexcept;

struct graph_change {
  /// Lines from `first_line` on are recomputed (of a source: count as changed).
  struct mark {
    array_pages pages;
    std::uint64_t first_line;
    bool kept;  ///< they count as changed whatever they hold
  };
  /// Bytes of a page that no element has any more, from `first_byte` on.
  struct tail {
    std::uint32_t slot;
    std::uint32_t first_byte;
    page_class page;
  };

  /// Pages that survive in other frames: a contiguous array of another number of pages.
  struct copy {
    std::uint32_t from, to, count;  ///< slots of the old and of the new table
    page_class page;
  };

  std::shared_ptr<const table_change> table;
  std::vector<copy> copies;
  std::vector<mark> marks;
  std::vector<tail> tails;
  /// Delays that are new or redefined, or have another length.
  std::vector<delay_start> delays;
};

/// `after` is `declared` compiled, which was edited from what `before` is compiled from.
[[nodiscard]] graph_change change_between(const plan& before, const plan& after,
                                          const model_data& declared);
/// Tells the executor of the new plan.
void mark_change(const graph_change& change, executor& runner);

/// Ok where every piece writes to elements that a source of `graph` has; else what it misses.
[[nodiscard]] status pieces_fit(const delta& changes, const plan& graph,
                                const model_data& declared, const apply_table& bodies);

}  // namespace sheaf::inline v0
