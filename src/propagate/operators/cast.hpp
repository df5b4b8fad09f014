/// \file
/// `cast` between element sizes: result element i is operand element i as another type.
///
/// Cost: a changed line asks for the lines its elements become, at least one.
#pragma once

#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

extern const operator_rules cast_rules;

}  // namespace sheaf::inline v0
