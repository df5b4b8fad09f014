/// \file
/// Subscriptions: which lines of which arrays each epoch changed, read from the records that
/// commits leave anyway.
///
/// Invariants
///  1. A subscriber sees the records in the order of their epochs, each once, or is told how many
///     it missed: those that fell out of `engine_options::record_bytes_max` before it came.
///  2. A subscriber never makes a commit wait, however slow it is. It keeps alive what it holds.
///
/// Thread safety: a subscription belongs to one thread at a time; different ones to different
/// threads.
/// Cost: nothing for commits; `poll` is O(changes of the epochs passed over).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <sheaf/base/result.hpp>
#include <sheaf/engine/commit_record.hpp>
#include <sheaf/graph/array.hpp>

namespace sheaf::inline v0 {

class engine_core;
struct record_position;

/// What one epoch changed of the arrays subscribed to.
struct change_event {
  commit_record record;            ///< of the whole commit
  std::vector<changed_page> pages;  ///< of the arrays subscribed to, in the order of the plan
  std::uint64_t missed = 0;        ///< epochs that fell out before this one

  [[nodiscard]] sheaf::epoch epoch() const noexcept { return record.epoch(); }
};

class subscription {
 public:
  /// Of no engine: nothing ever comes.
  subscription() noexcept;
  subscription(subscription&&) noexcept;
  subscription& operator=(subscription&&) noexcept;
  subscription(const subscription&) = delete;
  subscription& operator=(const subscription&) = delete;
  ~subscription();

  /// Ok, or why there is no subscription: `closed`, the error of a handle, `unsupported` where the
  /// engine keeps no records.
  [[nodiscard]] const status& error() const noexcept { return error_; }
  explicit operator bool() const noexcept { return core_ != nullptr; }

  /// The next epoch that changed an array subscribed to, or one that says that epochs were missed
  /// (then `pages` may be empty: read a snapshot). False where there is none yet.
  [[nodiscard]] bool poll(change_event& next);
  /// As `poll`, but waits for one at most so long. False early where the engine is closed.
  [[nodiscard]] bool wait(change_event& next, std::chrono::nanoseconds at_most);
  /// Calls `visitor(const change_event&)` for everything that is there by now, on this thread and
  /// outside of any commit: it may call the engine. Returns how many.
  template <class Visitor>
  std::uint64_t deliver(Visitor&& visitor) {
    std::uint64_t count = 0;
    for (change_event next; poll(next); ++count) visitor(std::as_const(next));
    return count;
  }

 private:
  friend class engine;
  subscription(std::shared_ptr<engine_core> core, std::vector<array_id> arrays);
  explicit subscription(const status& error) noexcept;

  std::shared_ptr<engine_core> core_;
  std::vector<array_id> arrays_;  ///< rising; empty: every array
  std::unique_ptr<record_position> at_;
  status error_;
};

}  // namespace sheaf::inline v0
