/// \file
/// Runs the body of one node on one page: finds the operands, calls the kernel, and sees to it that
/// a frame somebody can see is not changed.
///
/// Invariants
///  1. The changed lines it returns are exactly those whose bits differ from before.
///  2. A page that a snapshot may see is computed into scratch first and gets a frame only if a
///     line differs (cut-off costs no copy).
///
/// Thread safety: one runner per worker; runners of one level run on different pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <sheaf/graph/model_data.hpp>
#include <sheaf/graph/plan.hpp>
#include <sheaf/page/frame_store.hpp>
#include <sheaf/propagate/kernels.hpp>
#include <sheaf/propagate/work_counters.hpp>

#include "propagate/branch_table.hpp"
#include "propagate/whole_operator.hpp"

namespace sheaf::inline v0 {

/// The bodies an operation needs, looked up once.
struct resolved_operation {
  combine_body combine = nullptr;
  combine_weighted_body weighted = nullptr;
  fold_lines_body fold_lines = nullptr;
  fold_blocks_body fold_blocks = nullptr;
  segment_fold_body segment_fold = nullptr;
  gather_body gather = nullptr;
  settle_body settle = nullptr;
  program_body program = nullptr;
  shape_body shape = nullptr;
  program_view view = {};
  std::vector<step_body> calls;
  /// Bodies of the kinds in src/propagate/operators, cast back by the file that stored them.
  void (*bodies[2])() = {};
  line_mask page_lines = 0;      ///< lines of every page but the last
  line_mask last_lines = 0;      ///< lines of the last page that hold elements
  std::uint32_t tail_line = 64;  ///< of the last page
  std::uint32_t tail_elements = 0;
  std::uint32_t element_shift = 0;  ///< log2 of elements per line
};

/// What executors and snapshots share: a plan with its bodies looked up.
struct resolved_plan {
  std::shared_ptr<const plan> graph;
  std::shared_ptr<const model_data> model;
  const kernel_table* kernels = nullptr;
  std::vector<resolved_operation> operations;
  std::vector<std::uint32_t> indexed_begin;  ///< per node, into element masks; empty without any
  std::uint64_t indexed_lines = 0;           ///< result lines of all indexed nodes
  std::vector<std::uint32_t> tracked_begin;  ///< per producer that an indexed node reads, into
                                             ///< changed elements, else no_index; empty without
                                             ///< any
  std::uint64_t tracked_lines = 0;           ///< lines of all such producers
  bool any_tracked_source = false;
  std::vector<std::uint32_t> array_of_producer;

  [[nodiscard]] static result<std::shared_ptr<const resolved_plan>> resolve(
      std::shared_ptr<const plan> graph, std::shared_ptr<const model_data> model, isa set);
  /// Finds the nodes that note changed elements. O(nodes).
  void find_tracked(const plan& of);
  /// The lines of `page` of a result that hold elements.
  [[nodiscard]] line_mask lines_of_page(const plan_operation& op,
                                        std::uint32_t page) const noexcept {
    const resolved_operation& known =
        operations[static_cast<std::size_t>(&op - graph->operations.data())];
    return page + 1 == op.page_count ? known.last_lines : known.page_lines;
  }
  /// Where a producer notes which elements of a line changed; null for one that does not.
  template <class Word>
  [[nodiscard]] Word* tracked_elements(std::uint32_t producer, Word* all) const noexcept {
    if (tracked_begin.empty()) return nullptr;
    const std::uint32_t begin = tracked_begin[producer];
    return begin == no_index ? nullptr : all + begin;
  }
  [[nodiscard]] std::uint32_t node_index(const plan_node& node) const noexcept {
    return static_cast<std::uint32_t>(&node - graph->nodes.data());
  }
  /// Operand number `which` of a node that is not uniform.
  [[nodiscard]] const plan_operand& operand(const plan_node& node,
                                            std::uint32_t which) const noexcept {
    return graph->operand_details[graph->operands[node.operand_begin + which]];
  }
};

/// Where a runner finds pages and what changed in them. Three kinds: the engine's own pages, pages
/// that belong to the caller alone (`is_private`), and those of a branch.
struct page_space {
  const std::uint32_t* frames = nullptr;      ///< by slot
  frame_store* store = nullptr;               ///< for bases, and for copy-on-write
  bool is_private = false;                    ///< frames belong to the caller: always in place
  branch_table* branch = nullptr;             ///< `frames` is its table: required before it is read
  const line_mask* masks = nullptr;           ///< changed lines by slot; null: take all as changed
  std::uint64_t* element_masks = nullptr;     ///< of indexed nodes; null: all elements
  std::uint64_t* changed_elements = nullptr;  ///< of tracked producers; null: not asked for
};

class page_runner {
 public:
  page_runner(const resolved_plan& plan, const page_space& space);

