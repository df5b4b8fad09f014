/// \file
/// What the definitions of spmv, stencil, gemv and matmul share: operands that are whole arrays, of
/// lengths that something else decides.
#include "../definer.hpp"

namespace sheaf::inline v0 {

bool definer::take_operands(std::span<const array_handle> operands) {
  for (const array_handle& operand : operands) take(operand, type_, false, 0);
  return !refused_;
}

bool definer::has_length(std::size_t operand, std::uint64_t wanted, const char* why) {
  using ull = unsigned long long;
  const std::uint32_t array = state_.scratch[operand].array;
  const std::uint64_t length = data_.arrays[array].length;
  if (length == wanted) return true;
  refuse(make_status(status_code::length_mismatch, subsystem::graph,
                     "an operand has another length than its matrix asks for",
                     "'%s' has %llu, the definition of '%s' takes %s: %llu",
                     data_.name_of(array_id{array}).c_str(), static_cast<ull>(length),
                     name().c_str(), why, static_cast<ull>(wanted)));
  return false;
}

}  // namespace sheaf::inline v0
