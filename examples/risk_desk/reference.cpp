/// \file
/// The loops of reference.hpp. They share no code with the library, so that a mistake there is not
/// repeated here; tests hold the two folds against the library's definition.
#include "reference.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include <sheaf/base/assert.hpp>

namespace risk_desk {
namespace {

constexpr std::size_t block_items = 64;
constexpr std::size_t line_items = 16;

/// Folds `items[0, count)` in place, 1 <= count <= 64: strides 32 to 1, absent items skipped. At
/// each stride `count` is at most twice it.
float fold_block(float* items, std::size_t count) {
  for (std::size_t stride = block_items / 2; stride != 0; stride /= 2) {
    const std::size_t pairs = count > stride ? count - stride : 0;
    for (std::size_t i = 0; i < pairs; ++i) items[i] = items[i] + items[i + stride];
    count = std::min(count, stride);
  }
  return items[0];
}

/// Folds blocks of 64 until one item is left. Overwrites `items`.
float fold_blocks(std::span<float> items) {
  std::size_t count = items.size();
  while (count > 1) {
    std::size_t blocks = 0;
    for (std::size_t begin = 0; begin < count; begin += block_items)
      items[blocks++] = fold_block(&items[begin], std::min(block_items, count - begin));
    count = blocks;
  }
  return items[0];
}

/// The fold tree over load(0) .. load(count - 1): lines of 16, then blocks of 64.
template <class Load>
float fold_tree(std::size_t count, Load load, std::vector<float>& partials) {
  partials.clear();
  std::array<float, line_items> line;
  for (std::size_t begin = 0; begin < count; begin += line_items) {
    const std::size_t size = std::min(line_items, count - begin);
    for (std::size_t i = 0; i < size; ++i) line[i] = load(begin + i);
    partials.push_back(fold_block(line.data(), size));
  }
  return fold_blocks(partials);
}

/// An order of all floats that are numbers: -0 before +0.
bool ranks_before(float a, float b) {
  const auto key = [](float x) {
    const auto bits = std::bit_cast<std::int32_t>(x);
    return bits < 0 ? bits ^ 0x7fff'ffff : bits;
  };
  return key(a) < key(b);
}

/// profit[s] of one sector. One text, compiled for machines with and without a fused multiply-add;
/// the bits are the same, the second asks the C library for each.
[[gnu::always_inline]] inline void add_scenarios(const float* exposure,
                                                 std::span<const std::uint32_t> stocks,
                                                 const float* returns, std::size_t scenarios,
                                                 float* __restrict__ profit) {
  for (std::size_t i = 0; i < stocks.size(); ++i) {
    const float amount = exposure[stocks[i]];
    const float* row = returns + stocks[i] * scenarios;
    if (i == 0)
      for (std::size_t s = 0; s < scenarios; ++s) profit[s] = amount * row[s];
    else
      for (std::size_t s = 0; s < scenarios; ++s)
        profit[s] = __builtin_fmaf(amount, row[s], profit[s]);
  }
}

using scenarios_body = void (*)(const float*, std::span<const std::uint32_t>, const float*,
                                std::size_t, float*);

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void scenarios_fused(const float* exposure,
                                                 std::span<const std::uint32_t> stocks,
                                                 const float* returns, std::size_t scenarios,
                                                 float* profit) {
  add_scenarios(exposure, stocks, returns, scenarios, profit);
}
#endif
void scenarios_plain(const float* exposure, std::span<const std::uint32_t> stocks,
                     const float* returns, std::size_t scenarios, float* profit) {
  add_scenarios(exposure, stocks, returns, scenarios, profit);
}

scenarios_body pick_scenarios_body() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &scenarios_fused;
#endif
  return &scenarios_plain;
}

/// One array of `desk_values`, by name.
struct named_array {
  const char* name;
  std::span<const float> values;
};

std::array<named_array, 11> arrays_of(const desk_values& of) {
  return {{{"position_price", of.position_price},
           {"position_close", of.position_close},
           {"position_value", of.position_value},
           {"position_profit", of.position_profit},
           {"stock_exposure", of.stock_exposure},
           {"sector_exposure", of.sector_exposure},
           {"sector_scenario", of.sector_scenario},
           {"scenario_profit", of.scenario_profit},
           {"total_value", {&of.total_value, 1}},
           {"total_profit", {&of.total_profit, 1}},
           {"value_at_risk", {&of.value_at_risk, 1}}}};
}

}  // namespace

