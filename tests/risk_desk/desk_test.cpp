/// \file
/// The desk in an engine against the hand-written reference, bit by bit.
#include <risk_desk/desk.hpp>
#include <risk_desk/replay.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <memory>

namespace risk_desk {
namespace {

std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }

struct null_stream {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::tmpfile(), &std::fclose};
};

/// A small market with everything the real one has: days, ten sectors, stocks without positions.
struct small_desk {
  market source = random_walk_market(140, 60, 21);
  position_book book = draw_positions(source, 150, 22);
  desk_model desk = declare_desk(source, book);
  reference all{source, book};

  sheaf::result<sheaf::engine> open(const sheaf::engine_options& options = {}) const {
    auto engine = sheaf::engine::open(desk.model, options);
    if (engine) {
      const auto loaded = load_desk(*engine, desk, source, book);
      if (!loaded.is_ok()) return loaded;
    }
    return engine;
  }
};

TEST(ElementAtRank, IsTheElementOfTheSortedValues) {
  splitmix64 random(1);
  for (const std::size_t count : {1u, 2u, 50u, 1257u}) {
    std::vector<float> values(count);
    for (float& x : values) x = static_cast<float>(random.below(400)) - 200.0f;
    auto sorted = values;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t rank = 0; rank < count; rank += 1 + count / 20)
      EXPECT_EQ(element_at_rank(values, rank), sorted[rank]) << count << " " << rank;
  }
}

TEST(ElementAtRank, RanksNegativeZeroBeforePositiveZero) {
  const std::vector<float> values = {0.0f, 1.0f, -0.0f};
  EXPECT_EQ(bits(element_at_rank(values, 0)), bits(-0.0f));
  EXPECT_EQ(bits(element_at_rank(values, 1)), bits(0.0f));
}

TEST(DeclareDesk, HasNoMistakes) {
  const small_desk small;
  for (const sheaf::status& mistake : small.desk.model.mistakes())
    ADD_FAILURE() << mistake.message();
}

TEST(DeclareDesk, ReportsATickerThatOccursTwice) {
  market source = random_walk_market(4, 12, 1);
  source.tickers[7] = source.tickers[3];
  const desk_model desk = declare_desk(source, draw_positions(source, 20, 1));
  const auto engine = sheaf::engine::open(desk.model);
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code(), sheaf::status_code::duplicate_name);
  EXPECT_NE(engine.error().message().find("stock_return.W3"), std::string::npos);
}

class Replay : public testing::TestWithParam<sheaf::engine_options> {};

TEST_P(Replay, KeepsTheBitsOfTheHandWrittenLoopsAtEverySample) {
  const small_desk small;
  auto engine = small.open(GetParam());
  ASSERT_TRUE(engine) << engine.error().message();
  const null_stream nowhere;
  progress_bar bar(nowhere.file.get(), "ticks", 1);
  replay_report report;
  const replay_input input{*engine, small.desk, small.source, small.all, 5 * 60 + 17, 317};
  const auto done = replay(input, bar, report);
  ASSERT_TRUE(done.is_ok()) << done.message();
  EXPECT_FALSE(report.first_mismatch)
      << report.first_mismatch->array << "[" << report.first_mismatch->index << "] at tick "
      << report.mismatch_tick;
  EXPECT_EQ(report.ticks, 317u);
  EXPECT_EQ(report.days_opened, 5u);
  EXPECT_EQ(report.tick_latency.count(), 317u);
  EXPECT_EQ(report.loops_us.size(), 317u);
  const auto close = small.source.day(4);
  EXPECT_TRUE(std::equal(close.begin(), close.end(), report.previous_close.begin()));
  const tick_stream ticks(small.source);
  const tick last = ticks[316];
  EXPECT_EQ(report.price[last.stock], small.source.day(5)[last.stock]);
  const auto audit = engine->audit();
  ASSERT_TRUE(audit) << audit.error().message();
  EXPECT_EQ(audit->lines_different, 0u);
  EXPECT_GT(audit->pages_compared, 0u);
}

INSTANTIATE_TEST_SUITE_P(Threads, Replay,
                         testing::Values(sheaf::engine_options{.threads = 1},
                                         sheaf::engine_options{.threads = 4},
                                         sheaf::engine_options{
                                             .mode = sheaf::readers::wait_free}));

TEST(ReplayReport, CatchesAnEngineWhosePricesAreNotTheReplayed) {
  const small_desk small;
  auto engine = small.open();
  ASSERT_TRUE(engine) << engine.error().message();
  auto txn = engine->begin();
  txn.set(small.desk.quantity, {.index = 7}, small.book.quantity[7] + 10.0f);
  ASSERT_TRUE(std::move(txn).commit());
  const null_stream nowhere;
  progress_bar bar(nowhere.file.get(), "ticks", 1);
  replay_report report;
  const replay_input input{*engine, small.desk, small.source, small.all, 60, 60};
  ASSERT_TRUE(replay(input, bar, report).is_ok());
  ASSERT_TRUE(report.first_mismatch);
  EXPECT_EQ(report.first_mismatch->array, "position_value");
  EXPECT_EQ(report.first_mismatch->index, 7u);
}

TEST(ReplayReport, FirstPricesAreTheirOwnPreviousClose) {
  const small_desk small;
  auto engine = small.open();
  ASSERT_TRUE(engine) << engine.error().message();
  const null_stream nowhere;
  progress_bar bar(nowhere.file.get(), "ticks", 1);
  replay_report report;
  const replay_input input{*engine, small.desk, small.source, small.all, 60, 1};
  ASSERT_TRUE(replay(input, bar, report).is_ok());
  const auto now = engine->snapshot();
  ASSERT_TRUE(now) << now.error().message();
  EXPECT_EQ(now.get(small.desk.total_profit).value(), 0.0f);
  EXPECT_NE(now.get(small.desk.total_value).value(), 0.0f);
}

TEST(MedianOf, TakesTheMiddle) {
  EXPECT_EQ(median_of({}), 0.0);
  EXPECT_EQ(median_of({3.0, 1.0, 2.0}), 2.0);
  EXPECT_EQ(median_of({4.0, 1.0, 2.0, 3.0}), 3.0);
}

}  // namespace
}  // namespace risk_desk
