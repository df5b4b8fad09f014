/// \file
/// Powers of f64; what math_pow.hpp calls.
///
/// Method: |x|^y = 2^(y log2|x|) with log2|x| as a pair: x = 2^k m with m in [sqrt(1/2), sqrt(2)),
/// s = (m - 1) / (m + 1) as a pair, z = s^2, log m = 2 s (1 + z (1/3 + z p(z))), pairs down to 1/3.
/// A result past the range may be 2^1075, so log2 has to be right to 2^-64 of itself.
/// Coefficients: tests/algebra/minimax.py, `pow_log_f64` (error 2^-66.3 of log m); those of exp.
///
/// Thread safety: pure functions. Cost: about 110 instructions a register, one of them a division.
#pragma once

#include <sheaf/algebra/math_exp.hpp>
#include <sheaf/algebra/math_pair.hpp>

namespace sheaf::inline v0::detail {

/// log2 of positive finite x.
template <class V>
[[nodiscard]] SHEAF_HD constexpr value_pair<V> log2_pair(V x) noexcept {
  constexpr std::uint64_t root_half = to_bits(0.70710678118654752440);
  constexpr std::uint64_t one_bits = to_bits(1.0);
  const V one(1.0);
  const auto is_small = V::is_less(x, V(std::numeric_limits<double>::min()));
  const V normal = V::pick(is_small, x * V(0x1p52), x);
  const auto bits = V::template reinterpret<std::uint64_t>(normal);
  using W = std::remove_cvref_t<decltype(bits)>;
  const W moved = bits + W(one_bits - root_half);  // its exponent is that of 2^k
  const V m = W::template reinterpret<double>((moved & W((std::uint64_t{1} << 52) - 1)) +
                                              W(root_half));
  const V k = (W::template reinterpret<double>((moved >> W(52)) | W(to_bits(0x1p52))) -
               V(0x1p52 + 1023)) -
              V::pick(is_small, V(52.0), V(0.0));
  const V f = m - one;
  const value_pair<V> g = exact_sum(one, m);
  const V inverse = one / g.high;
  const V quotient = f * inverse;
  const V residual = V::fma(-quotient, g.low, V::fma(-quotient, g.high, f));
  const value_pair<V> s{quotient, residual * inverse};
  const value_pair<V> z = pair_product(s, s);
  const V p = horner(z.high, 0x1.9999999999996p-3, 0x1.2492492493034p-3, 0x1.c71c71c580878p-4,
                     0x1.745d18324382dp-4, 0x1.3b1362ba2e93ap-4, 0x1.1120b4ff7ca19p-4,
                     0x1.de338ac4280ebp-5, 0x1.eb10453b67d1bp-5);
  value_pair<V> u = exact_ordered_sum(V(0x1.5555555555555p-2), z.high * p);
  u.low = u.low + V(0x1.5555555555555p-56);
  const value_pair<V> v = pair_product(z, u);
  value_pair<V> w = exact_ordered_sum(one, v.high);
  w.low = w.low + v.low;
  const value_pair<V> two_over_ln2{V(0x1.71547652b82fep+1), V(0x1.777d0ffda0d24p-55)};
  const value_pair<V> log2_m = pair_product(pair_product(s, w), two_over_ln2);
  const value_pair<V> sum = exact_ordered_sum(k, log2_m.high);
  return {sum.high, sum.low + log2_m.low};
}

/// |x|^y but for the cases of zero, infinity and NaN, of f64; x is not negative.
template <class V>
[[nodiscard]] SHEAF_HD constexpr V pow_of_size(V x, V y) noexcept {
  // Past this the result is 0, 1 or infinite; the product is to stay finite.
  y = V::clamp(y, -0x1p66, 0x1p66);
  const value_pair<V> logarithm = log2_pair(x);
  const value_pair<V> product = exact_product(y, logarithm.high);
  const V high = V::clamp(product.high, -1080.0, 1030.0);
  const V low = V::clamp(V::fma(y, logarithm.low, product.low), -1.0, 1.0);
  const V shifter(0x1.8p52);
  const V n = (high + shifter) - shifter;
  const V ln2(0x1.62e42fefa39efp-1);
  const V part = high - n;
  const V r = V::fma(part, ln2, V::fma(part, V(0x1.abc9e3b39803fp-56), low * ln2));
  return V::times_power_of_two(exp_polynomial(r), n);
}

}  // namespace sheaf::inline v0::detail
