/// \file
/// The word by which a device says how far it is: one epoch in pinned host memory.
///
/// Everything the device did for an epoch, and every page it read for it, lies before its `finish`
/// of that epoch; so who reads an epoch with `finished` may reuse what was freed at it. Kernels of
/// one stream end in order, and one thread of the last one writes the word: it never falls.
///
/// Thread safety: `finish` by one thread of device or host at a time, `finished` from any.
#pragma once

#include <cstdint>

#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

class alignas(64) epoch_word {
 public:
  /// The newest epoch the device has done with.
  [[nodiscard]] SHEAF_HD std::uint64_t finished() const noexcept {
#if defined(__CUDA_ARCH__)
    const std::uint64_t value = *static_cast<const volatile std::uint64_t*>(&value_);
    __threadfence_system();
    return value;
#else
    // acquire: pairs with the release in `finish`, on this side or the device's.
    return __atomic_load_n(&value_, __ATOMIC_ACQUIRE);
#endif
  }
  /// Says that all of `epoch` is done. Work of other threads must have happened before this call:
  /// it is made in a kernel of its own, or by the last block of one after its fences.
  SHEAF_HD void finish(std::uint64_t epoch) noexcept {
#if defined(__CUDA_ARCH__)
    __threadfence_system();
    *static_cast<volatile std::uint64_t*>(&value_) = epoch;
#else
    // release: pairs with the acquire in `finished`.
    __atomic_store_n(&value_, epoch, __ATOMIC_RELEASE);
#endif
  }

 private:
  std::uint64_t value_ = 0;
};
static_assert(sizeof(epoch_word) == 64);

}  // namespace sheaf::inline v0
