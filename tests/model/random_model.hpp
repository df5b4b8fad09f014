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

enum class model_shape : std::uint8_t {
  mixed,  ///< 1 to 6 sources, 1 to 12 derived arrays of all kinds
  huge,   ///< fewer, of 2^18 elements: levels long enough for several threads
  wide,   ///< layers of many one-page arrays, most of them with the same operation
};

/// Behind those that `first` has.
[[nodiscard]] std::vector<array_recipe> random_model(dice& random, model_shape shape,
                                                     std::vector<array_recipe> first = {});

/// One more source or derived array, or the members of a circle, to stand behind `arrays`.
[[nodiscard]] std::vector<array_recipe> random_addition(dice& random,
                                                        const std::vector<array_recipe>& arrays);
/// A derived array that reads none of those that `hidden` says, by number.
[[nodiscard]] array_recipe random_redefinition(dice& random,
                                               const std::vector<array_recipe>& arrays,
                                               const std::vector<bool>& hidden);

/// One line per array, for people.
[[nodiscard]] std::string describe(const std::vector<array_recipe>& arrays);

}  // namespace model_test
