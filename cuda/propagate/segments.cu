#include "cuda/propagate/batch_kernel.cuh"

namespace sheaf::inline v0 {

batch_kernel segment_fold_kernel(semiring_id ring, dtype type) {
  return kernel_of_kind<operator_kind::segment_fold>(ring, type);
}

}  // namespace sheaf::inline v0
