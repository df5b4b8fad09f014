#include "cuda/memory/cuda_memory.hpp"

#include <cuda.h>
#include <cuda_runtime.h>

#include <new>

#include "cuda/memory/device_failure.hpp"

namespace sheaf::inline v0 {
namespace {

struct memory_calls {
  decltype(&cuMemAddressReserve) reserve;
  decltype(&cuMemAddressFree) unreserve;
  decltype(&cuMemCreate) create;
  decltype(&cuMemRelease) release;
  decltype(&cuMemMap) map;
  decltype(&cuMemUnmap) unmap;
  decltype(&cuMemSetAccess) allow;
  decltype(&cuMemGetAllocationGranularity) granularity;
};

template <class Call>
bool find_call(const char* name, Call& call) noexcept {
  constexpr unsigned since = 10020;  // CUDA 10.2 has all of them in the form used here
  void* found = nullptr;
  cudaDriverEntryPointQueryResult how{};
  const cudaError_t error =
      cudaGetDriverEntryPointByVersion(name, &found, since, cudaEnableDefault, &how);
  const bool is_found = error == cudaSuccess && how == cudaDriverEntryPointSuccess;
  call = is_found ? reinterpret_cast<Call>(found) : nullptr;
  return call != nullptr;
}

/// An address is reserved where the driver likes, or not at all: no fixed address, no flags.
CUdeviceptr driver_address(const std::byte* at) noexcept {
  return reinterpret_cast<CUdeviceptr>(at);
}

device_code driver_refused(device_error* why, CUresult error, const char* call,
                           std::uint64_t bytes) noexcept {
  const device_code code =
      error == CUDA_ERROR_OUT_OF_MEMORY ? device_code::out_of_memory : device_code::lost;
  return refuse(why, code, "%s of %llu bytes: driver error %d", call,
                static_cast<unsigned long long>(bytes), static_cast<int>(error));
}
device_code runtime_refused(device_error* why, cudaError_t error, const char* call,
                            std::uint64_t bytes) noexcept {
  static_cast<void>(cudaGetLastError());
  const device_code code =
      error == cudaErrorMemoryAllocation ? device_code::out_of_memory : device_code::lost;
  return refuse(why, code, "%s of %llu bytes: %s", call, static_cast<unsigned long long>(bytes),
                cudaGetErrorString(error));
}

struct runtime_blocks {
  static device_code allocate(void*, std::uint64_t bytes, std::byte** block,
                              device_error* why) noexcept {
    void* made = nullptr;
    const cudaError_t error = cudaMalloc(&made, bytes);
    if (error != cudaSuccess) return runtime_refused(why, error, "cudaMalloc", bytes);
    *block = static_cast<std::byte*>(made);
    return device_code::ok;
  }
  static void free(void*, std::byte* block, std::uint64_t) noexcept {
    static_cast<void>(cudaFree(block));
  }
  static device_code write(void*, std::byte* to, const void* from, std::uint64_t bytes,
                           device_error* why) noexcept {
    cudaError_t error = cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice);
    // From pageable memory it may still be on its way, and our streams do not wait for this one.
    if (error == cudaSuccess) error = cudaStreamSynchronize(nullptr);
    return error == cudaSuccess ? device_code::ok
                                : runtime_refused(why, error, "cudaMemcpy to the device", bytes);
  }
  static device_code read(void*, void* to, const std::byte* from, std::uint64_t bytes,
                          device_error* why) noexcept {
    const cudaError_t error = cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost);
    return error == cudaSuccess ? device_code::ok
                                : runtime_refused(why, error, "cudaMemcpy from the device", bytes);
  }
};

class driver_memory final : public cuda_memory {
 public:
  [[nodiscard]] device_code find(std::uint32_t index, device_error* why) noexcept;
  [[nodiscard]] physical_memory memory() noexcept override;

