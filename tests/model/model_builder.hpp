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

/// The handle of each recipe's array. Host functions refer to `hosts`.
[[nodiscard]] std::vector<sheaf::any_array> declare_all(sheaf::model& model,
                                                        const std::vector<array_recipe>& recipes,
                                                        host_switch& hosts);

}  // namespace model_test
