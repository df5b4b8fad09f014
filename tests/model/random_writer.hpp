/// \file
/// One writer thread of a random program: transactions of all kinds, snapshots, forks and changes
/// of the graph, all of them written down in its log.
///
/// Every transaction that changes something writes a *ticket*, an element that nobody else writes
/// and a value that it did not have. So each leaves a record, which says where in the order it is.
///
/// Thread safety: a writer belongs to its thread; `shared_graph` to all.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include <sheaf/engine/engine.hpp>

#include "model/dice.hpp"
#include "model/history.hpp"
#include "model/random_writes.hpp"

namespace model_test {

/// A graph and the epoch that made it.
struct known_graph {
  std::shared_ptr<const declared_graph> graph;
  std::uint64_t epoch = 1;
};

/// The newest graph, as far as writers know: who changes it holds `change_mutex` until it is told.
class shared_graph {
 public:
  explicit shared_graph(std::shared_ptr<const declared_graph> first)
      : newest_{std::move(first), 1} {}
  [[nodiscard]] known_graph newest() const {
    const std::lock_guard lock(mutex_);
    return newest_;
  }
  void set(known_graph newer) {
    const std::lock_guard lock(mutex_);
    newest_ = std::move(newer);
  }
  std::mutex change_mutex;

 private:
  mutable std::mutex mutex_;
  known_graph newest_;
};

class random_writer {
 public:
  random_writer(std::uint64_t seed, unsigned number, unsigned actions, sheaf::engine& engine,
                shared_graph& graph, host_switch& hosts)
      : random_(seed),
        number_(number),
        actions_(actions),
        engine_(engine),
        shared_(graph),
        hosts_(hosts) {}

  /// All actions; what it found wrong, if anything, is in `wrong` then.
  void run();
  thread_log log;
  std::string wrong;

 private:
  void act();
  void transact();
  void change_graph();
  void fork();
  void merge(sheaf::fork_state from, const std::vector<std::vector<change>>& commits);
  void catch_snapshot();
  void look_at_graph();
  void work_with(known_graph known);

  template <class Txn>
  void write_ticket(Txn& txn, naive_engine& recorder, std::uint64_t value);
  void add_to_balance(sheaf::transaction& txn);
  template <class Txn>
  void write(Txn& txn, random_writes& writes);
  void read(sheaf::transaction& txn, recorded_transaction& one);
  void read_one(sheaf::transaction& txn, recorded_transaction& one);
  void write_and_read(sheaf::transaction& txn, recorded_transaction& one, random_writes& writes);
  sheaf::result<sheaf::epoch> commit(sheaf::transaction txn, recorded_transaction& one);
  sheaf::result<sheaf::epoch> commit_if(sheaf::transaction txn, recorded_transaction& one);
  void note_outcome(const sheaf::result<sheaf::epoch>& done, recorded_transaction one);
  std::uint32_t any_live();

  dice random_;
  unsigned number_;
  unsigned actions_;
  unsigned action_ = 0;
  sheaf::engine& engine_;
  shared_graph& shared_;
  host_switch& hosts_;
  std::shared_ptr<const declared_graph> graph_;
  std::uint64_t graph_epoch_ = 1;
  std::unique_ptr<naive_engine> recorder_;  ///< hears of writes; computes nothing
  edit_coverage edits_;
};

/// The array of tickets: an element for each action of each thread.
inline constexpr std::uint32_t ticket_array = 0;
/// Two sums that many transactions add to. Additions never conflict, and how they round tells the
/// order in which they were applied, inside of a group, too.
inline constexpr std::uint32_t balance_array = 1;

}  // namespace model_test
