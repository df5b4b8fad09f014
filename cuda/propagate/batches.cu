#include "cuda/propagate/batches.hpp"

namespace sheaf::inline v0 {

batch_kernel kernel_of(operator_kind kind, semiring_id ring, dtype type) {
  switch (kind) {
    case operator_kind::combine: return combine_kernel(ring, type);
    case operator_kind::fold_lines: return fold_lines_kernel(ring, type);
    case operator_kind::fold_blocks: return fold_blocks_kernel(ring, type);
    case operator_kind::segment_fold: return segment_fold_kernel(ring, type);
    case operator_kind::spmv: return spmv_kernel(ring, type);
    case operator_kind::gemv: return gemv_kernel(ring, type);
    case operator_kind::matmul: return matmul_kernel(ring, type);
    case operator_kind::stencil: return stencil_kernel(ring, type);
    default: return plain_kernel(kind, ring, type);
  }
}

}  // namespace sheaf::inline v0
