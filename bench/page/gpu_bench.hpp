// What the benchmarks of cuda/page on a device share: 4 GiB of pages with known content, times of
// alternating slices, and the lines they print.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <cuda_runtime.h>

#include "cuda/page/scatter_bodies.hpp"

namespace page_bench {

using namespace sheaf;

inline void must(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::printf("%s: %s\n", what, cudaGetErrorString(error));
  std::_Exit(1);
}
#define BENCH_MUST(call) ::page_bench::must((call), #call)

inline void must_be(bool is_right, const char* what) {
  if (is_right) return;
  std::printf("wrong: %s\n", what);
  std::_Exit(1);
}
inline void must_ok(device_code code, const device_error& why) {
  if (code == device_code::ok) return;
  std::printf("wrong: %s\n", why.text);
  std::_Exit(1);
}

inline void figure(const char* name, double value, const char* unit, double floor = 0) {
  if (floor != 0) std::printf("figure: %s %.4g %s floor %.4g\n", name, value, unit, floor);
  else std::printf("figure: %s %.4g %s\n", name, value, unit);
  std::fflush(stdout);
}

template <class T>
T* on_device(std::size_t count) {
  T* made = nullptr;
  BENCH_MUST(cudaMalloc(reinterpret_cast<void**>(&made), count * sizeof(T)));
  return made;
}
template <class T>
T* pinned(std::size_t count) {
  T* made = nullptr;
  BENCH_MUST(cudaHostAlloc(reinterpret_cast<void**>(&made), count * sizeof(T),
                           cudaHostAllocPortable));
  return made;
}

// Microseconds of the device.
class device_timer {
 public:
  device_timer() {
    BENCH_MUST(cudaEventCreate(&begin_));
    BENCH_MUST(cudaEventCreate(&end_));
  }
  template <class Work>
  double operator()(cudaStream_t stream, Work&& work) {
    BENCH_MUST(cudaEventRecord(begin_, stream));
    work();
    BENCH_MUST(cudaGetLastError());
    BENCH_MUST(cudaEventRecord(end_, stream));
    BENCH_MUST(cudaEventSynchronize(end_));
    float milliseconds = 0;
    BENCH_MUST(cudaEventElapsedTime(&milliseconds, begin_, end_));
    return milliseconds * 1e3;
  }

 private:
  cudaEvent_t begin_, end_;
};

template <class Work>
double wall_us(Work&& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
      .count();
}

inline double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Slices of all in turn; the median of each.
template <class... Slices>
std::vector<double> in_turn(int rounds, Slices&&... slices) {
  std::vector<std::vector<double>> times(sizeof...(slices));
  for (int round = -1; round < rounds; ++round) {
    std::size_t i = 0;
    ((round < 0 ? static_cast<void>(slices()) : times[i].push_back(slices()), ++i), ...);
  }
  std::vector<double> medians;
  for (std::vector<double>& each : times) medians.push_back(median(each));
  return medians;
}

// A word of content that depends on its place alone.
SHEAF_HD std::uint64_t content(std::uint64_t place, std::uint64_t salt) {
  std::uint64_t x = place * 0x9e37'79b9'7f4a'7c15u + salt;
  x ^= x >> 32;
  x *= 0xd6e8'feb8'6659'fd93u;
  return x ^ x >> 29;
}
// One to one on the numbers below 2^bits.
SHEAF_HD std::uint32_t shuffled(std::uint32_t x, unsigned bits) {
  const std::uint32_t all = (1u << bits) - 1;
  for (unsigned round = 0; round < 3; ++round) {
    x = (x * 0x2c1b'3c6du + 0x297a'2d39u) & all;
    x ^= x >> (bits / 2 + 1);
  }
  return x;
}

inline constexpr unsigned line_bits = 26;  // of 4 GiB
inline constexpr unsigned slot_bits = line_bits - 6;
inline constexpr std::uint32_t lines_all = 1u << line_bits;
inline constexpr std::uint32_t slots_all = 1u << slot_bits;

// Word w of line l holds content(8 l + w, salt); pages lie shuffled.
__global__ void fill_pages(device_pages pages, std::uint64_t salt) {
  for (std::uint64_t i = blockIdx.x * std::uint64_t{blockDim.x} + threadIdx.x;
       i < std::uint64_t{lines_all} * 8; i += std::uint64_t{gridDim.x} * blockDim.x) {
    auto* page = reinterpret_cast<std::uint64_t*>(
        pages.page(static_cast<std::uint32_t>(i >> 9), page_class::b4k));
    page[i & 511] = content(i, salt);
  }
}
__global__ void shuffle_frames(std::uint32_t* frames) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < slots_all) frames[i] = shuffled(i, slot_bits);
}

// 4 GiB of 4 KiB pages.
struct bench_pages {
  bench_pages() : changed(on_device<line_mask>(slots_all)) {
    frames = on_device<std::uint32_t>(slots_all);
    bytes = on_device<std::byte>(std::size_t{lines_all} * line_size);
    pages.base[static_cast<unsigned>(page_class::b4k)] = bytes;
    pages.frames = frames;
    shuffle_frames<<<slots_all / 256, 256>>>(frames);
    reset(0);
  }
  void reset(std::uint64_t salt) {
    fill_pages<<<4096, 256>>>(pages, salt);
    BENCH_MUST(cudaMemset(changed, 0, slots_all * sizeof(line_mask)));
    BENCH_MUST(cudaDeviceSynchronize());
  }
  [[nodiscard]] device_scatter scatter(bool notes_equal_lines) const {
    return {pages, changed, notes_equal_lines};
  }

  line_mask* changed;
  std::uint32_t* frames;
  std::byte* bytes;
  device_pages pages{};
};

inline bool has_device() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    std::printf("skipped: no device: %s\n", cudaGetErrorString(error));
    return false;
  }
  cudaDeviceProp device{};
  BENCH_MUST(cudaGetDeviceProperties(&device, 0));
  std::printf("device: %s\n", device.name);
  return true;
}

}  // namespace page_bench
