#include "model/random_writer.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include <sheaf/engine/pending_commit.hpp>

#include "model/compare.hpp"
#include "model/random_edits.hpp"

namespace model_test {

using sheaf::array;
using sheaf::status_code;

void random_writer::run() {
  try {
    for (action_ = 0; action_ < actions_; ++action_) act();
  } catch (const mismatch& found) {
    wrong = "thread " + std::to_string(number_) + ", action " + std::to_string(action_) + ": " +
            found.text;
  }
}

/// Newer graphs are seen now and then, so that transactions work with older ones, too.
void random_writer::look_at_graph() {
  known_graph newest = shared_.newest();
  if (newest.graph == graph_ || (graph_ != nullptr && random_.chance(30))) return;
  work_with(std::move(newest));
}
void random_writer::work_with(known_graph known) {
  graph_ = std::move(known.graph);
  graph_epoch_ = known.epoch;
  recorder_ = std::make_unique<naive_engine>(graph_->arrays);
}

void random_writer::act() {
  look_at_graph();
  const std::uint64_t choice = random_.below(100);
  if (choice < 8) return catch_snapshot();
  if (choice < 14) return fork();
  if (choice < 19) return change_graph();
  transact();
}

std::uint32_t random_writer::any_live() {
  for (;;) {
    const auto at = static_cast<std::uint32_t>(random_.below(graph_->arrays.size()));
    if (graph_->arrays[at].form != array_form::dropped) return at;
  }
}

template <class Txn>
void random_writer::write_ticket(Txn& txn, naive_engine& recorder, std::uint64_t value) {
  const std::uint64_t index = std::uint64_t{number_} * actions_ + action_;
  txn.set(array<std::uint64_t>(graph_->handles[ticket_array].handle()), {.index = index}, value);
  recorder.write(ticket_array, sheaf::merge_operator::assign, index, value);
}

void random_writer::add_to_balance(sheaf::transaction& txn) {
  const std::uint64_t index = random_.below(2);
  const float value = static_cast<float>(random_.between(1, 100'000)) / 7;
  const float amount = random_.chance(50) ? value : -value;
  const array<float> balance(graph_->handles[balance_array].handle());
  txn.merge(balance, sheaf::merge_operator::add, {.index = index}, amount);
  recorder_->write(balance_array, sheaf::merge_operator::add, index, sheaf::to_bits(amount));
}

template <class Txn>
void random_writer::write(Txn& txn, random_writes& writes) {
  if (random_.chance(25)) writes.fill(txn);
  else writes.few(txn);
}

void random_writer::read_one(sheaf::transaction& txn, recorded_transaction& one) {
  const std::uint32_t at = any_live();
  const array_recipe& recipe = graph_->arrays[at];
  const std::uint64_t first = random_.below(recipe.length);
  const std::uint64_t most = random_.chance(10) ? recipe.length - first
                                                : std::min<std::uint64_t>(recipe.length - first, 9);
  sheaf::visit_dtype(recipe.type, [&]<class T>(std::type_identity<T>) {
    std::vector<T> values(random_.between(1, most));
    const auto got = txn.read_range(array<T>(graph_->handles[at].handle()), {first},
                                    std::span<T>(values));
    if (!got.is_ok()) {  // the graph has changed, or the transaction is poisoned for that reason
      require(got.code() == status_code::unknown_array || got.code() == status_code::out_of_range,
              "a read: " + got.message());
      return;
    }
    const auto bytes = std::as_bytes(std::span(values));
    one.reads.push_back({at, first, {bytes.begin(), bytes.end()}, recorder_->pending().size()});
    one.read_lazily |= recipe.lazy;
  });
}

void random_writer::read(sheaf::transaction& txn, recorded_transaction& one) {
  if (one.read.last == 0) one.read.first = engine_.epoch().value;
  for (std::uint64_t left = random_.between(1, 4); left != 0; --left) {
    read_one(txn, one);
    if (one.read.last == 0) one.read.last = engine_.epoch().value;
  }
}

void random_writer::write_and_read(sheaf::transaction& txn, recorded_transaction& one,
                                   random_writes& writes) {
  write_ticket(txn, *recorder_, action_ + 1);
  if (random_.chance(70)) add_to_balance(txn);
  if (random_.chance(70)) write(txn, writes);
  if (random_.chance(15)) {
    const sheaf::savepoint_id before = txn.savepoint();
    const std::size_t count = recorder_->pending().size();
    write(txn, writes);
    if (txn.error().is_ok() && random_.chance(60)) {
      require(txn.roll_back_to(before).is_ok(), "a roll back to a savepoint");
      recorder_->keep_first(count);
    }
  }
  if (!random_.chance(35)) return;
  read(txn, one);
  write(txn, writes);
}

void random_writer::transact() {
  recorded_transaction one;
  one.tag = "t" + std::to_string(number_) + "." + std::to_string(action_);
  if (random_.chance(30)) one.level = sheaf::isolation::snapshot;
  random_writes writes(random_, graph_->arrays, graph_->handles, *recorder_);
  one.begun.first = engine_.epoch().value;
  auto txn = engine_.begin({.level = one.level, .who = one.tag, .why = "a model"});
  one.begun.last = engine_.epoch().value;
  if (random_.chance(55)) {
    read(txn, one);
    one.begun.last = one.read.last;
  }
  if (one.reads.empty() || random_.chance(85)) write_and_read(txn, one, writes);
  if (random_.chance(20)) std::this_thread::yield();
  one.writes = recorder_->pending();
  const auto done = commit(std::move(txn), one);
  recorder_->drop();
  writes.take_back();
  if (done && one.writes.empty()) one.read = {done->value, done->value};
  note_outcome(done, std::move(one));
}

sheaf::result<sheaf::epoch> random_writer::commit(sheaf::transaction txn,
                                                  recorded_transaction& one) {
  const std::uint64_t way = random_.below(100);
  if (way < 12 && !one.writes.empty()) return commit_if(std::move(txn), one);
  if (way >= 24) return std::move(txn).commit();
  auto pending = std::move(txn).commit_for(std::chrono::microseconds(random_.below(200)));
  const auto number = pending.number();
  const bool was_done = pending.is_done();
  auto done = pending.wait();
  require(!(was_done && done && engine_.epoch() < *done), "what is done is visible");
  require(!number || !done || *number == *done, "the epoch that a pending commit was told");
  return done;
}

/// The condition may be asked by another thread, while this one waits.
sheaf::result<sheaf::epoch> random_writer::commit_if(sheaf::transaction txn,
                                                     recorded_transaction& one) {
  const std::uint32_t at = any_live();
  const array_recipe& recipe = graph_->arrays[at];
  recorded_condition asked{at, random_.below(recipe.length), random_.chance(50)};
  const sheaf::array_handle handle = graph_->handles[at].handle();
  const bool is_slow = random_.chance(50);  // so that others queue, and become a group
  auto done = std::move(txn).commit_if([&](const sheaf::snapshot& now) {
    if (is_slow) std::this_thread::sleep_for(std::chrono::microseconds(200));
    return sheaf::visit_dtype(recipe.type, [&]<class T>(std::type_identity<T>) {
      const auto value = now.get(array<T>(handle), asked.index);
      if (!value) return false;
      asked.seen_epoch = now.epoch().value;
      asked.seen_bits = static_cast<std::uint64_t>(sheaf::to_bits(*value));
      return ((asked.seen_bits & 1) != 0) == asked.wanted;
    });
  });
  one.condition = asked;
  return done;
}

void random_writer::note_outcome(const sheaf::result<sheaf::epoch>& done,
                                 recorded_transaction one) {
  one.ended = engine_.epoch().value;
  one.graph_known = graph_epoch_;
  if (done) {
    one.epoch = done->value;
    require(one.ended >= one.epoch, "a commit that returned is visible");
  } else {
    one.refusal = done.error();
  }
  log.transactions.push_back(std::move(one));
}

void random_writer::change_graph() {
  const std::lock_guard lock(shared_.change_mutex);
  work_with(shared_.newest());
  recorded_transaction one;
  one.tag = "t" + std::to_string(number_) + "." + std::to_string(action_);
  one.begun.first = engine_.epoch().value;
  auto txn = engine_.begin({.who = one.tag, .why = "a change of the graph"});
  one.begun.last = engine_.epoch().value;
  naive_engine next(*recorder_);
  random_edits edits(random_, hosts_, *graph_, next, txn, edits_);
  for (std::uint64_t left = random_.between(1, 3); left != 0; --left) edits.edit();
  one.is_unfit = !edits.settle();
  auto after = std::make_shared<declared_graph>(edits.graph());
  if (!one.is_unfit) next.change_graph(after->arrays);
  write_ticket(txn, next, action_ + 1);
  random_writes writes(random_, after->arrays, after->handles, next);
  if (!one.is_unfit && random_.chance(50)) writes.few(txn);
  one.graph = after;
  one.writes = next.pending();
  one.resizes = next.resizes();
  const auto done = std::move(txn).commit();
  writes.take_back();
  if (done) shared_.set({after, done->value});
  note_outcome(done, std::move(one));
}

void random_writer::fork() {
  sheaf::fork_state made = random_.chance(50) ? engine_.fork() : engine_.snapshot().fork();
  require(static_cast<bool>(made), "a fork: " + made.error().message());
  recorded_fork one{made.base().value, {}, {}};
  random_writes writes(random_, graph_->arrays, graph_->handles, *recorder_);
  for (std::uint64_t i = random_.between(1, 3); i != 0; --i) {
    auto txn = made.begin();
    write_ticket(txn, *recorder_, i);
    write(txn, writes);
    const auto done = std::move(txn).commit();
    writes.take_back();
    if (done) one.commits.push_back(recorder_->pending());
    recorder_->drop();
    require(done || done.error().code() == status_code::unknown_array ||
                done.error().code() == status_code::out_of_range,
            "a commit in a fork: " + (done ? std::string() : done.error().message()));
  }
  for (int i = 0; i < 3; ++i) {
    const std::uint32_t at = any_live();
    column bytes = bytes_of(made, *graph_, at);
    if (!bytes.empty()) one.seen[at] = std::move(bytes);
  }
  // One thread alone merges: a merge has no tag, and is known in its group by that.
  if (number_ == 0 && !one.commits.empty() && random_.chance(60)) {
    merge(std::move(made), one.commits);
  }
  log.forks.push_back(std::move(one));
}

void random_writer::merge(sheaf::fork_state from,
                          const std::vector<std::vector<change>>& commits) {
  recorded_transaction one;
  one.is_merge = true;
  one.level = sheaf::isolation::snapshot;
  one.begun = {from.base().value, from.base().value};
  for (const auto& commit : commits) {
    one.writes.insert(one.writes.end(), commit.begin(), commit.end());
  }
  const auto done = from.merge();
  require(done.has_value() == !from, "a merge ends the fork, a refused one does not");
  note_outcome(done, std::move(one));
}

void random_writer::catch_snapshot() {
  caught_snapshot made{engine_.snapshot(), graph_, {}};
  require(static_cast<bool>(made.now), "a snapshot: " + made.now.error().message());
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t at = any_live();
    made.seen[at] = bytes_of(made.now, *graph_, at);
  }
  log.snapshots.push_back(std::move(made));
}

}  // namespace model_test
