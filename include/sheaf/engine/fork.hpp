/// \file
/// A fork: a private writable branch of the state, sources and everything derived from them. For
/// what-if questions, planning and speculative work: change a fork, read what follows, keep it by
/// merging or drop it. The engine and every other fork see nothing of it.
///
/// A fork shares every page with what it was forked from and owns only pages that changed in it.
/// Changes come in transactions of the fork, applied whole or not at all; when `commit` returns,
/// every eager array of the fork is up to date, with the bits an engine with the same sources would
/// have. A fork takes no epoch of the engine; it counts its own states with `sequence`.
///
/// Invariants
///  1. Views, snapshots and forks made from a fork never change, whatever is committed to it later.
///  2. A fork pins the epoch it was made from (`base`): until it is dropped, the engine keeps that
///     epoch's pages. Forks of one epoch share one pin.
///  3. A fork outlives its engine's `close`; only `merge` then fails.
///
/// Thread safety: a fork is used by one thread at a time, different forks by different threads at
/// once, beside commits of the engine. Host functions of the model may therefore run in several
/// threads at the same time. Views and snapshots of a fork may be read from many threads.
///
/// Cost: forking is O(1), about 100 ns. A commit is that of the pages it touches: the first change
/// of a page in a fork copies it. An unchanged fork takes a few hundred bytes, a changed one its
/// frames and about 2 KiB. Dropping is O(pages touched). docs/forks.md has the design.
#pragma once

#include <cstdint>
#include <memory>

#include <sheaf/base/id.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/engine/snapshot.hpp>
#include <sheaf/engine/transaction.hpp>
#include <sheaf/propagate/executor.hpp>
#include <sheaf/propagate/work_counters.hpp>

namespace sheaf::inline v0 {

class fork_core;
struct fork_base;
class layer_ptr;

/// A private batch of changes to the sources of a fork: the writes of `transaction`, with the same
/// rules. Belongs to the fork's thread.
class fork_transaction : private transaction {
 public:
  fork_transaction() noexcept = default;

  using transaction::set;
  using transaction::merge;
  using transaction::range;
  using transaction::range_borrowed;
  using transaction::scatter;
  using transaction::scatter_borrowed;
  using transaction::lines;
  using transaction::error;
  using transaction::is_empty;
  using transaction::abort;

  /// Reads one element: a source as the fork has it with the transaction's own writes on top, a
  /// derived array as the fork has it. Errors: `error()`, those of `fork_state::get`; they do not
  /// poison the transaction. O(1), and for sources O(own changes of that array).
  template <element T>
  [[nodiscard]] result<T> read(const array<T>& target, std::uint64_t index = 0) {
    T value{};
    if (const status got = read_element(target.handle(), dtype_of<T>, index, &value);
        !got.is_ok()) {
      return got;
    }
    return value;
  }
  /// The length of `target` in the fork. Errors as `read`.
  template <element T>
  [[nodiscard]] result<std::uint64_t> size(const array<T>& target) {
    const result<view_source> found = find(target.handle(), dtype_of<T>);
    if (!found) return found.error();
    return found->length;
  }

  /// Applies the changes to the fork and brings everything derived in it up to date; returns the
  /// fork's new sequence number. On an error nothing changed. The transaction is over either way.
  /// Errors: the first mistake; `closed` where the fork is over; `aborted`; `reentrant`;
  /// `out_of_memory` (`fork_bytes_max`, `memory_bytes_max`); `too_many` where the fork's changes
  /// since its base pass `transaction_bytes_max`; `operator_failed` naming the array.
  [[nodiscard]] result<std::uint64_t> commit() &&;

