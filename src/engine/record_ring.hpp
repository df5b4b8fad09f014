/// \file
/// The records of recent commits, in blocks that readers share.
///
/// Terms
///   block    memory with several records one after the other, all of one plan. The committer
///            appends to the newest; a reader that holds a share of a block keeps it.
///   serial   the number of a record, without gaps: how a reader knows what it missed.
///
/// Invariants
///  1. `records-bounded`: the blocks of the ring hold at most `bytes_max` bytes, and one block; the
///     oldest go first. Blocks that readers still hold are theirs.
///  2. A record is complete before `used` covers it, and never changes afterwards.
///  3. `may_have_changed` is never false for a page that changed.
///
/// Thread safety: `publish`, `changes`, `may_have_changed` and `find_change` belong to who has the
/// turn; the rest from any thread. A reader takes the mutex to find a block, the committer only
/// when it begins one: neither waits for the other's work.
/// Cost: a record is 32 B, 16 B a run of pages, 4 B and its tag a transaction.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>

#include <sheaf/base/mutex.hpp>
#include <sheaf/engine/commit_record.hpp>
#include <sheaf/propagate/change_list.hpp>

#include "engine/commit_queue.hpp"

namespace sheaf::inline v0 {

struct resolved_plan;

struct record_header {
  std::uint64_t epoch;
  std::uint64_t serial;
  std::uint32_t size;  ///< with runs and tags, a multiple of 8
  std::uint32_t run_count;
  std::uint32_t transaction_count;
  std::uint32_t is_exact;
};

struct record_block {
  std::shared_ptr<const resolved_plan> graph;
  std::uint64_t first_epoch = 0;
  std::uint64_t first_serial = 0;
  std::size_t capacity = 0;
  std::unique_ptr<std::byte[]> data;
  std::atomic<std::size_t> used{0};

  [[nodiscard]] const record_header& header_at(std::size_t offset) const noexcept {
    return *reinterpret_cast<const record_header*>(data.get() + offset);
  }
  [[nodiscard]] std::span<const changed_run> runs_at(std::size_t offset) const noexcept {
    const record_header& header = header_at(offset);
    return {reinterpret_cast<const changed_run*>(&header + 1), header.run_count};
  }
};

/// Where a reader is: behind the record before `serial`.
struct record_position {
  std::shared_ptr<const record_block> block;
  std::size_t offset = 0;
  std::uint64_t serial = 0;
};

/// Lines of a page that a transaction read.
struct read_page {
  std::uint32_t slot;
  line_mask lines;
};

/// A change of something read.
struct read_conflict {
  commit_record record;  ///< false: nothing changed
  std::uint32_t slot = 0;
  line_mask lines = 0;
};

class record_ring {
 public:
  /// `bytes_max` 0 keeps no records. Throws `std::bad_alloc`.
  explicit record_ring(std::size_t bytes_max);
  record_ring(const record_ring&) = delete;
  record_ring& operator=(const record_ring&) = delete;

  /// Filled by the executor for the commit that runs.
  [[nodiscard]] change_list& changes() noexcept { return changes_; }
  /// Makes `changes()` the record of `epoch`, which was published.
  void publish(std::uint64_t epoch, const accepted_group& group,
               const std::shared_ptr<const resolved_plan>& graph) noexcept;
  /// False where the page was not changed by an epoch after `since`.
  [[nodiscard]] bool may_have_changed(std::uint32_t slot, std::uint64_t since) const noexcept {
    return changed_at_[slot % filter_size] > since || all_changed_at_ > since;
  }
  /// Records of all epochs after this one are kept.
  [[nodiscard]] std::uint64_t complete_since() const noexcept { return complete_since_.load(); }
  /// A change after `since` of one of `pages`, which rise by slot.
  [[nodiscard]] read_conflict find_change(std::span<const read_page> pages,
                                          std::uint64_t since) const;
  /// The record of `epoch`, if it is kept.
  [[nodiscard]] commit_record find(std::uint64_t epoch) const noexcept SHEAF_EXCLUDES(mutex_);

  /// Behind the newest record.
  [[nodiscard]] record_position newest() const noexcept SHEAF_EXCLUDES(mutex_);
  /// The record at `at`, which moves behind it; a false one where there is none yet. Adds to
  /// `missed` the records that fell out before they were read.
  [[nodiscard]] commit_record next(record_position& at, std::uint64_t& missed) const noexcept
      SHEAF_EXCLUDES(mutex_);
  /// Waits until there is a record at or after `serial`, `stop` is true, or the time is up. Who
  /// sets `stop` calls `wake_all` then.
  void wait(std::uint64_t serial, std::chrono::nanoseconds at_most,
            const std::atomic<bool>& stop) const;
  void wake_all() const noexcept;
  /// The blocks, oldest first.
  [[nodiscard]] std::deque<std::shared_ptr<const record_block>> blocks() const
      SHEAF_EXCLUDES(mutex_);

 private:
  static constexpr std::uint32_t filter_size = 16384;
  struct free_delete {
    void operator()(std::uint64_t* words) const noexcept;
  };
  [[nodiscard]] bool begin_block(std::uint64_t epoch, std::size_t size,
                                 const std::shared_ptr<const resolved_plan>& graph) noexcept
      SHEAF_EXCLUDES(mutex_);
  void write(std::uint64_t epoch, const accepted_group& group, std::size_t size) noexcept;
  void note_in_filter(std::uint64_t epoch) noexcept;

  // Of who has the turn.
  std::size_t bytes_max_;
  change_list changes_;
  record_block* current_ = nullptr;
  std::size_t bytes_ = 0;
  std::atomic<std::uint64_t> complete_since_{1};  ///< written by the committer
  std::unique_ptr<std::uint64_t[], free_delete> changed_at_;  ///< epoch by slot, hashed
  std::uint64_t all_changed_at_ = 0;

  alignas(interference_size) std::atomic<std::uint64_t> next_serial_{0};
  mutable std::atomic<std::uint32_t> waiters_{0};
  mutable mutex mutex_;
  std::deque<std::shared_ptr<record_block>> blocks_ SHEAF_GUARDED_BY(mutex_);
  mutable std::mutex wait_mutex_;
  mutable std::condition_variable came_;
};

}  // namespace sheaf::inline v0
