/// \file
/// `scan_totals` and `scan`: the steps of a running fold (algebra/scan_order.hpp).
///
/// A changed line of the values marks the rest of its block up to the next head; a changed carry
/// marks its block up to the first head. What goes on from there are carries that change.
///
/// Cost: O(asked lines), each block from its first element on.
#pragma once

#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

extern const operator_rules scan_totals_rules;
extern const operator_rules scan_rules;

}  // namespace sheaf::inline v0
