/// \file
/// A host's own allocator of device memory, over the heap: counts, and refuses when asked.
#pragma once

#include <cstdint>
#include <new>

#include <sheaf/memory/device_ops.hpp>

namespace device_test {

using namespace sheaf;

struct host_allocator {
  [[nodiscard]] device_memory_hook hook() {
    return {this,
            [](void* context, std::uint64_t size) noexcept -> void* {
              auto& self = *static_cast<host_allocator*>(context);
              if (self.refuses || self.calls == self.failing) {
                ++self.calls;
                return nullptr;
              }
              ++self.calls;
              self.bytes += size;
              return ::operator new(size, std::align_val_t{256});
            },
            [](void* context, void* block, std::uint64_t size) noexcept {
              static_cast<host_allocator*>(context)->bytes -= size;
              ::operator delete(block, std::align_val_t{256});
            }};
  }
  bool refuses = false;                       ///< every call
  std::uint64_t failing = ~std::uint64_t{0};  ///< the call with this number, from 0
  std::uint64_t calls = 0;
  std::uint64_t bytes = 0;                    ///< not given back
};

}  // namespace device_test
