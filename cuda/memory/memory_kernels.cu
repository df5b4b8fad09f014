#include "cuda/memory/memory_kernels.hpp"

#include <algorithm>

namespace sheaf::inline v0 {
namespace {

constexpr std::uint32_t block_size = 256;

struct count_list {
  std::uint32_t counts[page_class_count];
};

__global__ void set_counts(frame_stack* stacks, count_list list) {
  if (threadIdx.x >= page_class_count) return;
  stacks[threadIdx.x].count = static_cast<std::int32_t>(list.counts[threadIdx.x]);
}

__global__ void update_table(device_table_view table, const page_table_update* updates,
                             std::uint32_t count) {
  apply_updates(table, updates, count, blockIdx.x * blockDim.x + threadIdx.x,
                gridDim.x * blockDim.x);
}

/// Sixteen bytes a thread and turn.
__global__ void zero_frames(frame_view view, page_class size, std::uint32_t first,
                            std::uint32_t count) {
  const unsigned shift = line_shift + static_cast<unsigned>(size) - 4;  // pieces of a frame, log2
  const std::uint64_t pieces = std::uint64_t{count} << shift;
  const std::uint64_t stride = std::uint64_t{gridDim.x} * blockDim.x;
  for (std::uint64_t i = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < pieces;
       i += stride) {
    const std::uint32_t frame = first + static_cast<std::uint32_t>(i >> shift);
    std::byte* const page = frame_address(view, size, frame);
    reinterpret_cast<uint4*>(page)[i & ((1u << shift) - 1)] = uint4{0, 0, 0, 0};
  }
}

__global__ void finish_epoch(frame_stack* stacks, credit_report* report, epoch_word* word,
                             std::uint64_t epoch) {
  if (stacks != nullptr) report_credits(stacks, *report);
  word->finish(epoch);
}

std::uint32_t blocks_for(std::uint64_t items) noexcept {
  constexpr std::uint64_t most = 4096;  // grid-stride beyond
  return static_cast<std::uint32_t>(std::min((items + block_size - 1) / block_size, most));
}

}  // namespace

std::span<const void* const> memory_kernels() noexcept {
  static const void* const all[] = {
      reinterpret_cast<const void*>(&set_counts), reinterpret_cast<const void*>(&update_table),
      reinterpret_cast<const void*>(&zero_frames), reinterpret_cast<const void*>(&finish_epoch)};
  return all;
}

cudaError_t enqueue_counts(frame_stack* stacks, const class_counts& counts,
                           cudaStream_t stream) noexcept {
  count_list list{};
  std::copy(counts.begin(), counts.end(), list.counts);
  set_counts<<<1, 32, 0, stream>>>(stacks, list);
  return cudaGetLastError();
}

cudaError_t enqueue_updates(const device_table_view& table, const page_table_update* updates,
                            std::uint32_t count, cudaStream_t stream) noexcept {
  if (count == 0) return cudaSuccess;
  update_table<<<blocks_for(count), block_size, 0, stream>>>(table, updates, count);
  return cudaGetLastError();
}

cudaError_t enqueue_zeros(const frame_view& view, page_class size, std::uint32_t first,
                          std::uint32_t count, cudaStream_t stream) noexcept {
  if (count == 0) return cudaSuccess;
  const std::uint64_t bytes = std::uint64_t{count} << byte_shift(size);
  if (!view.is_checked) {
    return cudaMemsetAsync(frame_address(view, size, first), 0, bytes, stream);
  }
  zero_frames<<<blocks_for(bytes / 16), block_size, 0, stream>>>(view, size, first, count);
  return cudaGetLastError();
}

cudaError_t enqueue_finish(frame_stack* stacks, credit_report* report, epoch_word* word,
                           std::uint64_t epoch, cudaStream_t stream) noexcept {
  finish_epoch<<<1, 1, 0, stream>>>(stacks, report, word, epoch);
  return cudaGetLastError();
}

}  // namespace sheaf::inline v0
