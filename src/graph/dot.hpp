/// \file
/// The graph in the DOT language, for people. O(model).
#pragma once

#include <string>

#include <sheaf/graph/model_data.hpp>

namespace sheaf::inline v0 {

[[nodiscard]] std::string dot_of(const model_data& data);
[[nodiscard]] const char* name_of(operator_kind kind) noexcept;

}  // namespace sheaf::inline v0
