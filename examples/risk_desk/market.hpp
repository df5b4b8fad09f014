/// \file
/// The desk's inputs: closing prices, the positions held against them, and the order in which the
/// prices arrive as ticks.
///
/// Invariants
///  1. Every number here follows from the input file and fixed seeds by integer arithmetic and
///     single IEEE operations, so it has the same bits on every machine.
///  2. Prices lie between `price_min` and `price_max`, so that nothing derived from them overflows:
///     a return is below 10^10, an exposure below 10^14.
///
/// Thread safety: values. Cost: `random_walk_market` and `tick_stream` take milliseconds at the
/// shape of the real file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <sheaf/base/result.hpp>

namespace risk_desk {

inline constexpr std::size_t real_days = 1258;
inline constexpr std::size_t real_stocks = 452;
inline constexpr std::size_t position_count = 10'000;
inline constexpr float price_min = 1e-4f;
inline constexpr float price_max = 1e6f;
inline constexpr std::uint64_t walk_seed = 0x5eaf'0001;
inline constexpr std::uint64_t position_seed = 0x5eaf'0002;
inline constexpr std::uint64_t tick_seed = 0x5eaf'0003;

/// SplitMix64 (Steele, Lea, Flood 2014): one 64-bit state, integer operations only.
class splitmix64 {
 public:
  explicit constexpr splitmix64(std::uint64_t seed) noexcept : state_(seed) {}
  constexpr std::uint64_t next() noexcept {
    std::uint64_t z = (state_ += 0x9e37'79b9'7f4a'7c15u);
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9u;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11ebu;
    return z ^ (z >> 31);
  }
  /// In [0, bound), by multiply and shift; `bound` below 2^32. The bias is below bound / 2^32.
  constexpr std::uint32_t below(std::uint32_t bound) noexcept {
    return static_cast<std::uint32_t>(((next() >> 32) * bound) >> 32);
  }

 private:
  std::uint64_t state_;
};

/// Members of each of `group_count()` groups, in rising order: members[offsets[g], offsets[g + 1]).
struct grouping {
  std::vector<std::uint32_t> offsets;
  std::vector<std::uint32_t> members;

  [[nodiscard]] std::size_t group_count() const { return offsets.size() - 1; }
  [[nodiscard]] std::span<const std::uint32_t> group(std::size_t index) const {
    return {members.data() + offsets[index], offsets[index + 1] - offsets[index]};
  }
};
/// `group_of[i]` is the group of member i; each must be below `group_count`.
[[nodiscard]] grouping group_by(std::span<const std::uint32_t> group_of, std::size_t group_count);

/// Stocks are numbered sector by sector, within a sector in the order of the input: what a sector
/// reads of an array by stock then lies in few lines.
struct market {
  std::size_t days = 0;
  std::size_t stocks = 0;
  std::vector<float> prices;  ///< `days` x `stocks`, all stocks of a day together
  std::vector<std::string> tickers;
  std::vector<std::string> sectors;  ///< names of the sectors, sorted
  std::vector<std::uint32_t> sector_of_stock;
  bool is_real = false;  ///< false for the random walk

  [[nodiscard]] std::span<const float> day(std::size_t index) const {
    return {prices.data() + index * stocks, stocks};
  }
  [[nodiscard]] std::size_t scenario_count() const { return days - 1; }
};

/// Reads the real market. Refuses what `read_rda` refuses, fewer than 2 days, and a price outside
/// `price_min` to `price_max` (`bad_format`, naming column and row of the file).
[[nodiscard]] sheaf::result<market> load_market(const std::filesystem::path& file);

/// A walk of any shape (`days` at least 2, `stocks` at least 10): daily returns of one market
/// factor and one factor per stock, prices rounded to cents, ten sectors of nearly equal size.
[[nodiscard]] market random_walk_market(std::size_t days = real_days,
                                        std::size_t stocks = real_stocks,
                                        std::uint64_t seed = walk_seed);

/// Return of each stock from each day to the next, price[d + 1] / price[d] - 1 in float, as
/// `stocks` rows of `scenario_count()`: all scenarios of a stock together.
[[nodiscard]] std::vector<float> scenario_returns(const market& source);

/// Positions, one row each. `draw_positions` gives them in the order they were booked, which is no
/// order of stocks.
struct position_book {
  std::vector<std::uint32_t> stock_of;
  std::vector<float> quantity;  ///< 10 to 5000 in tens, long or short; never zero

  [[nodiscard]] std::size_t size() const { return stock_of.size(); }
};
[[nodiscard]] position_book draw_positions(const market& source,
                                           std::size_t count = position_count,
                                           std::uint64_t seed = position_seed);

/// The same positions with those of a stock in neighbouring rows, in the order they were booked. A
/// price then reaches one or two lines of an array by position instead of twenty.
[[nodiscard]] position_book rows_by_stock(const position_book& booked, std::size_t stocks);

/// The sector of each position.
[[nodiscard]] std::vector<std::uint32_t> sector_of_position(const market& source,
                                                            const position_book& book);

struct tick {
  std::uint32_t day;
  std::uint32_t stock;
  float price;
};

/// Every price of the market once, day by day; within a day the stocks come in an order shuffled
/// with a fixed seed. Refers to the market, which must outlive it.
class tick_stream {
 public:
  explicit tick_stream(const market& source, std::uint64_t seed = tick_seed);

  [[nodiscard]] std::size_t size() const { return stock_of_.size(); }
  [[nodiscard]] tick operator[](std::size_t index) const {
    const std::uint32_t stock = stock_of_[index];
    const std::size_t day = index / source_->stocks;
    return {static_cast<std::uint32_t>(day), stock, source_->prices[day * source_->stocks + stock]};
  }
  /// True for the first tick of each day but the first: the moment yesterday's prices become the
  /// previous close.
  [[nodiscard]] bool opens_day(std::size_t index) const {
    return index != 0 && index % source_->stocks == 0;
  }

 private:
  const market* source_;
  std::vector<std::uint32_t> stock_of_;
};

}  // namespace risk_desk