  /// Recomputes `mask` of page `page` of `node`; returns the lines that differ.
  line_mask run(const plan_node& node, const plan_operation& op, std::uint32_t page,
                line_mask mask) noexcept;
  /// Runs a node that runs whole and settles its pages; appends those with lines that differ.
  [[nodiscard]] status run_whole(const plan_node& node, const plan_operation& op,
                                 std::unique_ptr<operator_memory>& memory,
                                 std::vector<page_lines>& changed);
  /// Recomputes a page into `out` without changing anything; returns the lines that differ.
  line_mask compare(const plan_node& node, const plan_operation& op, std::uint32_t page) noexcept;
  /// The same for all pages of a node that runs whole, without a memory.
  [[nodiscard]] status compare_whole(const plan_node& node, const plan_operation& op,
                                     line_mask* differ);

  /// While set, indexed and folding nodes recompute every element of a line they are asked for.
  void set_whole(bool whole) noexcept { whole_ = whole; }
  /// While set, no page gets another frame: what differs is counted and dropped.
  void set_rehearsing(bool rehearsing) noexcept { rehearsing_ = rehearsing; }
  /// Counts what a run did on pages of `op`.
  void count_run(const plan_operation& op, const run_tally& tally) noexcept;
  [[nodiscard]] bool is_whole() const noexcept { return whole_; }
  [[nodiscard]] frame_log& log() noexcept { return log_; }
  [[nodiscard]] work_counters& counters() noexcept { return counters_; }

  // For the bodies of src/propagate/operators.
  [[nodiscard]] const plan& graph() const noexcept { return *plan_.graph; }
  [[nodiscard]] isa instruction_set() const noexcept { return plan_.kernels->set; }
  [[nodiscard]] const resolved_operation& resolved(const plan_node& node) const noexcept {
    return plan_.operations[node.operation];
  }
  [[nodiscard]] const plan_operand& operand(const plan_node& node,
                                            std::uint32_t which) const noexcept {
    return plan_.operand(node, which);
  }
  /// Random access to a whole operand array. In a fork the first call of a commit for an array is
  /// O(its pages).
  [[nodiscard]] paged_view paged(const plan_operand& operand) const noexcept;
  /// Random access to those elements of an operand that `require_element` was called for.
  [[nodiscard]] paged_view paged_where_required(const plan_operand& operand) const noexcept;
  /// True in a fork: an element of `paged_where_required` must be required before it is read.
  [[nodiscard]] bool must_require() const noexcept { return space_.branch != nullptr; }
  void require_element(const plan_operand& operand, std::uint64_t element) const noexcept {
    const unsigned shift = byte_shift(operand.page) - size_shift(operand.type);
    space_.branch->require(operand.slot + static_cast<std::uint32_t>(element >> shift),
                           operand.page);
  }
  /// The page of `slot`.
  [[nodiscard]] const std::byte* page_at(std::uint32_t slot, page_class page) const noexcept {
    return address(slot, page);
  }
  /// Writes one line of the page of `slot`, in place or aside as the page needs; false where a
  /// branch has no frame for it.
  [[nodiscard]] bool write_line(std::uint32_t slot, page_class page, unsigned line,
                                const std::byte* from) noexcept;
  /// The same for `lines`, which lie behind one another from `from` on; not in a branch.
  void write_lines(std::uint32_t slot, page_class page, line_mask lines,
                   const std::byte* from) noexcept;
  /// Page `page` of an operand.
  [[nodiscard]] const std::byte* page_of(const plan_operand& operand,
                                         std::uint32_t page) const noexcept {
    return address(operand.slot + page, operand.page);
  }
  /// Changed lines of a page of an operand; all where everything is recomputed.
  [[nodiscard]] line_mask changed_lines(const plan_operand& operand,
                                        std::uint32_t page) const noexcept {
    return whole_ || space_.masks == nullptr ? ~line_mask{0} : space_.masks[operand.slot + page];
  }
  /// The array's index of the first element of line `line` of page `page` of a result.
  [[nodiscard]] static std::uint64_t first_element(const plan_operation& op,
                                                   const resolved_operation& body,
                                                   std::uint32_t page, unsigned line) noexcept {
    return (std::uint64_t{page} * lines_of(op.page) + line) << body.element_shift;
  }
  /// The elements of a result line that are asked for (never past the array's end); forgets them.
  /// Of a kind that is not `by_element`: all.
  [[nodiscard]] std::uint64_t take_elements(const plan_node& node, const plan_operation& op,
                                            std::uint32_t page, unsigned line) noexcept;
  /// The same, without forgetting them.
  [[nodiscard]] std::uint64_t asked_elements(const plan_node& node, const plan_operation& op,
                                             std::uint32_t page, unsigned line) const noexcept;
  /// The name of a node's array, for messages.
  [[nodiscard]] std::string name_of_result(const plan_node& node) const;
  /// Calls the host function of `node`; `data` gets its result, padded to whole pages.
  [[nodiscard]] status call_host(const plan_node& node, const plan_operation& op,
                                 const std::byte*& data);
  /// A page of scratch for `resolved_operation::settle`, line by line like a page.
  [[nodiscard]] std::byte* computed() noexcept { return computed_; }

