/// \file
/// Popping and pushing frames by whole warps: one atomic for 32 threads, however many frames each
/// of them asks for. All 32 threads of the warp take part.
#pragma once

#include "cuda/memory/frame_stack.hpp"

namespace sheaf::inline v0 {

inline constexpr unsigned whole_warp = 0xffff'ffffu;

/// The sum of `value` over lower lanes; `*total` over all.
__device__ __forceinline__ std::uint32_t warp_sum_before(std::uint32_t value,
                                                         std::uint32_t* total) {
  const unsigned lane = threadIdx.x & 31u;
  std::uint32_t sum = value;
  for (unsigned distance = 1; distance < 32; distance *= 2) {
    const std::uint32_t lower = __shfl_up_sync(whole_warp, sum, distance);
    if (lane >= distance) sum += lower;
  }
  *total = __shfl_sync(whole_warp, sum, 31);
  return sum - value;
}

/// One frame for each lane that wants one, `no_frame` where there is none left.
__device__ __forceinline__ frame_id warp_pop(frame_stack& stack, bool wants) {
  const unsigned wanting = __ballot_sync(whole_warp, wants);
  if (wanting == 0) return no_frame;
  const unsigned lane = threadIdx.x & 31u;
  const int leader = __ffs(static_cast<int>(wanting)) - 1;
  std::int32_t first = 0;
  if (static_cast<int>(lane) == leader) first = add_unordered(&stack.count, -__popc(wanting));
  first = __shfl_sync(whole_warp, first, leader);
  const std::int32_t place = first - 1 - __popc(wanting & ((1u << lane) - 1u));
  return wants && place >= 0 ? frame_id{stack.ids[place]} : no_frame;
}

/// Up to `wanted` frames for each lane into `into[0]`, `into[stride]`, ...; how many it got. Lower
/// lanes are served first.
__device__ __forceinline__ std::uint32_t warp_pop_many(frame_stack& stack, std::uint32_t wanted,
                                                       std::uint32_t* into, std::uint32_t stride) {
  std::uint32_t total = 0;
  const std::uint32_t before = warp_sum_before(wanted, &total);
  std::int32_t first = 0;
  if ((threadIdx.x & 31u) == 0 && total != 0) {
    first = add_unordered(&stack.count, -static_cast<std::int32_t>(total));
  }
  first = __shfl_sync(whole_warp, first, 0) - static_cast<std::int32_t>(before);
  std::uint32_t got = 0;
  for (; got < wanted && first - 1 - static_cast<std::int32_t>(got) >= 0; ++got) {
    into[std::size_t{got} * stride] = stack.ids[first - 1 - static_cast<std::int32_t>(got)];
  }
  return got;
}

/// Pushes `frame` of each lane that has one.
__device__ __forceinline__ void warp_push(frame_stack& stack, bool has, std::uint32_t frame) {
  const unsigned having = __ballot_sync(whole_warp, has);
  if (having == 0) return;
  const unsigned lane = threadIdx.x & 31u;
  const int leader = __ffs(static_cast<int>(having)) - 1;
  std::int32_t first = 0;
  if (static_cast<int>(lane) == leader) first = add_unordered(&stack.count, __popc(having));
  first = __shfl_sync(whole_warp, first, leader);
  if (has) store_at(stack, first + __popc(having & ((1u << lane) - 1u)), frame);
}

}  // namespace sheaf::inline v0
