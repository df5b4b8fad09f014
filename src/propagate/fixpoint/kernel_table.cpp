#include "propagate/fixpoint/kernel_table.hpp"

namespace sheaf::inline v0 {

namespace scalar {
extern const fixpoint_table fixpoint_bodies;
}
#if defined(SHEAF_HAS_AVX2)
namespace avx2 {
extern const fixpoint_table fixpoint_bodies;
}
#endif
#if defined(SHEAF_HAS_AVX512)
namespace avx512 {
extern const fixpoint_table fixpoint_bodies;
}
#endif

namespace {

const fixpoint_table& table_of(isa set) noexcept {
  switch (set) {
#if defined(SHEAF_HAS_AVX2)
    case isa::avx2: return avx2::fixpoint_bodies;
#endif
#if defined(SHEAF_HAS_AVX512)
    case isa::avx512: return avx512::fixpoint_bodies;
#endif
    default: return scalar::fixpoint_bodies;
  }
}

}  // namespace

const fixpoint_kernels* fixpoint_kernels_of(isa set, semiring_id id, dtype type) noexcept {
  if (!is_available(set)) return nullptr;
  const fixpoint_kernels& found =
      table_of(set).of[static_cast<unsigned>(id)][static_cast<unsigned>(type)];
  return found.relax == nullptr ? nullptr : &found;
}

}  // namespace sheaf::inline v0
