#include "propagate/device_stages.hpp"

#include <algorithm>

namespace sheaf::inline v0 {

namespace {

bool has_body(const plan& graph, const plan_operation& op) noexcept {
  switch (op.kind) {
    case operator_kind::combine:
    case operator_kind::fold_lines:
    case operator_kind::fold_blocks:
    case operator_kind::segment_fold:
    case operator_kind::gather:
    case operator_kind::spmv:
    case operator_kind::gemv:
    case operator_kind::matmul:
    case operator_kind::stencil:
    case operator_kind::cast:
    case operator_kind::gather_at:
    case operator_kind::slice: return true;
    case operator_kind::program: return graph.programs[op.payload].calls.empty();
    default: return false;
  }
}

}  // namespace

device_stages::device_stages(const plan& graph)
    : stage_of_node(graph.eager_node_count, 0), is_host_run(graph.eager_node_count, 0) {
  for (std::uint32_t node = 0; node < graph.eager_node_count; ++node) {
    if (has_body(graph, graph.operation_of(graph.nodes[node]))) continue;
    is_host_run[node] = 1;
    ++host_node_count;
    first_host_node = std::min(first_host_node, node);
  }
  if (!is_mixed()) return;
  // Nodes are in the order of levels: what a node reads is done when it is looked at.
  const std::uint32_t sources = graph.source_count();
  for (std::uint32_t node = 0; node < graph.eager_node_count; ++node) {
    const std::uint32_t mine = stage_of_node[node];
    stage_count = std::max(stage_count, mine + 1);
    for (std::uint32_t i = graph.child_begin[sources + node];
         i < graph.child_begin[sources + node + 1]; ++i) {
      const std::uint32_t reader = graph.children[i];
      const bool is_later = is_host_run[node] != 0 && is_host_run[reader] == 0;
      stage_of_node[reader] = std::max(stage_of_node[reader], mine + is_later);
    }
  }
}

const char* name_of_host_run(const plan_operation& op) noexcept {
  switch (op.kind) {
    case operator_kind::scan_totals:
    case operator_kind::scan: return "scan";
    case operator_kind::bin_counts:
    case operator_kind::row_sums: return "histogram";
    case operator_kind::sorted_runs:
    case operator_kind::merged_runs: return "sort_index or top_k";
    case operator_kind::fixpoint: return "fixpoint";
    case operator_kind::host: return "a host function";
    case operator_kind::program: return "a custom operator";
    default: return "an operator of an unknown kind";
  }
}

}  // namespace sheaf::inline v0
