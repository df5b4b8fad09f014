/// \file
/// `fixpoint`: the least solution of a cyclic system, run whole (whole_operator.hpp). The work is
/// done by `fixpoint_solver`; here is what lies between it and the pages: which base lines and
/// edges are different from what the solver saw last, and which of the result's lines are.
///
/// The memory of a node is its solver, a triple of base, edges and solution that fits together
/// whatever commit it is from. Where it is current, the masks of the commit name what to compare;
/// where it is not (after a commit that was given up, in another branch) all operands are compared
/// with it, and all of the result. So a solver is never wrong, only more or less near.
///
/// Invariants
///  1. `solver-is-a-triple`: a memory that is kept holds the least solution of the base and edges
///     it holds. A run that fails half-way drops it.
///
/// Cost: O(pages of the operands) to find what changed; not current: O(bytes of operands and
/// result) comparisons; without a memory: from scratch.
#pragma once

#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

extern const operator_rules fixpoint_rules;

}  // namespace sheaf::inline v0
