#include "cuda/device.hpp"

#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace sheaf::inline v0 {

namespace {

void put(device_error* why, device_code code, const char* format, std::va_list words) noexcept {
  if (why == nullptr) return;
  why->code = code;
  std::vsnprintf(why->text, sizeof(why->text), format, words);
}

device_code code_before_open(cudaError_t error) noexcept {
  switch (error) {
    case cudaSuccess: return device_code::ok;
    case cudaErrorMemoryAllocation: return device_code::out_of_memory;
    case cudaErrorNotSupported:
    case cudaErrorNotPermitted: return device_code::unsupported;
    case cudaErrorInvalidValue: return device_code::invalid;
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorInitializationError:
    case cudaErrorStubLibrary:
    case cudaErrorDevicesUnavailable:
    case cudaErrorDeviceUninitialized:
    case cudaErrorSystemNotReady:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorJitCompilerNotFound:
    case cudaErrorSymbolNotFound: return device_code::absent;
    default: return device_code::lost;
  }
}

}  // namespace

device_code tell(device_error* why, device_code code, const char* format, ...) noexcept {
  std::va_list words;
  va_start(words, format);
  put(why, code, format, words);
  va_end(words);
  return code;
}

device_code tell_runtime(device_error* why, cudaError_t error, const char* call) noexcept {
  static_cast<void>(cudaGetLastError());
  return tell(why, code_before_open(error), "%s: %s (%s)", call, cudaGetErrorString(error),
              cudaGetErrorName(error));
}

device_code fail(device_context& device, cudaError_t error, const char* call,
                 device_error* why) noexcept {
  static_cast<void>(cudaGetLastError());
  if (error == cudaErrorMemoryAllocation || error == cudaErrorNotSupported) {
    // A device that has trapped answers every call with the trap; only one that is well is asked
    // on.
    const cudaError_t still = cudaStreamQuery(device.stream);
    if (still == cudaSuccess || still == cudaErrorNotReady) return tell_runtime(why, error, call);
    error = still;
  }
  return lose(device, why, "%s: %s (%s)", call, cudaGetErrorString(error),
              cudaGetErrorName(error));
}

device_code lose(device_context& device, device_error* why, const char* format, ...) noexcept {
  if (!device.is_lost) {
    device.is_lost = true;
    std::va_list words;
    va_start(words, format);
    put(&device.lost_why, device_code::lost, format, words);
    va_end(words);
  }
  if (why != nullptr) *why = device.lost_why;
  return device_code::lost;
}

device_code load_kernels(device_context& device, std::span<const void* const> kernels,
                         device_error* why) noexcept {
  for (const void* const kernel : kernels) {
    cudaFuncAttributes found{};
    SHEAF_CUDA_TRY(device, why, cudaFuncGetAttributes(&found, kernel));
  }
  return device_code::ok;
}

device_code wait(device_context& device, const char* what, device_error* why) noexcept {
  using clock = std::chrono::steady_clock;
  const auto limit = std::chrono::duration<double>(device.settings.deadline_seconds);
  const clock::time_point begin = clock::now();
  for (;;) {
    const cudaError_t state = cudaStreamQuery(device.stream);
    if (state == cudaSuccess) return device_code::ok;
    if (state != cudaErrorNotReady) return fail(device, state, what, why);
    if (clock::now() - begin > limit) {
      return lose(device, why, "%s: not done within %g s", what, device.settings.deadline_seconds);
    }
  }
}

}  // namespace sheaf::inline v0
