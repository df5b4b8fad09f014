/// \file
/// The scatter kernels by form, byte masks and cut-off.
#include "cuda/page/scatter.hpp"

#include <cstring>

#include "cuda/page/scatter_kernel.cuh"

namespace sheaf::inline v0 {

namespace {

// Steps of eight lines in flight: where the old line is read too, half as many fit the registers.
constexpr unsigned batch_of(bool reads_old) { return reads_old ? 4 : 8; }

template <bool IsByPage, bool HasMasks, bool IsCompared>
void launch(const part_view& part, const device_scatter& target, cudaStream_t stream) {
  const auto tiles = tile_count(part.line_count);
  const auto blocks =
      static_cast<unsigned>((tiles + scatter_block_tiles - 1) / scatter_block_tiles);
  scatter_kernel<IsByPage, HasMasks, IsCompared, batch_of(HasMasks || IsCompared)>
      <<<blocks, scatter_block_threads, 0, stream>>>(part, target);
}

template <bool IsByPage>
void launch_form(const part_view& part, const device_scatter& target, cudaStream_t stream) {
  const bool is_compared = !target.notes_equal_lines;
  if (part.masks != nullptr) {
    if (is_compared) launch<IsByPage, true, true>(part, target, stream);
    else launch<IsByPage, true, false>(part, target, stream);
  } else {
    if (is_compared) launch<IsByPage, false, true>(part, target, stream);
    else launch<IsByPage, false, false>(part, target, stream);
  }
}

template <bool IsByPage, bool HasMasks>
__device__ void scatter_arguments(const part_view& part, const device_scatter& target) {
  const unsigned lane = threadIdx.x % warp_lanes;
  const auto tiles = static_cast<std::uint32_t>(tile_count(part.line_count));
  for (std::uint32_t tile = threadIdx.x / warp_lanes; tile < tiles;
       tile += blockDim.x / warp_lanes) {
    if (target.notes_equal_lines) {
      scatter_tile_by_warp<IsByPage, HasMasks, false, 2, part_source::arguments>(part, target, tile,
                                                                                 lane);
    } else {
      scatter_tile_by_warp<IsByPage, HasMasks, true, 2, part_source::arguments>(part, target, tile,
                                                                                lane);
    }
  }
}

__global__ void __launch_bounds__(warp_lanes)
    scatter_small_kernel(const __grid_constant__ small_part small,
                         const __grid_constant__ device_scatter target) {
  const auto& header = *reinterpret_cast<const part_header*>(small.bytes);
  const part_view part = part_at(header, small.bytes);
  if (part.pages != nullptr) {
    if (part.masks != nullptr) scatter_arguments<true, true>(part, target);
    else scatter_arguments<true, false>(part, target);
  } else {
    if (part.masks != nullptr) scatter_arguments<false, true>(part, target);
    else scatter_arguments<false, false>(part, target);
  }
}

}  // namespace

cudaError_t scatter(const part_view& part, const device_scatter& target,
                    cudaStream_t stream) noexcept {
  if (part.line_count == 0) return cudaSuccess;
  if (part.pages != nullptr) launch_form<true>(part, target, stream);
  else launch_form<false>(part, target, stream);
  return cudaGetLastError();
}

cudaError_t scatter_small(const small_part& part, const device_scatter& target,
                          cudaStream_t stream) noexcept {
  part_header header;
  std::memcpy(&header, part.bytes, sizeof(header));
  if (header.line_count == 0) return cudaSuccess;
  scatter_small_kernel<<<1, warp_lanes, 0, stream>>>(part, target);
  return cudaGetLastError();
}

}  // namespace sheaf::inline v0
