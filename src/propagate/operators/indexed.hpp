/// \file
/// `gather` and `segment_fold`: operators that find their operand's elements through an index table
/// fixed at declaration. A changed element marks, through the table's transpose, exactly the result
/// elements that read it.
///
/// Cost: push O(changed elements x their readers); run O(asked elements x items).
#pragma once

#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

extern const operator_rules segment_fold_rules;
extern const operator_rules gather_rules;

}  // namespace sheaf::inline v0
