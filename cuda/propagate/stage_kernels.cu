#include "cuda/propagate/stage_kernels.hpp"

#include <algorithm>

namespace sheaf::inline v0 {

namespace {

constexpr unsigned block_threads = 256;
constexpr unsigned blocks_max = 1024;

unsigned blocks_for(std::uint32_t threads) {
  return std::clamp((threads + block_threads - 1) / block_threads, 1u, blocks_max);
}

/// A warp for 32 slots; whose lines changed share out what they reach.
__global__ void __launch_bounds__(block_threads)
    mark_host_run(const run_view view, const host_slot_range* range) {
  const std::uint32_t at = blockIdx.x * block_threads + threadIdx.x;
  const std::uint32_t step = gridDim.x * block_threads;
  for (std::uint32_t i = at; i < view.plan.header->level_count; i += step) {
    no_longer_full(view.state, i);
  }
  const host_slot_range sent = *range;
  const unsigned lane = threadIdx.x % unit_lanes;
  for (std::uint32_t first = sent.begin + at - lane; first < sent.end; first += step) {
    const std::uint32_t slot =
        first + lane < sent.end ? view.plan.host_slots[first + lane] : no_index;
    const line_mask mine = slot != no_index ? view.state.changed[slot] : 0;
    for (std::uint32_t left = __ballot_sync(~0u, mine != 0); left != 0; left &= left - 1) {
      const int from = __ffs(static_cast<int>(left)) - 1;
      const line_mask lines = __shfl_sync(~0u, mine, from);
      push(view.plan, view.state, __shfl_sync(~0u, slot, from), lines, lane, unit_lanes);
    }
  }
}

__global__ void __launch_bounds__(block_threads)
    set_apart(const run_view view, std::uint32_t begin, std::uint32_t end, line_mask* into) {
  const std::uint32_t step = gridDim.x * block_threads;
  for (std::uint32_t i = begin + blockIdx.x * block_threads + threadIdx.x; i < end; i += step) {
    const std::uint32_t slot = view.plan.batch_slots[i];
    into[slot] = view.state.changed[slot];
  }
}

}  // namespace

cudaError_t launch_mark_host_run(const run_view& view, const host_slot_range* range,
                                 std::uint32_t slots_max, cudaStream_t stream) noexcept {
  mark_host_run<<<blocks_for(slots_max), block_threads, 0, stream>>>(view, range);
  return cudaGetLastError();
}

cudaError_t launch_set_apart(const run_view& view, const device_stage& stage, line_mask* into,
                             cudaStream_t stream) noexcept {
  set_apart<<<blocks_for(stage.slot_end - stage.slot_begin), block_threads, 0, stream>>>(
      view, stage.slot_begin, stage.slot_end, into);
  return cudaGetLastError();
}

std::array<const void*, 2> stage_kernels() noexcept {
  return {reinterpret_cast<const void*>(&mark_host_run),
          reinterpret_cast<const void*>(&set_apart)};
}

}  // namespace sheaf::inline v0
