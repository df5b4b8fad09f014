/// \file
/// One node of a plan (plan.hpp): all that the bodies compiled per instruction set need to know of
/// a plan, so that a change of the plan's other tables does not compile them again.
#pragma once

#include <cstdint>

namespace sheaf::inline v0 {

inline constexpr std::uint32_t no_index = 0xffff'ffffu;

struct plan_node {
  std::uint32_t slot;           ///< of the result's first page
  std::uint32_t operation;
  std::uint32_t operand_begin;  ///< into `operands`
};
static_assert(sizeof(plan_node) == 12);

}  // namespace sheaf::inline v0
