/// \file
/// From the postfix steps of an expression to a line program.
///
/// Registers follow the depth of the stack: an operation writes the lowest register that no value
/// still on the stack occupies. Operands and constants are referenced in place, each once, in order
/// of first appearance; a lone operand or constant becomes one `copy`. Equal expressions therefore
/// give equal programs, which is how the kernel manifest finds them.
///
/// Cost: O(steps), times the (bounded) number of operands and constants.
#pragma once

#include <span>
#include <vector>

#include <sheaf/base/result.hpp>
#include <sheaf/graph/expression.hpp>
#include <sheaf/graph/line_program.hpp>
#include <sheaf/graph/model_data.hpp>

namespace sheaf::inline v0 {

struct compiled_expression {
  line_program program;
  std::vector<expression_step> operands;  ///< in the order of the program
  std::vector<operator_use> uses;         ///< `array` not yet filled in
};

/// `too_many` where a table of the line program is full, `type_mismatch` for a cast between element
/// sizes. The detail names no array: the caller knows it.
[[nodiscard]] result<compiled_expression> compile_expression(
    std::span<const expression_step> steps, dtype result);

}  // namespace sheaf::inline v0
