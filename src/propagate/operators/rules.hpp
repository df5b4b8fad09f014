/// \file
/// What an operator kind is to the executor: a *dirty map* (from changed lines of an operand to
/// what of a result must be recomputed) and a *body* (how that is done). One entry per kind that
/// lives in this folder, and one for host functions (run_whole.cpp); expressions, combine and folds
/// are the executor's own.
///
/// A kind is added by a file here that defines its entry, one line in rules.cpp, its enumerator in
/// plan.hpp, its definition in src/graph/definitions, and bodies per instruction set in
/// src/propagate/bodies.
///
/// Invariants
///  1. `dirty-map-covers`: every result element that reads a changed operand element is marked.
///  2. A body recomputes what it is asked for whole, from all operands, in a fixed order (P1).
///
/// Thread safety: `push` by one thread, `run` by one thread per page.
#pragma once

#include <cstdint>

#include "propagate/dirty_map.hpp"
#include "propagate/page_runner.hpp"
#include "propagate/whole_operator.hpp"

namespace sheaf::inline v0 {

struct operator_rules {
  /// Pull would have to search: the kind finds its operands through an index, or reads them whole.
  bool pushed_only;
  /// Result lines carry element masks: `dirty_map::mark_element` and `page_runner::take_elements`.
  bool by_element;
  /// Marks what `changed` lines of page `page` of operand number `which` reach in `node`.
  void (*push)(dirty_map& map, const plan_node& node, const plan_operation& op,
               std::uint32_t which, std::uint32_t page, line_mask changed) noexcept;
  /// The lines of `page` that changed operand lines reach; null where `pushed_only`. May name lines
  /// without elements.
  line_mask (*pull)(const dirty_map& map, const plan_node& node, const plan_operation& op,
                    std::uint32_t page) noexcept;
  /// A page body (kernels.hpp): recomputes the lines of `task.mask`, returns those that differ.
  line_mask (*run)(page_runner& runner, const plan_node& node, const plan_operation& op,
                   std::uint32_t page, const line_task& task) noexcept;
  /// Looks up the bodies `run` needs, into `out.bodies`; null where it needs none.
  status (*resolve)(const plan& graph, const plan_operation& op, const kernel_table& kernels,
                    resolved_operation& out);
  /// Not null: the kind runs whole, once for all its pages, and may fail (whole_operator.hpp). It
  /// is `pushed_only`, its `push` marks line 0 of its first page, and it has no `run`.
  whole_body run_whole = nullptr;
  /// Not null: instead of `push`, but where marking may be stopped, for all changed pages of
  /// operand number `which` among [begin, end), so that the kind can look ahead. May mark more than
  /// what is reached, but no fewer elements when more changed: see `count_cone`.
  void (*push_pages)(dirty_map& map, const plan_node& node, const plan_operation& op,
                     std::uint32_t which, std::uint32_t begin,
                     std::uint32_t end) noexcept = nullptr;
  /// Not null: `page` is one of a few that are about to run on `mask`; brings what it will read
  /// closer and returns about how many lines that is. First all of them with step 0, then with
  /// step 1, which may use what step 0 brought.
  std::uint64_t (*fetch)(const page_runner& runner, const plan_node& node,
                         const plan_operation& op, std::uint32_t page, line_mask mask,
                         unsigned step) noexcept = nullptr;
};

/// Null for the kinds the executor runs itself.
[[nodiscard]] const operator_rules* rules_of(operator_kind kind) noexcept;

/// True for kinds that run whole.
[[nodiscard]] inline bool runs_whole(operator_kind kind) noexcept {
  if (SHEAF_LIKELY(kind < operator_kind::segment_fold)) return false;
  const operator_rules* rules = rules_of(kind);
  return rules != nullptr && rules->run_whole != nullptr;
}

/// The `push` of every kind that runs whole.
void push_whole(dirty_map& map, const plan_node& node, const plan_operation& op,
                std::uint32_t which, std::uint32_t page, line_mask changed) noexcept;

}  // namespace sheaf::inline v0
