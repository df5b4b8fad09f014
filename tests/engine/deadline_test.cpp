/// \file
/// Commits with a time budget: what is done in time, what goes on in the background, what readers
/// and later commits see meanwhile, and where failures arrive.
#include <atomic>
#include <chrono>
#include <thread>

#include <sheaf/engine/pending_commit.hpp>

#include "engine/support.hpp"

namespace engine_test {
namespace {

using namespace std::chrono_literals;

/// A source and `levels` arrays, each twice the one before less 1: some milliseconds of work.
struct tower {
  explicit tower(unsigned levels, const engine_options& options = {})
      : desk(opened(build(levels), options)) {}
  const model& build(unsigned levels) {
    source = declared.source<float>("source", 1 << 18);
    top = source;
    for (unsigned i = 0; i < levels; ++i) {
      top = declared.derive("", top * 2.0f - 1.0f);
      floors.push_back(top);
    }
    return declared;
  }
  [[nodiscard]] transaction changing_all(float value) {
    values.assign(source.size(), value);
    auto txn = desk.begin();
    txn.range(source, {}, values);
    return txn;
  }

  model declared;
  array<float> source, top;
  std::vector<array<float>> floors;
  std::vector<float> values;
  engine desk;
};

TEST(Deadline, ACommitThatIsDoneInTimeIsLikeAnyOther) {
  tower t(2);
  auto txn = t.desk.begin();
  txn.set(t.source, {.index = 9}, 4.0f);
  auto pending = std::move(txn).commit_for(10s);
  EXPECT_TRUE(pending.is_done());
  const auto done = pending.wait();
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(*done, t.desk.epoch());
  EXPECT_EQ(pending.number(), *done);
  EXPECT_EQ(t.desk.snapshot().get(t.top, 9).value(), 13.0f);
  EXPECT_EQ(t.desk.stats().suspended_commits, 0u);
  expect_glued(t.desk);
}

TEST(Deadline, PastTheBudgetReadersKeepTheLastEpochUntilTheWholeCommitIsVisible) {
  for (const unsigned threads : {1u, 2u}) {
    tower t(24, {.threads = threads});
    for (int round = 1; round <= 5; ++round) {
      const epoch before = t.desk.epoch();
      const auto old_image = image_of(t.desk, t.floors[0], t.floors[11], t.top);
      auto pending = t.changing_all(static_cast<float>(round)).commit_for(50us);
      // Whatever a snapshot sees meanwhile is one epoch, whole.
      while (!pending.is_done()) {
        const auto now = t.desk.snapshot();
        if (now.epoch() == before) {
          EXPECT_EQ(image_of(now, t.floors[0], t.floors[11], t.top), old_image);
        }
      }
      const auto done = pending.wait();
      ASSERT_TRUE(done) << done.error().message();
      EXPECT_GT(*done, before);
      EXPECT_EQ(t.desk.epoch(), *done);
      EXPECT_NE(image_of(t.desk, t.floors[0], t.floors[11], t.top), old_image);
    }
    EXPECT_GT(t.desk.stats().suspended_commits, 0u);
    expect_glued(t.desk);
  }
}

TEST(Deadline, TheNumberIsDecidedBeforeItIsVisible) {
  tower t(24);
  auto pending = t.changing_all(1.0f).commit_for(0us);
  ASSERT_TRUE(pending.number());
  const epoch number = *pending.number();
  EXPECT_EQ(*pending.wait(), number);
}

TEST(Deadline, LaterCommitsWaitForTheOneThatWasSuspended) {
  tower t(24);
  auto first = t.changing_all(1.0f).commit_for(0us);
  std::vector<std::thread> writers;
  std::atomic<int> failed{0};
  std::atomic<int> earlier{0};
  const epoch number = *first.number();
  for (std::uint64_t i = 0; i < 4; ++i) {
    writers.emplace_back([&, i] {
      // One that began before the first was visible collides with it, and begins again.
      for (;;) {
        auto txn = t.desk.begin();
        txn.merge(t.source, merge_operator::max, {.index = i}, 5.0f);
        const auto done = std::move(txn).commit();
        if (!done && done.error().code() == status_code::conflict) continue;
        failed += !done;
        if (done) earlier += done->value <= number.value;
        return;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(*first.wait(), number);
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(earlier, 0);
  for (std::uint64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(t.desk.snapshot().get(t.source, i).value(), 5.0f);
  }
  expect_glued(t.desk);
}

TEST(Deadline, BehindAnotherCommitTheBudgetIsKeptAndTheOrderToo) {
  tower t(24);
  auto first = t.changing_all(1.0f).commit_for(0us);
  auto txn = t.desk.begin();
  txn.set(t.source, {.index = 3}, 7.0f);
  auto second = std::move(txn).commit_for(100us);
  const auto one = first.wait();
  const auto two = second.wait();
  ASSERT_TRUE(one);
  // Begun before the first was visible: it wrote an element the first wrote.
  expect_status(two, status_code::conflict, {"source"});
  auto later = t.desk.begin();
  later.set(t.source, {.index = 3}, 7.0f);
  const auto three = std::move(later).commit_for(10s).wait();
  ASSERT_TRUE(three) << three.error().message();
  EXPECT_GT(*three, *one);
  EXPECT_EQ(t.desk.snapshot().get(t.source, 3).value(), 7.0f);
}

TEST(Deadline, AFailureArrivesOnTheHandleAndChangesNothing) {
  model declared;
  std::atomic<bool> fails{false};
  const auto source = declared.source<float>("source", 1 << 18);
  array<float> top = source;
  for (int i = 0; i < 16; ++i) top = declared.derive("", top * 2.0f);
  const auto hosted = declared.derive_host<float>("hosted", 1, {top}, [&](host_call& call) {
    call.result<float>()[0] = call.operand<float>(0)[0];
    return fails ? status(status_code::invalid_argument, subsystem::engine, "told to") : status();
  });
  engine desk = opened(declared);
  set_all(desk, source, 1.0f);
  const auto before = image_of(desk, source, top, hosted);
  fails = true;
  const std::vector<float> values(source.size(), 3.0f);
  auto txn = desk.begin();
  txn.range(source, {}, values);
  auto pending = std::move(txn).commit_for(0us);
  expect_status(pending.wait(), status_code::operator_failed, {"hosted", "told to"});
  EXPECT_EQ(image_of(desk, source, top, hosted), before);
  fails = false;
  set_all(desk, source, 3.0f);
  EXPECT_NE(image_of(desk, source, top, hosted), before);
  expect_glued(desk);
}

TEST(Deadline, WhereverInAFanOutItStopsTheBitsAreThoseOfACommitWithoutABudget) {
  for (const unsigned threads : {1u, 2u}) {
    model declared;
    std::atomic<bool> fails{false};
    const auto scale = declared.source<float>("scale", 1);
    const auto start = declared.source<float>("start", 1 << 17);
    array<float> top = start;
    for (int i = 0; i < 24; ++i) top = declared.derive("", top * scale);
    const auto picked =
        declared.derive("picked", gather(scale, std::vector<std::uint32_t>(100'000, 0)));
    const auto hosted = declared.derive_host<float>("hosted", 1, {top}, [&](host_call& call) {
      call.result<float>()[0] = call.operand<float>(0)[0];
      return fails ? status(status_code::invalid_argument, subsystem::engine, "told to")
                   : status();
    });
    engine desk = opened(declared, {.threads = threads});
    engine plain = opened(declared, {.threads = threads});
    for (engine* each : {&desk, &plain}) set_all(*each, start, 3.0f);
    for (int round = 1; round <= 40; ++round) {
      const float value = 1.0f + 0.01f * static_cast<float>(round);
      const auto before = image_of(desk, top, picked, hosted);
      fails = round % 4 == 0;
      auto txn = desk.begin();
      txn.set(scale, {}, value);
      const auto done = std::move(txn).commit_for(10us * round).wait();
      if (fails) {
        expect_status(done, status_code::operator_failed, {"hosted", "told to"});
        ASSERT_EQ(image_of(desk, top, picked, hosted), before) << "round " << round;
        continue;
      }
      ASSERT_TRUE(done) << done.error().message();
      auto same = plain.begin();
      same.set(scale, {}, value);
      ASSERT_TRUE(std::move(same).commit());
      ASSERT_EQ(image_of(desk, top, picked, hosted), image_of(plain, top, picked, hosted))
          << "round " << round;
    }
    EXPECT_GT(desk.stats().suspended_commits, 0u);
    fails = false;
    expect_glued(desk);
  }
}

/// Ranges, scattered elements of both kinds and lines, several on the same elements and in an order
/// that matters to the bits.
void write_all_kinds(transaction& txn, const array<float>& target, float value) {
  constexpr std::uint64_t count = 60'000;
  std::vector<float> values(count);
  std::vector<std::uint32_t> indices(count);
  std::vector<std::uint64_t> wide(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    values[i] = value + 0.1f * static_cast<float>(i % 977);
    indices[i] = static_cast<std::uint32_t>(i * 40'503ull % target.size());
    wide[i] = i * 9'973ull % target.size();
  }
  txn.range(target, {.index = 33}, values, merge_operator::add);
  txn.scatter(target, indices, values, merge_operator::add);
  txn.scatter(target, wide, values);
  for (std::uint32_t page = 0; page < 100; ++page) {
    const std::uint64_t elements[] = {0xf0f0, 0x0ff0};
    txn.lines(target, page, line_mask{0b101}, elements,
              std::as_bytes(std::span(values).subspan(page, 32)), merge_operator::add);
  }
  txn.range(target, {.index = 1000}, values, merge_operator::add);
}

TEST(Deadline, StoppedWhileChangesAreAppliedItGoesOnInTheirOrderOrTakesThemBack) {
  model declared;
  std::atomic<bool> fails{false};
  const auto source = declared.source<float>("source", 1 << 17);
  const auto top = declared.derive("top", source * 2.0f);
  const auto hosted = declared.derive_host<float>("hosted", 1, {top}, [&](host_call& call) {
    call.result<float>()[0] = call.operand<float>(0)[0];
    return fails ? status(status_code::invalid_argument, subsystem::engine, "told to") : status();
  });
  engine desk = opened(declared);
  engine plain = opened(declared);
  for (engine* each : {&desk, &plain}) set_all(*each, source, 0.3f);
  for (int round = 1; round <= 60; ++round) {
    const auto before = image_of(desk, source, top, hosted);
    fails = round % 3 == 0;
    auto txn = desk.begin();
    write_all_kinds(txn, source, static_cast<float>(round));
    const auto done = std::move(txn).commit_for(5us * round).wait();
    if (fails) {
      expect_status(done, status_code::operator_failed, {"hosted", "told to"});
      ASSERT_EQ(image_of(desk, source, top, hosted), before) << "round " << round;
      continue;
    }
    ASSERT_TRUE(done) << done.error().message();
    auto same = plain.begin();
    write_all_kinds(same, source, static_cast<float>(round));
    ASSERT_TRUE(std::move(same).commit());
    ASSERT_EQ(image_of(desk, source, top, hosted), image_of(plain, source, top, hosted))
        << "round " << round;
  }
  EXPECT_GT(desk.stats().suspended_commits, 30u);
  fails = false;
  expect_glued(desk);
}

TEST(Deadline, DroppingTheHandleDropsNoCommitAndClosingWaitsForIt) {
  tower t(24);
  (void)t.changing_all(2.0f).commit_for(0us);
  t.desk.close();
  auto pending = t.changing_all(3.0f).commit_for(10s);
  expect_status(pending.wait(), status_code::closed, {});
  {
    tower gone(24);
    (void)gone.changing_all(2.0f).commit_for(0us);
  }
}

TEST(Deadline, MistakesAndReadOnlyTransactionsAreDoneAtOnce) {
  tower t(2);
  auto wrong = t.desk.begin();
  wrong.set(t.source, {.index = 1 << 20}, 1.0f);
  expect_status(std::move(wrong).commit_for(1s).wait(), status_code::out_of_range, {"source"});
  auto reading = t.desk.begin();
  ASSERT_TRUE(reading.read(t.top, 3));
  const auto seen = std::move(reading).commit_for(1s).wait();
  ASSERT_TRUE(seen) << seen.error().message();
  EXPECT_EQ(*seen, t.desk.epoch());
  expect_status(pending_commit().wait(), status_code::closed, {});
  EXPECT_TRUE(pending_commit().is_done());
}

TEST(Deadline, ManyThreadsWithBudgetsAndWithoutLeaveWhatTheirCommitsSay) {
  tower t(6, {.threads = 2});
  constexpr int rounds = 40;
  std::vector<std::thread> writers;
  std::atomic<std::uint64_t> added{0};
  for (std::uint64_t i = 0; i < 4; ++i) {
    writers.emplace_back([&, i] {
      for (int round = 0; round < rounds; ++round) {
        auto txn = t.desk.begin();
        txn.set(t.source, {.index = i * 5000 + static_cast<std::uint64_t>(round)},
                static_cast<float>(round + 1));
        const auto done = i % 2 == 0 ? std::move(txn).commit_for(20us).wait()
                                     : std::move(txn).commit();
        added += done ? 1u : 0u;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(added, 4u * rounds);
  const auto now = t.desk.snapshot();
  for (std::uint64_t i = 0; i < 4; ++i) {
    for (std::uint64_t round = 0; round < rounds; ++round) {
      EXPECT_EQ(now.get(t.source, i * 5000 + round).value(), static_cast<float>(round + 1));
    }
  }
  expect_glued(t.desk);
}

}  // namespace
}  // namespace engine_test
