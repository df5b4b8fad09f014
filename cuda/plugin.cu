/// \file
/// The plugin's table. Counts, describes, opens and closes devices; what a plan does is the
/// `device_runner`'s.
///
/// Nothing here throws; a runner that does makes its device `lost`. Nothing runs before
/// `sheaf_device_ops` is called, and nothing at the end of the process: a driver that is already
/// gone is never called from a static destructor.
#include "cuda/device.hpp"

#include <pthread.h>

#include <atomic>
#include <cstdio>
#include <new>

namespace sheaf::inline v0 {

namespace {

constexpr int compute_capability_min = 80;

/// Set in the child of a `fork()`: a context does not survive one.
std::atomic<bool> is_forked_child{false};

void note_forked_child() { is_forked_child.store(true, std::memory_order_relaxed); }

/// Devices lost in this process, a bit each; those past the last share it.
std::atomic<std::uint64_t> lost_devices{0};

std::uint64_t bit_of(std::uint32_t index) { return std::uint64_t{1} << (index < 63 ? index : 63); }
void note_if_lost(const device_context& device) {
  if (device.is_lost) lost_devices.fetch_or(bit_of(device.settings.index));
}

/// `ok`, or why device `index` is out of reach of this process, without a call of the driver.
device_code check_reach(std::uint32_t index, device_error* why) {
  if (is_forked_child.load(std::memory_order_relaxed)) {
    return tell(why, device_code::lost, "device %u does not outlive a fork: exec comes first",
                index);
  }
  if ((lost_devices.load() & bit_of(index)) == 0) return device_code::ok;
  return tell(why, device_code::lost, "device %u was lost in this process", index);
}

/// Lends the device's context to the calling thread.
class current_context {
 public:
  explicit current_context(device_context& device) noexcept
      : device_(device), pushed_(device.driver.push_current(device.primary)) {}
  ~current_context() {
    CUcontext popped = nullptr;
    if (is_current()) static_cast<void>(device_.driver.pop_current(&popped));
  }
  current_context(const current_context&) = delete;
  current_context& operator=(const current_context&) = delete;
  [[nodiscard]] bool is_current() const noexcept { return pushed_ == CUDA_SUCCESS; }

 private:
  device_context& device_;
  CUresult pushed_;
};

/// Makes a loss known to the process when a call ends.
class lost_note {
 public:
  explicit lost_note(const device_context& device) noexcept : device_(device) {}
  ~lost_note() { note_if_lost(device_); }
  lost_note(const lost_note&) = delete;
  lost_note& operator=(const lost_note&) = delete;

