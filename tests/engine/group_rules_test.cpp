/// \file
/// The rules inside one group, with groups made by hand: who conflicts, where a group is cut.
#include "engine/engine_core.hpp"
#include "engine/support.hpp"
#include "engine/transaction_state.hpp"

namespace engine_test {
namespace {

/// An engine core, and transactions for one group over it.
struct bench_of_groups {
  bench_of_groups() {
    value = declared.source<std::int64_t>("value", 512);
    other = declared.source<std::int64_t>("other", 64);
    doubled = declared.derive("doubled", value * std::int64_t{2});
    total = declared.derive("total", sum(value));
    copied = declared.derive("copied", other + std::int64_t{0});
    auto opened = engine_core::open(declared, {});
    EXPECT_TRUE(opened);
    core = *opened;
  }
  struct member {
    delta changes;
    read_set reads;
  };
  void set(member& into, const array<std::int64_t>& target, std::uint64_t index,
           std::int64_t value_now) {
    EXPECT_TRUE(into.changes.set<std::int64_t>(target.id(), merge_operator::assign, index,
                                               value_now).is_ok());
  }
  /// Notes that the line of `index` was read at the newest epoch.
  void read(member& into, const array<std::int64_t>& from, std::uint64_t index) {
    const auto graph = declared.compile();
    const plan& made = **graph;
    const std::uint32_t producer = made.producer_of_array[index_of(from.id())];
    into.reads.epoch = core->published();
    const std::uint32_t slot = made.is_source(producer) ? made.sources[producer].slot
                                                        : made.node_of(producer).slot;
    into.reads.add(slot, line_mask{1} << (index / 8));
    if (!made.is_source(producer)) into.reads.add_derived(producer);
  }
  /// Commits the members as one waiting group; codes of their outcomes.
  std::vector<status_code> commit(std::vector<member>& members) {
    std::vector<commit_request> requests(members.size());
    for (std::size_t i = 0; i < members.size(); ++i) {
      requests[i].changes = &members[i].changes;
      requests[i].begin_epoch = core->published();
      if (!members[i].reads.is_empty()) {
        members[i].reads.settle();
        requests[i].reads = &members[i].reads;
      }
    }
    core->commit_batch(requests);
    std::vector<status_code> codes;
    epochs.clear();
    for (const commit_request& request : requests) {
      codes.push_back(request.outcome.code());
      epochs.push_back(request.epoch);
    }
    return codes;
  }

  model declared;
  array<std::int64_t> value, other, doubled, total, copied;
  std::shared_ptr<engine_core> core;
  std::vector<std::uint64_t> epochs;
};

constexpr auto ok = status_code::ok;
constexpr auto conflict = status_code::conflict;

TEST(GroupRules, AMemberThatFailsValidationIsRefusedAndTheOthersGoOnAsOneEpoch) {
  bench_of_groups b;
  std::vector<bench_of_groups::member> group(4);
  b.set(group[0], b.value, 1, 10);
  b.set(group[1], b.value, 1, 11);
  b.set(group[2], b.value, 2, 12);
  b.set(group[3], b.other, 1, 13);
  EXPECT_EQ(b.commit(group), (std::vector{ok, conflict, ok, ok}));
  EXPECT_EQ(b.epochs, (std::vector<std::uint64_t>{2, 0, 2, 2}));
  EXPECT_EQ(b.core->stats().groups, 1u);
}

TEST(GroupRules, AReadOfALineThatAMemberBeforeItWritesEndsTheGroupAndIsRefused) {
  bench_of_groups b;
  std::vector<bench_of_groups::member> group(3);
  b.set(group[0], b.value, 8, 10);
  b.read(group[1], b.value, 9);  // the same line
  b.set(group[1], b.other, 0, 1);
  b.set(group[2], b.other, 1, 2);
  EXPECT_EQ(b.commit(group), (std::vector{ok, conflict, ok}));
  EXPECT_EQ(b.core->stats().groups_cut, 1u);
  EXPECT_EQ(b.epochs[2], 3u);
}

TEST(GroupRules, AReadOfAnotherLineStaysInTheGroup) {
  bench_of_groups b;
  std::vector<bench_of_groups::member> group(2);
  b.set(group[0], b.value, 8, 10);
  b.read(group[1], b.value, 16);
  b.set(group[1], b.other, 0, 1);
  EXPECT_EQ(b.commit(group), (std::vector{ok, ok}));
  EXPECT_EQ(b.core->stats().groups_cut, 0u);
  EXPECT_EQ(b.core->stats().groups, 1u);
}

TEST(GroupRules, AWriteThatKeepsTheBitsIsNoConflictOnceTheGroupIsCut) {
  bench_of_groups b;
  std::vector<bench_of_groups::member> group(2);
  b.set(group[0], b.value, 8, 0);
  b.read(group[1], b.value, 8);
  b.set(group[1], b.other, 0, 1);
  EXPECT_EQ(b.commit(group), (std::vector{ok, ok}));
  EXPECT_EQ(b.core->stats().groups_cut, 1u);
}

TEST(GroupRules, ADerivedReadThatAPendingWriteReachesEndsTheGroup) {
  bench_of_groups b;
  std::vector<bench_of_groups::member> group(3);
  b.set(group[0], b.value, 8, 10);
  b.read(group[1], b.total, 0);   // reached and changed
  b.set(group[1], b.other, 0, 1);
  b.read(group[2], b.doubled, 400);  // reached, its line keeps its bits
  b.set(group[2], b.other, 1, 1);
  EXPECT_EQ(b.commit(group), (std::vector{ok, conflict, ok}));
  EXPECT_EQ(b.core->stats().groups_cut, 1u) << "behind the cut nothing is pending any more";
  std::vector<bench_of_groups::member> apart(2);
  b.set(apart[0], b.value, 8, 11);
  b.read(apart[1], b.copied, 0);  // not reached
  b.set(apart[1], b.value, 100, 1);
  EXPECT_EQ(b.commit(apart), (std::vector{ok, ok}));
  EXPECT_EQ(b.core->stats().groups_cut, 1u);
}

}  // namespace
}  // namespace engine_test
