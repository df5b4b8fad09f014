/// \file
/// What a commit did, counted exactly: the ground truth of every claim about speed.
///
/// The figures are the same on every run and at every thread count, because they count pages and
/// lines, not time. `frames_*` depend on which snapshots are open.
#pragma once

#include <cstdint>

namespace sheaf::inline v0 {

struct work_counters {
  std::uint64_t source_pages_touched = 0;   ///< source pages the delta wrote to
  std::uint64_t source_lines_changed = 0;   ///< source lines whose bits differ now
  std::uint64_t pages_recomputed = 0;       ///< derived pages a body ran on
  std::uint64_t pages_cut_off = 0;          ///< of these, pages with no line different
  std::uint64_t lines_recomputed = 0;       ///< derived lines recomputed
  std::uint64_t lines_cut_off = 0;          ///< of these, lines with equal bits
  std::uint64_t page_nodes_skipped = 0;     ///< eager derived pages no body ran on
  std::uint64_t levels_pushed = 0;          ///< levels whose dirty pages were marked by producers
  std::uint64_t levels_pulled = 0;          ///< levels that asked every operand
  std::uint64_t levels_full = 0;            ///< levels recomputed whole
  std::uint64_t host_calls = 0;             ///< calls of opaque host functions
  std::uint64_t lines_relaxed = 0;          ///< lines of contributions a fixpoint looked at
  std::uint64_t frames_copied = 0;          ///< copy-on-write of a page into a new frame
  std::uint64_t frames_reused = 0;          ///< copy-on-write by catching up a spare frame
  std::uint64_t lines_copied = 0;           ///< lines carried over by either
  std::uint64_t runs_copied = 0;            ///< contiguous arrays copied whole, for a third version
  std::uint64_t bytes_moved = 0;            ///< bytes read and written by bodies, apply and copies
  std::uint64_t frames_allocated = 0;       ///< frames taken from the allocator
  std::uint64_t device_commits = 0;         ///< commits that propagated on a device
  std::uint64_t mixed_commits = 0;          ///< of these, those in which the host ran a part of it

  work_counters& operator+=(const work_counters& other) noexcept {
    source_pages_touched += other.source_pages_touched;
    source_lines_changed += other.source_lines_changed;
    pages_recomputed += other.pages_recomputed;
    pages_cut_off += other.pages_cut_off;
    lines_recomputed += other.lines_recomputed;
    lines_cut_off += other.lines_cut_off;
    page_nodes_skipped += other.page_nodes_skipped;
    levels_pushed += other.levels_pushed;
    levels_pulled += other.levels_pulled;
    levels_full += other.levels_full;
    host_calls += other.host_calls;
    lines_relaxed += other.lines_relaxed;
    frames_copied += other.frames_copied;
    frames_reused += other.frames_reused;
    lines_copied += other.lines_copied;
    runs_copied += other.runs_copied;
    bytes_moved += other.bytes_moved;
    frames_allocated += other.frames_allocated;
    device_commits += other.device_commits;
    mixed_commits += other.mixed_commits;
    return *this;
  }
  friend bool operator==(const work_counters&, const work_counters&) = default;
};

}  // namespace sheaf::inline v0
