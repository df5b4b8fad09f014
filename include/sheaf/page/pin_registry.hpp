/// \file
/// Who is reading which epoch: the pins of open snapshots, and the handshake with the committer.
///
/// Terms
///   pin           one word per open snapshot: the epoch it reads.
///   opening pin   a pin whose epoch is not decided yet: it protects every epoch from the one it
///                 names onwards.
///   in_place      the epoch of a commit in flight that changes frames in place, else 0.
///
/// Handshake (all `seq_cst`)
///   opener:    store an opening pin at the published epoch; load `in_place`
///   committer: store `in_place`; scan the pins
/// So either the committer's scan sees the opening pin and copies every page it could need, or the
/// opener sees `in_place` and, in `readers::brief_wait`, waits for that one commit.
///
/// Invariants
///  1. `pin-protects`: from the moment `open` returns epoch E until `close`, no frame visible at E
///     is changed or freed. Why: the opening pin names an epoch e0 <= E and is stored before the
///     published epoch is read. A scan before that store freed only frames superseded at or before
///     the epoch then published, which is <= E; a scan after it sees the pin.
///  2. An opener waits for at most one commit: the one whose epoch it read from `in_place`. The
///     next one scans after the opening pin was stored.
///  3. A slot is handed to one snapshot at a time (tagged stack).
///
/// Thread safety: `open`, `share`, `drop`, `close`, `enter_walk`, `leave_walk` from any thread;
/// `scan`, `begin_in_place`, `end_in_place`, `is_walked` from the committer only.
/// Cost: open and close are a handful of atomic operations, O(1); a scan reads one cache line per
/// slot ever used.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include <sheaf/base/macros.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/memory/tagged_stack.hpp>

namespace sheaf::inline v0 {

/// What opening a snapshot in the middle of a commit means.
enum class readers : std::uint8_t {
  brief_wait,  ///< pages nobody reads change in place; the opener waits for the commit in flight
  wait_free,   ///< the last published epoch is always pinned: the opener never waits
};

/// The pins a scan found, as the committer uses them.
struct pin_view {
  std::vector<std::uint64_t> epochs;  ///< rising, each once
  std::uint64_t open_from = ~std::uint64_t{0};  ///< least epoch of an opening pin

  /// True where somebody may read a version that was visible in epochs [birth, superseded).
  [[nodiscard]] bool sees(std::uint64_t birth, std::uint64_t superseded) const noexcept;
  /// The newest pinned epoch in [birth, superseded), or 0.
  [[nodiscard]] std::uint64_t newest_within(std::uint64_t birth,
                                            std::uint64_t superseded) const noexcept;
  [[nodiscard]] bool is_empty() const noexcept { return epochs.empty() && open_from == ~0ull; }
  [[nodiscard]] std::uint64_t oldest() const noexcept {
    return epochs.empty() || open_from < epochs.front() ? open_from : epochs.front();
  }
};

class pin_registry {
 public:
  using slot_index = std::uint32_t;
  struct pinned {
    slot_index slot;
    std::uint64_t epoch;
  };

  /// `snapshots_max`: how many pins may be open at once; 64 B each.
  explicit pin_registry(std::uint32_t snapshots_max);

  /// Pins the published epoch. `too_many` when `snapshots_max` are open.
  [[nodiscard]] result<pinned> open(const std::atomic<std::uint64_t>& published,
                                    readers mode) noexcept;
  /// One more owner of an open pin.
  void share(slot_index slot) noexcept;
  /// One owner less; true for the last one, who then calls `close`.
  [[nodiscard]] bool drop(slot_index slot) noexcept;
  /// Ends a pin that has no owner left. The slot may belong to another snapshot at once.
  void close(slot_index slot) noexcept;

  /// Brackets the walk along a chain of versions: unlinked frames stay put meanwhile.
  void enter_walk(slot_index slot) noexcept;
  void leave_walk(slot_index slot) noexcept;

  void begin_in_place(std::uint64_t epoch) noexcept;
  void end_in_place() noexcept;
  /// Replaces `view` with the pins of this moment. O(slots ever used).
  void scan(pin_view& view) const noexcept;
  /// True if some reader is inside a walk. A frame unlinked before a call that returns false can be
  /// reused: later walkers cannot reach it.
  [[nodiscard]] bool is_walked() const noexcept;

  [[nodiscard]] std::uint32_t open_count() const noexcept {
    return open_count_.load(std::memory_order_relaxed);  // a figure for people
  }
  /// How many openers had to wait for a commit so far.
  [[nodiscard]] std::uint64_t wait_count() const noexcept {
    return wait_count_.load(std::memory_order_relaxed);  // a figure for people
  }

 private:
  struct alignas(64) pin_slot {
    std::atomic<std::uint64_t> pin{0};  ///< 0 free; else epoch << 1 | opening
    std::atomic<std::uint32_t> owners{0};
    std::atomic<std::uint32_t> walkers{0};
    std::atomic<std::uint32_t> next{0};  ///< link of the stack of free slots
  };

  // Constant after construction.
  std::uint32_t slot_count_;
  std::unique_ptr<pin_slot[]> slots_;

  alignas(interference_size) tagged_stack free_;
  std::atomic<std::uint32_t> fresh_{0};  ///< slots from here on were never used
  std::atomic<std::uint32_t> open_count_{0};
  std::atomic<std::uint64_t> wait_count_{0};
  alignas(interference_size) std::atomic<std::uint64_t> in_place_{0};
  std::atomic<std::uint32_t> waiting_{0};
};

}  // namespace sheaf::inline v0
