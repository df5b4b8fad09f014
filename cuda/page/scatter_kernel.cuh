/// \file
/// The scatter kernel: a warp a tile, four lanes a line. Places are looked up by two lanes' worth
/// of lines at a time and handed around by shuffles; payload is in flight meanwhile.
///
/// Cost: by line 64 + 8 bytes read and 64 written a line, 8 more read with byte masks, 64 more
/// where it merges or compares.
#pragma once

#include <cuda_runtime.h>

#include "cuda/page/scatter_bodies.hpp"

namespace sheaf::inline v0 {

/// How a part reaches a kernel.
enum class part_source { memory, arguments };

inline constexpr unsigned warp_lanes = 32;
inline constexpr unsigned scatter_block_threads = 256;
inline constexpr unsigned scatter_block_tiles = scatter_block_threads / warp_lanes;

/// Reads what nobody reads again. Kernel arguments are not global memory.
template <part_source Source>
__device__ __forceinline__ quarter load_once(const quarter* from) {
  if constexpr (Source == part_source::memory) {
    const uint4 words = __ldcs(reinterpret_cast<const uint4*>(from));
    return __builtin_bit_cast(quarter, words);
  } else {
    return *from;
  }
}

__device__ __forceinline__ std::uint64_t warp_or(std::uint64_t word) {
  const unsigned low = __reduce_or_sync(~0u, static_cast<unsigned>(word));
  const unsigned high = __reduce_or_sync(~0u, static_cast<unsigned>(word >> 32));
  return std::uint64_t{high} << 32 | low;
}

/// The lines of a tile that one lane looked up: lines `lane` and `lane + 32`.
struct lane_places {
  line_place place[2];
  std::byte* line[2];  ///< null past the end of the part
};

template <bool IsByPage>
__device__ __forceinline__ lane_places find_places(const part_view& part, const device_pages& pages,
                                                   std::uint32_t tile, unsigned lane) {
  std::uint64_t starts = 0;
  if constexpr (IsByPage) {
    const std::uint32_t first = part.tiles[tile];
    starts = warp_or(start_bit(part, tile, first + lane) |
                     start_bit(part, tile, first + lane + warp_lanes));
  }
  lane_places found{};
#pragma unroll
  for (unsigned half = 0; half < 2; ++half) {
    const unsigned j = lane + half * warp_lanes;
    const std::uint32_t index = (tile << tile_shift) + j;
    if (index >= part.line_count) continue;
    if constexpr (IsByPage) {
      found.place[half] = place_by_page(part, tile, starts, j);
    } else {
      found.place[half] = place_by_line(part, index);
    }
    const line_place& place = found.place[half];
    found.line[half] = pages.page(place.slot, place.size) + place.line * line_size;
  }
  return found;
}

/// One tile by one warp. `Batch` steps of eight lines are in flight at a time.
template <bool IsByPage, bool HasMasks, bool IsCompared, unsigned Batch, part_source Source>
__device__ __forceinline__ void scatter_tile_by_warp(const part_view& part,
                                                     const device_scatter& target,
                                                     std::uint32_t tile, unsigned lane) {
  constexpr unsigned step_lines = warp_lanes / line_quarters;
  constexpr unsigned steps = tile_lines / step_lines;
  const lane_places own = find_places<IsByPage>(part, target.pages, tile, lane);
  const unsigned q = lane % line_quarters;
  unsigned differing[2] = {0, 0};
#pragma unroll
  for (unsigned first = 0; first < steps; first += Batch) {
    quarter values[Batch], olds[Batch];
    quarter* to[Batch];
    std::uint64_t bytes[Batch];
#pragma unroll
    for (unsigned b = 0; b < Batch; ++b) {
      const unsigned j = (first + b) * step_lines + lane / line_quarters;
      const std::uint32_t index = (tile << tile_shift) + j;
      const auto place = reinterpret_cast<unsigned long long>(own.line[j / warp_lanes]);
      to[b] = reinterpret_cast<quarter*>(__shfl_sync(~0u, place, j % warp_lanes));
      if (to[b] == nullptr) continue;
      to[b] += q;
      values[b] = load_once<Source>(reinterpret_cast<const quarter*>(part.lines) +
                                    std::size_t{index} * line_quarters + q);
      if constexpr (HasMasks) bytes[b] = part.masks[index] >> (q * 16);
    }
    if constexpr (HasMasks || IsCompared) {
#pragma unroll
      for (unsigned b = 0; b < Batch; ++b) {
        if (to[b] != nullptr) olds[b] = *to[b];
      }
    }
#pragma unroll
    for (unsigned b = 0; b < Batch; ++b) {
      if constexpr (HasMasks) {
        if (to[b] != nullptr) values[b] = blend(olds[b], values[b], bytes[b]);
      }
      if constexpr (IsCompared) {
        const bool differs = to[b] != nullptr && !is_equal(olds[b], values[b]);
        const unsigned ballot = __ballot_sync(~0u, differs);
        // Lane l looked up line l % 8 of step l / 8, of either half.
        const unsigned step = first + b;
        if (step % 4 == lane / step_lines) {
          differing[step / 4] = ballot >> (lane % step_lines * line_quarters) & 0xfu;
        }
        if ((ballot >> (lane / line_quarters * line_quarters) & 0xfu) == 0) continue;
      }
      if (to[b] != nullptr) *to[b] = values[b];
    }
  }
#pragma unroll
  for (unsigned half = 0; half < 2; ++half) {
    if (own.line[half] == nullptr) continue;
    const line_place& place = own.place[half];
    if constexpr (IsCompared) {
      if (differing[half] != 0) note(target.changed, place.slot, line_mask{1} << place.line);
    } else if (place.is_first) {
      note(target.changed, place.slot, place.lines);
    }
  }
}

template <bool IsByPage, bool HasMasks, bool IsCompared, unsigned Batch>
__global__ void __launch_bounds__(scatter_block_threads)
    scatter_kernel(const part_view part, const __grid_constant__ device_scatter target) {
  const std::uint32_t tile = blockIdx.x * scatter_block_tiles + threadIdx.x / warp_lanes;
  if (tile >= tile_count(part.line_count)) return;
  scatter_tile_by_warp<IsByPage, HasMasks, IsCompared, Batch, part_source::memory>(
      part, target, tile, threadIdx.x % warp_lanes);
}

}  // namespace sheaf::inline v0
