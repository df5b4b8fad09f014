/// \file
/// `slice`: whole lines of another array, from a fixed line on. A member of a fixpoint group reads
/// its row this way.
///
/// Cost: push and pull O(changed lines); run O(asked lines), a copy each.
#pragma once

#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

extern const operator_rules slice_rules;

}  // namespace sheaf::inline v0
