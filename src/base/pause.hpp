/// \file
/// What a thread does between two looks at a word that another will write.
#pragma once

#include <atomic>

namespace sheaf::inline v0 {

/// Tells the core that this is a spin.
inline void pause_briefly() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

}  // namespace sheaf::inline v0