float segment_sum(std::span<const float> values, std::span<const std::uint32_t> items,
                  std::vector<float>& scratch) {
  if (items.empty()) return 0.0f;
  return fold_tree(items.size(), [&](std::size_t i) { return values[items[i]]; }, scratch);
}

float tree_sum(std::span<const float> values, std::vector<float>& scratch) {
  SHEAF_ASSERT(!values.empty(), "fold-tree-not-empty");
  return fold_tree(values.size(), [&](std::size_t i) { return values[i]; }, scratch);
}

float value_at_risk(std::span<const float> scenario_profit, std::vector<float>& scratch) {
  SHEAF_ASSERT(!scenario_profit.empty(), "scenarios-not-empty");
  scratch.assign(scenario_profit.begin(), scenario_profit.end());
  const auto rank = scratch.begin() + static_cast<std::ptrdiff_t>(scratch.size() / 100);
  std::nth_element(scratch.begin(), rank, scratch.end(), ranks_before);
  return -*rank;
}

reference::reference(const market& source, const position_book& book)
    : book_(book),
      returns_(scenario_returns(source)),
      scenarios_(source.scenario_count()),
      positions_of_stock_(group_by(book.stock_of, source.stocks)),
      positions_of_sector_(group_by(sector_of_position(source, book), source.sectors.size())),
      stocks_of_sector_(group_by(source.sector_of_stock, source.sectors.size())) {}

void reference::recompute(std::span<const float> price, std::span<const float> previous_close,
                          desk_values& out) const {
  const std::size_t positions = book_.size();
  const std::size_t stocks = positions_of_stock_.group_count();
  const std::size_t sectors = stocks_of_sector_.group_count();
  SHEAF_ASSERT(price.size() == stocks && previous_close.size() == stocks, "one-price-per-stock");
  out.position_price.resize(positions);
  out.position_close.resize(positions);
  out.position_value.resize(positions);
  out.position_profit.resize(positions);
  for (std::size_t p = 0; p < positions; ++p) {
    const std::uint32_t stock = book_.stock_of[p];
    out.position_price[p] = price[stock];
    out.position_close[p] = previous_close[stock];
  }
  for (std::size_t p = 0; p < positions; ++p) {
    out.position_value[p] = book_.quantity[p] * out.position_price[p];
    out.position_profit[p] = book_.quantity[p] * (out.position_price[p] - out.position_close[p]);
  }
  std::vector<float>& scratch = out.scratch;
  out.stock_exposure.resize(stocks);
  for (std::size_t j = 0; j < stocks; ++j)
    out.stock_exposure[j] = segment_sum(out.position_value, positions_of_stock_.group(j), scratch);
  out.sector_exposure.resize(sectors);
  for (std::size_t k = 0; k < sectors; ++k) {
    const auto positions_of = positions_of_sector_.group(k);
    out.sector_exposure[k] = segment_sum(out.position_value, positions_of, scratch);
  }
  out.total_value = tree_sum(out.position_value, scratch);
  out.total_profit = tree_sum(out.position_profit, scratch);

  out.sector_scenario.resize(sectors * scenarios_);
  out.scenario_profit.resize(scenarios_);
  static const scenarios_body body = pick_scenarios_body();
  for (std::size_t k = 0; k < sectors; ++k)
    body(out.stock_exposure.data(), stocks_of_sector_.group(k), returns_.data(), scenarios_,
         out.sector_scenario.data() + k * scenarios_);
  std::copy_n(out.sector_scenario.begin(), scenarios_, out.scenario_profit.begin());
  for (std::size_t k = 1; k < sectors; ++k)
    for (std::size_t s = 0; s < scenarios_; ++s)
      out.scenario_profit[s] = out.scenario_profit[s] + out.sector_scenario[k * scenarios_ + s];
  out.value_at_risk = value_at_risk(out.scenario_profit, scratch);
}

std::optional<difference> first_difference(const desk_values& left, const desk_values& right) {
  const auto lefts = arrays_of(left);
  const auto rights = arrays_of(right);
  for (std::size_t a = 0; a < lefts.size(); ++a) {
    const auto& [name, x] = lefts[a];
    const auto& y = rights[a].values;
    if (x.size() != y.size())
      return difference{std::string(name) + " (length)", 0, static_cast<float>(x.size()),
                        static_cast<float>(y.size())};
    for (std::size_t i = 0; i < x.size(); ++i)
      if (std::bit_cast<std::uint32_t>(x[i]) != std::bit_cast<std::uint32_t>(y[i]))
        return difference{name, i, x[i], y[i]};
  }
  return std::nullopt;
}

}  // namespace risk_desk
