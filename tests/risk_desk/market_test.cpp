/// \file
/// The desk's inputs have the same bits everywhere; the figures below were taken once and fixed.
#include <risk_desk/market.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <set>
#include <string>

#include "risk_desk/synthetic_rda.hpp"

namespace risk_desk {
namespace {

/// FNV-1a over 32-bit words.
template <class T>
std::uint64_t hash_of(const std::vector<T>& values) {
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325u;
  for (const T value : values)
    hash = (hash ^ std::bit_cast<std::uint32_t>(value)) * 0x0000'0100'0000'01b3u;
  return hash;
}

class temporary_file {
 public:
  explicit temporary_file(const std::vector<std::byte>& bytes)
      : path_(std::filesystem::temp_directory_path() /
              ("risk_desk_" + std::to_string(getpid()) + ".rda")) {
    std::FILE* out = std::fopen(path_.c_str(), "wb");
    std::fwrite(bytes.data(), 1, bytes.size(), out);
    std::fclose(out);
  }
  ~temporary_file() { std::filesystem::remove(path_); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST(SplitMix64, GivesThePublishedSequence) {
  // First outputs of the reference implementation for seed 1234567.
  splitmix64 random(1234567);
  EXPECT_EQ(random.next(), 6457827717110365317u);
  EXPECT_EQ(random.next(), 3203168211198807973u);
  EXPECT_EQ(random.next(), 9817491932198370423u);
}

TEST(Market, LoadsPricesByDayAndNumbersStocksBySector) {
  // The file's sectors come in falling order, so its columns turn round.
  const temporary_file file(test::pack_bzip2(test::synthetic_rda()));
  const auto loaded = load_market(file.path());
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_TRUE(loaded->is_real);
  EXPECT_EQ(loaded->prices, (std::vector<float>{120, 110, 100, 121, 111, 101, 122, 112, 102, 123,
                                                113, 103}));
  EXPECT_EQ(loaded->sectors, (std::vector<std::string>{"Sector 0", "Sector 1", "Sector 2"}));
  EXPECT_EQ(loaded->sector_of_stock, (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_EQ(loaded->tickers, (std::vector<std::string>{"T2", "T1", "T0"}));
}

TEST(Market, TheRealFileHasTenSectorsInRunsOfStocks) {
  const char* file = std::getenv("SHEAF_STOCKDATA");
  if (file == nullptr) GTEST_SKIP() << "SHEAF_STOCKDATA names no stockdata.rda";
  const auto loaded = load_market(file);
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(loaded->sectors.size(), 10u);
  EXPECT_EQ(loaded->tickers.size(), 452u);
  const auto& sector_of = loaded->sector_of_stock;
  EXPECT_TRUE(std::is_sorted(sector_of.begin(), sector_of.end()));
  const auto found = std::find(loaded->tickers.begin(), loaded->tickers.end(), "MMM");
  const auto stock = static_cast<std::size_t>(found - loaded->tickers.begin());
  EXPECT_EQ(loaded->sectors[sector_of[stock]], "Industrials");
  EXPECT_EQ(loaded->day(0)[stock], 126.75f);
  EXPECT_EQ(loaded->day(1)[stock], 126.27f);
}

TEST(Market, RefusesAPriceOutOfBoundsNamingColumnAndRow) {
  const std::pair<double, const char*> cases[] = {{-12.0, "-2, column 1, row 0"},
                                                  {0.0, "0, column 0, row 0"},
                                                  {1e-5, "1e-05, column 0, row 0"},
                                                  {999'970.0, "1e+06, column 3, row 1"},
                                                  {1e300, "inf, column 3, row 0"},
                                                  {std::nan(""), "nan, column 3, row 0"}};
  for (const auto& [first, where] : cases) {
    const test::rda_shape shape{.stocks = 4, .named_stocks = 4, .first_price = first};
    const temporary_file file(test::pack_bzip2(test::synthetic_rda(shape)));
    const auto loaded = load_market(file.path());
    ASSERT_FALSE(loaded) << first;
    EXPECT_EQ(loaded.error().code(), sheaf::status_code::bad_format);
    EXPECT_EQ(loaded.error().text(), "price out of bounds");
    EXPECT_NE(loaded.error().detail().find(where), std::string_view::npos)
        << loaded.error().message();
  }
}

TEST(Market, RefusesASingleDay) {
  const temporary_file file(test::pack_bzip2(test::synthetic_rda({.days = 1})));
  const auto loaded = load_market(file.path());
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().text(), "too few days for a return");
}

TEST(Market, RandomWalkHasFixedBits) {
  const market walk = random_walk_market();
  EXPECT_EQ(walk.days, 1258u);
  EXPECT_EQ(walk.stocks, 452u);
  EXPECT_EQ(walk.sectors.size(), 10u);
  EXPECT_FALSE(walk.is_real);
  EXPECT_EQ(hash_of(walk.prices), 596454584704213980u);
  EXPECT_EQ(hash_of(scenario_returns(walk)), 11101971831507409013u);
}

TEST(Market, RandomWalkPricesAreWholeCentsAndMove) {
  const market walk = random_walk_market(300, 50, 7);
  for (const float price : walk.prices) {
    EXPECT_GT(price, 0.0f);
    const double cents = static_cast<double>(price) * 100.0;
    EXPECT_EQ(static_cast<float>(std::floor(cents + 0.5) / 100.0), price);
  }
  for (std::size_t stock = 0; stock < walk.stocks; ++stock)
    EXPECT_NE(walk.day(0)[stock], walk.day(299)[stock]);
}

TEST(Market, ScenarioReturnsAreDayOnDayInStockRows) {
  market two;
  two.days = 3;
  two.stocks = 2;
  two.prices = {2.0f, 10.0f, 3.0f, 5.0f, 1.5f, 20.0f};
  EXPECT_EQ(scenario_returns(two), (std::vector<float>{0.5f, -0.5f, -0.5f, 3.0f}));
}

TEST(Grouping, KeepsMembersInRisingOrderAndAllowsEmptyGroups) {
  const std::vector<std::uint32_t> group_of = {2, 0, 2, 3, 0, 2};
  const grouping groups = group_by(group_of, 5);
  EXPECT_EQ(groups.group_count(), 5u);
  EXPECT_EQ(groups.offsets, (std::vector<std::uint32_t>{0, 2, 2, 5, 6, 6}));
  EXPECT_EQ(groups.members, (std::vector<std::uint32_t>{1, 4, 0, 2, 5, 3}));
}

TEST(Positions, AreTheSameOnEveryMachine) {
  const market walk = random_walk_market();
  const position_book book = draw_positions(walk);
  EXPECT_EQ(book.size(), 10'000u);
  EXPECT_EQ(hash_of(book.stock_of), 17471363237051563648u);
  EXPECT_EQ(hash_of(book.quantity), 11342839740215296101u);
}

TEST(Positions, AreLongAndShortTensOnEveryStockAndNotSorted) {
  const market walk = random_walk_market();
  const position_book book = draw_positions(walk);
  std::set<std::uint32_t> stocks(book.stock_of.begin(), book.stock_of.end());
  EXPECT_EQ(stocks.size(), walk.stocks);
  EXPECT_EQ(*stocks.rbegin(), walk.stocks - 1);
  EXPECT_FALSE(std::is_sorted(book.stock_of.begin(), book.stock_of.end()));
  std::size_t long_count = 0;
  for (const float quantity : book.quantity) {
    const float size = quantity < 0 ? -quantity : quantity;
    EXPECT_GE(size, 10.0f);
    EXPECT_LE(size, 5000.0f);
    EXPECT_EQ(size, 10.0f * static_cast<float>(static_cast<int>(size) / 10));
    long_count += quantity > 0;
  }
  EXPECT_GT(long_count, 4500u);
  EXPECT_LT(long_count, 5500u);
}

TEST(Positions, ByStockKeepTheOrderOfBookingWithinAStock) {
  position_book booked;
  booked.stock_of = {2, 0, 2, 1, 0};
  booked.quantity = {10, 20, 30, 40, 50};
  const position_book rows = rows_by_stock(booked, 4);
  EXPECT_EQ(rows.stock_of, (std::vector<std::uint32_t>{0, 0, 1, 2, 2}));
  EXPECT_EQ(rows.quantity, (std::vector<float>{20, 50, 40, 10, 30}));
}

TEST(Positions, TakeTheSectorOfTheirStock) {
  const market walk = random_walk_market(2, 20, 1);
  const position_book book = draw_positions(walk, 100, 1);
  const auto sectors = sector_of_position(walk, book);
  for (std::size_t i = 0; i < book.size(); ++i) EXPECT_EQ(sectors[i], book.stock_of[i] / 2);
}

TEST(TickStream, ReplaysEveryPriceOnceDayByDay) {
  const market walk = random_walk_market();
  const tick_stream ticks(walk);
  ASSERT_EQ(ticks.size(), 568'616u);
  std::vector<float> prices(walk.prices.size(), 0.0f);
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    const tick now = ticks[i];
    ASSERT_EQ(now.day, i / 452);
    ASSERT_EQ(ticks.opens_day(i), i != 0 && ticks[i - 1].day != now.day);
    prices[now.day * walk.stocks + now.stock] = now.price;
  }
  EXPECT_EQ(prices, walk.prices);
}

TEST(TickStream, ShufflesEachDayDifferentlyWithFixedBits) {
  const market walk = random_walk_market();
  const tick_stream ticks(walk);
  std::vector<std::uint32_t> order;
  for (std::size_t i = 0; i < ticks.size(); ++i) order.push_back(ticks[i].stock);
  EXPECT_EQ(hash_of(order), 1232146823876450793u);
  const std::vector<std::uint32_t> first(order.begin(), order.begin() + 452);
  const std::vector<std::uint32_t> second(order.begin() + 452, order.begin() + 904);
  EXPECT_NE(first, second);
  EXPECT_FALSE(std::is_sorted(first.begin(), first.end()));
}

}  // namespace
}  // namespace risk_desk
