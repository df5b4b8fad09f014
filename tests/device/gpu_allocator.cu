#include "device/gpu_allocator.hpp"

#include <cuda_runtime.h>

#include <algorithm>

namespace sheaf_test {

sheaf::device_memory_hook gpu_allocator::hook() noexcept {
  sheaf::device_memory_hook made;
  made.context = this;
  made.allocate = [](void* context, std::uint64_t size) noexcept -> void* {
    auto& self = *static_cast<gpu_allocator*>(context);
    void* block = nullptr;
    if (self.calls++ == self.failing || cudaMalloc(&block, size) != cudaSuccess) return nullptr;
    self.bytes += size;
    self.bytes_most = std::max(self.bytes_most, self.bytes);
    return block;
  };
  made.deallocate = [](void* context, void* block, std::uint64_t size) noexcept {
    static_cast<gpu_allocator*>(context)->bytes -= size;
    static_cast<void>(cudaFree(block));
  };
  return made;
}

}  // namespace sheaf_test
