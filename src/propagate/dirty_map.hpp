/// \file
/// The dirty maps: from changed lines of an operand to what of a result must be recomputed. `push`
/// goes from a producer to its consumers, `pull` from a page-node to its operands; both name the
/// same lines, which a test checks for every kind of operator.
///
/// A push can be stopped and taken up again: marking twice is marking once, and what may be long
/// (all pages of a broadcast's reader, the readers of one element) goes through `for_each_reached`,
/// which counts. Taken up again, the same calls come in the same order and pass over what was
/// counted.
///
/// Thread safety: `push` by one thread; `pull` by many.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <sheaf/propagate/dirty_set.hpp>

#include "propagate/pace.hpp"
#include "propagate/page_runner.hpp"

namespace sheaf::inline v0 {

/// How far a push has come that was stopped.
struct push_point {
  std::uint32_t child = 0;    ///< of the producer; pushing into a node: unused
  std::uint32_t operand = 0;  ///< of the child, or of the node
  std::uint32_t page = 0;     ///< of the operand, pushing into a node
  std::uint64_t reached = 0;  ///< counted by `for_each_reached` for that operand and page
};

class dirty_map {
 public:
  dirty_map(const resolved_plan& plan, line_mask* masks, std::uint64_t* element_masks,
            const std::uint64_t* changed_elements, dirty_set& dirty)
      : plan_(plan),
        masks_(masks),
        element_masks_(element_masks),
        changed_elements_(changed_elements),
        dirty_(dirty) {}

  /// While set, every element of a changed line counts as changed, whatever its producer noted.
  void set_whole_lines(bool whole) noexcept { whole_lines_ = whole; }

  /// Marks what `changed` lines of page `page` of `producer` reach, but for kinds that want all
  /// changed pages at once: those are for `push_operand_pages`.
  void push(std::uint32_t producer, std::uint32_t page, line_mask changed) noexcept;
  /// The same in one of its readers.
  void push_to(const plan_node& node, const plan_operation& op, std::uint32_t producer,
               std::uint32_t page, line_mask changed) noexcept;
  /// Marks what the changed pages of the operands of `node` reach in it; for the kinds whose pull
  /// would have to search (`is_pushed_only`).
  void push_into(const plan_node& node, const plan_operation& op) noexcept;
  /// The same from `at` on until `with` is over; true once all is done, and `at` is as new.
  [[nodiscard]] bool push_until(std::uint32_t producer, std::uint32_t page, line_mask changed,
                                pace& with, push_point& at) noexcept;
  [[nodiscard]] bool push_into_until(const plan_node& node, const plan_operation& op, pace& with,
                                     push_point& at) noexcept;
  /// For such a kind: marks what the changed pages [begin, end) of operand number `which` reach.
  void push_operand_pages(const plan_node& node, const plan_operation& op, std::uint32_t which,
                          std::uint32_t begin, std::uint32_t end) noexcept;
  /// The lines of page `page` that the operands' changed lines reach.
  [[nodiscard]] line_mask pull(const plan_node& node, const plan_operation& op,
                               std::uint32_t page) const noexcept;
  /// True for operators that find their operands through an index or read them whole.
  [[nodiscard]] static bool is_pushed_only(const plan_operation& op) noexcept;
  /// True for operators that are pushed to by `push_operand_pages`.
  [[nodiscard]] static bool takes_pages(const plan_operation& op) noexcept;

