/// \file
/// The small kernels around a commit: counts of the credit stacks, updates of the page table, zeros
/// for new frames, and the epoch's end. Each call enqueues one kernel (or copy) and returns.
///
/// Thread safety: any; the order is that of the stream.
#pragma once

#include <cstdint>
#include <span>

#include <cuda_runtime_api.h>

#include "cuda/memory/device_page_table.hpp"
#include "cuda/memory/epoch_word.hpp"
#include "cuda/memory/frame_credits.hpp"
#include "cuda/memory/frame_stack.hpp"
#include "cuda/memory/frame_view.hpp"

namespace sheaf::inline v0 {

/// For `load_kernels`: every kernel of this room.
[[nodiscard]] std::span<const void* const> memory_kernels() noexcept;

/// `stacks` (one for each class, on the device) hold `counts` frames from here on.
[[nodiscard]] cudaError_t enqueue_counts(frame_stack* stacks, const class_counts& counts,
                                         cudaStream_t stream) noexcept;

/// Applies `count` updates, which the device can read, to its page table.
[[nodiscard]] cudaError_t enqueue_updates(const device_table_view& table,
                                          const page_table_update* updates, std::uint32_t count,
                                          cudaStream_t stream) noexcept;

/// Zeros in frames [first, first + count) of a class.
[[nodiscard]] cudaError_t enqueue_zeros(const frame_view& view, page_class size,
                                        std::uint32_t first, std::uint32_t count,
                                        cudaStream_t stream) noexcept;

/// All work before it on `stream` is the epoch's: reports the credits left (where `stacks` is not
/// null) and finishes `epoch`. `report` and `word` lie in pinned memory.
[[nodiscard]] cudaError_t enqueue_finish(frame_stack* stacks, credit_report* report,
                                         epoch_word* word, std::uint64_t epoch,
                                         cudaStream_t stream) noexcept;

}  // namespace sheaf::inline v0
