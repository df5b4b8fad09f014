/// \file
/// A device as the plugin holds it: the driver's context, one stream, whether it still answers, and
/// how an error of the runtime becomes words.
///
/// Ownership: `device_ops::open` makes a `device_context`, `close` ends it. The context owns its
/// stream, a reference to the device's primary context and the `device_runner`, which owns memory,
/// plan and executors. They go in the reverse order, with the driver's context current.
///
/// Invariants
///  1. `device-lost-is-for-good`: once `is_lost`, no function of the driver is called for this
///  device
///     again; `close` leaks what the device might still write to (stream, runner, pinned memory).
///  2. `device-context-is-lent`: a call makes the primary context current on the calling thread and
///     puts back what was current there, so a host's own use of CUDA is not disturbed.
///
/// Thread safety: as `device_ops`: calls for one device by one thread at a time. `fork()`: in a
/// child process every call returns `lost`; the parent goes on.
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include <memory>
#include <sheaf/memory/device_ops.hpp>
#include <span>

namespace sheaf::inline v0 {

/// Runs plans on one open device. Every call is made with the context current and returns `ok`, or
/// a code with words in `why`. A call that throws makes the device `lost`, whose runner is never
/// destroyed.
/// Thread safety: one thread at a time.
class device_runner {
 public:
  device_runner() = default;
  virtual ~device_runner() = default;
  device_runner(const device_runner&) = delete;
  device_runner& operator=(const device_runner&) = delete;

  virtual device_code load_plan(std::span<const device_section> sections, device_error* why) = 0;
  virtual device_code write(const device_record& what, device_error* why) = 0;
  virtual device_code commit(std::uint32_t stage, const device_record& what,
                             device_record& changed, device_error* why) = 0;
  virtual device_code recompute(device_error* why) = 0;
  virtual device_code read(std::span<const std::uint32_t> slots, std::byte* into,
                           device_error* why) = 0;
  virtual void figures(device_figures& into) const = 0;
};

/// Calls of the driver, found at run time: the plugin links none of it.
struct driver_calls {
  decltype(&cuDevicePrimaryCtxRetain) retain_primary;
  decltype(&cuDevicePrimaryCtxRelease_v2) release_primary;
  decltype(&cuCtxPushCurrent_v2) push_current;
  decltype(&cuCtxPopCurrent_v2) pop_current;
};

struct device_context {
  device_settings settings;
  driver_calls driver{};
  CUcontext primary = nullptr;
  /// Non-blocking: it never waits for the default stream of the host. All work is ordered by it.
  cudaStream_t stream = nullptr;
  std::unique_ptr<device_runner> runner;
  bool is_lost = false;
  device_error lost_why;  ///< what the first loss said
};

/// What runs plans on `device`; null with a reason. Part of `cuda/propagate`.
[[nodiscard]] std::unique_ptr<device_runner> make_device_runner(device_context& device,
                                                                device_error* why);

/// Writes `code` and the words, as `printf`, cut; `why` may be null. Returns `code`.
[[gnu::format(printf, 3, 4)]] device_code tell(device_error* why, device_code code,
                                               const char* format, ...) noexcept;

/// `error` of `call` before a device is open: `absent`, `out_of_memory`, `unsupported`, `invalid`
/// or `lost`, with the runtime's words. Clears the runtime's last error of this thread.
device_code tell_runtime(device_error* why, cudaError_t error, const char* call) noexcept;

/// `error` of `call` on an open device: `out_of_memory` and `unsupported` change nothing,
/// everything else makes the device `lost`.
device_code fail(device_context& device, cudaError_t error, const char* call,
                 device_error* why) noexcept;

/// Makes the device `lost` with these words (a passed deadline, a broken invariant).
[[gnu::format(printf, 3, 4)]] device_code lose(device_context& device, device_error* why,
                                               const char* format, ...) noexcept;

/// Loads `kernels` now: with lazy loading the first launch of a kernel would load it in the middle
/// of a commit.
device_code load_kernels(device_context& device, std::span<const void* const> kernels,
                         device_error* why) noexcept;

/// Waits until the stream has done all it was given, polling, at most `settings.deadline_seconds`;
/// past that, and after a trap, the device is `lost`.
device_code wait(device_context& device, const char* what, device_error* why) noexcept;

/// A driver call by name, in the form of CUDA `version` (1000 x major + 10 x minor); null where the
/// driver lacks it.
template <class Call>
cudaError_t find_driver_call(const char* name, unsigned version, Call& call) noexcept {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult how{};
  const cudaError_t error =
      cudaGetDriverEntryPointByVersion(name, &found, version, cudaEnableDefault, &how);
  call = how == cudaDriverEntryPointSuccess ? reinterpret_cast<Call>(found) : nullptr;
  if (error != cudaSuccess) return error;
  return call != nullptr ? cudaSuccess : cudaErrorSymbolNotFound;
}

}  // namespace sheaf::inline v0

/// Leaves the function with the device's code where `call` of the runtime fails.
#define SHEAF_CUDA_TRY(device, why, call)                                     \
  do {                                                                        \
    if (const cudaError_t sheaf_error = (call); sheaf_error != cudaSuccess) { \
      return ::sheaf::fail((device), sheaf_error, #call, (why));              \
    }                                                                         \
  } while (false)
