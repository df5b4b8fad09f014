/// \file
/// What a commit with a time budget is made of, and the threads that finish those whose budget
/// passed.
///
/// The life of a deferred commit
/// | state     | it is                                                      | goes on to        |
/// |-----------|------------------------------------------------------------|-------------------|
/// | begun     | run by the thread that asked, which holds the turn         | done, suspended   |
/// | suspended | its changes partly applied, or between two pages or marks  | done              |
/// |           | of its propagation, or behind it; a finisher has it        |                   |
/// | queued    | behind other commits; a finisher commits it in its order   | done              |
/// | done      | decided, its outcome written                               |                   |
///
/// Invariants
///  1. `suspended-holds-the-turn`: while a commit is suspended, nobody else commits or touches what
///     the committer owns; its finisher ends the turn, and waits for nothing before.
///  2. A suspended commit changed no frame that somebody can see: it changes nothing in place.
///  3. A finisher's thread owns no engine: an engine that goes stops it, and is never destroyed
///     while a commit of its own is under way, which holds a share of it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include <sheaf/engine/transaction.hpp>

#include "engine/commit_queue.hpp"

namespace sheaf::inline v0 {

struct deferred_commit {
  using clock = std::chrono::steady_clock;
  static constexpr std::uint32_t open = 0, done = 1;

  explicit deferred_commit(transaction&& from) noexcept : txn(std::move(from)) {}
  /// Ends the transaction and wakes who waits; the outcome is the request's. Once.
  void finish() noexcept;
  /// Waits until it is done or `until` has passed; true if it is done.
  bool wait_until(clock::time_point until) noexcept;
  [[nodiscard]] bool is_done() const noexcept {
    return state.load(std::memory_order_acquire) == done;  // pairs with the store in `finish`
  }

  transaction txn;
  commit_request request;
  std::optional<status> ran;  ///< how the propagation ended, once it has; of who has the turn
  std::atomic<std::uint64_t> number{0};  ///< epoch, once decided
  std::atomic<std::uint32_t> state{open};
  std::mutex mutex;
  std::condition_variable changed;

  // Of the finisher that has it.
  void (*how)(void* context, std::shared_ptr<deferred_commit> commit) = nullptr;
  void* context = nullptr;
  std::shared_ptr<deferred_commit> next;
};

/// A thread of an engine that has used budgets, started by the first.
class commit_finisher {
 public:
  using work = void (*)(void* context, std::shared_ptr<deferred_commit> commit);

  commit_finisher() = default;
  /// Stops the thread when what it has is done.
  ~commit_finisher();
  commit_finisher(const commit_finisher&) = delete;
  commit_finisher& operator=(const commit_finisher&) = delete;

  /// Sees to it that the thread runs; `out_of_memory` where the system has none.
  [[nodiscard]] status start() noexcept;
  /// Hands `commit` over: `how(context, commit)` is called on the finisher's thread, in order.
  /// Allocates nothing: with the turn in its hands it must not fail.
  void hand_over(work how, void* context, std::shared_ptr<deferred_commit> commit) noexcept;

 private:
  /// What the thread shares with its owner, and outlives it by.
  struct shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::shared_ptr<deferred_commit> first;  ///< linked by `next`, in order
    deferred_commit* last = nullptr;
    bool is_ending = false;
  };
  static void run(const std::shared_ptr<shared>& with);

  std::mutex start_mutex_;
  std::shared_ptr<shared> shared_;
  std::thread thread_;
};

}  // namespace sheaf::inline v0
