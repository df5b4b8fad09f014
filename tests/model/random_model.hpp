/// \file
/// Random models: recipes that are valid by construction.
///
/// Thread safety: none.
#pragma once

#include <string>
#include <vector>

#include "model/dice.hpp"
#include "model/naive_engine.hpp"

namespace model_test {

/// 1 to 6 sources, then 1 to 12 derived arrays; `huge`: fewer, of 2^18 elements.
[[nodiscard]] std::vector<array_recipe> random_model(dice& random, bool huge);

/// One line per array, for people.
[[nodiscard]] std::string describe(const std::vector<array_recipe>& arrays);

}  // namespace model_test