 private:
  friend class fork_state;
  explicit fork_transaction(std::shared_ptr<fork_core> target) noexcept;
  [[nodiscard]] result<view_source> find(const array_handle& target, dtype type);
  [[nodiscard]] status read_element(const array_handle& target, dtype type, std::uint64_t index,
                                    void* into);
  std::shared_ptr<fork_core> target_;
};

/// See the head of this file. Obtained from `engine::fork`, `snapshot::fork`, `fork_state::fork`.
class fork_state {
 public:
  /// Nothing is open: every call fails with `closed`.
  fork_state() noexcept;
  fork_state(fork_state&&) noexcept = default;
  /// Drops what it held.
  fork_state& operator=(fork_state&& other) noexcept;
  fork_state(const fork_state&) = delete;
  fork_state& operator=(const fork_state&) = delete;
  /// Drops.
  ~fork_state();

  /// Ok, or why there is no fork: `closed`, `too_many`, `reentrant`, `out_of_memory`.
  [[nodiscard]] const status& error() const noexcept { return error_; }
  explicit operator bool() const noexcept;
  /// The epoch of the engine that it goes back to.
  [[nodiscard]] sheaf::epoch base() const noexcept;
  /// How many commits made this state, those of the forks it came from included.
  [[nodiscard]] std::uint64_t sequence() const noexcept;

  [[nodiscard]] fork_transaction begin() noexcept;
  /// A fork of this fork as it is now. O(1).
  [[nodiscard]] fork_state fork() const;
  /// This fork as it is now, to be read from any thread. O(1).
  [[nodiscard]] sheaf::snapshot snapshot() const;

  /// The whole of `target` as it is now; later commits do not change the view. O(1) for sources and
  /// eager arrays; a lazy one is computed whole, once per state of the fork. While a view of a
  /// state lives, the next commit copies the pages it changes instead of changing them in place.
  /// Errors: `closed`, `foreign_handle`, `unknown_array`; for lazy arrays also `out_of_memory` and
  /// `operator_failed`.
  template <element T>
  [[nodiscard]] result<view<T>> fetch(const array<T>& target) const {
    result<view_source> found = find(target.handle(), dtype_of<T>);
    if (!found) return found.error();
    return view<T>(std::move(*found));
  }
  /// One element. Errors as `fetch`, `out_of_range`.
  template <element T>
  [[nodiscard]] result<T> get(const array<T>& target, std::uint64_t index = 0) const {
    result<view_source> found = find(target.handle(), dtype_of<T>);
    if (!found) return found.error();
    return view<T>(std::move(*found)).at(index);
  }

  /// Commits to the engine, as one transaction that began at `base`, every change to sources by
  /// which this fork differs from `base`, those of the forks it came from included. On success the
  /// fork is over; else it is as before. Errors: `closed`, and those of `transaction::commit`.
  [[nodiscard]] result<sheaf::epoch> merge();
  /// Commits to `other`, a fork that goes back to the same epoch, the changes this fork has made
  /// since the two parted. On success this fork is over; else both are as before. Errors:
  /// `invalid_argument` where `other` has another base or is this fork; those of
  /// `fork_transaction::commit`.
  [[nodiscard]] result<std::uint64_t> merge_into(fork_state& other);
  /// Gives everything back. O(pages touched). Views and snapshots keep what they show.
  void drop() noexcept;

  /// What the last commit did.
  [[nodiscard]] work_counters last_commit() const noexcept;
  /// Recomputes every eager array aside and compares bit by bit. O(everything).
  [[nodiscard]] result<audit_report> audit();

 private:
  friend class engine;
  friend class sheaf::snapshot;
  explicit fork_state(const status& error) noexcept : error_(error) {}
  explicit fork_state(std::shared_ptr<fork_core> core) noexcept;
  [[nodiscard]] static fork_state make(std::shared_ptr<const fork_base> base,
                                       const layer_ptr& top, std::uint64_t sequence);
  [[nodiscard]] result<view_source> find(const array_handle& target, dtype type) const;
  [[nodiscard]] status closed_reason() const;

  std::shared_ptr<fork_core> core_;
  status error_;
};

}  // namespace sheaf::inline v0