  // For the dirty maps of src/propagate/operators.
  [[nodiscard]] const plan& graph() const noexcept { return *plan_.graph; }
  [[nodiscard]] const plan_operand& operand(const plan_node& node,
                                            std::uint32_t which) const noexcept {
    return plan_.operand(node, which);
  }
  /// Calls `visitor(i)`, which marks, for i in [begin, end): for what may be long in a push.
  template <class Visitor>
  void for_each_reached(std::uint64_t begin, std::uint64_t end, Visitor&& visitor) noexcept {
    if (SHEAF_LIKELY(pace_ == nullptr)) {
      for (; begin < end; ++begin) visitor(begin);
      return;
    }
    const std::uint64_t passed = std::min(skipped_, end - begin);
    skipped_ -= passed;
    for (begin += passed; begin < end && !pace_->is_over(); ++begin) {
      visitor(begin);
      ++reached_;
      (void)pace_->spent(1);
    }
    is_cut_ |= begin < end;
  }
  /// Marks lines of page `page` of `node`'s result. Only lines with elements.
  void mark_lines(const plan_node& node, std::uint32_t page, line_mask mask) noexcept {
    mark(node.slot + page, mask);
  }
  /// Marks line `line` of `node`'s result, counted from its first page on.
  void mark_line(const plan_node& node, const plan_operation& op, std::uint64_t line) noexcept {
    mark(node.slot + static_cast<std::uint32_t>(line >> static_cast<unsigned>(op.page)),
         line_mask{1} << (line & (lines_of(op.page) - 1)));
  }
  /// Marks lines [begin, end) of `node`'s result.
  void mark_line_range(const plan_node& node, const plan_operation& op, std::uint64_t begin,
                       std::uint64_t end) noexcept;
  /// Marks one element of the result of a kind that is `by_element`.
  void mark_element(const plan_node& node, const plan_operation& op,
                    std::uint64_t element) noexcept {
    const unsigned shift = line_shift - size_shift(op.type);
    const std::uint64_t line = element >> shift;
    element_masks_[plan_.indexed_begin[plan_.node_index(node)] + line] |=
        std::uint64_t{1} << (element & ((1u << shift) - 1));
    mark_line(node, op, line);
  }
  /// Marks every element of the result of a kind that is `by_element`.
  void mark_all_elements(const plan_node& node, const plan_operation& op) noexcept;
  /// How many elements of the result of a kind that is `by_element` are marked. O(its lines).
  [[nodiscard]] std::uint64_t count_marked(const plan_node& node,
                                           const plan_operation& op) const noexcept;
  /// The first changed page of an operand in [page, end), or `end`.
  [[nodiscard]] std::uint32_t next_changed_page(const plan_operand& operand, std::uint32_t page,
                                                std::uint32_t end) const noexcept {
    return std::min(dirty_.next(operand.slot + page, operand.slot + end) - operand.slot, end);
  }
  /// While set, every element of a changed line counts as changed.
  [[nodiscard]] bool takes_whole_lines() const noexcept { return whole_lines_; }
  /// Changed lines of page `page` of an operand.
  [[nodiscard]] line_mask changed_lines(const plan_operand& operand,
                                        std::uint32_t page) const noexcept {
    return masks_[operand.slot + page];
  }
  /// Which elements of a changed line `line` of an operand changed, bit i its i-th; only elements
  /// of the array.
  [[nodiscard]] std::uint64_t changed_elements(const plan_operand& operand,
                                               std::uint64_t line) const noexcept;

 private:
  [[nodiscard]] bool push_operand_until(const plan_node& node, const plan_operation& op,
                                        std::uint32_t which, std::uint32_t page,
                                        line_mask changed, pace& with, push_point& at) noexcept;
  void mark(std::uint32_t slot, line_mask mask) noexcept {
    masks_[slot] |= mask;
    dirty_.insert(slot);
  }
  void push_operand(const plan_node& node, const plan_operation& op, std::uint32_t which,
                    std::uint32_t page, line_mask changed) noexcept;
  void push_aligned(const plan_node& node, const plan_operation& op, const plan_operand& operand,
                    std::uint32_t page, line_mask changed) noexcept;
  void push_fold(const plan_node& node, const plan_operation& op, const plan_operand& operand,
                 std::uint32_t page, line_mask changed) noexcept;
  [[nodiscard]] line_mask pull_aligned(const plan_operation& op, const plan_operand& operand,
                                       std::uint32_t page) const noexcept;
  [[nodiscard]] line_mask pull_fold(const plan_operation& op, const plan_operand& operand,
                                    std::uint32_t page) const noexcept;
  [[nodiscard]] bool broadcast_changed(const plan_operand& operand) const noexcept;
  /// The slot of the page and the line in it that hold a broadcast element.
  [[nodiscard]] static std::uint64_t line_of_element(const plan_operand& operand) noexcept {
    return std::uint64_t{operand.element} << size_shift(operand.type) >> line_shift;
  }

  const resolved_plan& plan_;
  line_mask* masks_;
  std::uint64_t* element_masks_;
  const std::uint64_t* changed_elements_;
  dirty_set& dirty_;
  bool whole_lines_ = false;

  // Of a push that can be stopped.
  pace* pace_ = nullptr;         ///< null: it cannot
  std::uint64_t skipped_ = 0;    ///< steps still to pass over
  std::uint64_t reached_ = 0;    ///< steps done, earlier ones too
  bool is_cut_ = false;          ///< some step was not done
};

}  // namespace sheaf::inline v0
