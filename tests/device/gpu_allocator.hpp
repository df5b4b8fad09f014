/// \file
/// A host's own allocator of device memory: cudaMalloc of the program's own runtime, counted, and
/// refusing when asked.
///
/// Thread safety: one thread at a time, as the hook is called.
#pragma once

#include <cstdint>

#include <sheaf/memory/device_ops.hpp>

namespace sheaf_test {

struct gpu_allocator {
  /// Of this object, which outlives every device it is given to.
  [[nodiscard]] sheaf::device_memory_hook hook() noexcept;

  std::uint64_t failing = ~std::uint64_t{0};  ///< the call with this number, from 0
  std::uint64_t calls = 0;
  std::uint64_t bytes = 0;       ///< not given back
  std::uint64_t bytes_most = 0;  ///< at any time
};

}  // namespace sheaf_test
