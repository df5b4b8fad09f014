#include "model/random_program.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>

#include <sheaf/base/isa.hpp>
#include <sheaf/engine/engine.hpp>

#include "model/compare.hpp"
#include "model/model_builder.hpp"
#include "model/random_graphs.hpp"
#include "model/random_model.hpp"
#include "model/random_writes.hpp"

namespace model_test {

namespace {

using sheaf::status_code;

constexpr unsigned steps_per_program = 50;
constexpr unsigned steps_per_large_program = 10;
constexpr unsigned snapshots_max = 8;

model_shape shape_of(std::uint64_t seed) {
  if (seed % 50 == 7) return model_shape::huge;
  return seed % 5 == 3 ? model_shape::wide : model_shape::mixed;
}

class program {
 public:
  program(std::uint64_t seed, coverage& covered, const variation& other)
      : covered_(covered),
        other_(other),
        random_(seed),
        shape_(shape_of(seed)),
        graphs_(first_graph(random_model(random_, shape_))),
        naive_(arrays()),
        trace_(std::getenv("SHEAF_MODEL_TRACE") != nullptr) {}

  std::string run() {
    try {
      open();
      const unsigned steps =
          shape_ == model_shape::mixed ? steps_per_program : steps_per_large_program;
      for (step_ = 1; step_ <= steps; ++step_) {
        take_step();
        if (random_.chance(40)) take_fork_step();
        if (random_.chance(20)) take_graph_step();
      }
      close();
    } catch (const mismatch& found) {
      return "step " + std::to_string(step_) + ": " + found.text + "\n" + options_text() +
             describe(arrays());
    }
    return {};
  }

 private:
  struct held_snapshot {
    sheaf::snapshot handle;
    std::vector<column> columns;
    const declared_graph* graph;
    bool of_fork = false;
  };

  static graph_list first_graph(std::vector<array_recipe> arrays) {
    graph_list made;
    made.push_back(std::make_unique<declared_graph>(declared_graph{std::move(arrays), {}}));
    return made;
  }
  [[nodiscard]] const declared_graph& graph() const { return *graphs_.back(); }
  [[nodiscard]] const std::vector<array_recipe>& arrays() const { return graph().arrays; }
  [[nodiscard]] const std::vector<sheaf::any_array>& handles() const { return graph().handles; }

  void open();
  void choose_backend();
  void take_step();
  void take_fork_step();
  void take_graph_step();
  void merge_fork();
  void close();
  [[nodiscard]] std::string options_text() const;

  void commit_random();
  void commit_with_failing_host();
  void commit_empty();
  void abort_random();
  void make_mistake();
  void open_snapshot();
  void close_snapshot();
  void hold_view();
  void read_lazily_with_failing_host();
  void call_back_from_host();
  void maintain();
  void finish(sheaf::transaction txn);
  void compare_now(const char* when);
  /// By the handles of its time, or by newer ones, which are as good.
  void compare_held(const held_snapshot& held) {
    const declared_graph& by = random_.chance(20) ? graph() : *held.graph;
    compare_all(held.handle, held.graph->arrays, by.handles, held.columns, random_);
    covered_.arrays_compared += held.graph->arrays.size();
  }
  void check_figures();
  [[nodiscard]] std::vector<std::uint32_t> hosts(bool lazy) const;
  [[nodiscard]] bool must_call(std::uint32_t host) const;
  void note(const char* what) const {
    if (trace_) std::fprintf(stderr, "  step %u: %s\n", step_, what);
  }