  static device_code reserve(void* context, std::uint64_t bytes, std::byte** base,
                             device_error* why) noexcept {
    const driver_memory& one = self(context);
    CUdeviceptr made = 0;
    const CUresult error = one.calls_.reserve(&made, bytes, one.step_bytes_, 0, 0);
    if (error != CUDA_SUCCESS) return driver_refused(why, error, "cuMemAddressReserve", bytes);
    *base = reinterpret_cast<std::byte*>(made);
    return device_code::ok;
  }
  static void unreserve(void* context, std::byte* base, std::uint64_t bytes) noexcept {
    static_cast<void>(self(context).calls_.unreserve(driver_address(base), bytes));
  }
  static device_code create(void* context, std::uint64_t bytes, std::uint64_t* handle,
                            device_error* why) noexcept {
    const driver_memory& one = self(context);
    CUmemGenericAllocationHandle made = 0;
    const CUresult error = one.calls_.create(&made, bytes, &one.properties_, 0);
    if (error != CUDA_SUCCESS) return driver_refused(why, error, "cuMemCreate", bytes);
    *handle = made;
    return device_code::ok;
  }
  static void release(void* context, std::uint64_t handle) noexcept {
    static_cast<void>(self(context).calls_.release(handle));
  }
  static device_code map(void* context, std::byte* at, std::uint64_t bytes, std::uint64_t handle,
                         device_error* why) noexcept {
    const CUresult error = self(context).calls_.map(driver_address(at), bytes, 0, handle, 0);
    return error == CUDA_SUCCESS ? device_code::ok : driver_refused(why, error, "cuMemMap", bytes);
  }
  static void unmap(void* context, std::byte* at, std::uint64_t bytes) noexcept {
    static_cast<void>(self(context).calls_.unmap(driver_address(at), bytes));
  }
  static device_code allow(void* context, std::byte* at, std::uint64_t bytes,
                           device_error* why) noexcept {
    const driver_memory& one = self(context);
    const CUmemAccessDesc access{one.properties_.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    const CUresult error = one.calls_.allow(driver_address(at), bytes, &access, 1);
    return error == CUDA_SUCCESS ? device_code::ok
                                 : driver_refused(why, error, "cuMemSetAccess", bytes);
  }
 private:
  static driver_memory& self(void* context) noexcept {
    return *static_cast<driver_memory*>(context);
  }

  memory_calls calls_{};
  CUmemAllocationProp properties_{};
  std::uint64_t step_bytes_ = 0;
};

device_code driver_memory::find(std::uint32_t index, device_error* why) noexcept {
  const bool has_all =
      find_call("cuMemAddressReserve", calls_.reserve) &&
      find_call("cuMemAddressFree", calls_.unreserve) &&
      find_call("cuMemCreate", calls_.create) && find_call("cuMemRelease", calls_.release) &&
      find_call("cuMemMap", calls_.map) && find_call("cuMemUnmap", calls_.unmap) &&
      find_call("cuMemSetAccess", calls_.allow) &&
      find_call("cuMemGetAllocationGranularity", calls_.granularity);
  if (!has_all) {
    static_cast<void>(cudaGetLastError());
    return refuse(why, device_code::absent, "the driver has no virtual memory management");
  }
  properties_.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties_.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  properties_.location.id = static_cast<int>(index);
  std::size_t granularity = 0;
  const CUresult error =
      calls_.granularity(&granularity, &properties_, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED);
  if (error != CUDA_SUCCESS || granularity == 0) {
    return refuse(why, device_code::unsupported,
                  "device %u has no virtual memory management: driver error %d", index,
                  static_cast<int>(error));
  }
  constexpr std::uint64_t least = std::uint64_t{2} << 20;
  step_bytes_ = (least + granularity - 1) / granularity * granularity;
  return device_code::ok;
}

physical_memory driver_memory::memory() noexcept {
  physical_memory made = cuda_blocks();
  made.context = this;
  made.step_bytes = step_bytes_;
  use_ranges_of<driver_memory>(made);
  return made;
}

}  // namespace

physical_memory cuda_blocks() noexcept {
  physical_memory made;
  use_blocks_of<runtime_blocks>(made);
  return made;
}

device_code cuda_memory::open(std::uint32_t index, std::unique_ptr<cuda_memory>* made,
                              device_error* why) noexcept {
  std::unique_ptr<driver_memory> one(new (std::nothrow) driver_memory);
  if (one == nullptr) {
    return refuse(why, device_code::out_of_memory, "no host memory for a device's memory");
  }
  const device_code code = one->find(index, why);
  if (code == device_code::ok) *made = std::move(one);
  return code;
}

}  // namespace sheaf::inline v0
