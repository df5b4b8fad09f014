/// \file
/// `gemv` and `matmul`: dense products, recomputed row by row.
///
/// gemv marks elements: a changed element of the matrix marks its row, any of the vector all rows.
/// matmul marks lines: those that hold a row whose row of `a` changed, or all where `b` changed.
///
/// Cost: gemv: push O(changed rows), run O(asked rows x columns). matmul: run O(asked elements x
/// inner); b is read once per page of the result, so a product whose operands do not fit into the
/// second-level cache runs at that cache's successor's pace.
#pragma once

#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

extern const operator_rules gemv_rules;
extern const operator_rules matmul_rules;

}  // namespace sheaf::inline v0
