/// \file
/// `stencil`: in one and two dimensions, over any semiring.
///
/// Lines go through it as they are: a changed line of the operand marks the result lines that a tap
/// reaches from it, under the boundary rule. What a page of the result reads is found tap by tap:
/// as long as a tap's lines lie in one row and one page, they are read where they are; a line that
/// crosses a page or an edge is put together aside first.
///
/// Cost: push and pull O(changed lines x spans of neighbouring taps); run O(lines x taps), and for
/// each line that is put together a copy.
#pragma once

#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

extern const operator_rules stencil_rules;

}  // namespace sheaf::inline v0
