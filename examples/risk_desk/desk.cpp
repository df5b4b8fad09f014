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

/// One sector: exposure of each of its stocks, and profit in each scenario, exposure times return
/// summed over the stocks.
void declare_sector(desk_model& desk, const std::string& name,
                    std::span<const std::uint32_t> stocks, const grouping& positions) {
  std::vector<std::uint32_t> offsets = {0};
  std::vector<std::uint32_t> members;
  for (const std::uint32_t stock : stocks) {
    const auto held = positions.group(stock);
    members.insert(members.end(), held.begin(), held.end());
    offsets.push_back(static_cast<std::uint32_t>(members.size()));
  }
  const auto by_stock = sheaf::segments::from_csr(std::move(offsets), std::move(members));
  const auto exposure = desk.model.derive(
      "stock_exposure." + name,
      segment_reduce(semiring_id::sum_product, desk.position_value, by_stock));
  std::vector<sheaf::term<float>> terms;
  terms.reserve(stocks.size());
  for (std::size_t i = 0; i < stocks.size(); ++i)
    terms.emplace_back(desk.stock_return[stocks[i]], sheaf::element_of(exposure, i));
  desk.stock_exposure.push_back(exposure);
  desk.sector_scenario.push_back(desk.model.derive(
      "sector_scenario." + name, combine(semiring_id::sum_product, terms)));
}

/// Copies arrays one after the other.
sheaf::status copy_arrays(const sheaf::snapshot& now,
                          std::span<const sheaf::array<float>> from, std::vector<float>& out) {
  out.clear();
  for (const sheaf::array<float>& next : from) {
    const auto view = now.fetch(next);
    if (!view) return view.error();
    for (const std::span<const float> page : view->pages())
      out.insert(out.end(), page.begin(), page.end());
  }
  return {};
}

sheaf::status copy_array(const sheaf::snapshot& now, const sheaf::array<float>& from,
                         std::vector<float>& out) {
  return copy_arrays(now, {&from, 1}, out);
}

sheaf::status copy_one(const sheaf::snapshot& now, const sheaf::array<float>& from, float& out) {
  const auto value = now.get(from);
  if (!value) return value.error();
  out = *value;
  return {};
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

  const auto sectors = static_cast<std::uint32_t>(source.sectors.size());
  const auto by_sector = sheaf::segments::from_ids(sector_of_position(source, book), sectors);
  desk.sector_exposure = model.derive(
      "sector_exposure", segment_reduce(semiring_id::sum_product, desk.position_value, by_sector));
  desk.total_value = model.derive("total_value", sum(desk.position_value));
  desk.total_profit = model.derive("total_profit", sum(desk.position_profit));

  const grouping stocks_of_sector = group_by(source.sector_of_stock, sectors);
  const grouping positions_of_stock = group_by(book.stock_of, source.stocks);
  for (std::uint32_t sector = 0; sector < sectors; ++sector)
    declare_sector(desk, source.sectors[sector], stocks_of_sector.group(sector),
                   positions_of_stock);
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
  // Stocks are numbered sector by sector.
  SHEAF_TRY(copy_arrays(from, desk.stock_exposure, out.stock_exposure));
  SHEAF_TRY(copy_array(from, desk.sector_exposure, out.sector_exposure));
  SHEAF_TRY(copy_one(from, desk.total_value, out.total_value));
  SHEAF_TRY(copy_one(from, desk.total_profit, out.total_profit));
  SHEAF_TRY(copy_arrays(from, desk.sector_scenario, out.sector_scenario));
  SHEAF_TRY(copy_array(from, desk.scenario_profit, out.scenario_profit));
  return copy_one(from, desk.value_at_risk, out.value_at_risk);
}

}  // namespace risk_desk
