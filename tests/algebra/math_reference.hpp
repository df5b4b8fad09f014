/// \file
/// What the deterministic functions are held against: each with its reference in a wider type, and
/// the error that the documentation promises.
///
/// The references are the C library's in double (for f32) and long double (for f64). They are wrong
/// by less than an ulp of double, 2^-29 ulp of a float, and by less than four ulp of long double,
/// 2^-9 ulp of a double: what `error_in_ulp` gives is that close to the true error.
#pragma once

#include <cmath>
#include <concepts>
#include <limits>
#include <sheaf/algebra/elementwise_math.hpp>
#include <sheaf/base/isa.hpp>
#include <string_view>
#include <vector>

#include "algebra/simd_bodies.hpp"

namespace sheaf::test {

/// The bodies of every instruction set that this build and machine have.
inline std::vector<const simd_bodies*> available_bodies() {
  std::vector<const simd_bodies*> found = {&simd_bodies_scalar};
  if (is_available(isa::avx2)) found.push_back(&simd_bodies_avx2);
  if (is_available(isa::avx512)) found.push_back(&simd_bodies_avx512);
  return found;
}

template <element T>
using wider = std::conditional_t<std::same_as<T, float>, double, long double>;

/// How far `result` is from `exact`, in units of the last place of a T as large as `exact`.
/// 0 where both are the same infinity, the same zero, or NaN; infinite where only one is NaN, where
/// the signs differ, or where one is infinite and the other does not round to that.
template <element T>
double error_in_ulp(T result, wider<T> exact) {
  constexpr double wrong = std::numeric_limits<double>::infinity();
  using limits = std::numeric_limits<T>;
  if (std::isnan(result) || std::isnan(exact)) {
    return std::isnan(result) && std::isnan(exact) ? 0.0 : wrong;
  }
  if (std::signbit(result) != std::signbit(exact)) return wrong;
  if (exact == 0) return result == 0 ? 0.0 : wrong;
  const int exponent = std::max(std::ilogb(exact), limits::min_exponent - 1);
  const wider<T> ulp = std::ldexp(wider<T>{1}, exponent - (limits::digits - 1));
  if (std::isinf(result)) {
    const int half_ulp = limits::max_exponent - limits::digits - 1;
    const wider<T> overflow = wider<T>{limits::max()} + std::ldexp(wider<T>{1}, half_ulp);
    return std::fabs(exact) >= overflow ? 0.0 : wrong;
  }
  if (std::isinf(exact)) return wrong;
  return static_cast<double>(std::fabs(wider<T>{result} - exact) / ulp);
}

/// One function: its operation, its reference, and the errors promised, in ulp.
template <class Op>
struct math_function;

#define SHEAF_MATH_FUNCTION(NAME, SINGLE, DOUBLE)                  \
  template <>                                                      \
  struct math_function<op_##NAME> {                                \
    static constexpr double single_error = SINGLE;                 \
    static constexpr double double_error = DOUBLE;                 \
    static double exact(double x) { return std::NAME(x); }         \
    static long double exact(long double x) { return std::NAME(x); } \
  };
SHEAF_MATH_FUNCTION(exp, 0.9092, 1.0)
SHEAF_MATH_FUNCTION(log, 0.861, 1.0)
SHEAF_MATH_FUNCTION(tanh, 1.363, 1.5)
SHEAF_MATH_FUNCTION(erf, 1.348, 1.4)
SHEAF_MATH_FUNCTION(sin, 0.501, 0.85)
SHEAF_MATH_FUNCTION(cos, 0.501, 0.85)
#undef SHEAF_MATH_FUNCTION

using unary_math = op_list<op_exp, op_log, op_tanh, op_erf, op_sin, op_cos>;
/// The same of pow, of f32 and of f64.
template <element T>
inline constexpr double power_error = std::same_as<T, float> ? 0.51 : 1.0;

/// The place of `Op` in `all_ops`, as `simd_bodies::apply` takes it.
template <class Op>
unsigned place_of_op() {
  return []<class... Ops>(op_list<Ops...>) {
    unsigned place = 0, found = 0;
    ((std::same_as<Op, Ops> ? found = place : 0u, ++place), ...);
    return found;
  }(all_ops{});
}

}  // namespace sheaf::test
