#include "propagate/operators/rules.hpp"

#include "propagate/operators/dense.hpp"
#include "propagate/operators/indexed.hpp"
#include "propagate/operators/spmv.hpp"
#include "propagate/operators/stencil.hpp"

namespace sheaf::inline v0 {

const operator_rules* rules_of(operator_kind kind) noexcept {
  switch (kind) {
    case operator_kind::combine:
    case operator_kind::program:
    case operator_kind::fold_lines:
    case operator_kind::fold_blocks:
    case operator_kind::host: return nullptr;
    case operator_kind::segment_fold: return &segment_fold_rules;
    case operator_kind::gather: return &gather_rules;
    case operator_kind::spmv: return &spmv_rules;
    case operator_kind::stencil: return &stencil_rules;
    case operator_kind::gemv: return &gemv_rules;
    case operator_kind::matmul: return &matmul_rules;
  }
  return nullptr;
}

}  // namespace sheaf::inline v0
