/// What device memory costs: pages popped and pushed by kernels beside a bare index stack, and what
/// the host pays. Times of kernels are the device's, medians; every popped page is checked.
///
/// The bare stack is one atomic a warp on a counter and a load a page, with no care for what is not
/// there: the least that gives each thread a page of its own.
#include <algorithm>
#include <chrono>
#include <numeric>
#include <vector>

#include "cuda/memory/device_scratch.hpp"
#include "cuda/memory/frame_stack.cuh"
#include "cuda/memory/memory_kernels.hpp"
#include "tests/memory/gpu_credits.cuh"

namespace {

using namespace sheaf;
using namespace gpu_test;

constexpr std::uint32_t pages = 1u << 20;
constexpr page_class big = page_class::b4k;

double now() {
  using clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(clock::now().time_since_epoch()).count();
}
double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}
void figure(const char* name, double value, const char* unit, double floor = 0) {
  if (floor == 0) {
    std::printf("figure: %s %.3f %s\n", name, value, unit);
  } else {
    std::printf("figure: %s %.3f %s floor %.3f\n", name, value, unit, floor);
  }
}

__global__ void bare_pop(std::uint32_t* top, const std::uint32_t* ids, std::uint32_t* into) {
  const std::uint32_t lane = threadIdx.x & 31u;
  std::uint32_t begin = 0;
  if (lane == 0) begin = atomicAdd(top, 32u);
  begin = __shfl_sync(whole_warp, begin, 0);
  into[blockIdx.x * blockDim.x + threadIdx.x] = ids[begin + lane];
}
__global__ void bare_push(std::uint32_t* top, std::uint32_t* ids, const std::uint32_t* from) {
  const std::uint32_t lane = threadIdx.x & 31u;
  std::uint32_t begin = 0;
  if (lane == 0) begin = atomicAdd(top, 32u);
  begin = __shfl_sync(whole_warp, begin, 0);
  ids[begin + lane] = from[blockIdx.x * blockDim.x + threadIdx.x];
}
__global__ void pop(frame_stack* stack, std::uint32_t* into) {
  into[blockIdx.x * blockDim.x + threadIdx.x] = index_of(warp_pop(*stack, true));
}
__global__ void push(frame_stack* stack, const std::uint32_t* from) {
  warp_push(*stack, true, from[blockIdx.x * blockDim.x + threadIdx.x]);
}
/// Eight pages a thread.
__global__ void pop_eight(frame_stack* stack, std::uint32_t* into) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  warp_pop_many(*stack, 8, into + i, gridDim.x * blockDim.x);
}

class timer {
 public:
  explicit timer(cudaStream_t stream) : stream_(stream) {
    RUNTIME(cudaEventCreate(&begin_));
    RUNTIME(cudaEventCreate(&end_));
  }
  template <class Work>
  double seconds(Work&& work) {
    RUNTIME(cudaEventRecord(begin_, stream_));
    work();
    RUNTIME(cudaGetLastError());
    RUNTIME(cudaEventRecord(end_, stream_));
    wait_for(stream_);
    float milliseconds = 0;
    RUNTIME(cudaEventElapsedTime(&milliseconds, begin_, end_));
    return milliseconds * 1e-3;
  }

