#include "model/random_forks.hpp"

#include <algorithm>

#include "model/compare.hpp"
#include "model/random_writes.hpp"

namespace model_test {

using sheaf::status_code;

void random_forks::hold(sheaf::fork_state made, const naive_engine& naive,
                        const declared_graph& graph, const std::vector<column>& columns) {
  require(static_cast<bool>(made), "a fork: " + made.error().message());
  ++covered_.forks;
  auto twin = std::make_unique<naive_engine>(naive.fork_at(graph.arrays, columns));
  forks_.push_back({std::move(made), std::move(twin), &graph, 0});
}

void random_forks::fork_a_fork() {
  std::size_t at = 0;
  held_fork& from = pick(at);
  held_fork made{random_.chance(50) ? from.handle.fork() : from.handle.snapshot().fork(),
                 std::make_unique<naive_engine>(*from.naive), from.graph, from.sequence};
  require(static_cast<bool>(made.handle), "a fork of a fork: " + made.handle.error().message());
  require(made.handle.sequence() == from.sequence, "the sequence number of a fork of a fork");
  ++covered_.of_forks;
  forks_.push_back(std::move(made));
}

void random_forks::finish(held_fork& target, const sheaf::result<std::uint64_t>& done,
                          std::uint32_t failing) {
  bool must_fail = false;
  const std::vector<array_recipe>& arrays = target.graph->arrays;
  if (failing < arrays.size() && arrays[failing].form == array_form::host &&
      !arrays[failing].lazy) {
    for (const std::uint32_t operand : arrays[failing].operands) {
      must_fail |= target.naive->changes(operand);
    }
  }
  if (done) {
    require(!must_fail, "a commit in a fork went well though a host function fails");
    target.naive->publish();
    ++covered_.commits;
    require(*done == ++target.sequence, "the sequence number of a fork");
    require(target.handle.sequence() == target.sequence, "the sequence number a fork says");
    return;
  }
  require(must_fail && done.error().code() == status_code::operator_failed,
          "a commit in a fork: " + done.error().message());
  target.naive->refuse();
  ++covered_.failed_hosts;
}

void random_forks::commit(std::uint32_t failing) {
  std::size_t at = 0;
  held_fork& target = pick(at);
  random_writes writes(random_, target.graph->arrays, target.graph->handles, *target.naive);
  auto txn = target.handle.begin();
  if (!random_.chance(5)) writes.fill(txn);
  require(txn.error().is_ok(), txn.error().message());
  hosts_.failing = failing;
  target.naive->prepare();
  const auto done = std::move(txn).commit();
  hosts_.failing = no_array;
  writes.take_back();
  finish(target, done, failing);
  if (!done || random_.chance(40)) compare(target);
}

/// Where the two parted, in their naive twins, is the end of what both remember alike.
void random_forks::merge_two() {
  if (forks_.size() < 2) return;
  std::size_t from = 0, to = 0;
  held_fork& child = pick(from);
  held_fork& parent = pick(to);
  if (from == to) return;
  if (child.handle.base() != parent.handle.base()) {
    const auto refused = child.handle.merge_into(parent.handle);
    require(!refused && refused.error().code() == status_code::invalid_argument,
            "a merge of forks of two epochs");
    return;
  }
  const auto& mine = child.naive->changes_since_base();
  const auto& theirs = parent.naive->changes_since_base();
  std::size_t parted = 0;
  while (parted < mine.size() && parted < theirs.size() &&
         mine[parted].number == theirs[parted].number) {
    ++parted;
  }
  parent.naive->write_again(std::span(mine).subspan(parted));
  parent.naive->prepare();
  const auto done = child.handle.merge_into(parent.handle);
  require(done, "a merge of forks");
  ++covered_.merges_into_forks;
  finish(parent, done, no_array);
  require(!child.handle, "a merged fork is over");
  compare(parent);
  forget(from);
}

void random_forks::compare(const held_fork& held) {
  ++covered_.compared;
  const auto now = held.handle.snapshot();
  require(static_cast<bool>(now), "a snapshot of a fork");
  compare_all(now, held.graph->arrays, held.graph->handles, held.naive->columns(), random_);
}

void random_forks::compare() {
  for (const held_fork& held : forks_) compare(held);
  std::size_t at = 0;
  const auto report = pick(at).handle.audit();
  require(report && report->lines_different == 0, "an audit of a fork finds lines that differ");
}

held_fork& random_forks::pick(std::size_t& at) {
  at = random_.below(forks_.size());
  return forks_[at];
}

void random_forks::forget(std::size_t at) {
  forks_.erase(forks_.begin() + static_cast<std::ptrdiff_t>(at));
}

void random_forks::drop() {
  std::size_t at = 0;
  held_fork& last = pick(at);
  compare(last);
  if (random_.chance(50)) last.handle.drop();
  forget(at);
}

}  // namespace model_test
