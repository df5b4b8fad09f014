/// \file
/// Looking ahead for kinds that read at random: their pages run one after the other, and each would
/// wait for memory anew; so what a handful of marked pages will read is fetched together before the
/// first of them runs. Marks of such kinds are made from all changed pages of an operand at once.
///
/// Cost: a few fetches per element that is recomputed. PERF: `bench/propagate/sparse_bench`,
/// `changed`.
#include <algorithm>

#include "propagate/executor_state.hpp"

namespace sheaf::inline v0 {

namespace {

/// Fetched together: enough to keep the memory busy, few enough for a second-level cache.
constexpr unsigned fetch_pages_max = 16;
constexpr std::uint64_t fetch_lines_max = 4096;

}  // namespace

void executor_schedule::find_pages_readers(const plan& graph) {
  pages_readers.resize(graph.levels.size());
  fetch_of_segment.assign(graph.segments.size(), nullptr);
  for (std::size_t level = 1; level < graph.levels.size(); ++level) {
    for (std::uint32_t i = graph.levels[level].segment_begin; i < graph.levels[level].segment_end;
         ++i) {
      // A segment of several nodes holds one page of each, too little to look ahead in.
      const plan_segment& segment = graph.segments[i];
      if (segment.node_count != 1) continue;
      const operator_kind kind = graph.operation_of(graph.nodes[segment.node_begin]).kind;
      const operator_rules* rules = rules_of(kind);
      if (rules != nullptr && rules->fetch != nullptr) fetch_of_segment[i] = rules;
    }
  }
  for (std::uint32_t index = 0; index < graph.eager_node_count; ++index) {
    const plan_node& node = graph.nodes[index];
    const plan_operation& op = graph.operation_of(node);
    if (!dirty_map::takes_pages(op)) continue;
    for (std::uint32_t which = 0; which < op.operand_count; ++which) {
      const plan_operand& operand =
          graph.operand_details[graph.operands[node.operand_begin + which]];
      if (operand.producer == no_index) continue;
      pages_readers[level_of_slot(graph, operand.slot)].push_back(
          {index, which, operand.slot, operand.slot + graph.page_count_of(operand.producer)});
    }
  }
}

std::uint32_t executor::state::fetch_pages(const page_runner& runner, const plan_segment& segment,
                                           std::uint32_t slot, std::uint32_t end) const noexcept {
  const operator_rules& rules = *fetch_of(runner, segment);
  const plan_node& node = graph_.nodes[segment.node_begin];
  const plan_operation& op = graph_.operation_of(node);
  std::uint32_t pages[fetch_pages_max];
  unsigned count = 0;
  std::uint64_t lines = 0;
  for (slot = dirty_.next(slot, end); slot < end; slot = dirty_.next(slot + 1, end)) {
    if (count == fetch_pages_max || lines >= fetch_lines_max) break;
    pages[count] = slot - node.slot;
    lines += rules.fetch(runner, node, op, pages[count], masks_[slot], 0);
    ++count;
  }
  for (unsigned i = 0; i < count; ++i) {
    (void)rules.fetch(runner, node, op, pages[i], masks_[node.slot + pages[i]], 1);
  }
  return std::min(slot, end);
}

}  // namespace sheaf::inline v0