 private:
  cudaStream_t stream_;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

void expect_each_once(const device_array<std::uint32_t>& found) {
  std::vector<std::uint32_t> ids(pages);
  found.get(ids.data(), pages);
  std::sort(ids.begin(), ids.end());
  bool is_right = true;
  for (std::uint32_t i = 0; i < pages; ++i) is_right = is_right && ids[i] == i;
  EXPECT(is_right);
}

void time_stacks(cudaStream_t stream) {
  std::vector<std::uint32_t> ids(pages);
  for (std::uint32_t i = 0; i < pages; ++i) ids[i] = i * 0x9e37'79b1u % pages;  // odd: each once
  device_array<std::uint32_t> array(pages), bare_array(pages), got(pages), top(1);
  device_array<frame_stack> stack(1);
  const frame_stack full{array.data(), pages, static_cast<std::int32_t>(pages), 0, 0};
  const frame_stack empty{array.data(), pages, 0, 0, 0};
  array.put(ids.data(), pages);
  bare_array.put(ids.data(), pages);
  timer clock(stream);
  std::vector<double> times[5];
  for (int round = 0; round < 25; ++round) {
    RUNTIME(cudaMemsetAsync(top.data(), 0, 4, stream));
    times[0].push_back(clock.seconds([&] {
      bare_pop<<<pages / 256, 256, 0, stream>>>(top.data(), bare_array.data(), got.data());
    }));
    if (round == 0) expect_each_once(got);
    RUNTIME(cudaMemsetAsync(top.data(), 0, 4, stream));
    times[1].push_back(clock.seconds([&] {
      bare_push<<<pages / 256, 256, 0, stream>>>(top.data(), bare_array.data(), got.data());
    }));
    stack.put(&full, 1);
    times[2].push_back(clock.seconds(
        [&] { pop<<<pages / 256, 256, 0, stream>>>(stack.data(), got.data()); }));
    if (round == 0) expect_each_once(got);
    stack.put(&empty, 1);
    times[3].push_back(clock.seconds(
        [&] { push<<<pages / 256, 256, 0, stream>>>(stack.data(), got.data()); }));
    stack.put(&full, 1);
    times[4].push_back(clock.seconds(
        [&] { pop_eight<<<pages / 8 / 256, 256, 0, stream>>>(stack.data(), got.data()); }));
    if (round == 0) expect_each_once(got);
  }
  const auto rate = [&](int which) { return pages / median(times[which]) * 1e-9; };
  const auto both = [&](int first, int second) {
    return pages / (median(times[first]) + median(times[second])) * 1e-9;
  };
  figure("device_page_pop", rate(2), "Gpages/s", rate(0));
  figure("device_page_push", rate(3), "Gpages/s", rate(1));
  figure("device_page_pop_and_push", both(2, 3), "Gpages/s", both(0, 1));
  figure("device_page_pop_eight_a_thread", rate(4), "Gpages/s", rate(0));
}

void time_host(const physical_memory& memory, cudaStream_t stream) {
  device_arena_options options;
  options.growth_bytes = std::uint64_t{1} << 30;
  const auto arena = make_arena(memory, options);
  device_error why;
  epoch_word word;
  frame_pool pool(*arena, word);
  class_counts counts{};
  counts[static_cast<unsigned>(big)] = 1u << 18;
  const double grown = now();
  REQUIRE(pool.reserve(counts, &why) == device_code::ok);
  figure("arena_growth_of_1_GiB", (now() - grown) * 1e6, "us");
  constexpr std::uint32_t held = 1u << 16;
  std::vector<std::uint32_t> plain(held), kept(held);
  std::iota(plain.begin(), plain.end(), 0u);
  std::vector<double> ours, floor;
  std::uint64_t sum = 0;
  for (int round = 0; round < 41; ++round) {
    double begin = now();
    for (std::uint32_t i = 0; i < held; ++i) kept[i] = index_of(pool.allocate(big, &why));
    for (std::uint32_t i = 0; i < held; ++i) pool.deallocate(big, frame_id{kept[i]});
    ours.push_back((now() - begin) / held);
    sum += kept[held / 2];
    begin = now();
    for (std::uint32_t i = 0; i < held; ++i) {
      kept[i] = plain.back();
      plain.pop_back();
    }
    for (std::uint32_t i = 0; i < held; ++i) plain.push_back(kept[i]);
    floor.push_back((now() - begin) / held);
    sum += kept[held / 2];
  }
  EXPECT(sum != 0);
  figure("host_page_allocate_and_free", median(ours) * 1e9, "ns", median(floor) * 1e9);

  timer clock(stream);
  std::vector<double> zeros, copies;
  std::byte* const base = arena->address(big, frame_id{0});
  constexpr std::uint32_t zeroed = 1u << 16;
  for (int round = 0; round < 11; ++round) {
    zeros.push_back(clock.seconds(
        [&] { RUNTIME(enqueue_zeros(arena->view(), big, 0, zeroed, stream)); }));
    copies.push_back(clock.seconds(
        [&] { RUNTIME(cudaMemsetAsync(base, 0, std::size_t{zeroed} * 4096, stream)); }));
  }
  const double bytes = double{zeroed} * 4096 * 1e-9;
  figure("zeros_in_new_frames", bytes / median(zeros), "GB/s", bytes / median(copies));
}

void time_commits(const physical_memory& memory, cudaStream_t stream) {
  credit_rig at(memory, big, 10'000);
  std::vector<double> times;
  for (std::uint64_t epoch = 1; epoch <= 500; ++epoch) {
    const double begin = now();
    at.begin(stream);
    at.finish(epoch, stream);
    times.push_back(now() - begin);
  }
  figure("credits_of_a_commit_of_10000_pages_none_used", median(times) * 1e6, "us");

  device_error why;
  std::unique_ptr<device_scratch> scratch;
  REQUIRE(device_scratch::open(0, {}, &scratch, &why) == device_code::ok);
  times.clear();
  for (int round = 0; round < 1000; ++round) {
    void* block = nullptr;
    const double begin = now();
    REQUIRE(scratch->take(1 << 20, stream, &block, &why) == device_code::ok);
    REQUIRE(scratch->give(block, 1 << 20, stream, &why) == device_code::ok);
    times.push_back(now() - begin);
  }
  wait_for(stream);
  figure("scratch_block_of_1_MiB", median(times) * 1e6, "us");
}

}  // namespace

int main() {
  need_device();
  const auto memory = open_memory();
  const cudaStream_t stream = make_stream();
  time_stacks(stream);
  time_host(memory->memory(), stream);
  time_commits(memory->memory(), stream);
  RUNTIME(cudaStreamDestroy(stream));
  return verdict("device memory");
}
