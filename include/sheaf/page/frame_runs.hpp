/// \file
/// Contiguous arrays in the frame store: which slots form a run, and the extents of frames that its
/// versions lie in.
///
/// Terms: see frame_store.hpp. An extent is `count` frames with consecutive ids. At any time a run
/// has one current extent; others are superseded (somebody sees them), spare (frame by frame, as
/// for single pages) or free.
///
/// Invariants
///  1. All frames of an extent share their birth and the moment they were superseded, so they
///  become
///     free together; until the last one is, the extent is not free.
///  2. Extents are never given back one by one: the allocator could not put them together again.
///     A run keeps its free extents; as many as it ever had versions pinned at once. When its array
///     is gone, each extent goes back frame by frame as soon as it is free.
///
/// Thread safety: the committer's, but for `mutex`, under which one worker replaces a run.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/memory/page_allocator.hpp>

namespace sheaf::inline v0 {

struct frame_run {
  std::uint32_t slot;                     ///< its first; `frame_runs::none` once its array is gone
  std::uint32_t count;
  page_class page;
  std::uint32_t extent_count = 0;         ///< without a slot and an extent its place is free
  bool is_wanted = false;                ///< counted in the demand at hand
  std::uint32_t prepared = 0xffff'ffffu;  ///< first frame of the extent set aside for this commit
  std::vector<std::uint32_t> free = {};   ///< first frames of free extents
};

class frame_runs {
 public:
  static constexpr std::uint32_t none = 0xffff'ffffu;

  [[nodiscard]] bool is_empty() const noexcept { return extents_.empty(); }
  /// The run that holds `slot`, or null. O(log runs).
  [[nodiscard]] frame_run* find(std::uint32_t slot) noexcept;
  [[nodiscard]] const frame_run* find(std::uint32_t slot) const noexcept;
  /// All runs, those whose arrays are gone included.
  [[nodiscard]] std::vector<frame_run>& all() noexcept { return runs_; }

  /// Adds a run, in the place of one that is gone where there is one; its first extent begins at
  /// `first`. Throws `std::bad_alloc` with nothing changed. O(runs).
  void add(std::uint32_t slot, std::uint32_t count, page_class page, std::uint32_t first);
  /// Sees to it that `run` has a prepared extent; `out_of_memory`.
  [[nodiscard]] status prepare(frame_run& run, page_allocator& from) noexcept;
  /// Puts prepared extents that were not used back; forgets what was wanted.
  void put_back() noexcept;
  /// Notes that a frame is free; false where it belongs to no extent.
  bool free_frame(page_class page, std::uint32_t frame, page_allocator& to) noexcept;
  /// The run at `slot` (none: gone) lies at `place` from now on. `reorder` after the last one.
  void move(frame_run& run, std::uint32_t place, page_allocator& to) noexcept;
  void reorder() noexcept;
  /// Takes back `add` of the run at `slot`, whose one extent the caller frees.
  void remove(std::uint32_t slot) noexcept;
  /// Bytes of free extents.
  [[nodiscard]] std::uint64_t free_bytes() const noexcept;

  /// Taken by the worker that replaces a run.
  std::mutex& guard() noexcept { return guard_; }

 private:
  struct extent {
    std::uint32_t first;
    std::uint32_t freed;  ///< frames that are free
    std::uint32_t run;    ///< index
    page_class page;
  };
  void add_extent(std::uint32_t first, std::uint32_t run);
  static void give_back(const frame_run& run, std::uint32_t first, page_allocator& to) noexcept;

  std::vector<frame_run> runs_;
  std::vector<std::uint32_t> order_;  ///< runs that have slots, rising by slot
  std::vector<extent> extents_;    ///< rising by (page, first)
  std::mutex guard_;
};

}  // namespace sheaf::inline v0
