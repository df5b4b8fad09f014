/// \file
/// Host functions: whole arrays in, a whole array out (src/propagate/run_host.cpp).
///
/// Cost: O(operands + result) and the function.
#pragma once

#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

extern const operator_rules host_rules;

}  // namespace sheaf::inline v0
