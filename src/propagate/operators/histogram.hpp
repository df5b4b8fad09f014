/// \file
/// `bin_counts` and `row_sums`: a histogram as rows of counts, one per chunk of values, and sums of
/// 64 rows above.
///
/// Cost: a changed value recounts its chunk; the bins whose count changed go up the sums.
#pragma once

#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

extern const operator_rules bin_counts_rules;
extern const operator_rules row_sums_rules;

}  // namespace sheaf::inline v0
