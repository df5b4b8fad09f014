/// \file
/// The declarations, the operator that finds the value-at-risk, loading and reading.
#include "desk.hpp"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

namespace risk_desk {
namespace {

using sheaf::semiring_id;

/// Integers in the order of the floats, -0 before +0; the same function leads back.
std::int32_t key_of(std::int32_t bits) {
  return bits < 0 ? bits ^ 0x7fff'ffff : bits;
}

/// The only part that is no built-in operator: an opaque function of the whole array.
sheaf::status find_value_at_risk(sheaf::host_call& call) {
  const auto profits = call.operand<float>(0);
  const auto result = call.result<float>();
  if (!call.mistake().is_ok()) return call.mistake();
  result[0] = -element_at_rank(profits, profits.size() / 100);
  return {};
}

/// Profit of each scenario for one sector: exposure times return, summed over its stocks.
sheaf::array<float> declare_scenarios(desk_model& desk, const std::string& name,
                                      std::span<const std::uint32_t> stocks) {
  std::vector<sheaf::term<float>> terms;
  terms.reserve(stocks.size());
  for (const std::uint32_t stock : stocks)
    terms.emplace_back(desk.stock_return[stock], sheaf::element_of(desk.stock_exposure, stock));
  return desk.model.derive(name, combine(semiring_id::sum_product, terms));
}

/// Copies the whole of `from` to the front of `out`, which it fits.
sheaf::status copy_array(const sheaf::snapshot& now, const sheaf::array<float>& from,
                         std::span<float> out) {
  const auto view = now.fetch(from);
  if (!view) return view.error();
  view->copy_to(out);
  return {};
}

sheaf::status copy_array(const sheaf::snapshot& now, const sheaf::array<float>& from,
                         std::vector<float>& out) {
  out.resize(from.size());
  return copy_array(now, from, std::span<float>(out));
}

}  // namespace

float element_at_rank(std::span<const float> values, std::size_t rank) {
  thread_local std::vector<std::int32_t> smallest;
  const auto key_at = [&](std::size_t i) { return key_of(std::bit_cast<std::int32_t>(values[i])); };
  smallest.clear();
  for (std::size_t i = 0; i <= rank; ++i) smallest.push_back(key_at(i));
  std::make_heap(smallest.begin(), smallest.end());
  for (std::size_t i = rank + 1; i < values.size(); ++i) {
    const std::int32_t key = key_at(i);
    if (key >= smallest.front()) continue;
    std::pop_heap(smallest.begin(), smallest.end());
    smallest.back() = key;
    std::push_heap(smallest.begin(), smallest.end());
  }
  return std::bit_cast<float>(key_of(smallest.front()));
}

desk_model declare_desk(const market& source, const position_book& book) {
  desk_model desk;
  sheaf::model& model = desk.model;
  desk.price = model.source<float>("price", source.stocks);
  desk.previous_close = model.source<float>("previous_close", source.stocks);
  desk.quantity = model.source<float>("quantity", book.size());
  for (const std::string& ticker : source.tickers)
    desk.stock_return.push_back(
        model.source<float>("stock_return." + ticker, source.scenario_count()));

  desk.position_price = model.derive("position_price", gather(desk.price, book.stock_of));
  desk.position_close = model.derive("position_close", gather(desk.previous_close, book.stock_of));
  desk.position_value = model.derive("position_value", desk.quantity * desk.position_price);
  desk.position_profit = model.derive(
      "position_profit", desk.quantity * (desk.position_price - desk.position_close));

  const auto stocks = static_cast<std::uint32_t>(source.stocks);
  const auto sectors = static_cast<std::uint32_t>(source.sectors.size());
  const auto by_stock = sheaf::segments::from_ids(book.stock_of, stocks);
  const auto by_sector = sheaf::segments::from_ids(sector_of_position(source, book), sectors);
  desk.stock_exposure = model.derive(
      "stock_exposure", segment_reduce(semiring_id::sum_product, desk.position_value, by_stock));
  desk.sector_exposure = model.derive(
      "sector_exposure", segment_reduce(semiring_id::sum_product, desk.position_value, by_sector));
  desk.total_value = model.derive("total_value", sum(desk.position_value));
  desk.total_profit = model.derive("total_profit", sum(desk.position_profit));

  const grouping stocks_of_sector = group_by(source.sector_of_stock, sectors);
  for (std::uint32_t sector = 0; sector < sectors; ++sector)
    desk.sector_scenario.push_back(declare_scenarios(
        desk, "sector_scenario." + source.sectors[sector], stocks_of_sector.group(sector)));
  desk.scenario_profit = model.derive(
      "scenario_profit", combine(semiring_id::sum_product, desk.sector_scenario));
  desk.value_at_risk =
      model.derive_host<float>("value_at_risk", 1, {desk.scenario_profit}, find_value_at_risk);
  return desk;
}

sheaf::status load_desk(sheaf::engine& engine, const desk_model& desk, const market& source,
                        const position_book& book) {
  const std::vector<float> returns = scenario_returns(source);
  const std::size_t scenarios = source.scenario_count();
  auto txn = engine.begin();
  txn.range_borrowed(desk.quantity, {.index = 0}, book.quantity);
  for (std::size_t stock = 0; stock < source.stocks; ++stock)
    txn.range_borrowed(desk.stock_return[stock], {.index = 0},
                       std::span(returns).subspan(stock * scenarios, scenarios));
  const auto committed = std::move(txn).commit();
  return committed ? sheaf::status{} : committed.error();
}

sheaf::status read_desk(const sheaf::snapshot& from, const desk_model& desk, desk_values& out) {
  SHEAF_TRY(copy_array(from, desk.position_price, out.position_price));
  SHEAF_TRY(copy_array(from, desk.position_close, out.position_close));
  SHEAF_TRY(copy_array(from, desk.position_value, out.position_value));
  SHEAF_TRY(copy_array(from, desk.position_profit, out.position_profit));
  SHEAF_TRY(copy_array(from, desk.stock_exposure, out.stock_exposure));
  SHEAF_TRY(copy_array(from, desk.sector_exposure, out.sector_exposure));
  SHEAF_TRY(copy_array(from, desk.total_value, std::span(&out.total_value, 1)));
  SHEAF_TRY(copy_array(from, desk.total_profit, std::span(&out.total_profit, 1)));
  const std::size_t scenarios = desk.scenario_profit.size();
  out.sector_scenario.resize(desk.sector_scenario.size() * scenarios);
  for (std::size_t k = 0; k < desk.sector_scenario.size(); ++k) {
    const auto row = std::span(out.sector_scenario).subspan(k * scenarios, scenarios);
    SHEAF_TRY(copy_array(from, desk.sector_scenario[k], row));
  }
  SHEAF_TRY(copy_array(from, desk.scenario_profit, out.scenario_profit));
  return copy_array(from, desk.value_at_risk, std::span(&out.value_at_risk, 1));
}

}  // namespace risk_desk
