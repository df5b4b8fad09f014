/// \file
/// What an instruction of a line program gives for one element, by the scalar text: for tests that
/// run programs their own way.
#pragma once

#include <gtest/gtest.h>

#include <sheaf/algebra/math.hpp>
#include <sheaf/algebra/scalar.hpp>
#include <sheaf/graph/line_program.hpp>

namespace graph_test {

/// `op` on one element; operands it does not take are ignored.
template <sheaf::element T>
T operate(sheaf::opcode op, T a, T b, T c) {
  using sheaf::opcode;
  switch (op) {
    case opcode::copy: return a;
    case opcode::add: return sheaf::add(a, b);
    case opcode::sub: return sheaf::subtract(a, b);
    case opcode::mul: return sheaf::multiply(a, b);
    case opcode::div: return sheaf::divide(a, b);
    case opcode::neg: return sheaf::negate(a);
    case opcode::abs: return sheaf::abs(a);
    case opcode::min: return sheaf::min(a, b);
    case opcode::max: return sheaf::max(a, b);
    case opcode::fma: return sheaf::fma(a, b, c);
    case opcode::eq: return sheaf::eq(a, b);
    case opcode::ne: return sheaf::ne(a, b);
    case opcode::lt: return sheaf::lt(a, b);
    case opcode::le: return sheaf::le(a, b);
    case opcode::select: return sheaf::select(a, b, c);
    default: break;
  }
  if constexpr (sheaf::float_element<T>) {
    switch (op) {
      case opcode::sqrt: return sheaf::sqrt(a);
      case opcode::exp: return sheaf::exp(a);
      case opcode::log: return sheaf::log(a);
      case opcode::tanh: return sheaf::tanh(a);
      case opcode::erf: return sheaf::erf(a);
      case opcode::sin: return sheaf::sin(a);
      case opcode::cos: return sheaf::cos(a);
      case opcode::pow: return sheaf::pow(a, b);
      default: break;
    }
  }
  if constexpr (sheaf::integer_element<T>) {
    switch (op) {
      case opcode::bit_and: return sheaf::bit_and(a, b);
      case opcode::bit_or: return sheaf::bit_or(a, b);
      case opcode::bit_xor: return sheaf::bit_xor(a, b);
      case opcode::bit_not: return sheaf::bit_not(a);
      case opcode::shl: return sheaf::shl(a, b);
      case opcode::shr: return sheaf::shr(a, b);
      default: break;
    }
  }
  ADD_FAILURE() << "no such operation";
  return T{};
}

}  // namespace graph_test
