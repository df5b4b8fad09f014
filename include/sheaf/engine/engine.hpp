/// \file
/// The engine: opens a model, commits transactions, hands out snapshots.
///
/// Way of a commit: validate, reserve frames, apply the delta to source pages, propagate level by
/// level, publish the epoch with one store. Transactions that threads commit at the same time
/// become one group, and a group is one epoch (docs/transactions.md).
///
/// Invariants
///  1. P1 `glue`: at every published epoch each eager array has the bits a full recompute from the
///     sources gives. `audit` checks it.
///  2. P5 `all-or-nothing`: a commit that fails leaves every bit as before; its epoch is spent.
///  3. Frames that a commit may need are reserved before it changes anything, so built-in operators
///     cannot fail afterwards. A commit that can reach a host function changes no frame in place.
///
/// Thread safety: `begin`, `snapshot`, `stats`, `last_commit`, `audit`, `close` from any thread;
/// moving the engine object is for one thread. Inside an operator what commits or reads is
/// `reentrant`, figures are empty, and `close` does not wait for the commit around it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>

#include <sheaf/base/id.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/engine/fork.hpp>
#include <sheaf/engine/explain.hpp>
#include <sheaf/engine/options.hpp>
#include <sheaf/engine/snapshot.hpp>
#include <sheaf/engine/subscription.hpp>
#include <sheaf/engine/transaction.hpp>
#include <sheaf/graph/model.hpp>
#include <sheaf/propagate/executor.hpp>

namespace sheaf::inline v0 {

class engine {
 public:
  /// Opens `declared` with all sources zero, everything derived computed; publishes epoch 1.
  /// Errors: the mistakes of the model; `unsupported`, `invalid_argument` for options or a forced
  /// backend this machine lacks; `out_of_memory`; `operator_failed`. O(pages + nodes).
  [[nodiscard]] static result<engine> open(const model& declared,
                                           const engine_options& options = {});

  engine(engine&&) noexcept;
  engine& operator=(engine&&) noexcept;
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;
  /// Closes. Open snapshots and views stay valid.
  ~engine();

  /// A transaction of this engine. After `close` its calls fail with `closed`.
  [[nodiscard]] transaction begin(const transaction_options& options = {}) noexcept;
  /// The last published epoch, pinned. Check it like a result: `if (!now) report(now.error())`.
  [[nodiscard]] sheaf::snapshot snapshot() noexcept;

  /// A fork of the last published epoch (engine/fork.hpp). Check it like a result.
  [[nodiscard]] fork_state fork();

  /// Changes of `arrays` from the next epoch on; of every array, hidden ones included, where none
  /// is named. Check it like a result. Errors: `closed`, those of a handle, `unsupported` where
  /// `record_bytes_max` is 0.
  [[nodiscard]] subscription subscribe(std::span<const any_array> arrays) noexcept;
  [[nodiscard]] subscription subscribe(std::initializer_list<any_array> arrays) noexcept {
    return subscribe(std::span<const any_array>(arrays.begin(), arrays.size()));
  }
  /// Which commit last changed the line of an element, whose it was, and what it changed of the
  /// operands. Errors: `closed`, those of a handle, `out_of_range`, `unsupported` for lazy arrays,
  /// `too_many` snapshots, `reentrant`. O(records kept).
  template <element T>
  [[nodiscard]] result<explanation> explain(const array<T>& target, std::uint64_t index = 0) {
    return explain(any_array(target), index);
  }
  [[nodiscard]] result<explanation> explain(const any_array& target, std::uint64_t index);

  [[nodiscard]] sheaf::epoch epoch() const noexcept;
  /// What the last successful commit did.
  [[nodiscard]] work_counters last_commit() const;
  [[nodiscard]] engine_stats stats() const;
  /// Recomputes every eager array aside and compares bit by bit. Waits for the commit in flight,
  /// and commits wait for it. O(everything).
  [[nodiscard]] result<audit_report> audit();
  /// Runs every level in full once more; by P1 no bit changes. For measurements.
  [[nodiscard]] status recompute();
  /// Frees superseded frames and gives free memory back to the system; returns those bytes.
  std::size_t trim();
  /// The array with this name in the newest graph: `closed`, `unknown_array`, `type_mismatch`.
  template <element T>
  [[nodiscard]] result<array<T>> find(std::string_view name) const {
    const std::shared_ptr<const model_data> newest = declared();
    if (newest == nullptr) {
      return status(status_code::closed, subsystem::engine, "no engine is open");
    }
    auto found = find_array(*newest, name, dtype_of<T>);
    if (!found) return found.error();
    return array<T>(*found);
  }
  /// The newest graph, as its last change left it.
  [[nodiscard]] std::shared_ptr<const model_data> declared() const noexcept;

  /// Ends writing: later commits and snapshots fail with `closed`. Idempotent.
  void close() noexcept;

 private:
  explicit engine(std::shared_ptr<engine_core> core) noexcept;
  std::shared_ptr<engine_core> core_;
};

}  // namespace sheaf::inline v0
