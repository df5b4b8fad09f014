/// \file
/// The page table of a device: which frame holds a page (slot) now, as the host knows it, and how
/// the device's copy keeps up; and which frames older epochs see.
///
/// Terms
///   birth       the epoch from which a frame's content is visible.
///   superseded  a frame that another took the place of, while a pin can see it.
///   update      (slot, frame, birth): one changed entry on its way to the device.
///
/// Invariants
///  1. `copy-on-write`: as on the host, a frame changes in place only if its birth is after the
///     newest pinned epoch; else the page gets another frame.
///  2. `device-copy-follows`: after the updates of every `pack` were applied in order, the device's
///     entries are the host's.
///  3. `births-fall`: of the frames of a slot, an older one has a lower birth and was superseded at
///     the birth of the next.
///  4. `room-before-change`: `begin_commit` makes room for what the commit may replace, so that
///     `replace` and `adopt` take no memory.
///
/// Thread safety: none; the committer. Host and device decide by the same function
/// (`changes_in_place`).
/// Cost: `pack` O(changed); `view_at` O(slots + superseded since); `reclaim` O(superseded x log
/// pins).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <sheaf/base/assert.hpp>
#include <sheaf/base/id.hpp>
#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/macros.hpp>
#include <sheaf/memory/device_ops.hpp>

#include "cuda/memory/frame_stack.hpp"

namespace sheaf::inline v0 {

/// The rule of copy-on-write, on both sides.
[[nodiscard]] SHEAF_HD constexpr bool changes_in_place(std::uint64_t birth,
                                                       std::uint64_t newest_pinned) noexcept {
  return birth > newest_pinned;
}

struct page_table_update {
  std::uint32_t slot;
  std::uint32_t frame;
  std::uint64_t birth;
};
static_assert(sizeof(page_table_update) == 16);

/// The copy on a device.
struct device_table_view {
  std::uint32_t* frames;  ///< by slot
  std::uint64_t* births;
};

/// What thread `index` of a grid of `stride` threads does to apply `count` updates of different
/// slots.
SHEAF_HD void apply_updates(const device_table_view& table, const page_table_update* updates,
                            std::uint32_t count, std::uint32_t index,
                            std::uint32_t stride) noexcept {
  for (std::uint32_t i = index; i < count; i += stride) {
    const page_table_update one = updates[i];
    table.frames[one.slot] = one.frame;
    table.births[one.slot] = one.birth;
  }
}

/// A page that a kernel gave another frame.
struct device_swap {
  std::uint32_t slot;
  std::uint32_t frame;  ///< the new one
};
/// The swaps of a commit, in device memory; as long as the credits of the commit.
struct device_swap_list {
  device_swap* swaps;
  std::uint32_t capacity;
  std::uint32_t count;
};

/// What the commit of `epoch` writes of page `slot` into: its frame, or by copy-on-write another
/// one, popped from `credits` (then `*old_frame` is the one before, whose lines the caller copies;
/// else `no_frame`). `no_frame` where credits are used up: nothing changed. One caller a slot and
/// commit; `credits` is in a phase that pops.
[[nodiscard]] SHEAF_HD frame_id frame_for_write(const device_table_view& table, std::uint32_t slot,
                                                std::uint64_t epoch, std::uint64_t newest_pinned,
                                                frame_stack& credits, device_swap_list& swaps,
                                                frame_id* old_frame) noexcept {
  *old_frame = no_frame;
  if (SHEAF_LIKELY(changes_in_place(table.births[slot], newest_pinned))) {
    return frame_id{table.frames[slot]};
  }
  const frame_id taken = pop_frame(credits);
  if (taken == no_frame) return no_frame;
  const std::int32_t place = add_unordered(reinterpret_cast<std::int32_t*>(&swaps.count), 1);
  if (static_cast<std::uint32_t>(place) < swaps.capacity) {
    swaps.swaps[place] = {slot, index_of(taken)};
  }
  *old_frame = frame_id{table.frames[slot]};
  table.frames[slot] = index_of(taken);
  table.births[slot] = epoch;
  return taken;
}

/// The table as the host has it.
class device_page_table {
 public:
  device_page_table() = default;
  device_page_table(const device_page_table&) = delete;
  device_page_table& operator=(const device_page_table&) = delete;

  /// Another plan: `page_of_slot` gives the size class by slot; no slot has a frame, nothing is
  /// superseded. `out_of_memory` with nothing changed.
  [[nodiscard]] device_code reset(std::span<const page_class> page_of_slot,
                                  device_error* why) noexcept;

