#include "propagate/operators/rules.hpp"

#include "propagate/operators/cast.hpp"
#include "propagate/operators/dense.hpp"
#include "propagate/operators/fixpoint.hpp"
#include "propagate/operators/gather_at.hpp"
#include "propagate/operators/histogram.hpp"
#include "propagate/operators/host.hpp"
#include "propagate/operators/indexed.hpp"
#include "propagate/operators/order.hpp"
#include "propagate/operators/scan.hpp"
#include "propagate/operators/slice.hpp"
#include "propagate/operators/spmv.hpp"
#include "propagate/operators/stencil.hpp"

namespace sheaf::inline v0 {

const operator_rules* rules_of(operator_kind kind) noexcept {
  switch (kind) {
    case operator_kind::combine:
    case operator_kind::program:
    case operator_kind::fold_lines:
    case operator_kind::fold_blocks:
    case operator_kind::delay: return nullptr;
    case operator_kind::segment_fold: return &segment_fold_rules;
    case operator_kind::gather: return &gather_rules;
    case operator_kind::spmv: return &spmv_rules;
    case operator_kind::stencil: return &stencil_rules;
    case operator_kind::gemv: return &gemv_rules;
    case operator_kind::matmul: return &matmul_rules;
    case operator_kind::scan_totals: return &scan_totals_rules;
    case operator_kind::scan: return &scan_rules;
    case operator_kind::cast: return &cast_rules;
    case operator_kind::bin_counts: return &bin_counts_rules;
    case operator_kind::row_sums: return &row_sums_rules;
    case operator_kind::sorted_runs: return &sorted_runs_rules;
    case operator_kind::merged_runs: return &merged_runs_rules;
    case operator_kind::gather_at: return &gather_at_rules;
    case operator_kind::host: return &host_rules;
    case operator_kind::slice: return &slice_rules;
    case operator_kind::fixpoint: return &fixpoint_rules;
  }
  return nullptr;
}

void push_whole(dirty_map& map, const plan_node& node, const plan_operation&, std::uint32_t,
                std::uint32_t, line_mask) noexcept {
  map.mark_lines(node, 0, 1);
}

}  // namespace sheaf::inline v0
