#include "cuda/propagate/batch_kernel.cuh"

namespace sheaf::inline v0 {

batch_kernel plain_kernel(operator_kind kind, semiring_id ring, dtype type) {
  switch (kind) {
    case operator_kind::gather: return kernel_of_kind<operator_kind::gather>(ring, type);
    case operator_kind::gather_at: return kernel_of_kind<operator_kind::gather_at>(ring, type);
    case operator_kind::cast: return kernel_of_kind<operator_kind::cast>(ring, type);
    case operator_kind::slice: return kernel_of_kind<operator_kind::slice>(ring, type);
    case operator_kind::program: return kernel_of_kind<operator_kind::program>(ring, type);
    default: return nullptr;
  }
}

}  // namespace sheaf::inline v0
