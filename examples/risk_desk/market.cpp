/// \file
/// Loading, the random walk, positions and ticks. Compiled with `-ffp-contract=off` like all of the
/// example: the walk's bits depend on it.
#include "market.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string_view>
#include <utility>

#include <sheaf/base/assert.hpp>

#include "rda_reader.hpp"

namespace risk_desk {
namespace {

using sheaf::make_status;
using sheaf::result;
using sheaf::status_code;
using sheaf::subsystem;

constexpr std::array<std::string_view, 10> gics_sectors = {
    "Consumer Discretionary", "Consumer Staples",
    "Energy",                 "Financials",
    "Health Care",            "Industrials",
    "Information Technology", "Materials",
    "Telecommunications Services", "Utilities"};

/// Mean 0, variance 1, within +-6: the sum of 12 uniform 32-bit integers (Irwin-Hall), exact until
/// the one scaling.
double bell(splitmix64& random) {
  std::int64_t sum = 0;
  for (int i = 0; i < 6; ++i) {
    const std::uint64_t word = random.next();
    sum += static_cast<std::int64_t>((word >> 32) + (word & 0xffff'ffffu));
  }
  return static_cast<double>(sum - (std::int64_t{6} << 32)) * 0x1p-32;
}

double round_to_cents(double price) {
  return std::max(std::floor(price * 100.0 + 0.5), 1.0) / 100.0;
}

/// The columns of the file in the order of their sectors' names, else as they come.
std::vector<std::uint32_t> columns_by_sector(const stock_table& table) {
  std::vector<std::uint32_t> columns(table.stocks);
  std::iota(columns.begin(), columns.end(), 0u);
  std::stable_sort(columns.begin(), columns.end(), [&](std::uint32_t a, std::uint32_t b) {
    return table.sectors[a] < table.sectors[b];
  });
  return columns;
}

}  // namespace

grouping group_by(std::span<const std::uint32_t> group_of, std::size_t group_count) {
  grouping out;
  out.offsets.assign(group_count + 1, 0);
  for (const std::uint32_t group : group_of) {
    SHEAF_ASSERT(group < group_count, "group-in-range");
    ++out.offsets[group + 1];
  }
  std::partial_sum(out.offsets.begin(), out.offsets.end(), out.offsets.begin());
  out.members.resize(group_of.size());
  std::vector<std::uint32_t> next(out.offsets.begin(), out.offsets.end() - 1);
  for (std::size_t member = 0; member < group_of.size(); ++member)
    out.members[next[group_of[member]]++] = static_cast<std::uint32_t>(member);
  return out;
}

result<market> load_market(const std::filesystem::path& file) {
  auto table = read_rda(file);
  if (!table) return table.error();
  if (table->days < 2)
    return make_status(status_code::bad_format, subsystem::cli, "too few days for a return",
                       "%zu in %s", table->days, file.c_str());
  market out;
  out.days = table->days;
  out.stocks = table->stocks;
  out.is_real = true;
  out.prices.resize(out.days * out.stocks);
  const std::vector<std::uint32_t> columns = columns_by_sector(*table);
  for (std::size_t stock = 0; stock < out.stocks; ++stock) {
    const std::size_t column = columns[stock];
    const std::string& sector = table->sectors[column];
    if (out.sectors.empty() || out.sectors.back() != sector) out.sectors.push_back(sector);
    out.sector_of_stock.push_back(static_cast<std::uint32_t>(out.sectors.size() - 1));
    out.tickers.push_back(table->tickers[column]);
    for (std::size_t day = 0; day < out.days; ++day) {
      const auto price = static_cast<float>(table->prices[column * out.days + day]);
      if (!(price >= price_min && price <= price_max))
        return make_status(status_code::bad_format, subsystem::cli, "price out of bounds",
                           "%g, column %zu, row %zu of %s", static_cast<double>(price), column, day,
                           file.c_str());
      out.prices[day * out.stocks + stock] = price;
    }
  }
  return out;
}

market random_walk_market(std::size_t days, std::size_t stocks, std::uint64_t seed) {
  SHEAF_ASSERT(days >= 2 && stocks >= gics_sectors.size(), "walk-has-returns-and-sectors");
  constexpr double market_volatility = 0.010;
  constexpr double stock_volatility = 0.018;
  market out;
  out.days = days;
  out.stocks = stocks;
  out.prices.resize(days * stocks);
  out.sectors.assign(gics_sectors.begin(), gics_sectors.end());
  splitmix64 random(seed);
  std::vector<double> price(stocks);
  for (std::size_t stock = 0; stock < stocks; ++stock) {
    const std::size_t sector = stock * gics_sectors.size() / stocks;
    out.sector_of_stock.push_back(static_cast<std::uint32_t>(sector));
    out.tickers.push_back(std::to_string(stock).insert(0, 1, 'W'));
    price[stock] = (1000 + random.below(19'000)) / 100.0;
  }
  for (std::size_t day = 0; day < days; ++day) {
    const double market_return = day == 0 ? 0.0 : market_volatility * bell(random);
    for (std::size_t stock = 0; stock < stocks; ++stock) {
      if (day != 0) {
        const double change = market_return + stock_volatility * bell(random);
        price[stock] = round_to_cents(price[stock] + price[stock] * change);
      }
      out.prices[day * stocks + stock] = static_cast<float>(price[stock]);
    }
  }
  return out;
}

std::vector<float> scenario_returns(const market& source) {
  const std::size_t scenarios = source.scenario_count();
  std::vector<float> out(source.stocks * scenarios);
  for (std::size_t scenario = 0; scenario < scenarios; ++scenario) {
    const auto before = source.day(scenario);
    const auto after = source.day(scenario + 1);
    for (std::size_t stock = 0; stock < source.stocks; ++stock)
      out[stock * scenarios + scenario] = after[stock] / before[stock] - 1.0f;
  }
  return out;
}

position_book draw_positions(const market& source, std::size_t count, std::uint64_t seed) {
  position_book book;
  book.stock_of.resize(count);
  book.quantity.resize(count);
  splitmix64 random(seed);
  for (std::size_t i = 0; i < count; ++i) {
    book.stock_of[i] = random.below(static_cast<std::uint32_t>(source.stocks));
    const auto size = static_cast<float>(10 * (1 + random.below(500)));
    const bool is_long = random.below(2) != 0;
    book.quantity[i] = is_long ? size : -size;
  }
  return book;
}

position_book rows_by_stock(const position_book& booked, std::size_t stocks) {
  position_book out;
  for (const std::uint32_t row : group_by(booked.stock_of, stocks).members) {
    out.stock_of.push_back(booked.stock_of[row]);
    out.quantity.push_back(booked.quantity[row]);
  }
  return out;
}

std::vector<std::uint32_t> sector_of_position(const market& source, const position_book& book) {
  std::vector<std::uint32_t> out(book.size());
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = source.sector_of_stock[book.stock_of[i]];
  return out;
}

tick_stream::tick_stream(const market& source, std::uint64_t seed)
    : source_(&source), stock_of_(source.days * source.stocks) {
  splitmix64 random(seed);
  for (std::size_t day = 0; day < source.days; ++day) {
    const auto stocks = std::span(stock_of_).subspan(day * source.stocks, source.stocks);
    std::iota(stocks.begin(), stocks.end(), 0u);
    for (std::size_t left = stocks.size(); left > 1; --left)
      std::swap(stocks[left - 1], stocks[random.below(static_cast<std::uint32_t>(left))]);
  }
}

}  // namespace risk_desk
