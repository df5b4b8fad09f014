#include "cuda/memory/device_scratch.hpp"

#include <cuda_runtime.h>

#include <new>

#include "cuda/memory/device_failure.hpp"

namespace sheaf::inline v0 {
namespace {

constexpr std::uint64_t rounded(std::uint64_t bytes) noexcept {
  return bytes == 0 ? 512 : (bytes + 511) / 512 * 512;
}

device_code refused(device_error* why, cudaError_t error, const char* call) noexcept {
  static_cast<void>(cudaGetLastError());
  device_code code = device_code::lost;
  if (error == cudaErrorMemoryAllocation) code = device_code::out_of_memory;
  if (error == cudaErrorNotSupported) code = device_code::unsupported;
  return refuse(why, code, "%s: %s", call, cudaGetErrorString(error));
}

}  // namespace

device_code device_scratch::open(std::uint32_t index, const device_scratch_options& options,
                                 std::unique_ptr<device_scratch>* made,
                                 device_error* why) noexcept {
  std::unique_ptr<device_scratch> one(new (std::nothrow) device_scratch);
  if (one == nullptr) return refuse(why, device_code::out_of_memory, "no host memory for a pool");
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.handleTypes = cudaMemHandleTypeNone;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = static_cast<int>(index);
  cudaError_t error = cudaMemPoolCreate(&one->pool_, &properties);
  if (error != cudaSuccess) {
    one->pool_ = nullptr;
    return refused(why, error, "cudaMemPoolCreate");
  }
  std::uint64_t keep = options.keep_bytes;
  error = cudaMemPoolSetAttribute(one->pool_, cudaMemPoolAttrReleaseThreshold, &keep);
  if (error == cudaSuccess) {
    int off = 0;
    error = cudaMemPoolSetAttribute(one->pool_, cudaMemPoolReuseAllowInternalDependencies, &off);
  }
  if (error != cudaSuccess) return refused(why, error, "cudaMemPoolSetAttribute");
  one->bytes_max_ = options.bytes_max;
  *made = std::move(one);
  return device_code::ok;
}

device_scratch::~device_scratch() {
  if (pool_ != nullptr) static_cast<void>(cudaMemPoolDestroy(pool_));
}

device_code device_scratch::take(std::uint64_t bytes, cudaStream_t stream, void** block,
                                 device_error* why) noexcept {
  const std::uint64_t taken = rounded(bytes);
  if (taken < bytes || taken > bytes_max_ - bytes_in_use_) {
    return refuse(why, device_code::out_of_memory,
                  "device scratch limit reached: %llu bytes more, %llu of %llu in use",
                  static_cast<unsigned long long>(bytes),
                  static_cast<unsigned long long>(bytes_in_use_),
                  static_cast<unsigned long long>(bytes_max_));
  }
  void* made = nullptr;
  const cudaError_t error = cudaMallocFromPoolAsync(&made, taken, pool_, stream);
  if (error != cudaSuccess) return refused(why, error, "cudaMallocFromPoolAsync");
  *block = made;
  bytes_in_use_ += taken;
  return device_code::ok;
}

device_code device_scratch::give(void* block, std::uint64_t bytes, cudaStream_t stream,
                                 device_error* why) noexcept {
  const cudaError_t error = cudaFreeAsync(block, stream);
  if (error != cudaSuccess) return refused(why, error, "cudaFreeAsync");
  bytes_in_use_ -= rounded(bytes);
  return device_code::ok;
}

void device_scratch::trim_to(std::uint64_t bytes) noexcept {
  static_cast<void>(cudaMemPoolTrimTo(pool_, bytes));
}

std::uint64_t device_scratch::bytes_held() const noexcept {
  std::uint64_t held = 0;
  if (cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &held) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return 0;
  }
  return held;
}

}  // namespace sheaf::inline v0
