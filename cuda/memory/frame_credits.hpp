/// \file
/// Frames set aside for a commit whose changed pages only the device will know.
///
/// Before a commit, `begin` makes sure that the device's stack of each class holds as many frames
/// as the commit can need at most; too few are `out_of_memory` before anything changes. Kernels pop
/// them. The device then says how many are left (`credit_report`) and finishes the epoch. What is
/// left stays on the device's stack for the next commit, which `begin` only tops up, or goes back
/// to the pool by `give_back`.
///
/// The host needs no list from the device for this: pops take from the top, so what is left is the
/// beginning of the array, whose copy (`ids`) the host has.
///
/// Invariants
///  1. `credits-cover-commit`: after `begin` the device's stack holds at least what was asked for.
///  2. `credits-known`: `held` of a class are the first ids of both copies of its array. A report
///     that names more than was held is `invalid`.
///  3. One commit at a time has credits: `begin`, then `finish` or `cancel`.
///
/// Thread safety: none; the committer. The device is heard of by report and epoch word.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "cuda/memory/epoch_word.hpp"
#include "cuda/memory/frame_pool.hpp"
#include "cuda/memory/frame_stack.hpp"

namespace sheaf::inline v0 {

/// In pinned host memory, beside the epoch word: written by the device before it finishes an epoch.
struct credit_report {
  std::int32_t left[page_class_count];
  std::uint32_t reserved;
};

/// What one thread of the device does after the last pop of a commit: settles the stacks and says
/// what is left. `stacks`: one for each class.
SHEAF_HD void report_credits(frame_stack* stacks, credit_report& into) noexcept {
  for (unsigned i = 0; i < page_class_count; ++i) {
    settle(stacks[i]);
    into.left[i] = stacks[i].count;
  }
}

/// New ids for the device's array of one class: copied to places [begin, begin + ids.size()), after
/// which the stack's count is the end of them.
struct credit_grant {
  std::uint32_t begin;
  std::span<const std::uint32_t> ids;
};

class frame_credits {
 public:
  explicit frame_credits(frame_pool& pool) noexcept : pool_(&pool) {}
  frame_credits(const frame_credits&) = delete;
  frame_credits& operator=(const frame_credits&) = delete;

  /// Tops every class up to `needed`. The grants are good until the next call of any member.
  /// `out_of_memory` with nothing changed.
  [[nodiscard]] device_code begin(const class_counts& needed,
                                  std::array<credit_grant, page_class_count>* grants,
                                  device_error* why) noexcept;
  /// The commit's epoch is finished and `report` is the device's: forgets the frames it took. They
  /// belong to whoever has read which pages got them.
  [[nodiscard]] device_code finish(const credit_report& report, device_error* why) noexcept;
  /// The commit came to nothing: it never reached the device, or was undone and its epoch is
  /// finished. What `begin` granted goes back to the pool; the device's counts become `held` again
  /// (pops leave the arrays as they are).
  void cancel() noexcept;
  /// Gives all frames held back to the pool. No commit has credits.
  void give_back() noexcept;

  [[nodiscard]] std::uint32_t held(page_class size) const noexcept {
    return static_cast<std::uint32_t>(ids_[static_cast<unsigned>(size)].size());
  }
  /// The ids of a class, lowest place first.
  [[nodiscard]] std::span<const std::uint32_t> ids(page_class size) const noexcept {
    return ids_[static_cast<unsigned>(size)];
  }

 private:
  frame_pool* pool_;
  bool is_begun_ = false;
  std::array<std::vector<std::uint32_t>, page_class_count> ids_;
  class_counts before_{};  ///< held before `begin`
};

}  // namespace sheaf::inline v0
