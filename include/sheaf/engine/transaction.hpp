/// \file
/// A transaction: a private batch of changes to source arrays, applied whole or not at all.
///
/// A bad call (index past the end, wrong engine, derived array, spans of different lengths) changes
/// nothing, poisons the transaction and is what `commit` returns; `error()` tells it earlier.
///
/// Conflicts: a commit is refused with `conflict` where another transaction that committed after
/// this one began wrote an element this one writes, unless both merge it by the same operator and
/// that is not `assign`; and, in `isolation::serializable`, the default, where it changed a line
/// this one read. Different elements of one line are no conflict of writes. See
/// docs/transactions.md.
///
/// Thread safety: one thread at a time. Different transactions of one engine from different
/// threads. Cost: a `set` that follows one on the same array is about 10 ns. `scatter` and `range`
/// copy their spans once; the `borrowed` forms do not.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <sheaf/base/id.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/graph/array.hpp>
#include <sheaf/graph/model.hpp>
#include <sheaf/page/delta.hpp>

namespace sheaf::inline v0 {

class engine_core;
class snapshot;
class pending_commit;
struct commit_request;
struct deferred_commit;
struct transaction_state;

/// What a transaction is protected against. See docs/transactions.md for each anomaly.
enum class isolation : std::uint8_t {
  serializable,  ///< as if transactions ran one after the other, in commit order
  snapshot,      ///< reads are of one epoch; only two writes of one element conflict
};

/// How a transaction begins.
struct transaction_options {
  isolation level = isolation::serializable;
  std::string_view who = {};  ///< as `transaction::tag`
  std::string_view why = {};
};

/// What `commit_if` hands on; no function: holds always.
struct commit_condition {
  const void* context = nullptr;
  bool (*holds)(const void* context, const snapshot& now) = nullptr;
};

/// A state of a transaction to come back to.
struct savepoint_id {
  std::uint32_t index = 0;
  std::uint64_t stamp = 0;  ///< 0: of no transaction
};
struct generation;

/// One element of an array; `{.index = 42}`.
struct at {
  std::uint64_t index = 0;
};

class transaction {
 public:
  /// Belongs to no engine: every call fails with `closed`.
  transaction() noexcept;
  transaction(transaction&& other) noexcept;
  transaction& operator=(transaction&& other) noexcept;
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;
  /// Aborts what was not committed.
  ~transaction();

  template <element T>
  void set(const array<T>& target, at where, std::type_identity_t<T> value) noexcept {
    write_one(target.handle(), dtype_of<T>, merge_operator::assign, where.index, &value);
  }
  /// Merges `value` into one element.
  template <element T>
  void merge(const array<T>& target, merge_operator op, at where,
             std::type_identity_t<T> value) noexcept {
    write_one(target.handle(), dtype_of<T>, op, where.index, &value);
  }
  /// Elements [first, first + values.size()).
  template <element T>
  void range(const array<T>& target, at first, std::span<const std::type_identity_t<T>> values,
             merge_operator op = merge_operator::assign) noexcept {
    write_range(target.handle(), dtype_of<T>, op, first.index, values.data(), values.size(), false);
  }
  /// As `range`; the span stays alive and still until `commit` returns, nothing is copied.
  template <element T>
  void range_borrowed(const array<T>& target, at first,
                      std::span<const std::type_identity_t<T>> values,
                      merge_operator op = merge_operator::assign) noexcept {
    write_range(target.handle(), dtype_of<T>, op, first.index, values.data(), values.size(), true);
  }
  /// values[k] goes to element indices[k], k rising; an index may occur more than once.
  template <element T>
  void scatter(const array<T>& target, std::span<const std::uint32_t> indices,
               std::span<const std::type_identity_t<T>> values,
               merge_operator op = merge_operator::assign) noexcept {
    write_scatter(target.handle(), dtype_of<T>, op, indices, values.data(), values.size(), false);
  }
  template <element T>
  void scatter(const array<T>& target, std::span<const std::uint64_t> indices,
               std::span<const std::type_identity_t<T>> values,
               merge_operator op = merge_operator::assign) noexcept {
    write_scatter(target.handle(), dtype_of<T>, op, indices, values.data(), values.size(), false);
  }
  /// As `scatter`; both spans stay alive and still until `commit` returns, nothing is copied.
  template <element T>
  void scatter_borrowed(const array<T>& target, std::span<const std::uint32_t> indices,
                        std::span<const std::type_identity_t<T>> values,
                        merge_operator op = merge_operator::assign) noexcept {
    write_scatter(target.handle(), dtype_of<T>, op, indices, values.data(), values.size(), true);
  }
  template <element T>
  void scatter_borrowed(const array<T>& target, std::span<const std::uint64_t> indices,
                        std::span<const std::type_identity_t<T>> values,
                        merge_operator op = merge_operator::assign) noexcept {
    write_scatter(target.handle(), dtype_of<T>, op, indices, values.data(), values.size(), true);
  }
  /// Lines of one page of the array: see `delta::lines`. `page` counts pages of the array's own
  /// size.
  template <element T>
  void lines(const array<T>& target, std::uint32_t page, line_mask mask,
             std::span<const std::uint64_t> element_masks, std::span<const std::byte> payload,
             merge_operator op = merge_operator::assign) noexcept {
    write_lines(target.handle(), dtype_of<T>, op, page, mask, element_masks, payload);
  }

