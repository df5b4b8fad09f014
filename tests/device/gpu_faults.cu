#include "device/gpu_faults.hpp"

#include <cuda.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <chrono>
#include <vector>

namespace sheaf_test {

namespace {

using clock = std::chrono::steady_clock;

__device__ std::uint64_t device_nanoseconds() {
  std::uint64_t now;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
  return now;
}

__global__ void trap_after(std::uint64_t nanoseconds) {
  const std::uint64_t begin = device_nanoseconds();
  while (device_nanoseconds() - begin < nanoseconds) __nanosleep(200);
  __trap();
}

/// A divisor of what a multiprocessor of any device holds.
constexpr int hog_threads = 512;

/// Every block stays; the last one to begin says that all run.
__global__ void __launch_bounds__(hog_threads, 4)
    hog(std::uint64_t nanoseconds, unsigned* begun, volatile unsigned* all_run) {
  const std::uint64_t begin = device_nanoseconds();
  if (threadIdx.x == 0 && atomicAdd(begun, 1U) + 1 == gridDim.x) {
    *all_run = 1;
    __threadfence_system();
  }
  while (device_nanoseconds() - begin < nanoseconds) __nanosleep(1000);
}

__global__ void fill(std::uint32_t* into, std::uint32_t count, std::uint32_t seed) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) into[i] = i * 2654435761U ^ seed;
}

std::string words(const char* call, cudaError_t error) {
  if (error == cudaSuccess) return {};
  static_cast<void>(cudaGetLastError());
  return std::string(call) + ": " + cudaGetErrorString(error);
}

struct process_state {
  cudaStream_t trap = nullptr, hog = nullptr;
  unsigned* begun = nullptr;              // on the device
  volatile unsigned* all_run = nullptr;  // pinned
  unsigned hog_blocks = 0;
};
process_state& state() {
  static process_state made;
  return made;
}

/// Not through the runtime, which might make a context current.
template <class Call>
Call driver_call(const char* name) {
  static void* const driver = ::dlopen("libcuda.so.1", RTLD_NOW);
  return driver != nullptr ? reinterpret_cast<Call>(::dlsym(driver, name)) : nullptr;
}

}  // namespace

std::string start_runtime() {
  process_state& s = state();
  int processors = 0, threads = 0;
  cudaFuncAttributes unused{};
  void* all_run = nullptr;
  cudaError_t error = cudaSetDevice(0);
  if (error == cudaSuccess) error = cudaStreamCreateWithFlags(&s.trap, cudaStreamNonBlocking);
  if (error == cudaSuccess) error = cudaStreamCreateWithFlags(&s.hog, cudaStreamNonBlocking);
  if (error == cudaSuccess) error = cudaHostAlloc(&all_run, 64, cudaHostAllocMapped);
  if (error == cudaSuccess) error = cudaMalloc(&s.begun, sizeof(*s.begun));
  if (error == cudaSuccess) error = cudaFuncGetAttributes(&unused, trap_after);
  if (error == cudaSuccess) error = cudaFuncGetAttributes(&unused, hog);
  if (error == cudaSuccess) error = cudaFuncGetAttributes(&unused, fill);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, 0);
  }
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&threads, cudaDevAttrMaxThreadsPerMultiProcessor, 0);
  }
  s.all_run = static_cast<unsigned*>(all_run);
  s.hog_blocks = static_cast<unsigned>(processors * (threads / hog_threads));
  return words("the runtime of the test", error);
}

std::string launch_trap(double after_microseconds) {
  trap_after<<<1, 1, 0, state().trap>>>(static_cast<std::uint64_t>(after_microseconds * 1e3));
  return words("a kernel that traps", cudaGetLastError());
}

bool device_fails_within(double seconds) {
  const auto limit = clock::now() + std::chrono::duration<double>(seconds);
  while (clock::now() < limit) {
    const cudaError_t found = cudaStreamQuery(state().trap);
    if (found != cudaSuccess && found != cudaErrorNotReady) return true;
  }
  return false;
}

std::string launch_hog(double seconds) {
  process_state& s = state();
  *s.all_run = 0;
  cudaError_t error = cudaMemsetAsync(s.begun, 0, sizeof(*s.begun), s.hog);
  hog<<<s.hog_blocks, hog_threads, 0, s.hog>>>(static_cast<std::uint64_t>(seconds * 1e9), s.begun,
                                               s.all_run);
  if (error == cudaSuccess) error = cudaGetLastError();
  if (error != cudaSuccess) return words("a kernel that stays", error);
  const auto limit = clock::now() + std::chrono::duration<double>(seconds / 2);
  while (*s.all_run == 0) {
    if (clock::now() > limit) return "the kernel that stays did not get every multiprocessor";
  }
  return {};
}

std::string use_runtime(std::uint32_t seed) {
  constexpr std::uint32_t count = 100'003;
  std::vector<std::uint32_t> back(count);
  std::uint32_t* there = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t done = nullptr;
  cudaError_t error = cudaStreamCreate(&stream);
  if (error == cudaSuccess) error = cudaEventCreate(&done);
  if (error == cudaSuccess) error = cudaMalloc(&there, count * sizeof(*there));
  if (error == cudaSuccess) {
    fill<<<(count + 255) / 256, 256, 0, stream>>>(there, count, seed);
    error = cudaGetLastError();
  }
  if (error == cudaSuccess) error = cudaEventRecord(done, stream);
  if (error == cudaSuccess) error = cudaEventSynchronize(done);
  if (error == cudaSuccess) {
    error = cudaMemcpy(back.data(), there, count * sizeof(*there), cudaMemcpyDeviceToHost);
  }
  if (there != nullptr) static_cast<void>(cudaFree(there));
  if (done != nullptr) static_cast<void>(cudaEventDestroy(done));
  if (stream != nullptr) static_cast<void>(cudaStreamDestroy(stream));
  if (error != cudaSuccess) return words("the runtime of the test", error);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (back[i] != (i * 2654435761U ^ seed)) return "the test's own kernel wrote other bits";
  }
  return {};
}

void* current_context() {
  static const auto get = driver_call<decltype(&cuCtxGetCurrent)>("cuCtxGetCurrent");
  CUcontext found = nullptr;
  if (get == nullptr || get(&found) != CUDA_SUCCESS) return nullptr;
  return found;
}

int current_device() {
  int found = -1;
  static_cast<void>(cudaGetDevice(&found));
  return found;
}

void* push_own_context() {
  using create_call = CUresult (*)(CUcontext*, unsigned, CUdevice);
  static const auto create = driver_call<create_call>("cuCtxCreate_v2");
  CUcontext made = nullptr;
  if (create == nullptr || create(&made, 0, 0) != CUDA_SUCCESS) return nullptr;
  return made;
}

void drop_own_context(void* context) {
  using destroy_call = CUresult (*)(CUcontext);
  static const auto destroy = driver_call<destroy_call>("cuCtxDestroy_v2");
  if (destroy != nullptr) static_cast<void>(destroy(static_cast<CUcontext>(context)));
}

}  // namespace sheaf_test
