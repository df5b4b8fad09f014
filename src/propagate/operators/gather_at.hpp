/// \file
/// `gather_at`: element i is the element of operand 0 that element i of operand 1 names; zero bits
/// past its end.
///
/// Cost: a changed index asks for its line. Which elements name a changed one is not kept, so a
/// change of operand 0 asks for every line.
#pragma once

#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

extern const operator_rules gather_at_rules;

}  // namespace sheaf::inline v0
