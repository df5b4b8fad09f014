/// \file
/// The kernels that pack what changed, and the wait for them.
#include "cuda/page/collect.hpp"

#include <chrono>
#include <new>
#include <thread>

#include <cuda/atomic>

namespace sheaf::inline v0 {

namespace {

constexpr unsigned lanes = 32;
constexpr unsigned block_threads = 256;
constexpr unsigned block_groups = block_threads / lanes;
static_assert(group_slots == lanes);

// What one lane knows of its slot.
struct lane_slot {
  std::uint32_t slot;
  line_mask mask;
  std::uint32_t lines;  // that go along
  std::uint32_t first;  // lines of the lanes before
  const std::byte* page;
};

__device__ __forceinline__ lane_slot look_at(const collect_request& request, std::uint32_t k) {
  lane_slot own{};
  if (k < request.count) {
    own.slot = slot_at(request, k);
    own.mask = request.changed[own.slot];
    if (own.mask != 0 && is_observed(request, own.slot)) {
      own.lines = set_bits(own.mask);
      own.page = request.pages.page(own.slot, class_at(request, own.slot));
    }
  }
  return own;
}

// Lines of the lanes before this one; `total` of all.
__device__ __forceinline__ std::uint32_t scan_lines(std::uint32_t lines, unsigned lane,
                                                    std::uint32_t* total) {
  std::uint32_t sum = lines;
#pragma unroll
  for (unsigned step = 1; step < lanes; step <<= 1) {
    const std::uint32_t before = __shfl_up_sync(~0u, sum, step);
    if (lane >= step) sum += before;
  }
  *total = __shfl_sync(~0u, sum, lanes - 1);
  return sum - lines;
}

// The last lane whose lines begin at or before `line`: the one that has it.
__device__ __forceinline__ unsigned owner_of(std::uint32_t first, std::uint32_t line) {
  unsigned owner = 0;
#pragma unroll
  for (unsigned step = lanes / 2; step != 0; step >>= 1) {
    const std::uint32_t there = __shfl_sync(~0u, first, owner + step);
    if (there <= line) owner += step;
  }
  return owner;
}

// Copies the group's lines, four lanes a line, four lines a lane in flight.
__device__ __forceinline__ void copy_lines(const lane_slot& own, std::uint32_t total, unsigned lane,
                                           quarter* to) {
  constexpr unsigned step_lines = lanes / line_quarters;
  constexpr unsigned batch = 4;
  const unsigned q = lane % line_quarters;
  for (std::uint32_t begin = 0; begin < total; begin += step_lines * batch) {
    quarter values[batch];
#pragma unroll
    for (unsigned b = 0; b < batch; ++b) {
      const std::uint32_t line = begin + b * step_lines + lane / line_quarters;
      const unsigned owner = owner_of(own.first, line);
      const line_mask mask = __shfl_sync(~0u, static_cast<unsigned long long>(own.mask), owner);
      const std::uint32_t first = __shfl_sync(~0u, own.first, owner);
      const auto page = reinterpret_cast<const quarter*>(
          __shfl_sync(~0u, reinterpret_cast<unsigned long long>(own.page), owner));
      if (line < total) {
        values[b] = page[line_of_rank(mask, line - first) * line_quarters + q];
      }
    }
#pragma unroll
    for (unsigned b = 0; b < batch; ++b) {
      const std::uint32_t line = begin + b * step_lines + lane / line_quarters;
      if (line < total) to[std::size_t{line} * line_quarters + q] = values[b];
    }
  }
}

__global__ void __launch_bounds__(block_threads)
    collect_kernel(const __grid_constant__ collect_request request, const collect_space space,
                   collect_counters* counters) {
  const unsigned lane = threadIdx.x % lanes;
  const std::uint64_t group = blockIdx.x * std::uint64_t{block_groups} + threadIdx.x / lanes;
  lane_slot own = look_at(request, static_cast<std::uint32_t>(group * group_slots + lane));
  const unsigned holders = __ballot_sync(~0u, own.mask != 0);
  if (holders == 0) return;
  std::uint32_t total = 0;
  own.first = scan_lines(own.lines, lane, &total);
  unsigned long long at = 0;
  if (lane == 0) {
    at = claim_room(counters, space, static_cast<std::uint32_t>(__popc(holders)), total);
  }
  at = __shfl_sync(~0u, at, 0);
  if (at == no_claim) return;
  if (own.mask != 0) {
    const unsigned rank = __popc(holders & ((1u << lane) - 1));
    space.pages[pages_of_claim(at) + rank] = {own.slot, 0, own.mask};
  }
  copy_lines(own, total, lane,
             reinterpret_cast<quarter*>(space.lines) +
                 std::size_t{lines_of_claim(at)} * line_quarters);
  if (own.mask != 0) take_mask(request, own.slot, own.mask);
}

__global__ void post_outcome(collect_state* state, collect_outcome* outcome) {
  outcome->granted = granted(state->counters);
  outcome->asked = state->counters.asked;
  outcome->bad_index = state->bad_index;
  state->counters = {0, no_claim};
  state->bad_index = no_claim;
  // Release: records and lines of the kernel before are there when the host sees the number.
  cuda::atomic_ref<std::uint64_t, cuda::thread_scope_system>(outcome->number)
      .store(++state->number, cuda::memory_order_release);
}

}  // namespace

cudaError_t launch_collect(const collect_request& request, const collect_space& space,
                           collect_counters* counters, cudaStream_t stream) noexcept {
  const auto groups = (std::uint64_t{request.count} + group_slots - 1) / group_slots;
  if (groups == 0) return cudaSuccess;
  const auto blocks = static_cast<unsigned>((groups + block_groups - 1) / block_groups);
  collect_kernel<<<blocks, block_threads, 0, stream>>>(request, space, counters);
  return cudaGetLastError();
}

collector::collector(std::byte* pinned, std::size_t space_bytes, double deadline_seconds,
                     const block_source& blocks) noexcept
    : pinned_(pinned), deadline_seconds_(deadline_seconds), state_block_(blocks, cuda_blocks()) {
  const std::size_t quarter_bytes = space_bytes / 4 / line_size * line_size;
  outcome_ = new (pinned) collect_outcome{};
  space_.pages = reinterpret_cast<line_record*>(pinned + line_size);
  space_.page_capacity = static_cast<std::uint32_t>(quarter_bytes / sizeof(line_record));
  space_.lines = pinned + line_size + quarter_bytes;
  space_.line_capacity = static_cast<std::uint32_t>((space_bytes - quarter_bytes) / line_size);
}

device_code collector::open(std::size_t space_bytes, double deadline_seconds, collector** made,
                            device_error* why, const block_source& blocks) noexcept {
  *made = nullptr;
  if (space_bytes < space_bytes_min || space_bytes >> 36 != 0) {
    return refuse(why, device_code::invalid, "%zu bytes for what changed, %zu to 64 GiB",
                  space_bytes, space_bytes_min);
  }
  void* pinned = nullptr;
  const cudaError_t error =
      cudaHostAlloc(&pinned, space_bytes + line_size, cudaHostAllocPortable);
  if (error != cudaSuccess) {
    cudaGetLastError();
    return refuse(why, device_code::out_of_memory, "%zu pinned bytes: %s", space_bytes,
                  cudaGetErrorString(error));
  }
  auto* collects = new (std::nothrow)
      collector(static_cast<std::byte*>(pinned), space_bytes, deadline_seconds, blocks);
  if (collects == nullptr) {
    cudaFreeHost(pinned);
    return refuse(why, device_code::out_of_memory, "no memory for a collector");
  }
  const device_code code = collects->make_state(why);
  if (code != device_code::ok) {
    delete collects;
    return code;
  }
  *made = collects;
  return device_code::ok;
}

device_code collector::make_state(device_error* why) noexcept {
  const device_code code = state_block_->resize(sizeof(collect_state), why);
  if (code != device_code::ok) return code;
  state_ = reinterpret_cast<collect_state*>(state_block_->data());
  const collect_state first{{0, no_claim}, 0, no_claim};
  cudaError_t error = cudaMemcpy(state_, &first, sizeof(first), cudaMemcpyHostToDevice);
  // A copy from pageable memory may still be under way when the call returns.
  if (error == cudaSuccess) error = cudaStreamSynchronize(nullptr);
  return error == cudaSuccess ? device_code::ok : fail(error, "the state of a collector", why);
}

collector::~collector() {
  if (!is_lost_ && outcome_->number != expected_) finish(nullptr, nullptr, nullptr);
  if (is_lost_) {
    state_block_->abandon();
    return;
  }
  cudaFreeHost(pinned_);
}

device_code collector::fail(cudaError_t error, const char* what, device_error* why) noexcept {
  is_lost_ = true;
  return refuse(why, device_code::lost, "%s: %s", what, cudaGetErrorString(error));
}

device_code collector::start(const collect_request& request, cudaStream_t stream,
                             device_error* why) noexcept {
  if (is_lost_) return refuse(why, device_code::lost, "the device is lost");
  stream_ = stream;
  cudaError_t error = launch_collect(request, space_, &state_->counters, stream);
  if (error == cudaSuccess) {
    post_outcome<<<1, 1, 0, stream>>>(state_, outcome_);
    error = cudaGetLastError();
  }
  if (error != cudaSuccess) return fail(error, "collecting what changed", why);
  ++expected_;
  return device_code::ok;
}

device_code collector::finish(device_record* record, rest* left, device_error* why) noexcept {
  if (is_lost_) return refuse(why, device_code::lost, "the device is lost");
  using steady = std::chrono::steady_clock;
  const auto deadline = steady::now() + std::chrono::duration_cast<steady::duration>(
                                            std::chrono::duration<double>(deadline_seconds_));
  // Pairs with the release store of the device.
  const std::atomic_ref<std::uint64_t> number(outcome_->number);
  for (std::uint64_t round = 1; number.load(std::memory_order_acquire) < expected_; ++round) {
    if (round % 1024 != 0) continue;
    const cudaError_t error = cudaStreamQuery(stream_);
    if (error != cudaSuccess && error != cudaErrorNotReady) {
      return fail(error, "waiting for what changed", why);
    }
    if (steady::now() > deadline) {
      is_lost_ = true;
      return refuse(why, device_code::lost, "what changed was not there within %.3g s",
                    deadline_seconds_);
    }
    std::this_thread::yield();
  }
  const std::uint32_t pages = pages_of_claim(outcome_->granted);
  const std::uint32_t lines = lines_of_claim(outcome_->granted);
  bytes_out_ += std::uint64_t{pages} * sizeof(line_record) + std::uint64_t{lines} * line_size;
  if (record != nullptr) *record = {space_.pages, space_.lines, pages, lines};
  if (left != nullptr) {
    *left = {pages_of_claim(outcome_->asked) - pages, lines_of_claim(outcome_->asked) - lines};
  }
  return device_code::ok;
}

}  // namespace sheaf::inline v0
