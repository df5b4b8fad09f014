/// \file
/// Merging forks: into the engine, into the fork they came from, into each other.
#include "engine/fork_support.hpp"

namespace engine_test {
namespace {

TEST(ForkMerge, GivesTheEngineTheBitsOfTheFork) {
  kinds k;
  write_random(k, k.desk, 1);
  auto trial = k.desk.fork();
  for (std::uint64_t i = 10; i < 30; ++i) write_random(k, trial, i);
  auto child = trial.fork();
  for (std::uint64_t i = 30; i < 50; ++i) write_random(k, child, i);
  const auto bits = k.image(child);
  const epoch before = k.desk.epoch();
  const auto merged = child.merge();
  ASSERT_TRUE(merged) << merged.error().message();
  EXPECT_GT(*merged, before);
  EXPECT_TRUE(k.image(k.desk) == bits);
  EXPECT_FALSE(child) << "a merged fork is over";
  EXPECT_TRUE(trial);
  expect_glued(k.desk);
}

TEST(ForkMerge, AppliesTheForksChangesToAnEngineThatWentOn) {
  kinds k, twin;
  auto trial = k.desk.fork();
  auto txn = trial.begin();
  txn.merge(k.counts, merge_operator::add, {.index = 3}, 5);
  txn.set(k.a, {.index = 10}, 2.0f);
  committed(std::move(txn));
  auto again = trial.begin();
  again.merge(k.counts, merge_operator::add, {.index = 3}, 7);
  committed(std::move(again));
  auto meanwhile = k.desk.begin();
  meanwhile.merge(k.counts, merge_operator::add, {.index = 3}, 100);
  meanwhile.set(k.b, {.index = 10}, 8.0f);
  committed(std::move(meanwhile));
  ASSERT_TRUE(trial.merge());
  EXPECT_EQ(k.desk.snapshot().get(k.counts, 3).value(), 112);
  EXPECT_EQ(k.desk.snapshot().get(k.sum_of_both, 10).value(), 10.0f);
  expect_glued(k.desk);
}

TEST(ForkMerge, IntoTheParentAppliesWhatTheChildDidSinceItWasForked) {
  kinds k;
  auto parent = k.desk.fork();
  auto txn = parent.begin();
  txn.merge(k.counts, merge_operator::add, {.index = 0}, 1);
  committed(std::move(txn));
  auto child = parent.fork();
  txn = child.begin();
  txn.merge(k.counts, merge_operator::add, {.index = 0}, 10);
  committed(std::move(txn));
  auto grandchild = child.fork();
  txn = grandchild.begin();
  txn.merge(k.counts, merge_operator::add, {.index = 0}, 100);
  committed(std::move(txn));
  txn = parent.begin();
  txn.merge(k.counts, merge_operator::add, {.index = 0}, 1000);
  committed(std::move(txn));
  child.drop();
  const auto done = grandchild.merge_into(parent);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_FALSE(grandchild);
  EXPECT_EQ(parent.get(k.counts, 0).value(), 1111);
  EXPECT_EQ(parent.get(k.most).value(), 1111);
  expect_glued(parent);
  EXPECT_EQ(k.desk.snapshot().get(k.counts, 0).value(), 0);
  ASSERT_TRUE(parent.merge());
  EXPECT_EQ(k.desk.snapshot().get(k.counts, 0).value(), 1111);
}

TEST(ForkMerge, BetweenForksOfOneEpochAndNoOthers) {
  kinds k;
  auto left = k.desk.fork(), right = k.desk.fork();
  auto txn = left.begin();
  txn.set(k.a, {.index = 1}, 1.0f);
  committed(std::move(txn));
  txn = right.begin();
  txn.set(k.a, {.index = 2}, 2.0f);
  committed(std::move(txn));
  expect_status(left.merge_into(left), status_code::invalid_argument, {"itself"});
  ASSERT_TRUE(left.merge_into(right));
  EXPECT_EQ(right.get(k.a, 1).value(), 1.0f);
  EXPECT_EQ(right.get(k.a, 2).value(), 2.0f);
  write_random(k, k.desk, 1);
  auto later = k.desk.fork();
  expect_status(right.merge_into(later), status_code::invalid_argument, {"epoch"});
  EXPECT_TRUE(right);
}

TEST(ForkMerge, AMergeThatFailsLeavesForkAndEngineAsTheyWere) {
  kinds k;
  auto trial = k.desk.fork();
  write_random(k, trial, 12);
  auto txn = trial.begin();
  txn.range(k.a, {}, std::vector<float>(kinds::length, -4.0f));
  committed(std::move(txn));
  const auto fork_bits = k.image(trial), engine_bits = k.image(k.desk);
  k.failing = true;
  const auto failed = trial.merge();
  k.failing = false;
  expect_status(failed, status_code::operator_failed, {"hosted"});
  EXPECT_TRUE(trial);
  EXPECT_TRUE(k.image(trial) == fork_bits);
  EXPECT_TRUE(k.image(k.desk) == engine_bits);
  ASSERT_TRUE(trial.merge());
  EXPECT_TRUE(k.image(k.desk) == fork_bits);
}

TEST(ForkMerge, ManyCommitsOfOneElementMergeAsOneChange) {
  kinds k({.transaction_bytes_max = 4096}, false);
  auto trial = k.desk.fork();
  for (int i = 0; i < 5000; ++i) {
    auto txn = trial.begin();
    txn.merge(k.counts, merge_operator::add, {.index = 9}, 1);
    committed(std::move(txn));
  }
  ASSERT_TRUE(trial.merge());
  EXPECT_EQ(k.desk.snapshot().get(k.counts, 9).value(), 5000);
}

TEST(ForkMerge, ALogPastTheBudgetOfATransactionRefusesTheCommitThatPassesIt) {
  kinds k({.transaction_bytes_max = 4096}, false);
  auto trial = k.desk.fork();
  status refused;
  std::uint32_t taken = 0;
  for (; taken < 3000 && refused.is_ok(); ++taken) {
    auto txn = trial.begin();
    txn.set(k.a, {.index = taken}, 1.0f);
    const auto done = std::move(txn).commit();
    if (!done) refused = done.error();
  }
  expect_status(refused, status_code::too_many, {});
  EXPECT_EQ(trial.get(k.a, taken - 1).value(), 0.0f);
  EXPECT_EQ(trial.get(k.a, taken - 2).value(), 1.0f);
  expect_glued(trial);
  ASSERT_TRUE(trial.merge());
  EXPECT_EQ(k.desk.snapshot().get(k.a, taken - 2).value(), 1.0f);
}

}  // namespace
}  // namespace engine_test
