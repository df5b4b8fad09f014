/// \file
/// Everything the desk derives, recomputed from scratch by plain loops: what the engine's result is
/// compared with bit by bit, and what it costs to do without the engine.
///
/// Definitions, all in float, one rounding for each operation named:
///  - position_price[p] = price[stock_of[p]], and position_close[p] the same of the previous close
///  - position_value[p] = quantity[p] * position_price[p]
///  - position_profit[p] = quantity[p] * (position_price[p] - position_close[p])
///  - stock_exposure[j], sector_exposure[k]: segment fold of position_value over the positions of
///    the stock or sector, in booking order
///  - total_value, total_profit: fold tree (`sheaf/algebra/fold_tree.hpp`) over all positions
///  - sector_scenario[k][s]: over the stocks j of the sector in rising order, the first
///    stock_exposure[j] * r[s][j], then fma(stock_exposure[j], r[s][j], what came before), where
///    r[s][j] is the stock's return from day s to day s + 1
///  - scenario_profit[s]: the sectors' profits in scenario s, added from the left
///  - value_at_risk: scenario_profit at rank floor(scenarios / 100) from the smallest (0-based),
///    negated; -0 ranks before +0
///
/// A *segment fold* is the fold tree over the segment's items alone, in their order; no items give
/// +0.
///
/// The historical scenarios are all days of the market, also those after the tick at hand: a risk
/// desk has its scenarios before the day begins, and the replay stands for any day.
///
/// Thread safety: `recompute` writes only its output and may run in several threads at once.
/// Cost: O(positions + stocks * scenarios), no allocation after the first call with an output.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "market.hpp"

namespace risk_desk {

struct desk_values {
  std::vector<float> position_price;
  std::vector<float> position_close;
  std::vector<float> position_value;
  std::vector<float> position_profit;
  std::vector<float> stock_exposure;
  std::vector<float> sector_exposure;
  std::vector<float> sector_scenario;  ///< sector-major: all scenarios of a sector together
  std::vector<float> scenario_profit;
  float total_value = 0;
  float total_profit = 0;
  float value_at_risk = 0;
  std::vector<float> scratch;  ///< of `recompute`; takes no part in comparisons
};

/// The first place where two states differ in bits.
struct difference {
  std::string array;
  std::size_t index = 0;
  float left = 0;
  float right = 0;
};
[[nodiscard]] std::optional<difference> first_difference(const desk_values& left,
                                                         const desk_values& right);

class reference {
 public:
  reference(const market& source, const position_book& book);

  /// `price` and `previous_close` have one element for each stock.
  void recompute(std::span<const float> price, std::span<const float> previous_close,
                 desk_values& out) const;

 private:
  position_book book_;
  std::vector<float> returns_;
  std::size_t scenarios_;
  grouping positions_of_stock_;
  grouping positions_of_sector_;
  grouping stocks_of_sector_;
};

/// The segment fold by addition of `values[items[0]], values[items[1]], ...`. Here and below
/// `scratch` is overwritten.
[[nodiscard]] float segment_sum(std::span<const float> values,
                                std::span<const std::uint32_t> items, std::vector<float>& scratch);
/// The fold tree by addition over `values`, of which there is at least one.
[[nodiscard]] float tree_sum(std::span<const float> values, std::vector<float>& scratch);
/// As defined above.
[[nodiscard]] float value_at_risk(std::span<const float> scenario_profit,
                                  std::vector<float>& scratch);

}  // namespace risk_desk
