/// \file
/// Which frames of a device arena are free. Driven by the host: allocating and freeing touch no
/// device memory.
///
/// Terms
///   free      on the stack of its class: the frame freed last is handed out first.
///   fresh     never handed out: ids from `fresh_begin` up to the arena's frame limit.
///   retired   given back while the device may still read it: free once the device has finished the
///             epoch that gave it back.
///
/// Invariants
///  1. `frame-has-one-state`: a frame is free, fresh, retired or handed out.
///  2. `room-before-frames`: the stack and the queue of a class have room for all its frames before
///     these exist, so `deallocate` and `retire` take no memory and cannot fail.
///  3. `reserve-all-or-nothing`: `reserve` succeeds or changes nothing.
///
/// Thread safety: none; the committer owns it. The device is heard of by an epoch_word alone.
/// Cost: a few instructions for `allocate` and `deallocate`; PERF: with a fake layer below, an
/// allocation and its free take about as long as a push and pop of a vector
/// (bench/memory/device_frames_bench.cpp).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include <sheaf/base/assert.hpp>
#include <sheaf/base/id.hpp>
#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/macros.hpp>

#include "cuda/memory/device_arena.hpp"
#include "cuda/memory/epoch_word.hpp"
#include "cuda/memory/retire_queue.hpp"

namespace sheaf::inline v0 {

using class_counts = std::array<std::uint32_t, page_class_count>;

struct frame_pool_figures {
  class_counts in_use;   ///< handed out
  class_counts free;     ///< free or fresh
  class_counts retired;
};

class frame_pool {
 public:
  /// Both outlive the pool. `device` is the word the device writes.
  frame_pool(device_arena& arena, const epoch_word& device) noexcept
      : arena_(&arena), device_(&device) {}
  frame_pool(const frame_pool&) = delete;
  frame_pool& operator=(const frame_pool&) = delete;

  /// A frame with unspecified contents; where none is left, the arena grows. `no_frame` with `why`
  /// filled and nothing changed where it cannot.
  [[nodiscard]] frame_id allocate(page_class size, device_error* why) noexcept {
    size_frames& frames = classes_[static_cast<unsigned>(size)];
    if (SHEAF_LIKELY(frames.free_count != 0)) return frame_id{frames.free[--frames.free_count]};
    return allocate_fresh(size, why);
  }
  /// Gives back a frame that the device does not touch.
  void deallocate(page_class size, frame_id frame) noexcept {
    size_frames& frames = classes_[static_cast<unsigned>(size)];
    SHEAF_DASSERT(index_of(frame) < frames.fresh_begin, "frame-has-one-state");
    SHEAF_ASSERT(frames.free_count < frames.fresh_begin, "room-before-frames");
    frames.free[frames.free_count++] = index_of(frame);
  }
  /// `count` frames with consecutive ids, from the fresh ones.
  [[nodiscard]] device_code allocate_run(page_class size, std::uint32_t count, frame_id* first,
                                         device_error* why) noexcept;

  /// Makes sure that the next `counts` allocations of each class succeed without growth.
  [[nodiscard]] device_code reserve(const class_counts& counts, device_error* why) noexcept;

  /// Gives back a frame that the device may read for epochs up to `epoch`, which never falls from
  /// call to call.
  void retire(page_class size, frame_id frame, std::uint64_t epoch) noexcept {
    classes_[static_cast<unsigned>(size)].retired.retire(index_of(frame), epoch);
  }
  /// Frees what was retired by epochs the device has finished; returns how many frames.
  std::uint32_t collect() noexcept;

  /// Gives memory above the highest frame that is not free back to the layer below. The caller
  /// knows that no kernel runs. O(frames); returns bytes.
  std::uint64_t trim() noexcept;

  /// Checks the red zones of a frame, then deallocates it: how frames go back under
  /// `SHEAF_ARENA=checked`. `invalid`, the frame not given back, where they are damaged.
  [[nodiscard]] device_code deallocate_checked(page_class size, frame_id frame,
                                               zone_damage* found, device_error* why) noexcept;

  /// All frames are fresh again, whatever was handed out: for another plan. No kernel runs.
  void reset() noexcept;

  [[nodiscard]] device_arena& arena() noexcept { return *arena_; }
  [[nodiscard]] frame_pool_figures figures() const noexcept;
  /// Looks at every free and retired frame: each once, and none of them fresh. O(frames).
  [[nodiscard]] bool is_consistent() const;

 private:
  struct size_frames {
    std::vector<std::uint32_t> free;  ///< the first `free_count` are free frames
    std::uint32_t free_count = 0;
    std::uint32_t fresh_begin = 0;
    retire_queue retired;
  };
  [[nodiscard]] frame_id allocate_fresh(page_class size, device_error* why) noexcept;
  [[nodiscard]] device_code make_room(page_class size, std::uint32_t frames,
                                      device_error* why) noexcept;

  device_arena* arena_;
  const epoch_word* device_;
  std::array<size_frames, page_class_count> classes_;
};

}  // namespace sheaf::inline v0