  /// The engine's graph, to be edited (see model.hpp): arrays added, redefined, renamed, dropped or
  /// resized here are so from this commit on, and arrays it returns may be written to in this
  /// transaction. Mistakes come from `commit`, as they do from `engine::open`. O(graph) at the
  /// first edit and at the commit.
  [[nodiscard]] model& graph();
  /// `graph().resize`.
  template <element T>
  array<T> resize(const array<T>& target, std::uint64_t length) {
    return graph().resize(target, length);
  }
  /// Puts `values` behind the last element; returns the handle with the new size.
  template <element T>
  array<T> append(const array<T>& target, std::span<const std::type_identity_t<T>> values) {
    const result<std::uint64_t> length = length_of(target.handle(), dtype_of<T>);
    if (!length || values.empty()) return target;
    const array<T> longer = resize(target, *length + values.size());
    range(longer, {*length}, values);
    return longer;
  }

  /// Reads one element: a source as the transaction's snapshot has it with the transaction's own
  /// writes on top, a derived array as the snapshot has it. The snapshot is the newest epoch at the
  /// first read; where nothing was written before that, the transaction counts as begun there.
  /// Errors: `error()`; as `snapshot::get`; `unsupported` in a fork's transaction; `too_many` past
  /// `transaction_bytes_max`. An error does not poison the transaction. O(1), and for sources
  /// O(own changes of that array).
  template <element T>
  [[nodiscard]] result<T> read(const array<T>& target, std::uint64_t index = 0) noexcept {
    T value{};
    if (const status got = read_elements(target.handle(), dtype_of<T>, index, 1, &value, true);
        !got.is_ok()) {
      return got;
    }
    return value;
  }
  /// As `read`, but no part of what is validated: for what another read or a write protects.
  template <element T>
  [[nodiscard]] result<T> peek(const array<T>& target, std::uint64_t index = 0) noexcept {
    T value{};
    if (const status got = read_elements(target.handle(), dtype_of<T>, index, 1, &value, false);
        !got.is_ok()) {
      return got;
    }
    return value;
  }
  /// Reads elements [first, first + into.size()).
  template <element T>
  [[nodiscard]] status read_range(const array<T>& target, at first, std::span<T> into) noexcept {
    return read_elements(target.handle(), dtype_of<T>, first.index, into.size(), into.data(),
                         true);
  }
  /// The length of `target` in the transaction's snapshot; another commit that changes the graph
  /// after it refuses a serializable transaction.
  template <element T>
  [[nodiscard]] result<std::uint64_t> size(const array<T>& target) noexcept {
    return read_size(target.handle(), dtype_of<T>);
  }

  /// Who commits and why, at most `who_size_max` and `why_size_max` bytes: kept in the record of
  /// the commit, shown to subscribers, to losers of a conflict and by `explain`. Longer ones
  /// poison the transaction with `invalid_argument`.
  void tag(std::string_view who, std::string_view why) noexcept;
  static constexpr std::size_t who_size_max = 32;
  static constexpr std::size_t why_size_max = 96;

  /// This state of the writes. O(1).
  [[nodiscard]] savepoint_id savepoint() noexcept;
  /// Drops every write, and every mistake, since `to`, which stays usable; savepoints made after it
  /// are gone. What was read stays read. `invalid_argument` for a savepoint that is not this
  /// transaction's or is gone; `unsupported` where the graph was edited; `closed` or `aborted` once
  /// it is over.
  [[nodiscard]] status roll_back_to(savepoint_id to) noexcept;

  /// The first mistake so far, or ok.
  [[nodiscard]] const status& error() const noexcept { return error_; }
  [[nodiscard]] bool is_empty() const noexcept { return delta_.is_empty() && edit_ == nullptr; }