 private:
  [[nodiscard]] std::byte* address(std::uint32_t slot, page_class page) const noexcept {
    if (space_.branch != nullptr) space_.branch->require(slot, page);
    return bases_[static_cast<unsigned>(page)] +
           (std::size_t{space_.frames[slot]} << byte_shift(page));
  }
  [[nodiscard]] operand_view view_of(const plan_operand& operand, page_class result_page,
                                     std::uint32_t page, std::uint32_t first_line) const noexcept;

  struct alignas(line_size) line_storage {
    std::byte bytes[line_size];
  };
  /// True where the page of `slot` may change in the frame it has.
  [[nodiscard]] bool in_place(std::uint32_t slot, page_class page) const noexcept {
    if (space_.branch != nullptr) return false;
    return space_.is_private || space_.store->all_in_place() ||
           space_.store->changes_in_place(slot, page);
  }
  /// Writes `changed` lines of `computed`, a page, to where the new version of `slot` lies, which
  /// is not in place. False where a branch had no frame for it: nothing changed.
  bool write_aside(std::uint32_t slot, page_class page, line_mask changed,
                   const std::byte* computed) noexcept;
  /// Where the asked elements of a line are noted; null of a kind that is not `by_element`.
  [[nodiscard]] std::uint64_t* element_mask(const plan_node& node, const plan_operation& op,
                                            std::uint32_t page, unsigned line) const noexcept;
  [[nodiscard]] std::uint64_t* tracked_page(const plan_node& node, const plan_operation& op,
                                            std::uint32_t page) const noexcept;
  void count(const plan_operation& op, line_mask asked, line_mask changed) noexcept;
  void gather_host_operands(const plan_node& node, const plan_operation& op);
  line_mask settle_page(const plan_node& node, const plan_operation& op, std::uint32_t page,
                        line_mask lines, const std::byte* computed);
  [[nodiscard]] line_task settle_task(const plan_node& node, const plan_operation& op,
                                      std::uint32_t page) const noexcept;

  line_mask compute(const plan_node& node, const plan_operation& op,
                    const resolved_operation& body, std::uint32_t page,
                    const line_task& task) noexcept;
  line_mask compute_views(const plan_node& node, const plan_operation& op,
                          const resolved_operation& body, std::uint32_t page,
                          const line_task& task) noexcept;
  line_mask compute_part(const plan_operation& op, const resolved_operation& body,
                         const line_task& task) noexcept;
  line_mask fold_page(const plan_node& node, const plan_operation& op,
                      const resolved_operation& body, std::uint32_t page,
                      const line_task& task) noexcept;
  void fold_line_of_lines(const plan_operand& operand, const resolved_operation& body,
                          std::uint64_t first_element, std::uint64_t elements,
                          std::byte* results, unsigned element_size) noexcept;
  void fold_line_of_blocks(const plan_operand& operand, const resolved_operation& body,
                           std::uint64_t first_element, std::uint64_t elements,
                           std::byte* results) noexcept;
  [[nodiscard]] std::uint64_t dirty_elements(const plan_operation& op, const plan_operand& operand,
                                             std::uint64_t first_element,
                                             std::uint64_t valid) const noexcept;

  const resolved_plan& plan_;
  page_space space_;
  std::byte* bases_[page_class_count];
  bool whole_ = false;
  bool rehearsing_ = false;
  frame_log log_;
  work_counters counters_;
  struct line_aligned_delete {
    void operator()(std::byte* bytes) const noexcept;
  };
  std::unique_ptr<std::byte[], line_aligned_delete> scratch_;  ///< page, computed lines, program
  std::byte* page_scratch_;
  std::byte* computed_;
  std::byte* program_scratch_;
  std::vector<operand_view> views_;
  std::vector<const std::byte*> pointers_;
  std::vector<std::vector<line_storage>> host_buffers_;  ///< [0] the result
  std::vector<host_operand> host_operands_;
  std::byte* host_result_ = nullptr;
};

}  // namespace sheaf::inline v0