  coverage& covered_;
  variation other_;
  dice random_;
  model_shape shape_;
  graph_list graphs_;
  naive_engine naive_;
  bool trace_;
  unsigned step_ = 0;
  sheaf::engine_options options_;
  std::string backend_;
  host_switch hosts_;
  sheaf::model model_;
  sheaf::model other_model_;
  sheaf::any_array foreign_;
  std::optional<sheaf::engine> engine_;
  std::optional<random_writes> writes_;
  std::optional<random_forks> forks_;
  std::optional<random_graphs> changes_;
  std::vector<held_snapshot> snapshots_;
  std::vector<std::function<void()>> views_;
  std::uint64_t base_bytes_ = 0;
  commit_figures figures_;
  bool history_limited_ = false;
};

std::string program::options_text() const {
  return backend_ + ", " + std::to_string(options_.threads) + " threads, " +
         (options_.mode == sheaf::readers::wait_free ? "wait_free" : "brief_wait") +
         ", history at most " + std::to_string(options_.history_bytes_max) + " bytes\n";
}

std::vector<std::uint32_t> program::hosts(bool lazy) const {
  std::vector<std::uint32_t> found;
  for (std::uint32_t i = 0; i < arrays().size(); ++i) {
    if (arrays()[i].form == array_form::host && arrays()[i].lazy == lazy) found.push_back(i);
  }
  return found;
}

void program::choose_backend() {
  auto set = static_cast<sheaf::isa>(random_.below(sheaf::isa_count));
  if (other_.backend) set = *other_.backend;
  if (!sheaf::is_available(set)) set = sheaf::widest_isa();
  backend_ = std::string(sheaf::name_of(set));
  ++covered_.backends[static_cast<unsigned>(set)];
}

void program::open() {
  ++covered_.programs;
  auto first = std::make_unique<declared_graph>(graph());
  first->handles = declare_all(model_, first->arrays, hosts_);
  naive_.change_graph(first->arrays);
  graphs_.back() = std::move(first);
  foreign_ = other_model_.source<float>("foreign", 8);
  for (std::size_t i = 0; i < arrays().size(); ++i) {
    require(handles()[i].size() == arrays()[i].length, "a handle has another length");
  }
  choose_backend();
  options_.threads = random_.chance(shape_ == model_shape::huge ? 75 : 40) ? 4 : 1;
  if (other_.threads) options_.threads = *other_.threads;
  options_.mode = random_.chance(50) ? sheaf::readers::wait_free : sheaf::readers::brief_wait;
  history_limited_ = random_.chance(8);
  if (history_limited_) options_.history_bytes_max = random_.below(100'000);
  covered_.threads_four += options_.threads == 4;
  covered_.wait_free += options_.mode == sheaf::readers::wait_free;
  const char* before = std::getenv("SHEAF_FORCE_BACKEND");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("SHEAF_FORCE_BACKEND", backend_.c_str(), 1);
  const std::vector<std::uint32_t> fallible = hosts(false);
  if (!fallible.empty() && random_.chance(10)) {
    hosts_.failing = random_.pick(fallible);
    const auto refused = sheaf::engine::open(model_, options_);
    require(!refused && refused.error().code() == status_code::operator_failed,
            "open with a failing host function");
    hosts_.failing = no_array;
  }
  auto opened = sheaf::engine::open(model_, options_);
  if (before == nullptr) ::unsetenv("SHEAF_FORCE_BACKEND");
  else ::setenv("SHEAF_FORCE_BACKEND", kept.c_str(), 1);
  require(opened, "open");
  engine_.emplace(std::move(*opened));
  require(engine_->stats().isa == backend_, "the forced backend is in use");
  base_bytes_ = engine_->stats().frame_bytes;
  writes_.emplace(random_, arrays(), handles(), naive_);
  forks_.emplace(random_, hosts_, covered_.forks);
  changes_.emplace(random_, hosts_, *engine_, naive_, graphs_, figures_, foreign_, covered_.edits);
  compare_now("after open");
}

void program::take_step() {
  const std::uint64_t choice = random_.below(100);
  if (choice < 44) commit_random();
  else if (choice < 52) commit_with_failing_host();
  else if (choice < 56) commit_empty();
  else if (choice < 60) abort_random();
  else if (choice < 68) make_mistake();
  else if (choice < 79) open_snapshot();
  else if (choice < 86) close_snapshot();
  else if (choice < 90) hold_view();
  else if (choice < 92) read_lazily_with_failing_host();
  else if (choice < 94) call_back_from_host();
  else maintain();
  require(engine_->epoch().value == naive_.epoch(), "the published epoch");
}

void program::take_fork_step() {
  const std::uint64_t choice = random_.below(100);
  if (forks_->is_full()) return forks_->drop();
  if (forks_->is_empty() || choice < 12) {
    note("fork the engine");
    return forks_->hold(engine_->fork(), naive_, graph(), naive_.columns());
  }
  if (choice < 18 && !snapshots_.empty()) {
    note("fork a snapshot");
    const held_snapshot& from = random_.pick(snapshots_);
    if (from.of_fork) return;  // its base is no state of the naive engine
    return forks_->hold(from.handle.fork(), naive_, *from.graph, from.columns);
  }
  if (choice < 32) return note("fork a fork"), forks_->fork_a_fork();
  if (choice < 70) {
    const std::vector<std::uint32_t> fallible = hosts(false);
    const bool fails = !fallible.empty() && random_.chance(20);
    hosts_.how = static_cast<host_switch::way>(random_.below(3));
    note("commit in a fork");
    return forks_->commit(fails ? random_.pick(fallible) : no_array);
  }
  if (choice < 76) return note("compare forks"), forks_->compare();
  if (choice < 82 && snapshots_.size() < snapshots_max) {
    note("snapshot of a fork");
    std::size_t at = 0;
    const held_fork& from = forks_->pick(at);
    snapshots_.push_back({from.handle.snapshot(), from.naive->columns(), from.graph, true});
    return;
  }
  if (choice < 88) return note("merge a fork into another"), forks_->merge_two();
  if (choice < 92) return merge_fork();
  note("drop a fork");
  forks_->drop();
}

void program::take_graph_step() {
  const std::uint64_t choice = random_.below(100);
  const auto before = graphs_.size();
  if (choice < 65) {
    note("change the graph");
    changes_->change(history_limited_);
  } else if (choice < 80) {
    note("wrong edit");
    changes_->make_mistake();
  } else {
    note("a transaction overlaps a change of the graph");
    changes_->overlap(history_limited_);
  }
  if (graphs_.size() != before) writes_.emplace(random_, arrays(), handles(), naive_);
  require(engine_->epoch().value == naive_.epoch(), "the published epoch");
  if (random_.chance(70)) compare_now("compare after a step of graphs");
}

void program::merge_fork() {
  note("merge a fork");
  std::size_t at = 0;
  held_fork& from = forks_->pick(at);
  naive_.write_again(from.naive->changes_since_base());
  const bool fits = naive_.writes_fit(arrays());
  if (fits) naive_.prepare();
  else naive_.drop();
  const auto done = from.handle.merge();
  require(fits || !done, "a merge of writes to arrays that were dropped or shrunk is taken");
  if (!done) {
    ++figures_.failed;
    const bool is_full = done.error().code() == status_code::history_full && history_limited_;
    const bool is_late = done.error().code() == status_code::conflict ||
                         done.error().code() == status_code::snapshot_too_old;
    require(is_full || (is_late && from.handle.base() != engine_->epoch()),
            "a merge: " + done.error().message());
    if (is_full && !fits) naive_.spend();
    else if (is_full) naive_.refuse();
    else if (fits) naive_.turn_away();
    require(static_cast<bool>(from.handle), "a merge that fails leaves the fork");
    return;
  }
  ++figures_.commits;
  ++covered_.forks.merges;
  naive_.publish();
  require(done->value == naive_.epoch(), "the epoch of a merge");
  require(!from.handle, "a merged fork is over");
  forks_->forget(at);
  compare_now("compare after a merge");
}

/// True where the commit that `naive_` prepared changes something `host` reads.
bool program::must_call(std::uint32_t host) const {
  if (host == no_array) return false;
  for (const std::uint32_t operand : arrays()[host].operands) {
    if (naive_.changes(operand)) return true;
  }
  return false;
}

/// Commits, and sees to it that both engines say the same.
void program::finish(sheaf::transaction txn) {
  naive_.prepare();
  const bool must_fail = must_call(hosts_.failing);
  const auto done = std::move(txn).commit();
  writes_->take_back();
  if (done) {
    ++figures_.commits;
    naive_.publish();
    require(!must_fail, "a commit went well though a host function fails");
    require(done->value == naive_.epoch(), "the epoch of a commit");
    return;
  }
  ++figures_.failed;
  naive_.refuse();
  const sheaf::status& why = done.error();
  if (why.code() == status_code::history_full && history_limited_) {
    ++covered_.history_full;
    return;
  }
  require(why.code() == status_code::operator_failed && hosts_.failing != no_array, why.message());
  const std::string& name = arrays()[hosts_.failing].name;
  const std::string shown =
      name.empty() ? "#" + std::to_string(index_of(handles()[hosts_.failing].id())) : name;
  require(why.message().find("'" + shown + "'") != std::string::npos,
          "a failing host function names its array: " + why.message());
  ++covered_.failed_hosts;
}

void program::compare_now(const char* when) {
  note(when);
  held_snapshot now{engine_->snapshot(), naive_.columns(), &graph()};
  require(static_cast<bool>(now.handle), "a snapshot");
  require(now.handle.epoch().value == naive_.epoch(), "the epoch of a snapshot");
  compare_held(now);
}

void program::commit_random() {
  note("commit");
  auto txn = engine_->begin();
  writes_->fill(txn);
  require(txn.error().is_ok(), txn.error().message());
  finish(std::move(txn));
  if (random_.chance(60)) compare_now("compare after commit");
}

void program::commit_with_failing_host() {
  const std::vector<std::uint32_t> fallible = hosts(false);
  if (fallible.empty()) return commit_random();
  hosts_.failing = random_.pick(fallible);
  hosts_.how = static_cast<host_switch::way>(random_.below(3));
  note("commit with a failing host function");
  auto txn = engine_->begin();
  writes_->fill(txn);
  finish(std::move(txn));
  hosts_.failing = no_array;
  compare_now("compare after a failing host function");
}

void program::commit_empty() {
  note("empty commit");
  finish(engine_->begin());
}

void program::abort_random() {
  note("abort");
  ++covered_.aborts;
  auto txn = engine_->begin();
  writes_->fill(txn);
  naive_.drop();
  if (random_.chance(50)) {  // else its destructor aborts it
    txn.abort();
    const auto done = std::move(txn).commit();
    require(!done && done.error().code() == status_code::aborted, "commit after abort");
  }
  writes_->take_back();
}

void program::make_mistake() {
  note("mistake");
  ++covered_.mistakes;
  auto txn = engine_->begin();
  if (random_.chance(70)) writes_->fill(txn);
  const status_code want = writes_->make_mistake(txn, foreign_);
  const status_code said = txn.error().code();
  require(said == want || (want == status_code::ok && said != want),
          "a mistake is refused with its code: " + txn.error().message());
  if (random_.chance(50)) writes_->fill(txn);  // nothing counts any more
  naive_.drop();
  const auto done = std::move(txn).commit();
  require(!done && done.error().code() == said, "a poisoned transaction commits");
  const auto again = std::move(txn).commit();
  require(!again, "a transaction that is over commits");
  writes_->take_back();
  if (random_.chance(30)) compare_now("compare after a mistake");
}

void program::open_snapshot() {
  if (snapshots_.size() == snapshots_max) return close_snapshot();
  note("open snapshot");
  ++covered_.snapshots;
  snapshots_.push_back({engine_->snapshot(), naive_.columns(), &graph()});
  const held_snapshot& made = snapshots_.back();
  require(static_cast<bool>(made.handle), "a snapshot");
  require(made.handle.epoch().value == naive_.epoch(), "the epoch of a snapshot");
  check_bad_reads(made.handle, arrays(), handles(), foreign_, random_);
}

void program::close_snapshot() {
  if (snapshots_.empty()) return;
  note("close snapshot");
  const auto at = static_cast<std::ptrdiff_t>(random_.below(snapshots_.size()));
  compare_held(snapshots_[static_cast<std::size_t>(at)]);
  if (random_.chance(50)) snapshots_[static_cast<std::size_t>(at)].handle.release();
  snapshots_.erase(snapshots_.begin() + at);
}

/// A view outlives its snapshot; its spans stay still.
void program::hold_view() {
  if (views_.size() >= 4) {
    note("check views");
    for (const auto& check : views_) check();
    views_.clear();
    return;
  }
  if (snapshots_.empty()) return;
  note("hold view");
  const held_snapshot& from = random_.pick(snapshots_);
  const auto array = static_cast<std::uint32_t>(random_.below(from.graph->arrays.size()));
  if (from.graph->arrays[array].form == array_form::dropped) return;
  views_.push_back(view_check(from.handle, from.graph->arrays[array], from.graph->handles[array],
                              from.columns[array]));
}

void program::read_lazily_with_failing_host() {
  const std::vector<std::uint32_t> fallible = hosts(true);
  if (fallible.empty()) return;
  note("lazy read with a failing host function");
  hosts_.failing = random_.pick(fallible);
  held_snapshot now{engine_->snapshot(), naive_.columns(), &graph()};
  sheaf::visit_dtype(arrays()[hosts_.failing].type, [&]<class T>(std::type_identity<T>) {
    const auto read = now.handle.fetch(sheaf::array<T>(handles()[hosts_.failing].handle()));
    require(!read && read.error().code() == status_code::operator_failed,
            "a lazy array over a failing host function");
  });
  ++covered_.failed_lazy_reads;
  hosts_.failing = no_array;
  compare_held(now);
}

/// Inside a host function every call of the engine is refused, and nothing comes of it.
void program::call_back_from_host() {
  if (hosts(false).empty()) return;
  note("call back from a host function");
  std::string wrong;
  hosts_.inside = [&] {
    ++covered_.reentrant_calls;
    if (engine_->snapshot().error().code() != status_code::reentrant) wrong = "snapshot";
    const auto audited = engine_->audit();
    if (audited || audited.error().code() != status_code::reentrant) wrong = "audit";
    const auto done = engine_->begin().commit();
    if (done || done.error().code() != status_code::reentrant) wrong = "commit";
  };
  auto txn = engine_->begin();
  writes_->fill(txn);
  finish(std::move(txn));
  hosts_.inside = nullptr;
  require(wrong.empty(), "a call from inside a host function: " + wrong);
  compare_now("compare after a call back");
}

void program::maintain() {
  switch (random_.below(4)) {
    case 0: {
      note("recompute");
      const sheaf::status done = engine_->recompute();
      require(done.is_ok(), done.message());
      break;
    }
    case 1:
      note("trim");
      (void)engine_->trim();
      break;
    default: {
      note("audit");
      ++covered_.audits;
      const auto report = engine_->audit();
      require(report && report->lines_different == 0, "an audit finds lines that differ");
    }
  }
  if (random_.chance(50)) compare_now("compare after maintenance");
}

/// With every snapshot closed and one more commit no frame is kept but what the mode needs.
void program::check_figures() {
  const sheaf::engine_stats figures = engine_->stats();
  require(figures.open_snapshots == 0, "no snapshot is open");
  require(figures.open_forks == 0 && figures.fork_bytes == 0, "no fork is left");
  require(figures.history_bytes == 0,
          "history is given back: " + std::to_string(figures.history_bytes));
  require(figures.frame_bytes == base_bytes_ + figures.spare_bytes,
          "frames are given back: " + std::to_string(figures.frame_bytes) + " in use, " +
              std::to_string(base_bytes_) + " at first, " + std::to_string(figures.spare_bytes) +
              " spare");
  // What may fail keeps spares from then on: eager host functions and circles.
  const bool may_fail = std::ranges::any_of(graphs_, [](const auto& had) {
    return std::ranges::any_of(had->arrays, [](const array_recipe& array) {
      return array.form == array_form::circle || (array.form == array_form::host && !array.lazy);
    });
  });
  if (options_.mode == sheaf::readers::brief_wait && !may_fail &&
      !changes_->has_rolled_back()) {
    require(figures.spare_bytes == 0, "no spare is kept where none is needed");
  }
  require(figures.spare_bytes <= base_bytes_, "a page has one spare at most");
  require(figures.commits == figures_.commits, "the count of commits");
  require(figures.failed_commits == figures_.failed, "the count of failed commits");
}

void program::close() {
  note("close");
  for (const auto& check : views_) check();
  views_.clear();
  while (!forks_->is_empty()) forks_->drop();
  while (!snapshots_.empty()) close_snapshot();
  commit_random();
  if (graphs_.size() > 1) base_bytes_ = changes_->frame_bytes_of_newest();
  check_figures();
  const auto report = engine_->audit();
  require(report && report->lines_different == 0, "the last audit finds lines that differ");
  compare_now("last compare");
  covered_.commits += figures_.commits;
  covered_.work += engine_->stats().work;
  if (!random_.chance(30)) return;
  open_snapshot();
  auto txn = engine_->begin();
  engine_->close();
  const auto done = std::move(txn).commit();
  require(!done && done.error().code() == status_code::closed, "commit after close");
  require(engine_->snapshot().error().code() == status_code::closed, "snapshot after close");
  engine_.reset();
  close_snapshot();  // a snapshot outlives its engine
}

}  // namespace

std::string run_program(std::uint64_t seed, coverage& covered, const variation& other) {
  return program(seed, covered, other).run();
}

}  // namespace model_test
