#include <sheaf/engine/engine.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

namespace sheaf {
namespace {

/// price * quantity summed, the smallest desk there is.
struct desk {
  model declared;
  array<float> price = declared.source<float>("price", 10'000);
  array<float> quantity = declared.source<float>("quantity", 10'000);
  array<float> value = declared.derive("value", price * quantity);
  array<float> total = declared.derive("total", sum(value));
};

float at_of(const snapshot& now, const array<float>& a, std::uint64_t index = 0) {
  return now.get(a, index).value();
}

TEST(Engine, OpensAtEpochOneWithEverythingComputed) {
  desk d;
  auto opened = engine::open(d.declared);
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(opened->epoch(), epoch{1});
  const auto now = opened->snapshot();
  EXPECT_EQ(at_of(now, d.total), 0.0f);
}

TEST(Engine, DerivedArraysAreCurrentWhenCommitReturns) {
  desk d;
  auto opened = engine::open(d.declared);
  ASSERT_TRUE(opened) << opened.error().message();
  auto txn = opened->begin();
  txn.set(d.price, {.index = 42}, 101.25f);
  txn.set(d.quantity, {.index = 42}, 4.0f);
  const auto done = std::move(txn).commit();
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(*done, epoch{2});
  const auto now = opened->snapshot();
  EXPECT_EQ(at_of(now, d.value, 42), 405.0f);
  EXPECT_EQ(at_of(now, d.total), 405.0f);
  EXPECT_EQ(at_of(now, d.value, 41), 0.0f);
}

TEST(Engine, WorkIsProportionalToChangedLines) {
  desk d;
  auto opened = engine::open(d.declared);
  ASSERT_TRUE(opened);
  auto txn = opened->begin();
  txn.set(d.price, {.index = 42}, 1.0f);
  txn.set(d.quantity, {.index = 42}, 1.0f);
  ASSERT_TRUE(std::move(txn).commit());
  const work_counters work = opened->last_commit();
  EXPECT_EQ(work.source_pages_touched, 2u);
  EXPECT_EQ(work.source_lines_changed, 2u);
  // value: one line; total: 625 line partials, 10 block partials, one total.
  EXPECT_EQ(work.lines_recomputed, 4u);
  EXPECT_EQ(work.lines_cut_off, 0u);
}

TEST(Engine, ASnapshotStaysStillWhileOthersCommit) {
  for (const readers mode : {readers::brief_wait, readers::wait_free}) {
    desk d;
    auto opened = engine::open(d.declared, {.mode = mode});
    ASSERT_TRUE(opened);
    std::vector<float> ones(10'000, 1.0f);
    auto txn = opened->begin();
    txn.range(d.price, {}, ones);
    txn.range(d.quantity, {}, ones);
    ASSERT_TRUE(std::move(txn).commit());
    const auto before = opened->snapshot();
    auto held = before.fetch(d.value);
    ASSERT_TRUE(held);
    const std::span<const float> page = held->page(0);
    for (int round = 0; round < 5; ++round) {
      auto next = opened->begin();
      next.set(d.price, {.index = 7}, static_cast<float>(round + 2));
      ASSERT_TRUE(std::move(next).commit());
      EXPECT_EQ(page[7], 1.0f);
      EXPECT_EQ(at_of(before, d.total), 10'000.0f);
      EXPECT_EQ(at_of(opened->snapshot(), d.total), 10'000.0f + static_cast<float>(round + 1));
    }
  }
}

}  // namespace
}  // namespace sheaf
