/// \file
/// What programs that test device memory share: checks that count, waits that end, and a device or
/// a reason to skip.
#pragma once

#include <cuda_runtime.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "cuda/memory/cuda_memory.hpp"
#include "cuda/memory/device_arena.hpp"

namespace gpu_test {

using namespace sheaf;

inline int failures = 0;

#define EXPECT(condition)                                                          \
  do {                                                                             \
    if (!(condition)) {                                                            \
      ++::gpu_test::failures;                                                      \
      std::printf("FAILED %s:%d: %s\n", __FILE__, __LINE__, #condition);           \
    }                                                                              \
  } while (false)
/// For what nothing after it can do without.
#define REQUIRE(condition)                                                         \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::printf("FAILED %s:%d: %s: %s\n", __FILE__, __LINE__, #condition,        \
                  cudaGetErrorString(cudaGetLastError()));                         \
      std::fflush(stdout);                                                         \
      ::_exit(1);                                                                  \
    }                                                                              \
  } while (false)
#define RUNTIME(call) REQUIRE((call) == cudaSuccess)

/// Polls until `is_done()`; a program that waits longer than `seconds` ends with 3.
template <class Done>
void wait_until(const char* what, Done&& is_done, double seconds = 10) {
  using clock = std::chrono::steady_clock;
  const clock::time_point begin = clock::now();
  while (!is_done()) {
    if (std::chrono::duration<double>(clock::now() - begin).count() < seconds) continue;
    std::printf("FAILED: %s took more than %g s\n", what, seconds);
    std::fflush(stdout);
    ::_exit(3);
  }
}
inline void wait_for(cudaStream_t stream) {
  wait_until("work on the device", [&] {
    const cudaError_t state = cudaStreamQuery(stream);
    REQUIRE(state == cudaSuccess || state == cudaErrorNotReady);
    return state == cudaSuccess;
  });
}

/// Ends the program with 77 where there is no device.
inline void need_device() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return;
  std::printf("SKIPPED: no device: %s\n", cudaGetErrorString(error));
  std::exit(77);
}

inline std::unique_ptr<cuda_memory> open_memory() {
  std::unique_ptr<cuda_memory> made;
  device_error why;
  RUNTIME(cudaSetDevice(0));
  RUNTIME(cudaFree(nullptr));
  if (cuda_memory::open(0, &made, &why) != device_code::ok) std::printf("%s\n", why.text);
  REQUIRE(made != nullptr);
  return made;
}
inline std::unique_ptr<device_arena> make_arena(const physical_memory& memory,
                                                const device_arena_options& options) {
  std::unique_ptr<device_arena> made;
  device_error why;
  REQUIRE(device_arena::create(options, memory, &made, &why) == device_code::ok);
  return made;
}
inline cudaStream_t make_stream() {
  cudaStream_t stream = nullptr;
  RUNTIME(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}
inline std::uint64_t free_bytes() {
  std::size_t available = 0, total = 0;
  RUNTIME(cudaMemGetInfo(&available, &total));
  return available;
}

/// Plain device memory for a test's own arrays.
template <class T>
class device_array {
 public:
  explicit device_array(std::size_t count) : count_(count) {
    RUNTIME(cudaMalloc(&data_, count * sizeof(T)));
    RUNTIME(cudaMemset(data_, 0, count * sizeof(T)));
    RUNTIME(cudaDeviceSynchronize());
  }
  device_array(const device_array&) = delete;
  device_array& operator=(const device_array&) = delete;
  ~device_array() { static_cast<void>(cudaFree(data_)); }
  [[nodiscard]] T* data() const { return data_; }
  void put(const T* from, std::size_t count) {
    RUNTIME(cudaMemcpy(data_, from, count * sizeof(T), cudaMemcpyHostToDevice));
    RUNTIME(cudaStreamSynchronize(nullptr));  // a copy from pageable memory may still be on its way
  }
  void get(T* into, std::size_t count) const {
    RUNTIME(cudaMemcpy(into, data_, count * sizeof(T), cudaMemcpyDeviceToHost));
  }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

inline int verdict(const char* what) {
  std::printf("%s: %s\n", what, failures == 0 ? "passed" : "FAILED");
  return failures == 0 ? 0 : 1;
}

}  // namespace gpu_test
