/// \file
/// `sorted_runs` and `merged_runs`: sort_index and top_k as rows of sorted entries, one row a page
/// of values at first, then two rows merged into one, level by level (`order_data` in plan.hpp).
///
/// A changed value asks for its row. Changed entries [p, q) of a row of the level below ask for the
/// merged entries from p on up to q + the other row's: those before and after stay as they are.
///
/// Cost: a row of n values O(n log n); a page of merged entries O(its entries + log n).
#pragma once

#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

extern const operator_rules sorted_runs_rules;
extern const operator_rules merged_runs_rules;

}  // namespace sheaf::inline v0
