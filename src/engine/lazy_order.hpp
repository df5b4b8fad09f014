/// \file
/// Which lazy arrays have to be computed before a lazy array can be read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <sheaf/graph/plan.hpp>

namespace sheaf::inline v0 {

/// Calls `visitor(first slot, pages, page class)` for every operand array of `node`.
template <class Visitor>
void visit_operands(const plan& graph, const plan_node& node, Visitor&& visitor) {
  const plan_operation& op = graph.operation_of(node);
  const std::uint32_t* entries = graph.operands.data() + node.operand_begin;
  for (std::uint32_t i = 0; i < op.operand_count; ++i) {
    if (op.uniform) {
      visitor(entries[i], op.page_count, op.page);
      continue;
    }
    const plan_operand& operand = graph.operand_details[entries[i]];
    if (operand.producer == no_index) continue;
    visitor(operand.slot, graph.page_count_of(operand.producer), operand.page);
  }
}

/// The lazy node whose result begins at `slot`, or no_index for an eager array or a source.
[[nodiscard]] inline std::uint32_t lazy_node_at(const plan& graph, std::uint32_t slot) noexcept {
  const auto first = graph.nodes.begin() + graph.eager_node_count;
  const auto found = std::lower_bound(
      first, graph.nodes.end(), slot,
      [](const plan_node& node, std::uint32_t value) { return node.slot < value; });
  if (found == graph.nodes.end() || found->slot != slot) return no_index;
  return static_cast<std::uint32_t>(found - graph.nodes.begin());
}

/// `node` and the lazy nodes it reads, directly or not, for which `is_known(node)` is false;
/// operands first, because plan order is level order. Throws `std::bad_alloc`.
template <class IsKnown>
[[nodiscard]] std::vector<std::uint32_t> lazy_nodes_to_compute(const plan& graph,
                                                               std::uint32_t node,
                                                               IsKnown&& is_known) {
  std::vector<std::uint32_t> found;
  std::vector<std::uint32_t> open{node};
  std::vector<bool> seen(graph.nodes.size() - graph.eager_node_count, false);
  while (!open.empty()) {
    const std::uint32_t index = open.back();
    open.pop_back();
    if (seen[index - graph.eager_node_count] || is_known(index)) continue;
    seen[index - graph.eager_node_count] = true;
    found.push_back(index);
    visit_operands(graph, graph.nodes[index], [&](std::uint32_t slot, std::uint32_t, page_class) {
      const std::uint32_t operand = lazy_node_at(graph, slot);
      if (operand != no_index) open.push_back(operand);
    });
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace sheaf::inline v0
