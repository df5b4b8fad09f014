/// \file
/// The desk as a Sheaf model: the definitions of reference.hpp, declared instead of computed; and
/// the ways into and out of an engine opened from it.
///
/// Thread safety: values; the model's one operator is pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <sheaf/engine/engine.hpp>

#include "market.hpp"
#include "reference.hpp"

namespace risk_desk {

/// Every array has the name of its definition in reference.hpp. What is one array there is one for
/// each sector here where a sector's scenarios would otherwise share lines with another's: a line
/// is the unit of change, and a changed line recomputes whatever reads it.
struct desk_model {
  sheaf::model model;

  // Written by the host.
  sheaf::array<float> price;
  sheaf::array<float> previous_close;
  sheaf::array<float> quantity;
  std::vector<sheaf::array<float>> stock_return;  ///< by stock; an element for each scenario

  // Kept current by every commit.
  sheaf::array<float> position_price;
  sheaf::array<float> position_close;
  sheaf::array<float> position_value;
  sheaf::array<float> position_profit;
  std::vector<sheaf::array<float>> stock_exposure;   ///< by sector; an element for each stock
  sheaf::array<float> sector_exposure;
  sheaf::array<float> total_value;
  sheaf::array<float> total_profit;
  std::vector<sheaf::array<float>> sector_scenario;  ///< by sector; an element for each scenario
  sheaf::array<float> scenario_profit;
  sheaf::array<float> value_at_risk;
};

[[nodiscard]] desk_model declare_desk(const market& source, const position_book& book);

/// Commits what does not change during a replay: quantities and returns.
[[nodiscard]] sheaf::status load_desk(sheaf::engine& engine, const desk_model& desk,
                                      const market& source, const position_book& book);

/// Copies every derived array out of a snapshot.
[[nodiscard]] sheaf::status read_desk(const sheaf::snapshot& from, const desk_model& desk,
                                      desk_values& out);

/// The element at `rank` (0-based, below their number) of `values` in rising order, -0 before +0.
/// One pass with a heap of rank + 1 keys; allocates once per thread.
[[nodiscard]] float element_at_rank(std::span<const float> values, std::size_t rank);

}  // namespace risk_desk
