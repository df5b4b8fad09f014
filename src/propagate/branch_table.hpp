/// \file
/// The page table of one commit in a branch: dense like the engine's own, so that bodies find pages
/// the same way, but filled page by page as they are asked for. An entry counts where its stamp is
/// that of the running commit, so nothing is cleared between commits and a commit costs what it
/// touches, whatever the number of slots.
///
/// Invariants
///  1. `branch-entry-is-current`: an entry with the current stamp names the frame that holds the
///     page in the branch that was entered. Only `make_writable` changes it.
///
/// Thread safety: one thread.
/// Cost: 12 B of address space per slot, touched where used. `require` is a compare; the first one
/// of a page asks the branch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include <sheaf/base/assert.hpp>
#include <sheaf/base/macros.hpp>
#include <sheaf/propagate/page_branch.hpp>

namespace sheaf::inline v0 {

class branch_table {
 public:
  explicit branch_table(std::uint32_t slot_count) noexcept
      : slot_count_(slot_count),
        frames_(zeroed(slot_count)),
        stamps_(zeroed(slot_count)),
        array_stamps_(zeroed(slot_count)) {}

  /// False where the machine had no memory for the table.
  [[nodiscard]] bool is_usable() const noexcept {
    return frames_ != nullptr && stamps_ != nullptr && array_stamps_ != nullptr;
  }

  /// Begins a commit in `branch`: no entry counts.
  void enter(page_branch& branch) noexcept {
    SHEAF_DASSERT(branch_ == nullptr, "branch-entry-is-current");
    branch_ = &branch;
    has_failed_ = false;
    if (++stamp_ != 0) return;
    // Once in 2^32 commits: stamps of that long ago would count again.
    std::fill_n(stamps_.get(), slot_count_, 0u);
    std::fill_n(array_stamps_.get(), slot_count_, 0u);
    stamp_ = 1;
  }
  void leave() noexcept { branch_ = nullptr; }

  /// Frames by slot; an entry may be read after `require` of its slot.
  [[nodiscard]] const std::uint32_t* frames() const noexcept { return frames_.get(); }

  void require(std::uint32_t slot, page_class page) noexcept {
    if (SHEAF_UNLIKELY(stamps_[slot] != stamp_)) set(slot, branch_->find(slot, page));
  }
  /// The same for all `page_count` pages of the array that begins at `slot`. O(pages), once a
  /// commit.
  void require_array(std::uint32_t slot, std::uint32_t page_count, page_class page) noexcept {
    if (array_stamps_[slot] == stamp_) return;
    for (std::uint32_t i = 0; i < page_count; ++i) require(slot + i, page);
    array_stamps_[slot] = stamp_;
  }
  /// The frame to write `changing` lines of `slot` to, or false: see `page_branch::make_writable`.
  [[nodiscard]] bool make_writable(std::uint32_t slot, page_class page,
                                   line_mask changing) noexcept {
    const std::uint32_t frame = branch_->make_writable(slot, page, changing);
    if (SHEAF_UNLIKELY(frame == page_branch::nothing)) {
      has_failed_ = true;
      return false;
    }
    set(slot, frame);
    return true;
  }
  [[nodiscard]] bool has_failed() const noexcept { return has_failed_; }
  [[nodiscard]] status failure() const noexcept { return branch_->failure(); }

 private:
  struct free_delete {
    void operator()(std::uint32_t* table) const noexcept { std::free(table); }
  };
  using table = std::unique_ptr<std::uint32_t[], free_delete>;
  // calloc leaves untouched entries to the operating system's zero page.
  static table zeroed(std::uint32_t count) noexcept {
    return table(static_cast<std::uint32_t*>(
        std::calloc(count == 0 ? 1 : count, sizeof(std::uint32_t))));
  }
  void set(std::uint32_t slot, std::uint32_t frame) noexcept {
    frames_[slot] = frame;
    stamps_[slot] = stamp_;
  }

  std::uint32_t slot_count_;
  std::uint32_t stamp_ = 0;
  page_branch* branch_ = nullptr;
  bool has_failed_ = false;
  table frames_;
  table stamps_;
  table array_stamps_;  ///< by an array's first slot
};

}  // namespace sheaf::inline v0
