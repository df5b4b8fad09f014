/// \file
/// `spmv`: a sparse matrix over a semiring, times a vector; values and vector may change.
///
/// A changed element of the vector marks, through the transposed structure, the rows with an entry
/// in its column; a changed value its row, found in the row offsets.
///
/// Cost: push O(changed elements of x x their rows + changed values x log rows); run O(entries of
/// asked rows).
#pragma once

#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

extern const operator_rules spmv_rules;

}  // namespace sheaf::inline v0
