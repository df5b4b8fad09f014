#include "cuda/memory/pinned_memory.hpp"

#include <cuda_runtime.h>

#include <cstring>

#include "cuda/memory/device_failure.hpp"

namespace sheaf::inline v0 {

device_code pinned_memory::allocate(std::uint64_t bytes, pinned_memory* made,
                                    device_error* why) noexcept {
  void* found = nullptr;
  const cudaError_t error =
      cudaHostAlloc(&found, bytes, cudaHostAllocPortable | cudaHostAllocMapped);
  if (error != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    const device_code code =
        error == cudaErrorMemoryAllocation ? device_code::out_of_memory : device_code::lost;
    return refuse(why, code, "cudaHostAlloc of %llu bytes: %s",
                  static_cast<unsigned long long>(bytes), cudaGetErrorString(error));
  }
  std::memset(found, 0, bytes);
  pinned_memory one;
  one.data_ = static_cast<std::byte*>(found);
  one.size_ = bytes;
  *made = std::move(one);
  return device_code::ok;
}

pinned_memory::~pinned_memory() {
  if (data_ != nullptr) static_cast<void>(cudaFreeHost(data_));
}

device_code registered_range::pin(void* data, std::uint64_t bytes, registered_range* made,
                                  device_error* why) noexcept {
  const cudaError_t error =
      cudaHostRegister(data, bytes, cudaHostRegisterPortable | cudaHostRegisterMapped);
  if (error != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    device_code code = device_code::lost;
    if (error == cudaErrorHostMemoryAlreadyRegistered) code = device_code::invalid;
    if (error == cudaErrorNotSupported || error == cudaErrorMemoryAllocation ||
        error == cudaErrorInvalidValue || error == cudaErrorNotPermitted) {
      code = device_code::unsupported;
    }
    return refuse(why, code, "cudaHostRegister of %llu bytes: %s",
                  static_cast<unsigned long long>(bytes), cudaGetErrorString(error));
  }
  registered_range one;
  one.data_ = data;
  *made = std::move(one);
  return device_code::ok;
}

registered_range::~registered_range() {
  if (data_ != nullptr) static_cast<void>(cudaHostUnregister(data_));
}

}  // namespace sheaf::inline v0
