/// \file
/// Declares recipes in a `sheaf::model`, through its public functions.
///
/// Thread safety: none.
#pragma once

#include <functional>
#include <vector>

#include <sheaf/graph/model.hpp>

#include "model/naive_engine.hpp"

namespace model_test {

/// Makes host functions fail, or calls something from inside of them.
struct host_switch {
  enum class way : std::uint8_t { status, exception, other_exception };
  std::uint32_t failing = no_array;
  way how = way::status;
  std::function<void()> inside;  ///< called by the next host function that runs, once
};

/// A graph as programs know it: the recipe and the handle of every array by number. Dropped arrays
/// keep their numbers.
struct declared_graph {
  std::vector<array_recipe> arrays;
  std::vector<sheaf::any_array> handles;
};

/// The handle of each recipe's array. Host functions refer to `hosts`.
[[nodiscard]] std::vector<sheaf::any_array> declare_all(sheaf::model& model,
                                                        const std::vector<array_recipe>& recipes,
                                                        host_switch& hosts);

/// Declares recipes [handles.size(), recipes.size()) in a model that has those before them.
void declare_more(sheaf::model& model, const std::vector<array_recipe>& recipes,
                  std::vector<sheaf::any_array>& handles, host_switch& hosts);
/// Redefines array `index` as its recipe says.
void redefine_one(sheaf::model& model, const std::vector<array_recipe>& recipes,
                  std::vector<sheaf::any_array>& handles, std::uint32_t index,
                  host_switch& hosts);

}  // namespace model_test
