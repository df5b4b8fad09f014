#include "cuda/propagate/batch_kernel.cuh"

namespace sheaf::inline v0 {

batch_kernel stencil_kernel(semiring_id ring, dtype type) {
  return kernel_of_kind<operator_kind::stencil>(ring, type);
}

}  // namespace sheaf::inline v0