  [[nodiscard]] std::uint32_t slot_count() const noexcept {
    return static_cast<std::uint32_t>(frames_.size());
  }
  [[nodiscard]] const std::uint32_t* frames() const noexcept { return frames_.data(); }
  [[nodiscard]] frame_id frame(std::uint32_t slot) const noexcept {
    return frame_id{frames_[slot]};
  }
  [[nodiscard]] std::uint64_t birth(std::uint32_t slot) const noexcept { return births_[slot]; }
  [[nodiscard]] page_class size(std::uint32_t slot) const noexcept { return sizes_[slot]; }

  /// Begins a commit that may place and replace up to `replaced_max` pages. Frames born at or
  /// before `newest_pinned` are replaced (0: all change in place). `out_of_memory`: as it was.
  [[nodiscard]] device_code begin_commit(std::uint64_t epoch, std::uint64_t newest_pinned,
                                         std::uint32_t replaced_max, device_error* why) noexcept;
  [[nodiscard]] bool is_in_place(std::uint32_t slot) const noexcept {
    return changes_in_place(births_[slot], newest_pinned_);
  }
  /// The first frame of a page that has none, born in this commit.
  void place(std::uint32_t slot, frame_id frame) noexcept;
  /// Another frame for a page that must not change in place; the host says so.
  void replace(std::uint32_t slot, frame_id frame) noexcept;
  /// The same for pages that kernels gave other frames. `invalid`, nothing adopted, where a swap
  /// names what it cannot. The device's copy has these entries already: none is packed.
  [[nodiscard]] device_code adopt(std::span<const device_swap> swaps, device_error* why) noexcept;
  /// The commit failed: every page has its frame of before again, or none, and
  /// `visitor(size, frame)` hears of the frames that are free by this.
  template <class Visitor>
  void roll_back(Visitor&& visitor) noexcept {
    while (swaps_.size() > first_of_commit_) {
      const swap last = swaps_.back();
      swaps_.pop_back();
      visitor(sizes_[last.slot], frame_id{frames_[last.slot]});
      set(last.slot, last.frame, last.birth);
    }
  }

  /// Fills `into` with entries that changed since the last call (each slot once, as it is now), in
  /// rounds where there are more than fit; returns how many. They count as sent.
  [[nodiscard]] std::uint32_t pack(std::span<page_table_update> into) noexcept;
  [[nodiscard]] std::uint32_t unsent_count() const noexcept {
    return static_cast<std::uint32_t>(unsent_.size());
  }

  /// Fills `into` (as many entries as there are slots) with the frames that `epoch` sees, pinned
  /// since it was current; `no_frame` for a page that came later.
  void view_at(std::uint64_t epoch, std::span<std::uint32_t> into) const noexcept;

  /// Forgets superseded frames that no epoch of `pins` (rising) sees: `visitor(size, frame)` gets
  /// each. The device may still read them for the newest epoch: retire them there.
  template <class Visitor>
  std::uint32_t reclaim(std::span<const std::uint64_t> pins, Visitor&& visitor) noexcept {
    std::size_t kept = 0;
    std::uint32_t count = 0;
    for (const swap& one : swaps_) {
      if (is_seen(one, pins)) {
        swaps_[kept++] = one;
      } else if (one.frame != index_of(no_frame)) {
        visitor(sizes_[one.slot], frame_id{one.frame});
        ++count;
      }
    }
    swaps_.resize(kept);
    first_of_commit_ = kept;
    return count;
  }
  /// Swaps remembered: pages placed or replaced since, and not yet reclaimed.
  [[nodiscard]] std::uint32_t swap_count() const noexcept {
    return static_cast<std::uint32_t>(swaps_.size());
  }

 private:
  struct swap {
    std::uint32_t slot;
    std::uint32_t frame;       ///< the superseded one; `no_frame`: the page is new
    std::uint64_t birth;       ///< its
    std::uint64_t superseded;  ///< birth of the one that took its place
  };
  [[nodiscard]] static bool is_seen(const swap& one,
                                    std::span<const std::uint64_t> pins) noexcept;
  void set(std::uint32_t slot, std::uint32_t frame, std::uint64_t birth) noexcept;
  void record(std::uint32_t slot) noexcept;

  std::vector<page_class> sizes_;
  std::vector<std::uint32_t> frames_;
  std::vector<std::uint64_t> births_;
  std::vector<std::uint32_t> unsent_;  ///< slots; capacity: all
  std::vector<bool> is_unsent_;
  std::vector<swap> swaps_;            ///< in the order in which they happened
  std::size_t first_of_commit_ = 0;    ///< in `swaps_`
  std::uint64_t epoch_ = 0;
  std::uint64_t newest_pinned_ = 0;
};

}  // namespace sheaf::inline v0
