/// \file
/// Delays over changes of the graph: what a kept one goes on with, where a new one begins, what new
/// elements get, and how lengths go through loops.
#include <numeric>

#include "engine/support.hpp"

namespace engine_test {
namespace {

class DelayOverAChange : public testing::TestWithParam<readers> {};
INSTANTIATE_TEST_SUITE_P(Mode, DelayOverAChange, testing::ValuesIn(both_modes));

template <class Edit>
void change(engine& in, Edit&& edit) {
  auto txn = in.begin();
  edit(txn);
  committed(std::move(txn));
}

TEST_P(DelayOverAChange, AKeptOneGoesOnAndANewOneBeginsWithItsInitialValue) {
  model m;
  const auto x = m.source<float>("x", 40);
  const auto before = m.derive("before", delay(x, 9.0f));
  engine e = opened(m, {.mode = GetParam()});
  set_one(e, x, 3, 1.0f);
  set_one(e, x, 3, 2.0f);
  const snapshot then = e.snapshot();
  array<float> twice, late;
  change(e, [&](transaction& txn) {
    twice = txn.graph().derive("twice", x * 2.0f);
    late = txn.graph().derive("late", delay(twice, 5.0f));
    txn.set(x, {.index = 3}, 4.0f);
  });
  EXPECT_EQ(values_of(e.snapshot(), before)[3], 2.0f) << "a change of the graph moves time on";
  EXPECT_EQ(values_of(e.snapshot(), late), std::vector<float>(40, 5.0f));
  committed(e.begin());
  EXPECT_EQ(values_of(e.snapshot(), before)[3], 4.0f);
  EXPECT_EQ(values_of(e.snapshot(), late)[3], 8.0f);
  EXPECT_EQ(values_of(e.snapshot(), late)[4], 0.0f) << "all of it, not what changed alone";
  EXPECT_EQ(values_of(then, before)[3], 1.0f);
  auto dropping = e.begin();
  dropping.graph().drop(twice);
  expect_status(std::move(dropping).commit(), status_code::invalid_argument,
                {"'twice' is read by 'late'"});
  committed(e.begin());
  EXPECT_EQ(values_of(e.snapshot(), late)[3], 8.0f);
  expect_glued(e);
}

TEST_P(DelayOverAChange, ReadsTheOldOperandOneEpochAfterItWasRedefined) {
  model m;
  const auto x = m.source<float>("x", 100);
  const auto y = m.derive("y", x * 2.0f);
  const auto one = m.derive("one", delay(y, 7.0f));
  const auto two = m.derive("two", delay(one, 8.0f));
  engine e = opened(m, {.mode = GetParam()});
  set_one(e, x, 50, 1.0f);
  set_one(e, x, 50, 3.0f);
  change(e, [&](transaction& txn) {
    txn.graph().redefine(y, x + 100.0f);
    txn.set(x, {.index = 50}, 5.0f);
  });
  const auto at = [&](const array<float>& target) { return values_of(e.snapshot(), target)[50]; };
  EXPECT_EQ(at(y), 105.0f);
  EXPECT_EQ(at(one), 6.0f);
  EXPECT_EQ(at(two), 2.0f);
  EXPECT_EQ(values_of(e.snapshot(), one)[0], 0.0f);
  committed(e.begin());
  EXPECT_EQ(at(one), 105.0f);
  EXPECT_EQ(at(two), 6.0f);
  EXPECT_EQ(values_of(e.snapshot(), one)[0], 100.0f);
  committed(e.begin());
  EXPECT_EQ(at(two), 105.0f);
  EXPECT_EQ(values_of(e.snapshot(), two), std::vector<float>(values_of(e.snapshot(), y)));
  expect_glued(e);
}

TEST_P(DelayOverAChange, RedefinedBeginsAnewAndWhatFollowsItReadsWhatItWas) {
  model m;
  const auto x = m.source<float>("x", 30);
  const auto y = m.source<float>("y", 30);
  const auto one = m.derive("one", delay(x, 7.0f));
  const auto two = m.derive("two", delay(one, 8.0f));
  engine e = opened(m, {.mode = GetParam()});
  set_all(e, x, 1.0f);
  set_all(e, y, 2.0f);
  change(e, [&](transaction& txn) { txn.graph().redefine(one, delay(y, 40.0f)); });
  EXPECT_EQ(values_of(e.snapshot(), one), std::vector<float>(30, 40.0f));
  EXPECT_EQ(values_of(e.snapshot(), two), std::vector<float>(30, 1.0f));
  committed(e.begin());
  EXPECT_EQ(values_of(e.snapshot(), one), std::vector<float>(30, 2.0f));
  EXPECT_EQ(values_of(e.snapshot(), two), std::vector<float>(30, 40.0f));
  change(e, [&](transaction& txn) { txn.graph().redefine(one, x + 0.5f); });
  EXPECT_EQ(values_of(e.snapshot(), two), std::vector<float>(30, 2.0f));
  change(e, [&](transaction& txn) { txn.graph().redefine(one, delay(x, 60.0f)); });
  EXPECT_EQ(values_of(e.snapshot(), one), std::vector<float>(30, 60.0f));
  EXPECT_EQ(values_of(e.snapshot(), two), std::vector<float>(30, 1.5f));
  expect_glued(e);
}

TEST_P(DelayOverAChange, NewElementsBeginWithTheInitialValueOthersGoOn) {
  for (const layout how : {layout::paged, layout::contiguous}) {
    model m;
    const auto x = m.source<float>("x", 21, {.page = page_class::b64, .layout = how});
    const auto y = m.derive("y", x * 2.0f, {.layout = how});
    const auto before = m.derive("before", delay(y, 9.0f), {.page = page_class::b256,
                                                            .layout = how});
    const auto total = m.derive("total", sum(before));
    engine e = opened(m, {.mode = GetParam()});
    std::vector<float> counting(21);
    std::iota(counting.begin(), counting.end(), 1.0f);
    change(e, [&](transaction& txn) { txn.range(x, {}, counting); });
    const snapshot then = e.snapshot();
    std::vector<float> was = values_of(then, y);
    for (const std::uint64_t length : {25u, 26u, 300u, 40u, 33u, 16u, 3u, 90u}) {
      array<float> now;
      change(e, [&](transaction& txn) {
        now = txn.resize(e.find<float>("x").value(), length);
        txn.set(now, {.index = length - 1}, 50.0f);
      });
      was.resize(length, 9.0f);
      const auto grown = e.find<float>("before").value();
      EXPECT_EQ(values_of(e.snapshot(), grown), was) << length;
      EXPECT_EQ(e.snapshot().get(total).value(), std::accumulate(was.begin(), was.end(), 0.0f));
      was = values_of(e.snapshot(), e.find<float>("y").value());
      committed(e.begin());
      EXPECT_EQ(values_of(e.snapshot(), grown), was) << length;
      expect_glued(e);
    }
    EXPECT_EQ(values_of(then, before), std::vector<float>(21, 0.0f));
  }
}

TEST_P(DelayOverAChange, KeepsWhatItsOperandForgetsInTheSameTransaction) {
  model m;
  const auto x = m.source<float>("x", 50);
  const auto before = m.derive("before", delay(x, 9.0f));
  engine e = opened(m, {.mode = GetParam()});
  set_all(e, x, 3.0f);
  change(e, [&](transaction& txn) { txn.resize(txn.resize(x, 10), 50); });
  EXPECT_EQ(values_of(e.snapshot(), before), std::vector<float>(50, 3.0f));
  std::vector<float> left(50, 0.0f);
  std::fill_n(left.begin(), 10, 3.0f);
  EXPECT_EQ(values_of(e.snapshot(), x), left);
  committed(e.begin());
  EXPECT_EQ(values_of(e.snapshot(), before), left);
  expect_glued(e);
}

TEST_P(DelayOverAChange, ALoopTakesTheLengthOfWhatFeedsIt) {
  model m;
  const auto rate = m.source<double>("rate", 100);
  const auto scale = m.source<double>("scale", 1);
  const auto position = m.declare<double>("position", 100);
  const auto before = m.derive("before", delay(position, 1.0));
  const auto older = m.derive("older", delay(before, 0.5));
  m.define(position, before + rate * scale);
  const auto mean = m.derive("mean", sum((before + older) * 0.5));
  engine e = opened(m, {.mode = GetParam()});
  change(e, [&](transaction& txn) {
    txn.set(scale, {}, 1.0);
    txn.range(rate, {}, std::vector<double>(100, 0.25));
  });
  const snapshot then = e.snapshot();
  committed(e.begin());
  change(e, [&](transaction& txn) {
    const auto longer = txn.resize(rate, 130);
    txn.set(longer, {.index = 129}, 2.0);
  });
  const auto at = [&](const char* name, std::uint64_t index) {
    return values_of(e.snapshot(), e.find<double>(name).value())[index];
  };
  EXPECT_EQ(at("position", 3), 1.75);
  EXPECT_EQ(at("position", 129), 3.0);
  EXPECT_EQ(at("position", 128), 1.0);
  EXPECT_EQ(at("older", 3), 1.25);
  EXPECT_EQ(at("older", 129), 0.5);
  committed(e.begin());
  EXPECT_EQ(at("position", 129), 5.0);
  EXPECT_EQ(at("older", 129), 1.0);
  EXPECT_EQ(at("mean", 0), 0.5 * (100 * (1.75 + 1.5) + 29 * (1.0 + 1.0) + 3.0 + 1.0));
  expect_glued(e);
  change(e, [&](transaction& txn) { txn.resize(e.find<double>("rate").value(), 7); });
  EXPECT_EQ(e.find<double>("older").value().size(), 7u);
  EXPECT_EQ(at("position", 6), 2.25);
  EXPECT_EQ(values_of(then, position)[50], 1.25);
  expect_glued(e);
  (void)mean;
}

TEST_P(DelayOverAChange, BesideAContiguousArrayHasTheFramesItNeeds) {
  model m;
  const auto x = m.source<float>("x", 20'000);
  const auto before = m.derive("before", delay(x));
  const auto flat = m.source<float>("flat", 100, {.layout = layout::contiguous});
  engine e = opened(m, {.mode = GetParam()});
  for (int round = 1; round < 4; ++round) {
    set_all(e, x, static_cast<float>(round));
    change(e, [&](transaction& txn) { txn.graph().source<float>("", 1); });
    EXPECT_EQ(values_of(e.snapshot(), before)[19'999], static_cast<float>(round));
  }
  expect_glued(e);
  (void)flat;
}

TEST_P(DelayOverAChange, AFailedChangeMovesNothingOn) {
  bool fails = false;
  model m;
  const auto x = m.source<float>("x", 20);
  const auto before = m.derive("before", delay(x, 9.0f));
  const auto checked = m.derive_host<float>("checked", 1, {before}, [&](host_call& call) {
    if (fails) return status(status_code::operator_failed, subsystem::engine, "said no");
    call.result<float>()[0] = call.operand<float>(0)[0];
    return status();
  });
  engine e = opened(m, {.mode = GetParam()});
  set_all(e, x, 1.0f);
  set_all(e, x, 2.0f);
  const auto image = image_of(e, x, before, checked);
  for (int attempt = 0; attempt < 3; ++attempt) {
    fails = true;
    auto txn = e.begin();
    const auto late = txn.graph().derive("late", delay(before, 4.0f));
    txn.resize(x, 60);
    txn.set(x, {.index = 1}, 3.0f);
    expect_status(std::move(txn).commit(), status_code::operator_failed, {"'checked'"});
    fails = false;
    EXPECT_EQ(image_of(e, x, before, checked), image);
    (void)late;
  }
  committed(e.begin());
  EXPECT_EQ(values_of(e.snapshot(), before), std::vector<float>(20, 2.0f));
  EXPECT_EQ(e.snapshot().get(checked).value(), 2.0f);
  expect_glued(e);
}

TEST_P(DelayOverAChange, AForkFromBeforeGoesOnInItsOwnGraph) {
  model m;
  const auto rate = m.source<double>("rate", 10);
  const auto position = m.declare<double>("position", 10);
  const auto before = m.derive("before", delay(position, 1.0));
  m.define(position, before + rate);
  engine e = opened(m, {.mode = GetParam()});
  set_all(e, rate, 0.5);
  auto old_branch = e.snapshot().fork();
  change(e, [&](transaction& txn) {
    txn.graph().redefine(position, before * 2.0 + rate);
    txn.resize(rate, 300);
  });
  auto new_branch = e.snapshot().fork();
  for (int step = 0; step < 3; ++step) {
    ASSERT_TRUE(old_branch.begin().commit());
    ASSERT_TRUE(new_branch.begin().commit());
  }
  EXPECT_EQ(values_of(old_branch.snapshot(), position), std::vector<double>(10, 3.0));
  const auto longer = e.find<double>("position").value();
  ASSERT_EQ(longer.size(), 300u);
  EXPECT_EQ(values_of(new_branch.snapshot(), longer)[9], 31.5);   // 3.5, 7.5, 15.5, 31.5
  EXPECT_EQ(values_of(new_branch.snapshot(), longer)[299], 16.0);  // 2, 4, 8, 16
  EXPECT_EQ(values_of(e.snapshot(), longer)[9], 3.5);
  expect_glued(e);
}

TEST(DelayOverAChangeCost, OnlyWhatMovedIsTakenOver) {
  model m;
  const auto x = m.source<float>("x", 100'000);
  const auto before = m.derive("before", delay(x));
  const auto twice = m.derive("twice", before * 2.0f);
  engine e = opened(m);
  committed(e.begin());
  set_one(e, x, 70'000, 5.0f);
  change(e, [&](transaction& txn) { txn.graph().source<float>("aside", 10); });
  EXPECT_EQ(e.last_commit().lines_recomputed, 1u);
  EXPECT_EQ(values_of(e.snapshot(), twice)[70'000], 10.0f);
  change(e, [&](transaction& txn) { txn.append(x, std::vector<float>{3.0f}); });
  EXPECT_LE(e.last_commit().lines_recomputed, 2u);
  committed(e.begin());
  EXPECT_LE(e.last_commit().lines_recomputed, 1u);
  expect_glued(e);
}

TEST(DelayOverAChangeLength, OfALoopThatNothingFeedsStays) {
  model m;
  const auto x = m.source<float>("x", 64);
  const auto y = m.derive("y", x * 1.0f);
  const auto before = m.derive("before", delay(y, 3.0f));
  engine e = opened(m);
  change(e, [&](transaction& txn) {
    txn.graph().redefine(y, before * 2.0f);
    txn.graph().drop(x);
  });
  EXPECT_EQ(values_of(e.snapshot(), before), std::vector<float>(64, 0.0f));
  expect_glued(e);
}

}  // namespace
}  // namespace engine_test
