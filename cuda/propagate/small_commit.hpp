/// \file
/// A small commit in one launch: one block writes the record, takes the changed lines through all
/// levels and puts what changed into pinned memory. A level costs two barriers of a block in place
/// of a launch, and its marks live in shared memory.
///
/// What it cannot finish it hands on: marks that are left become marks of the batches' kernels
/// (run_state), which go on from there. That is where a frontier grows past what a block is good
/// for, and where a page is reached whose operator has no body here.
///
/// Invariants
///  1. Levels run in order; when the block stops before a level, all levels below it are done and
///     no page of a later one was touched.
///
/// Thread safety: one block. Cost: about a microsecond a level for some hundred lines.
#pragma once

#include "cuda/page/device_pages.hpp"
#include "cuda/propagate/batches.hpp"
#include "cuda/propagate/slot_card.hpp"

namespace sheaf::inline v0 {

inline constexpr unsigned small_pages_max = 32;  ///< of a record
inline constexpr unsigned small_lines_max = 40;

/// What the host reads once `number` is there.
struct alignas(64) small_outcome {
  std::uint64_t number;
  std::uint32_t pages, lines;
  std::uint32_t is_finished;  ///< 0: marks, or changed lines without room, are left
};
/// Where changed derived lines go: pinned.
struct small_space {
  line_record* pages;
  std::byte* lines;
  std::uint32_t page_capacity, line_capacity;
};

/// Everything by value: a record rides in the arguments.
struct small_commit {
  run_view view;
  const slot_card* cards;
  small_space space;
  small_outcome* outcome;
  std::uint64_t number;
  std::uint32_t page_count;
  alignas(16) line_record pages[small_pages_max];  ///< `reserved`: the page's first line
  alignas(16) std::byte lines[small_lines_max * line_size];
};
static_assert(sizeof(small_commit) <= 4096);

/// Loads the kernel and allows it its shared memory.
cudaError_t prepare_small_commit() noexcept;
cudaError_t launch_small_commit(const small_commit& what, cudaStream_t stream) noexcept;

}  // namespace sheaf::inline v0