  /// Applies the changes and brings everything derived up to date; returns the epoch at which they
  /// are visible. On an error nothing changed. The transaction is over either way. Errors: the
  /// first mistake; `closed`; `aborted`; `reentrant`; `out_of_memory`; `history_full`;
  /// `operator_failed` naming the array; `conflict` naming array, elements and epoch of the winner,
  /// or where the graph was changed meanwhile in a way that matters here; `snapshot_too_old` past
  /// `engine_options::conflict_window_bytes_max`; the mistakes of the changed graph.
  [[nodiscard]] result<epoch> commit() &&;
  /// As `commit`, if `condition(const snapshot&)` is true of the newest committed state at the
  /// moment of the commit; else `predicate_failed`. The condition runs on whichever thread leads
  /// the group, with no other commit in between; it may read the snapshot it is given and nothing
  /// else: calls of the engine get `reentrant`. One that throws is `operator_failed`.
  template <class Condition>
  [[nodiscard]] result<epoch> commit_if(Condition&& condition) && {
    using kind = std::remove_reference_t<Condition>;
    return commit_when({&condition, [](const void* context, const snapshot& now) -> bool {
                          return (*static_cast<kind*>(const_cast<void*>(context)))(now);
                        }});
  }
  /// As `commit`, but returns once `budget` has passed, whatever state the commit is in: what comes
  /// back is done, or tells the outcome later (pending_commit.hpp). The changes are applied in
  /// parts, the propagation is stopped between two pages or marks, so the budget is passed by a few
  /// microseconds, by one page of one operator, or by one call of a host function. Pages change
  /// as under an open snapshot, in frames of their own. Borrowed spans stay alive until it is done.
  /// The first call starts two threads of the engine.
  [[nodiscard]] pending_commit commit_for(std::chrono::nanoseconds budget) &&;
  /// Drops the changes. A later commit gets `aborted`.
  void abort() noexcept;

 protected:
  /// What it changes so far.
  [[nodiscard]] const delta& changes() const noexcept { return delta_; }
  /// Writes from now on go to `base`, a graph of `core`, and not to the newest one.
  void write_to(std::shared_ptr<engine_core> core,
                std::shared_ptr<const generation> base) noexcept;
  /// Ends the transaction with what `apply(changes)` returns, or with its first mistake.
  template <class Apply>
  auto end_with(Apply&& apply) noexcept -> decltype(apply(std::declval<const delta&>())) {
    if (!error_.is_ok()) {
      const status why = error_;
      abort();
      return why;
    }
    auto done = apply(std::as_const(delta_));
    end();
    return done;
  }

 private:
  friend class engine;
  friend struct deferred_commit;
  transaction(std::shared_ptr<engine_core> core, const transaction_options& options) noexcept;
  void end() noexcept;

  void write_one(const array_handle& target, dtype type, merge_operator op, std::uint64_t index,
                 const void* value) noexcept;
  void write_range(const array_handle& target, dtype type, merge_operator op, std::uint64_t first,
                   const void* values, std::uint64_t count, bool borrowed) noexcept;
  template <class Index>
  void write_scatter(const array_handle& target, dtype type, merge_operator op,
                     std::span<const Index> indices, const void* values, std::uint64_t value_count,
                     bool borrowed) noexcept;
  void write_lines(const array_handle& target, dtype type, merge_operator op, std::uint32_t page,
                   line_mask mask, std::span<const std::uint64_t> element_masks,
                   std::span<const std::byte> payload) noexcept;
  /// The source as this transaction leaves it.
  struct write_target {
    std::uint64_t length;
    std::uint32_t page_count;
    page_class page;
  };
  [[nodiscard]] result<write_target> target_of(const array_handle& target,
                                               dtype type) const noexcept;
  [[nodiscard]] result<std::uint64_t> length_of(const array_handle& target, dtype type) noexcept;
  [[nodiscard]] std::string name_of(const array_handle& target) const;
  [[nodiscard]] result<epoch> commit_when(const commit_condition& when);
  /// Fills in what a commit hands over. Where the transaction only read, returns what it saw: it
  /// counts as committed there.
  [[nodiscard]] std::optional<epoch> prepare(commit_request& request) noexcept;
  [[nodiscard]] status read_elements(const array_handle& target, dtype type, std::uint64_t first,
                                     std::uint64_t count, void* into, bool noted) noexcept;
  [[nodiscard]] result<std::uint64_t> read_size(const array_handle& target, dtype type) noexcept;
  [[nodiscard]] status pin_snapshot() noexcept;
  [[nodiscard]] transaction_state* state() noexcept;
  void remember(const status& mistake) noexcept;
  void give_back() noexcept;
  [[nodiscard]] bool is_writable() noexcept;

  std::shared_ptr<engine_core> core_;
  std::shared_ptr<const generation> base_;  ///< what calls are checked against
  std::unique_ptr<model> edit_;             ///< the graph as it is to be; null: as it is
  delta delta_;
  status error_;
  std::unique_ptr<transaction_state> state_;  ///< reads, tag, savepoints; made when first needed
  std::uint64_t begin_epoch_ = 0;
  std::uint32_t writer_slot_ = 0;
  bool is_open_ = false;      ///< the engine counts it as open
  bool has_storage_ = false;  ///< `delta_` and `base_` came from the engine
};

}  // namespace sheaf::inline v0
