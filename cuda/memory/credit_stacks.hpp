/// \file
/// The device's half of frame credits: a stack of frame ids for each size class, and the words by
/// which it answers.
///
/// The way of a commit: `frame_credits::begin`, `grant` (all of it before the commit's first
/// kernel), kernels pop from `stacks()`, `finish` behind the last one; once `word().finished()`
/// says so, `frame_credits::finish(report())`.
///
/// Invariants
///  1. `stack-has-room`: `make_room` gave a class room for all the frames it may hold before they
///     are granted; growing is not a commit's business.
///  2. What the staging area holds stays until the stream has passed the copy: one grant a finished
///     epoch.
///
/// Thread safety: one thread at a time.
#pragma once

#include <array>
#include <memory>

#include <cuda_runtime_api.h>

#include "cuda/memory/device_arena.hpp"
#include "cuda/memory/frame_credits.hpp"
#include "cuda/memory/frame_stack.hpp"
#include "cuda/memory/growing_range.hpp"
#include "cuda/memory/pinned_memory.hpp"

namespace sheaf::inline v0 {

class credit_stacks {
 public:
  /// Over memory of `arena`'s device, counted in its budget. The arena outlives it.
  [[nodiscard]] static device_code open(device_arena& arena, std::unique_ptr<credit_stacks>* made,
                                        device_error* why) noexcept;
  credit_stacks(const credit_stacks&) = delete;
  credit_stacks& operator=(const credit_stacks&) = delete;

  /// Room for `counts` ids of each class. The device runs nothing. `out_of_memory`: as it was, but
  /// that some classes may have more room.
  [[nodiscard]] device_code make_room(const class_counts& counts, device_error* why) noexcept;
  /// Enqueues the copies of what `frame_credits::begin` granted and the new counts.
  [[nodiscard]] device_code grant(const std::array<credit_grant, page_class_count>& grants,
                                  cudaStream_t stream, device_error* why) noexcept;
  /// Enqueues the end of `epoch`: report, then word.
  [[nodiscard]] device_code finish(std::uint64_t epoch, cudaStream_t stream,
                                   device_error* why) noexcept;

  /// On the device: one stack for each class.
  [[nodiscard]] frame_stack* stacks() const noexcept { return stacks_; }
  [[nodiscard]] const epoch_word& word() const noexcept { return answer()->word; }
  /// The device's, of the newest finished epoch.
  [[nodiscard]] const credit_report& report() const noexcept { return answer()->report; }

  void abandon() noexcept;

 private:
  struct answers {
    epoch_word word;
    credit_report report;
  };
  explicit credit_stacks(device_arena& arena);
  [[nodiscard]] answers* answer() const noexcept {
    return reinterpret_cast<answers*>(answers_.data());
  }

  device_arena* arena_;
  growing_range headers_;  ///< of the stacks
  std::array<std::unique_ptr<growing_range>, page_class_count> arrays_;
  frame_stack* stacks_ = nullptr;
  pinned_memory answers_;
  pinned_memory staging_;
};

}  // namespace sheaf::inline v0
