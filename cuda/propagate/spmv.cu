#include "cuda/propagate/batch_kernel.cuh"

namespace sheaf::inline v0 {

batch_kernel spmv_kernel(semiring_id ring, dtype type) {
  return kernel_of_kind<operator_kind::spmv>(ring, type);
}

}  // namespace sheaf::inline v0
