/// \file
/// Write-write conflicts through the engine: the first committer wins, elements and not lines
/// collide, and a transaction from before the window is told so.
#include <thread>

#include "engine/support.hpp"

namespace engine_test {
namespace {

struct ledger {
  explicit ledger(const engine_options& options = {}) : desk(opened(build(), options)) {}
  const model& build() {
    account = declared.source<float>("account", 4096);
    count = declared.source<std::int64_t>("count", 64);
    total = declared.derive("total", sum(account));
    return declared;
  }
  model declared;
  array<float> account, total;
  array<std::int64_t> count;
  engine desk;
};

TEST(Conflict, TheFirstCommitterWinsAndTheLoserLearnsWithWhatItCollided) {
  ledger l;
  auto first = l.desk.begin();
  auto second = l.desk.begin();
  first.set(l.account, {.index = 100}, 1.0f);
  second.set(l.account, {.index = 99}, 2.0f);
  second.set(l.account, {.index = 100}, 2.0f);
  EXPECT_EQ(committed(std::move(first)), epoch{2});
  expect_status(std::move(second).commit(), status_code::conflict,
                {"account", "[100, 101)", "epoch 2", "begun at 1"});
  EXPECT_EQ(l.desk.snapshot().get(l.account, 99).value(), 0.0f);
  EXPECT_EQ(l.desk.snapshot().get(l.account, 100).value(), 1.0f);
  EXPECT_EQ(l.desk.stats().conflicts, 1u);
  EXPECT_EQ(l.desk.epoch(), epoch{2}) << "a refused transaction takes no epoch";
  expect_glued(l.desk);
}

TEST(Conflict, DifferentElementsOfOneLineDoNotCollide) {
  ledger l;
  std::vector<transaction> open;
  for (std::uint64_t i = 0; i < 16; ++i) {
    open.push_back(l.desk.begin());
    open.back().set(l.account, {.index = i}, static_cast<float>(i + 1));
  }
  for (auto& txn : open) EXPECT_TRUE(std::move(txn).commit());
  EXPECT_EQ(l.desk.snapshot().get(l.total).value(), 136.0f);
  EXPECT_EQ(l.desk.stats().conflicts, 0u);
}

TEST(Conflict, ATransactionThatBeganAfterTheOtherCommittedDoesNotCollide) {
  ledger l;
  const auto idle = l.desk.begin();  // so that writes are remembered
  for (int i = 0; i < 5; ++i) set_one(l.desk, l.account, 7, static_cast<float>(i));
  EXPECT_EQ(l.desk.stats().conflicts, 0u);
  EXPECT_TRUE(idle.error().is_ok());
}

TEST(Conflict, AdditionsOfManyToOneElementAllArriveAndAnAssignmentBesideThemDoesNot) {
  ledger l;
  auto adds = l.desk.begin();
  auto more = l.desk.begin();
  auto sets = l.desk.begin();
  adds.merge(l.count, merge_operator::add, {.index = 3}, 5);
  more.merge(l.count, merge_operator::add, {.index = 3}, 6);
  sets.set(l.count, {.index = 3}, 100);
  committed(std::move(adds));
  committed(std::move(more));
  expect_status(std::move(sets).commit(), status_code::conflict, {"count", "epoch 3"});
  EXPECT_EQ(l.desk.snapshot().get(l.count, 3).value(), 11);
}

TEST(Conflict, FloatAdditionsApplyOneByOneInCommitOrder) {
  // 2^24 + 1 is not a float: the order of additions shows in the bits.
  ledger l;
  auto big = l.desk.begin();
  auto one = l.desk.begin();
  auto back = l.desk.begin();
  big.merge(l.account, merge_operator::add, {}, 16777216.0f);
  one.merge(l.account, merge_operator::add, {}, 1.0f);
  back.merge(l.account, merge_operator::add, {}, -16777216.0f);
  committed(std::move(big));
  committed(std::move(one));
  committed(std::move(back));
  EXPECT_EQ(l.desk.snapshot().get(l.account).value(), 0.0f);
}

TEST(Conflict, AWholeRangeCollidesWithOneElementOfIt) {
  ledger l;
  const std::vector<float> values(4096, 3.0f);
  auto all = l.desk.begin();
  all.range_borrowed(l.account, {}, values);
  set_one(l.desk, l.account, 4000, 1.0f);
  expect_status(std::move(all).commit(), status_code::conflict, {"account", "[4000, 4001)"});
  auto one = l.desk.begin();
  one.set(l.account, {.index = 4000}, 9.0f);
  auto again = l.desk.begin();
  again.range_borrowed(l.account, {}, values);
  committed(std::move(again));
  expect_status(std::move(one).commit(), status_code::conflict, {"account"});
}

TEST(Conflict, ATransactionFromBeforeTheWindowIsTooOldAndOneThatWritesNothingIsNot) {
  ledger l({.conflict_window_bytes_max = 34 * 16});
  auto old = l.desk.begin();
  auto idle = l.desk.begin();
  auto young = l.desk.begin();
  old.set(l.account, {.index = 4095}, 1.0f);
  for (std::uint64_t i = 0; i < 17; ++i) {
    if (i == 4) young = l.desk.begin();
    set_one(l.desk, l.account, i * 16, 1.0f);
  }
  young.set(l.account, {.index = 4095}, 2.0f);
  expect_status(std::move(old).commit(), status_code::snapshot_too_old,
                {"began at epoch 1", "since 2"});
  EXPECT_TRUE(std::move(idle).commit());
  committed(std::move(young));
  EXPECT_EQ(l.desk.snapshot().get(l.account, 4095).value(), 2.0f);
}

TEST(Conflict, OneWriterAloneIsNeverTooOldHoweverMuchItWrites) {
  ledger l({.conflict_window_bytes_max = 34});
  for (int round = 0; round < 10; ++round) {
    set_all(l.desk, l.account, static_cast<float>(round));
    set_one(l.desk, l.account, 5, 1.0f);
  }
  EXPECT_EQ(l.desk.stats().failed_commits, 0u);
}

TEST(Conflict, OfManyThreadsThatAssignOneElementEachEpochHasOneWinner) {
  ledger l;
  std::atomic<std::int64_t> won{0}, lost{0};
  std::vector<std::thread> crew;
  for (int i = 0; i < 8; ++i) {
    crew.emplace_back([&, i] {
      for (int round = 0; round < 200; ++round) {
        auto txn = l.desk.begin();
        txn.set(l.account, {.index = 8}, static_cast<float>(i));
        txn.merge(l.count, merge_operator::add, {.index = 1}, 1);
        if (round % 3 == 0) std::this_thread::yield();
        const auto done = std::move(txn).commit();
        if (done) {
          ++won;
        } else {
          EXPECT_EQ(done.error().code(), status_code::conflict) << done.error().message();
          ++lost;
        }
      }
    });
  }
  for (std::thread& member : crew) member.join();
  EXPECT_EQ(won + lost, 1600);
  EXPECT_EQ(l.desk.snapshot().get(l.count, 1).value(), won);
  const engine_stats stats = l.desk.stats();
  EXPECT_EQ(stats.conflicts, static_cast<std::uint64_t>(lost));
  EXPECT_EQ(stats.groups, static_cast<std::uint64_t>(won)) << "two of them were in one group";
}

}  // namespace
}  // namespace engine_test
