/// \file
/// Delays: what an array was one epoch before, loops through it, and how time moves.
#include "engine/support.hpp"
#include "page/random.hpp"

namespace engine_test {
namespace {

TEST(Delay, HoldsTheInitialValueAtEpochOneThenWhatTheArrayWas) {
  for (const readers mode : both_modes) {
    model m;
    const auto x = m.source<float>("x", 100);
    const auto twice = m.derive("twice", x * 2.0f);
    const auto before = m.derive("before", delay(twice, 7.0f));
    const auto step = m.derive("step", twice - before);
    engine e = opened(m, {.mode = mode});
    EXPECT_EQ(values_of(e.snapshot(), before), std::vector<float>(100, 7.0f));
    EXPECT_EQ(values_of(e.snapshot(), step)[3], -7.0f);
    set_one(e, x, 3, 5.0f);
    EXPECT_EQ(values_of(e.snapshot(), before), std::vector<float>(100, 0.0f));
    EXPECT_EQ(values_of(e.snapshot(), step)[3], 10.0f);
    const snapshot held = e.snapshot();
    set_one(e, x, 50, 1.0f);
    EXPECT_EQ(values_of(e.snapshot(), before)[3], 10.0f);
    EXPECT_EQ(values_of(e.snapshot(), before)[50], 0.0f);
    EXPECT_EQ(values_of(held, before)[3], 0.0f) << "a snapshot stays as it is";
    expect_glued(e);
  }
}

TEST(Delay, OfALoopIntegratesOneStepPerCommitAnEmptyOneToo) {
  model m;
  const auto rate = m.source<double>("rate", 1000);
  const auto position = m.declare<double>("position", 1000);
  const auto before = m.derive("before", delay(position, 100.0));
  m.define(position, before + rate);
  engine e = opened(m);
  EXPECT_EQ(values_of(e.snapshot(), position)[10], 100.0);
  set_one(e, rate, 10, 0.25);
  for (int step = 0; step < 9; ++step) committed(e.begin());
  EXPECT_EQ(values_of(e.snapshot(), position)[10], 102.5);
  EXPECT_EQ(values_of(e.snapshot(), position)[11], 100.0);
  EXPECT_EQ(e.last_commit().lines_recomputed, 1u) << "only what still moves costs anything";
  EXPECT_EQ(e.epoch(), epoch{11});
  set_one(e, rate, 10, 0.0);
  EXPECT_EQ(e.last_commit().lines_cut_off, 1u) << "what changed last arrives, and adds nothing";
  committed(e.begin());
  EXPECT_EQ(e.last_commit().lines_recomputed, 0u);
  EXPECT_EQ(values_of(e.snapshot(), position)[10], 102.5);
  expect_glued(e);
}

TEST(Delay, OfDelaysIsAShiftRegister) {
  model m;
  const auto x = m.source<std::uint32_t>("x", 20);
  // Declared in the order in which a naive copy would overwrite what it still needs.
  const auto one = m.derive("one", delay(x));
  const auto two = m.derive("two", delay(one));
  const auto three = m.derive("three", delay(two));
  engine e = opened(m);
  for (std::uint32_t step = 1; step <= 6; ++step) {
    set_one(e, x, 4, step);
    const auto now = e.snapshot();
    EXPECT_EQ(values_of(now, one)[4], step - 1);
    EXPECT_EQ(values_of(now, two)[4], step < 2 ? 0 : step - 2);
    EXPECT_EQ(values_of(now, three)[4], step < 3 ? 0 : step - 3);
  }
}

TEST(Delay, InPagesOfAnotherSizeFollowsLineByLine) {
  sheaf_test::random_numbers random(4);
  for (unsigned round = 0; round < 20; ++round) {
    model m;
    const std::uint64_t length = 1 + random() % 3000;
    const auto page = [&] { return static_cast<page_class>(random() % page_class_count); };
    const auto x = m.source<float>("x", length, {.page = page()});
    const auto before = m.derive("before", delay(x, 3.0f), {.page = page()});
    const auto total = m.derive("total", sum(before));
    engine e = opened(m);
    std::vector<float> was(length, 0.0f);
    committed(e.begin());
    for (unsigned step = 0; step < 5; ++step) {
      const std::vector<float> now = values_of(e.snapshot(), x);
      auto txn = e.begin();
      for (unsigned i = 0; i < 5; ++i) {
        txn.set(x, {.index = random() % length}, static_cast<float>(random() % 100));
      }
      committed(std::move(txn));
      EXPECT_EQ(values_of(e.snapshot(), before), now);
    }
    expect_glued(e);
    (void)total;
  }
}

TEST(Delay, IsNotMovedOnByACommitThatFails) {
  model m;
  const auto x = m.source<float>("x", 10);
  const auto before = m.derive("before", delay(x));
  bool fails = false;
  (void)m.derive_host<float>("host", 10, {before, x}, [&fails](host_call&) -> status {
    if (fails) return {status_code::invalid_argument, subsystem::engine, "on command"};
    return {};
  });
  engine e = opened(m);
  set_one(e, x, 2, 1.0f);
  fails = true;
  for (int i = 0; i < 3; ++i) {
    const auto done = e.begin().commit();
    expect_status(done, status_code::operator_failed, {"'host'"});
    EXPECT_EQ(values_of(e.snapshot(), before)[2], 0.0f);
  }
  auto txn = e.begin();
  txn.set(x, {.index = 3}, 9.0f);
  EXPECT_FALSE(std::move(txn).commit());
  fails = false;
  committed(e.begin());
  EXPECT_EQ(values_of(e.snapshot(), before)[2], 1.0f);
  EXPECT_EQ(values_of(e.snapshot(), before)[3], 0.0f);
  EXPECT_EQ(values_of(e.snapshot(), x)[3], 0.0f);
  expect_glued(e);
}

TEST(Delay, ReadByAnIndexMarksItsReaders) {
  model m;
  const auto x = m.source<float>("x", 300);
  const auto before = m.derive("before", delay(x));
  const auto picked = m.derive("picked", gather(before, {7, 250, 7}));
  engine e = opened(m);
  set_one(e, x, 250, 4.0f);
  EXPECT_EQ(values_of(e.snapshot(), picked), (std::vector<float>{0, 0, 0}));
  committed(e.begin());
  EXPECT_EQ(values_of(e.snapshot(), picked), (std::vector<float>{0, 4, 0}));
  expect_glued(e);
}

TEST(Delay, InAForkGoesOnFromItsSnapshot) {
  model m;
  const auto rate = m.source<double>("rate", 100);
  const auto position = m.declare<double>("position", 100);
  const auto before = m.derive("before", delay(position, 1.0));
  m.define(position, before + rate);
  engine e = opened(m);
  set_one(e, rate, 10, 0.5);
  committed(e.begin());
  const snapshot then = e.snapshot();
  for (int i = 0; i < 5; ++i) committed(e.begin());
  auto branch = then.fork();
  for (int step = 1; step <= 4; ++step) {
    auto txn = branch.begin();
    if (step == 3) txn.set(rate, {.index = 10}, 0.25);
    const auto done = std::move(txn).commit();
    ASSERT_TRUE(done) << done.error().message();
    const auto now = branch.snapshot();
    const double expected = step < 3 ? 2.0 + step * 0.5 : 3.0 + (step - 2) * 0.25;
    EXPECT_EQ(values_of(now, position)[10], expected) << step;
  }
  EXPECT_EQ(values_of(e.snapshot(), position)[10], 4.5) << "the engine did not move";
  expect_glued(e);
}

TEST(Delay, CannotBeWritten) {
  model m;
  const auto x = m.source<float>("x", 10);
  const auto before = m.derive("before", delay(x));
  engine e = opened(m);
  auto txn = e.begin();
  txn.set(before, {.index = 1}, 1.0f);
  expect_status(std::move(txn).commit(), status_code::not_a_source, {"'before'"});
}

TEST(Delay, MistakesAreNamed) {
  const auto only = [](const model& m, status_code code,
                       std::initializer_list<std::string_view> words) {
    const auto found = m.mistakes();
    ASSERT_EQ(found.size(), 1u);
    expect_status(found[0], code, words);
  };
  {
    model m;
    const auto x = m.source<float>("x", 10);
    m.derive("late", delay(x), {.when = evaluation::lazy});
    only(m, status_code::invalid_argument, {"cannot be lazy", "'late'"});
  }
  {
    model m;
    const auto x = m.source<float>("x", 10);
    const auto lazy = m.derive("lazy", x + 1.0f, {.when = evaluation::lazy});
    m.derive("before", delay(lazy));
    only(m, status_code::eager_over_lazy, {"'before' follows 'lazy'"});
  }
  {
    model m;
    const auto a = m.declare<float>("a", 10);
    const auto b = m.derive("b", delay(a));
    m.define(a, delay(b));
    only(m, status_code::cycle, {"'a' among them"});
  }
  {
    model m;
    const auto x = m.source<float>("x", 10);
    const auto a = m.declare<float>("a", 11);
    m.define(a, delay(x));
    only(m, status_code::length_mismatch, {"'a' has 11"});
  }
  {
    model m;
    const auto a = m.declare<float>("a", 10);
    const auto b = m.derive("b", delay(a));
    const auto c = m.declare<float>("c", 10);
    m.define(a, b + c);
    m.define(c, a * 2.0f);
    only(m, status_code::cycle, {"a -> c -> a"});
  }
}

}  // namespace
}  // namespace engine_test
