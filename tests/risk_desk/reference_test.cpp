/// \file
/// The reference against figures worked out by hand, and its folds against the library's.
#include <risk_desk/reference.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include <sheaf/algebra/elementwise.hpp>
#include <sheaf/algebra/fold_tree.hpp>

namespace risk_desk {
namespace {

std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }

std::vector<float> random_values(std::size_t count, std::uint64_t seed) {
  splitmix64 random(seed);
  std::vector<float> out(count);
  for (float& x : out) {
    const auto magnitude = static_cast<float>(1 + random.below(1u << 24));
    x = (random.below(2) != 0 ? magnitude : -magnitude) * 0x1p-12f;
  }
  return out;
}

TEST(TreeSum, HasTheBitsOfTheLibrarysFoldTree) {
  std::vector<float> scratch;
  for (std::size_t count = 1; count < 3000; count += 1 + count / 50) {
    const auto values = random_values(count, count);
    const float expected = sheaf::fold_tree<sheaf::op_add, float>(values);
    ASSERT_EQ(bits(tree_sum(values, scratch)), bits(expected)) << count;
  }
  const auto many = random_values(70'000, 1);
  EXPECT_EQ(bits(tree_sum(many, scratch)), bits(sheaf::fold_tree<sheaf::op_add, float>(many)));
}

TEST(TreeSum, KeepsANegativeZero) {
  std::vector<float> scratch;
  for (std::size_t count : {1u, 2u, 15u, 17u, 65u, 1025u}) {
    const std::vector<float> values(count, -0.0f);
    EXPECT_EQ(bits(tree_sum(values, scratch)), bits(-0.0f)) << count;
  }
}

TEST(SegmentSum, HasTheBitsOfTheLibrarysFoldTreeOverTheNamedItems) {
  const auto values = random_values(20'000, 3);
  std::vector<float> scratch;
  splitmix64 random(4);
  for (const std::size_t count : {1u, 2u, 3u, 16u, 17u, 22u, 64u, 65u, 1000u, 1025u, 9000u}) {
    std::vector<std::uint32_t> items(count);
    for (auto& item : items) item = random.below(20'000);
    std::vector<float> named(count);
    for (std::size_t i = 0; i < count; ++i) named[i] = values[items[i]];
    const float expected = sheaf::fold_tree<sheaf::op_add, float>(named);
    EXPECT_EQ(bits(segment_sum(values, items, scratch)), bits(expected)) << count;
  }
}

TEST(SegmentSum, OfNoItemsIsPositiveZeroAndOfOneIsTheItem) {
  std::vector<float> scratch;
  const std::vector<float> values = {-0.0f, 3.0f};
  EXPECT_EQ(bits(segment_sum(values, {}, scratch)), bits(0.0f));
  const std::uint32_t first[] = {0};
  EXPECT_EQ(bits(segment_sum(values, first, scratch)), bits(-0.0f));
}

TEST(ValueAtRisk, IsTheNegatedProfitAtOnePercentOfTheScenarios) {
  std::vector<float> scratch;
  std::vector<float> profits(1257);
  std::iota(profits.begin(), profits.end(), -600.0f);
  splitmix64 random(5);
  for (std::size_t left = profits.size(); left > 1; --left)
    std::swap(profits[left - 1], profits[random.below(static_cast<std::uint32_t>(left))]);
  EXPECT_EQ(value_at_risk(profits, scratch), 588.0f);
  for (int i = 0; i < 43; ++i) profits.push_back(1000.0f);
  EXPECT_EQ(value_at_risk(profits, scratch), 587.0f);
  const std::vector<float> few = {3.0f, -7.0f, 2.0f};
  EXPECT_EQ(value_at_risk(few, scratch), 7.0f);
}

TEST(ValueAtRisk, RanksNegativeZeroBeforePositiveZero) {
  std::vector<float> scratch;
  const std::vector<float> one_way = {0.0f, -0.0f, 1.0f};
  const std::vector<float> other_way = {-0.0f, 0.0f, 1.0f};
  EXPECT_EQ(bits(value_at_risk(one_way, scratch)), bits(0.0f));
  EXPECT_EQ(bits(value_at_risk(other_way, scratch)), bits(0.0f));
}

/// Three stocks in two sectors over three days, four positions.
struct small_desk {
  market source;
  position_book book;
  small_desk() {
    source.days = 3;
    source.stocks = 3;
    source.prices = {2, 10, 4, 3, 5, 8, 6, 10, 2};
    source.sectors = {"A", "B"};
    source.sector_of_stock = {0, 1, 0};
    book.stock_of = {2, 0, 1, 2};
    book.quantity = {10, -20, 30, 40};
  }
};

TEST(Reference, GivesTheFiguresWorkedOutByHand) {
  const small_desk desk;
  const reference all(desk.source, desk.book);
  const std::vector<float> price = {3, 5, 8};
  const std::vector<float> close = {2, 10, 4};
  desk_values out;
  all.recompute(price, close, out);
  EXPECT_EQ(out.position_price, (std::vector<float>{8, 3, 5, 8}));
  EXPECT_EQ(out.position_close, (std::vector<float>{4, 2, 10, 4}));
  EXPECT_EQ(out.position_value, (std::vector<float>{80, -60, 150, 320}));
  EXPECT_EQ(out.position_profit, (std::vector<float>{40, -20, -150, 160}));
  EXPECT_EQ(out.stock_exposure, (std::vector<float>{-60, 150, 400}));
  EXPECT_EQ(out.sector_exposure, (std::vector<float>{340, 150}));
  EXPECT_EQ(out.total_value, 490.0f);
  EXPECT_EQ(out.total_profit, 30.0f);
  // Returns: stock 0: 0.5, 1; stock 1: -0.5, 1; stock 2: 1, -0.75.
  EXPECT_EQ(out.sector_scenario, (std::vector<float>{370, -360, -75, 150}));
  EXPECT_EQ(out.scenario_profit, (std::vector<float>{295, -210}));
  EXPECT_EQ(out.value_at_risk, 210.0f);
}

TEST(Reference, RoundsScenarioSumsOncePerStockInRisingOrder) {
  const market walk = random_walk_market(130, 40, 11);
  const position_book book = draw_positions(walk, 500, 12);
  const reference all(walk, book);
  desk_values out;
  all.recompute(walk.day(7), walk.day(6), out);
  const auto returns = scenario_returns(walk);
  const std::size_t scenarios = walk.scenario_count();
  for (std::size_t sector = 0; sector < walk.sectors.size(); ++sector)
    for (std::size_t s = 0; s < scenarios; ++s) {
      const std::size_t first = sector * 4;
      float sum = out.stock_exposure[first] * returns[first * scenarios + s];
      for (std::size_t j = first + 1; j < first + 4; ++j)
        sum = std::fma(out.stock_exposure[j], returns[j * scenarios + s], sum);
      ASSERT_EQ(bits(out.sector_scenario[sector * scenarios + s]), bits(sum));
    }
}

TEST(Reference, HasFixedBitsOnTheRandomWalk) {
  const market walk = random_walk_market();
  const reference all(walk, draw_positions(walk));
  desk_values out;
  all.recompute(walk.day(1257), walk.day(1256), out);
  EXPECT_EQ(bits(out.total_value), 1267440314u);
  EXPECT_EQ(bits(out.total_profit), 3369361634u);
  EXPECT_EQ(bits(out.value_at_risk), 1235809394u);
}

TEST(FirstDifference, NamesTheArrayAndIndexOfASingleFlippedBit) {
  const market walk = random_walk_market(30, 20, 1);
  const reference all(walk, draw_positions(walk, 100, 2));
  desk_values left;
  all.recompute(walk.day(2), walk.day(1), left);
  EXPECT_FALSE(first_difference(left, left));
  const auto flipped = [&](auto member, std::size_t index) {
    desk_values right = left;
    float& x = (right.*member)[index];
    x = std::bit_cast<float>(bits(x) ^ 1u);
    const auto found = first_difference(left, right);
    return found ? found->array + "[" + std::to_string(found->index) + "]" : "none";
  };
  EXPECT_EQ(flipped(&desk_values::position_price, 99), "position_price[99]");
  EXPECT_EQ(flipped(&desk_values::position_close, 1), "position_close[1]");
  EXPECT_EQ(flipped(&desk_values::position_value, 50), "position_value[50]");
  EXPECT_EQ(flipped(&desk_values::position_profit, 0), "position_profit[0]");
  EXPECT_EQ(flipped(&desk_values::stock_exposure, 19), "stock_exposure[19]");
  EXPECT_EQ(flipped(&desk_values::sector_exposure, 9), "sector_exposure[9]");
  EXPECT_EQ(flipped(&desk_values::sector_scenario, 289), "sector_scenario[289]");
  EXPECT_EQ(flipped(&desk_values::scenario_profit, 28), "scenario_profit[28]");
  desk_values right = left;
  right.value_at_risk = std::bit_cast<float>(bits(right.value_at_risk) ^ 1u);
  EXPECT_EQ(first_difference(left, right)->array, "value_at_risk");
  right = left;
  right.total_value = -right.total_value;
  EXPECT_EQ(first_difference(left, right)->array, "total_value");
  right = left;
  right.stock_exposure.pop_back();
  EXPECT_EQ(first_difference(left, right)->array, "stock_exposure (length)");
}

}  // namespace
}  // namespace risk_desk
