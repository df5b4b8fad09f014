/// \file
/// Memory that runs out when a test says so: `operator new` and, where the library is linked
/// statically, its calls of `malloc` and `calloc`.
///
/// Thread safety: arming concerns the calling thread alone.
#pragma once

#include <cstdint>

namespace engine_test {

enum class shortage : std::uint8_t {
  one,         ///< the k-th allocation fails, later ones do not
  from_there,  ///< the k-th fails, and every later one
};

/// From here on the k-th allocation of this thread fails (k from 1); 0: none does.
void arm_allocator(std::uint64_t k, shortage how) noexcept;
/// Ends it; true where an allocation failed.
bool disarm_allocator() noexcept;
/// Blocks that were allocated and not freed, of all threads.
std::int64_t live_blocks() noexcept;

}  // namespace engine_test
