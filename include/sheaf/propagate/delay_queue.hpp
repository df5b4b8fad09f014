/// \file
/// What delays still have to take over: the lines of the arrays they follow that changed in the
/// last commit. State of one branch, as its delayed arrays are: a fork begins with a copy.
///
/// Invariants
///  1. `delay-queue-has-room`: capacity for every page of every followed array, so noting a commit
///     cannot fail.
///
/// Thread safety: none; the committer's.
#pragma once

#include <cstdint>
#include <vector>

#include <sheaf/base/id.hpp>
#include <sheaf/base/line_mask.hpp>

namespace sheaf::inline v0 {

/// Changed lines of one page of a followed array. Names arrays and pages, no slots: it outlives a
/// change of the graph.
struct delayed_page {
  array_id array;
  std::uint32_t page;
  line_mask changed;
};

/// In a commit that changes the graph: the elements of a delay from `first` on have nothing to go
/// on with, and get its initial value.
struct delay_start {
  std::uint32_t source;  ///< of the new plan
  std::uint64_t first;   ///< 0: the delay is new
};

struct delay_queue {
  std::vector<delayed_page> pages;  ///< by array id, rising

  [[nodiscard]] bool is_empty() const noexcept { return pages.empty(); }
};

}  // namespace sheaf::inline v0
