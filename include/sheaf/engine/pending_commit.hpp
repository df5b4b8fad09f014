/// \file
/// A commit with a time budget, and what became of it.
///
/// `transaction::commit_for(budget)` returns when the commit is done or the budget has passed. In
/// the second case the commit is decided but not yet visible: readers keep the last complete epoch,
/// the engine finishes the propagation in the background, later commits wait for it, and this
/// object tells the outcome. A failure (of a host function, or of validation where the commit had
/// not begun) arrives here too.
///
/// Thread safety: one thread at a time. Dropping the object drops the answer, not the commit.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include <sheaf/base/id.hpp>
#include <sheaf/base/result.hpp>

namespace sheaf::inline v0 {

struct deferred_commit;

class pending_commit {
 public:
  /// Of no commit: done, with `closed`.
  pending_commit() noexcept;
  pending_commit(pending_commit&&) noexcept;
  pending_commit& operator=(pending_commit&&) noexcept;
  ~pending_commit();

  /// True once the outcome is known; a success is visible to snapshots from then on.
  [[nodiscard]] bool is_done() const noexcept;
  /// The epoch it will be visible at, as soon as one is decided: while it waits behind other
  /// commits, and where it failed before it began, empty. An epoch whose commit fails is spent.
  [[nodiscard]] std::optional<epoch> number() const noexcept;
  /// Waits for the outcome: the epoch, or why nothing changed (as `transaction::commit`).
  [[nodiscard]] result<epoch> wait();
  /// The same for at most `time`; empty where that was not enough.
  [[nodiscard]] std::optional<result<epoch>> wait_for(std::chrono::nanoseconds time);

 private:
  friend class transaction;
  explicit pending_commit(std::shared_ptr<deferred_commit> commit) noexcept;
  explicit pending_commit(const status& refused) noexcept;

  std::shared_ptr<deferred_commit> commit_;
  status refused_;
};

}  // namespace sheaf::inline v0
