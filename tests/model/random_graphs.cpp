#include "model/random_graphs.hpp"

#include <algorithm>
#include <map>

#include "model/compare.hpp"
#include "model/random_writes.hpp"

namespace model_test {

using sheaf::status_code;

namespace {

/// True where one of `later` meets one of `earlier`: the same element, not merged by one operator.
bool collide(const std::vector<naive_engine::change>& earlier,
             const std::vector<naive_engine::change>& later) {
  std::multimap<std::pair<std::uint32_t, std::uint64_t>, sheaf::merge_operator> written;
  for (const auto& one : earlier) written.insert({{one.array, one.index}, one.op});
  return std::ranges::any_of(later, [&](const naive_engine::change& one) {
    const auto [first, end] = written.equal_range({one.array, one.index});
    return std::any_of(first, end, [&](const auto& other) {
      return other.second != one.op || one.op == sheaf::merge_operator::assign;
    });
  });
}

bool takes_an_epoch(status_code code) {
  return code == status_code::operator_failed || code == status_code::history_full ||
         code == status_code::out_of_memory || code == status_code::not_converged;
}

bool is_eager_host(const std::vector<array_recipe>& arrays, std::uint32_t at) {
  return at < arrays.size() && arrays[at].form == array_form::host && !arrays[at].lazy;
}

}  // namespace

/// A host function that fails is called where it is new or something it reads has other bits.
bool random_graphs::must_fail(const random_edits& edits, const naive_engine& next) const {
  const std::uint32_t host = hosts_.failing;
  const std::vector<array_recipe>& arrays = edits.graph().arrays;
  if (!is_eager_host(arrays, host)) return false;
  if (edits.runs_anew(host)) return true;
  return std::ranges::any_of(arrays[host].operands, [&](std::uint32_t operand) {
    return operand >= naive_.columns().size() ||
           naive_.columns()[operand] != next.prepared_columns()[operand];
  });
}

bool random_graphs::change(bool history_may_be_full) {
  auto txn = engine_.begin();
  naive_engine next(naive_);
  const declared_graph& before = *graphs_.back();
  random_writes early(random_, before.arrays, before.handles, next);
  if (random_.chance(25)) early.fill(txn);
  random_edits edits(random_, hosts_, before, next, txn, covered_);
  (void)txn.graph();  // a look at the graph is no edit
  for (std::uint64_t left = random_.below(5); left != 0; --left) edits.edit();
  const bool unfit = !edits.settle();
  auto after = std::make_unique<declared_graph>(edits.graph());
  if (!unfit) next.change_graph(after->arrays);
  random_writes late(random_, after->arrays, after->handles, next);
  if (!unfit && random_.chance(60)) late.fill(txn);
  if (random_.chance(4)) return false;  // it is aborted
  std::vector<std::uint32_t> fallible;
  for (std::uint32_t i = 0; i < after->arrays.size(); ++i) {
    if (is_eager_host(after->arrays, i)) fallible.push_back(i);
  }
  if (!fallible.empty() && random_.chance(30)) {
    hosts_.failing = random_.pick(fallible);
    hosts_.how = static_cast<host_switch::way>(random_.below(3));
  }
  if (!unfit) next.prepare();
  const bool fails = !unfit && must_fail(edits, next);
  const bool is_edited = &txn.graph().records() != engine_.declared().get();
  const auto done = std::move(txn).commit();
  early.take_back();
  late.take_back();
  if (!done) {
    refused(done.error(), edits, unfit, history_may_be_full);
    lost_ = {after->handles.begin() + static_cast<std::ptrdiff_t>(before.handles.size()),
             after->handles.end()};
  } else {
    require(!unfit, "a graph that does not fit is taken");
    require(!fails, "a change of the graph went well though a host function fails");
    ++covered_.changes;
    ++figures_.commits;
    graphs_.push_back(std::move(after));
    next.publish();
    naive_ = std::move(next);
    require(done->value == naive_.epoch(), "the epoch of a change of the graph");
  }
  hosts_.failing = no_array;
  check_names(engine_, *graphs_.back());
  return is_edited && done;
}

void random_graphs::refused(const sheaf::status& why, const random_edits& edits, bool unfit,
                            bool history_may_be_full) {
  ++figures_.failed;
  const status_code code = why.code();
  if (takes_an_epoch(code)) naive_.spend();
  has_rolled_back_ |= takes_an_epoch(code);
  if (code == status_code::history_full && history_may_be_full) return;
  if (code == status_code::operator_failed &&
      is_eager_host(edits.graph().arrays, hosts_.failing)) {
    ++covered_.failed_hosts;
    return;
  }
  // One status stands for all mistakes: it has the code of the first.
  const bool is_unfit = code == status_code::length_mismatch ||
                        code == status_code::out_of_range ||
                        code == status_code::invalid_argument ||
                        code == status_code::unknown_array || code == status_code::unsupported;
  require(unfit && is_unfit, "a change of the graph: " + why.message());
  ++covered_.unfit;
}

void random_graphs::make_mistake() {
  auto txn = engine_.begin();
  naive_engine unheard(naive_);
  const declared_graph& before = *graphs_.back();
  random_writes writes(random_, before.arrays, before.handles, unheard);
  if (random_.chance(50)) writes.fill(txn);
  random_edits edits(random_, hosts_, before, unheard, txn, covered_);
  wrong_edit wrong{status_code::foreign_handle, ""};
  if (!lost_.empty() && random_.chance(20)) {
    txn.graph().rename(random_.pick(lost_), "lost");
  } else {
    wrong = edits.mistake(foreign_);
  }
  const auto done = std::move(txn).commit();
  writes.take_back();
  require(!done, "a wrong edit is taken");
  require(done.error().code() == wrong.code,
          "a wrong edit is refused with its code: " + done.error().message());
  require(wrong.name.empty() || done.error().message().find(wrong.name) != std::string::npos,
          "a wrong edit is refused with the name '" + wrong.name + "': " + done.error().message());
  ++figures_.failed;
  check_names(engine_, before);
}

void random_graphs::overlap(bool history_may_be_full) {
  const declared_graph& before = *graphs_.back();
  naive_engine seen(naive_);
  random_writes writes(random_, before.arrays, before.handles, seen);
  auto txn = engine_.begin();
  const bool edits_too = random_.chance(25);
  const auto at = static_cast<std::uint32_t>(random_.below(before.arrays.size()));
  const bool renames = edits_too && before.arrays[at].form != array_form::dropped;
  const std::string name = "o" + std::to_string(random_.word());
  if (renames) txn.graph().rename(before.handles[at], name);
  else writes.fill(txn);
  const bool edited = change(history_may_be_full);
  const bool changed = graphs_.back().get() != &before;
  if (renames) return commit_late_edit(std::move(txn), at, name, edited, history_may_be_full);
  commit_late_writes(std::move(txn), seen.pending(), changed, history_may_be_full);
  writes.take_back();
}

void random_graphs::commit_late_edit(sheaf::transaction txn, std::uint32_t renamed,
                                     const std::string& name, bool changed,
                                     bool history_may_be_full) {
  const auto done = std::move(txn).commit();
  ++covered_.late_edits;
  if (done) {
    require(!changed, "of two changes of the graph that overlap the later is taken");
    auto after = std::make_unique<declared_graph>(*graphs_.back());
    after->arrays[renamed].name = name;
    naive_.change_graph(after->arrays);
    naive_.prepare();
    naive_.publish();
    ++figures_.commits;
    graphs_.push_back(std::move(after));
  } else {
    ++figures_.failed;
    const status_code code = done.error().code();
    if (takes_an_epoch(code)) naive_.spend();
    require((changed && code == status_code::conflict) ||
                (code == status_code::history_full && history_may_be_full),
            "a late edit: " + done.error().message());
  }
  check_names(engine_, *graphs_.back());
}

void random_graphs::commit_late_writes(sheaf::transaction txn,
                                       const std::vector<naive_engine::change>& written,
                                       bool changed, bool history_may_be_full) {
  naive_engine next(naive_);
  next.write_again(written);
  const bool fits = next.writes_fit(naive_.arrays());
  const bool collides = changed && collide(naive_.applied(), written);
  const auto done = std::move(txn).commit();
  ++covered_.late_writes;
  if (!done) {
    ++figures_.failed;
    const status_code code = done.error().code();
    const bool is_full = code == status_code::history_full && history_may_be_full;
    if (takes_an_epoch(code)) naive_.spend();
    covered_.late_conflicts += code == status_code::conflict;
    require(is_full || ((!fits || collides) && code == status_code::conflict) ||
                code == status_code::snapshot_too_old,
            "late writes: " + done.error().message());
    return;
  }
  require(fits, "a write to an array that was dropped or shrunk meanwhile is taken");
  require(!collides, "a write to an element that was written meanwhile is taken");
  next.prepare();
  next.publish();
  naive_ = std::move(next);
  ++figures_.commits;
  require(done->value == naive_.epoch(), "the epoch of late writes");
}

std::uint64_t random_graphs::frame_bytes_of_newest() const {
  const sheaf::model newest(engine_.declared());
  const auto scratch = sheaf::engine::open(newest);
  require(scratch, "open with the newest graph");
  return scratch->stats().frame_bytes;
}

}  // namespace model_test