 private:
  const device_context& device_;
};

/// Runs `call` on an open device that is not lost, with its context current.
template <class Call>
device_code on(device_context* device, device_error* why, Call&& call) noexcept {
  if (device->is_lost) return lose(*device, why, "lost");
  device_error unreached;
  if (check_reach(device->settings.index, &unreached) != device_code::ok) {
    return lose(*device, why, "%s", unreached.text);
  }
  const lost_note note(*device);
  const current_context lent(*device);
  if (!lent.is_current()) return lose(*device, why, "the driver does not make its context current");
  try {
    if (device->runner == nullptr) {
      device->runner = make_device_runner(*device, why);
      if (device->runner == nullptr) return why->code;
    }
    const device_code code = call(*device->runner);
    // A part that knows no `device_context` only says so.
    if (code == device_code::lost && !device->is_lost) {
      return lose(*device, why, "%s", why != nullptr ? why->text : "lost");
    }
    return code;
  } catch (const std::bad_alloc&) {
    // Where in the middle it was is not known, so neither is what changed.
    return lose(*device, why, "no memory left on the host in the middle of a call");
  }
}

/// The driver's version, 0 with a reason where none answers.
int driver_version(device_error* why) noexcept {
  int driver = 0;
  const cudaError_t error = cudaDriverGetVersion(&driver);
  if (error != cudaSuccess) {
    tell_runtime(why, error, "cudaDriverGetVersion");
    return 0;
  }
  if (driver == 0) tell(why, device_code::absent, "no driver: libcuda.so.1 was not found");
  return driver;
}

std::uint32_t count_devices(device_error* why) {
  // What was found once stays: a driver with a device that failed answers nothing any more.
  static std::atomic<std::uint32_t> known{0};
  device_error unwanted;
  if (why == nullptr) why = &unwanted;
  *why = {};
  if (const std::uint32_t count = known.load(std::memory_order_relaxed); count != 0) return count;
  const int driver = driver_version(why);
  if (driver == 0) return 0;
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver) {
    static_cast<void>(cudaGetLastError());
    tell(why, device_code::absent, "the driver is for CUDA %d.%d, the plugin needs %d.%d",
         driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    return 0;
  }
  if (error != cudaSuccess) {
    tell_runtime(why, error, "cudaGetDeviceCount");
    return 0;
  }
  if (count == 0) tell(why, device_code::absent, "the driver knows no device");
  known.store(static_cast<std::uint32_t>(count), std::memory_order_relaxed);
  return static_cast<std::uint32_t>(count);
}

device_code describe_device(std::uint32_t index, device_info* into, device_error* why) {
  const std::uint32_t count = count_devices(why);
  if (count == 0) return device_code::absent;
  if (index >= count) {
    return tell(why, device_code::absent, "device %u of %u", index, count);
  }
  if (const device_code code = check_reach(index, why); code != device_code::ok) return code;
  cudaDeviceProp found{};
  if (const cudaError_t e = cudaGetDeviceProperties(&found, static_cast<int>(index))) {
    return tell_runtime(why, e, "cudaGetDeviceProperties");
  }
  std::snprintf(into->name, sizeof(into->name), "%.*s", static_cast<int>(sizeof(into->name) - 1),
                found.name);
  into->memory_bytes = found.totalGlobalMem;
  into->compute_capability = static_cast<std::uint32_t>(10 * found.major + found.minor);
  into->multiprocessors = static_cast<std::uint32_t>(found.multiProcessorCount);
  into->driver_version = static_cast<std::uint32_t>(driver_version(why));
  return device_code::ok;
}

__global__ void answer(std::uint32_t* into) { *into = 1; }

/// The stream, and a kernel that runs: code for this device is in the plugin, and the device
/// answers.
device_code start(device_context& device, device_error* why) noexcept {
  if (const cudaError_t e = cudaStreamCreateWithFlags(&device.stream, cudaStreamNonBlocking)) {
    return tell_runtime(why, e, "cudaStreamCreateWithFlags");
  }
  std::uint32_t* answered = nullptr;
  if (const cudaError_t e = cudaMallocHost(&answered, sizeof(*answered))) {
    return tell_runtime(why, e, "cudaMallocHost");
  }
  *answered = 0;
  answer<<<1, 1, 0, device.stream>>>(answered);
  if (const cudaError_t e = cudaGetLastError()) {
    static_cast<void>(cudaFreeHost(answered));
    return tell_runtime(why, e, "a first kernel");
  }
  if (const device_code code = wait(device, "a first kernel", why); code != device_code::ok) {
    return code;
  }
  const bool has_answered = *static_cast<volatile std::uint32_t*>(answered) == 1;
  static_cast<void>(cudaFreeHost(answered));
  if (!has_answered) return lose(device, why, "a first kernel wrote nothing");
  return device_code::ok;
}

cudaError_t find_calls(driver_calls& calls) noexcept {
  if (const auto e = find_driver_call("cuDevicePrimaryCtxRetain", 7000, calls.retain_primary)) {
    return e;
  }
  if (const auto e = find_driver_call("cuDevicePrimaryCtxRelease", 11000, calls.release_primary)) {
    return e;
  }
  if (const auto e = find_driver_call("cuCtxPushCurrent", 4000, calls.push_current)) return e;
  return find_driver_call("cuCtxPopCurrent", 4000, calls.pop_current);
}

device_code retain_and_start(device_context& device, device_error* why) noexcept {
  if (const cudaError_t e = find_calls(device.driver)) {
    return tell_runtime(why, e, "cudaGetDriverEntryPointByVersion");
  }
  if (const CUresult r = device.driver.retain_primary(
          &device.primary, static_cast<CUdevice>(device.settings.index))) {
    device.primary = nullptr;
    const bool is_full = r == CUDA_ERROR_OUT_OF_MEMORY;
    return tell(why, is_full ? device_code::out_of_memory : device_code::absent,
                "cuDevicePrimaryCtxRetain: error %d", static_cast<int>(r));
  }
  const current_context lent(device);
  if (!lent.is_current()) return lose(device, why, "the driver does not make its context current");
  return start(device, why);
}

void close_device(device_context* device);

device_code open_device(const device_settings* settings, device_context** made, device_error* why) {
  device_error unwanted;
  if (why == nullptr) why = &unwanted;
  *made = nullptr;
  device_info about{};
  if (const device_code code = describe_device(settings->index, &about, why);
      code != device_code::ok) {
    return code;
  }
  if (about.compute_capability < compute_capability_min) {
    return tell(why, device_code::absent, "%s has compute capability %u.%u, %d.%d is needed",
                about.name, about.compute_capability / 10, about.compute_capability % 10,
                compute_capability_min / 10, compute_capability_min % 10);
  }
  auto* const device = new (std::nothrow) device_context;
  if (device == nullptr) {
    return tell(why, device_code::out_of_memory, "no memory left on the host");
  }
  device->settings = *settings;
  // Once a process; the handler lies in the plugin, which is never unloaded.
  static const int watches_fork = pthread_atfork(nullptr, nullptr, note_forked_child);
  const device_code code = watches_fork == 0
                               ? retain_and_start(*device, why)
                               : tell(why, device_code::out_of_memory, "pthread_atfork");
  if (code != device_code::ok) {
    device->is_lost |= code == device_code::lost;
    note_if_lost(*device);
    close_device(device);
    return code;
  }
  *made = device;
  return device_code::ok;
}

/// Of a lost device the runner, the stream and the driver's context are left alone: a kernel may
/// still write to what they own, and the driver may never answer.
void close_device(device_context* device) {
  if (device == nullptr) return;
  if (device->is_lost || check_reach(device->settings.index, nullptr) != device_code::ok) {
    static_cast<void>(device->runner.release());
    delete device;
    return;
  }
  if (device->primary != nullptr) {
    {
      const current_context lent(*device);
      device_error unwanted;
      // A loss found here is the last thing the device says.
      if (device->stream != nullptr) static_cast<void>(wait(*device, "close", &unwanted));
      if (device->is_lost) {
        static_cast<void>(device->runner.release());
      } else {
        device->runner.reset();
        if (device->stream != nullptr) static_cast<void>(cudaStreamDestroy(device->stream));
      }
    }
    if (!device->is_lost) {
      static_cast<void>(
          device->driver.release_primary(static_cast<CUdevice>(device->settings.index)));
    }
  }
  delete device;
}

device_code load_plan(device_context* device, const device_section* sections, std::uint32_t count,
                      device_error* why) {
  return on(device, why, [&](device_runner& runner) {
    return runner.load_plan(std::span(sections, count), why);
  });
}

device_code write(device_context* device, const device_record* what, device_error* why) {
  return on(device, why, [&](device_runner& runner) { return runner.write(*what, why); });
}

device_code commit(device_context* device, std::uint32_t stage, const device_record* what,
                   device_record* changed, device_error* why) {
  return on(device, why,
            [&](device_runner& runner) { return runner.commit(stage, *what, *changed, why); });
}

device_code recompute(device_context* device, device_error* why) {
  return on(device, why, [&](device_runner& runner) { return runner.recompute(why); });
}

device_code read(device_context* device, const std::uint32_t* slots, std::uint32_t count,
                 std::byte* into, device_error* why) {
  return on(device, why, [&](device_runner& runner) {
    return runner.read(std::span(slots, count), into, why);
  });
}

void figures(device_context* device, device_figures* into) {
  *into = {};
  if (device->runner != nullptr) device->runner->figures(*into);
}

constexpr device_ops table = {
    .version = device_ops_version,
    .size = sizeof(device_ops),
    .count = count_devices,
    .describe = describe_device,
    .open = open_device,
    .close = close_device,
    .load_plan = load_plan,
    .write = write,
    .commit = commit,
    .recompute = recompute,
    .read = read,
    .figures = figures,
};

}  // namespace

extern "C" [[gnu::visibility("default")]] const device_ops* sheaf_device_ops(
    std::uint32_t version) {
  return version == device_ops_version ? &table : nullptr;
}

}  // namespace sheaf::inline v0
