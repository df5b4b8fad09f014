/// \file
/// From a model without mistakes to a plan.
///
/// Passes: definitions are ordered by level with a counting sort; slots are given in that order;
/// one walk over the nodes emits operations, operands, segments and level sums; one walk over the
/// edges inverts them into children. No recursion, O(arrays + operands + levels).
#pragma once

#include <memory>
#include <vector>

#include <sheaf/graph/model_data.hpp>
#include <sheaf/graph/plan.hpp>

namespace sheaf::inline v0 {

/// `levels` by array, or empty where those in the records are exact.
[[nodiscard]] std::shared_ptr<const plan> compile_plan(const model_data& data,
                                                       const std::vector<std::uint32_t>& levels);

}  // namespace sheaf::inline v0
