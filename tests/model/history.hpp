/// \file
/// What threads did to one engine, and the check of it: the naive engine runs the accepted
/// transactions one after the other in the order that the engine's records give (epoch, place in
/// the group), and everything that anybody saw is compared with that.
///
/// Thread safety: none; each thread fills a log of its own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sheaf/engine/engine.hpp>

#include "model/model_builder.hpp"
#include "model/naive_engine.hpp"
#include "model/random_edits.hpp"

namespace model_test {

using change = naive_engine::change;

/// Epochs an unknown one lies between, both included.
struct epoch_range {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

struct recorded_read {
  std::uint32_t array;
  std::uint64_t first;  ///< element
  column bytes;
  std::size_t writes_before;  ///< of the transaction's own, how many it must show
};

/// The condition of a `commit_if`: the lowest bit of one element is `wanted`.
struct recorded_condition {
  std::uint32_t array;
  std::uint64_t index;
  bool wanted;
  std::uint64_t seen_epoch = 0;  ///< 0: it was not asked
  std::uint64_t seen_bits = 0;
};

struct recorded_transaction {
  std::string tag;  ///< empty: a merge
  sheaf::isolation level = sheaf::isolation::serializable;
  epoch_range begun;
  epoch_range read;        ///< where its snapshot lies, if it read
  std::uint64_t ended = 0;  ///< an epoch not before its outcome
  std::vector<change> writes;
  std::vector<recorded_read> reads;
  bool read_lazily = false;
  std::optional<recorded_condition> condition;
  std::shared_ptr<const declared_graph> graph;  ///< that it leaves; null: the one it found
  std::vector<naive_engine::resized> resizes;
  std::uint64_t graph_known = 1;  ///< the epoch of the graph its calls were made for
  bool is_unfit = false;        ///< the changed graph does not fit
  bool is_merge = false;
  std::uint64_t epoch = 0;      ///< 0: refused
  sheaf::status refusal;
};

/// A snapshot and what it showed when it was opened.
struct caught_snapshot {
  sheaf::snapshot now;
  std::shared_ptr<const declared_graph> graph;  ///< of some epoch near
  std::map<std::uint32_t, column> seen;
};

/// A fork, transaction by transaction, and what it showed in the end.
struct recorded_fork {
  std::uint64_t base;
  std::vector<std::vector<change>> commits;
  std::map<std::uint32_t, column> seen;
};

struct thread_log {
  std::vector<recorded_transaction> transactions;
  std::vector<caught_snapshot> snapshots;
  std::vector<recorded_fork> forks;
};

/// What programs of threads did.
struct thread_coverage {
  std::uint64_t programs = 0;
  std::uint64_t accepted = 0;
  std::uint64_t groups = 0;  ///< of several
  std::uint64_t read_only = 0;
  std::uint64_t reads_checked = 0;
  std::uint64_t write_conflicts = 0;
  std::uint64_t read_conflicts = 0;
  std::uint64_t graph_conflicts = 0;
  std::uint64_t conditions_failed = 0;
  std::uint64_t graph_changes = 0;
  std::uint64_t merges = 0;
  std::uint64_t forks = 0;
  std::uint64_t snapshots = 0;
};

/// Tags of each epoch's transactions, in commit order.
using commit_order = std::map<std::uint64_t, std::vector<std::string>>;

/// Throws `mismatch` where the history is none of a serial execution. `last`: the engine's state
/// when every thread had ended.
void check_history(const std::shared_ptr<const declared_graph>& first,
                   std::vector<thread_log>& logs, const commit_order& order,
                   const sheaf::snapshot& last, thread_coverage& covered);

/// The bytes of `array` in `from`, a snapshot, view by view, or a fork.
template <class State>
column bytes_of(const State& from, const declared_graph& graph, std::uint32_t array) {
  return sheaf::visit_dtype(graph.arrays[array].type, [&]<class T>(std::type_identity<T>) {
    const auto view = from.fetch(sheaf::array<T>(graph.handles[array].handle()));
    if (!view) return column();
    std::vector<T> values(view->size());
    view->copy_to(values);
    const auto bytes = std::as_bytes(std::span(values));
    return column(bytes.begin(), bytes.end());
  });
}

}  // namespace model_test
