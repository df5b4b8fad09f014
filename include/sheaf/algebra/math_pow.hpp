/// \file
/// Powers in plain IEEE and integer operations: the same bits on every backend.
///
/// Method, f32 (f64: math_pow_double.hpp): 2^(y log2|x|) in f64. log2: m in [sqrt(1/2), sqrt(2)),
/// s = (m - 1) / (m + 1), a minimax polynomial in s^2; 2^p: its whole part and a minimax
/// polynomial. Coefficients: tests/algebra/minimax.py, `pow_log_f32` (relative error 2^-44.9, so at
/// most 2^-37 in y log2|x|) and `pow_exp_f32` (2^-34.2). The result is rounded to f32 once. The
/// sign and the cases of C, Annex F.10.4.4 follow.
///
/// Thread safety: pure functions. Cost: about 60 instructions for each half of a register, one of
/// them a division.
#pragma once

#include <sheaf/algebra/math_pow_double.hpp>
#include <sheaf/algebra/math_tanh.hpp>

namespace sheaf::inline v0 {
namespace detail {

/// log2 of x, not negative; x is a f32, so no subnormal here.
template <class V>
[[nodiscard]] SHEAF_HD constexpr V log2_of_single(V x) noexcept {
  constexpr std::uint64_t root_half = to_bits(0.70710678118654752440);
  constexpr std::uint64_t one = to_bits(1.0);
  const auto bits = V::template reinterpret<std::uint64_t>(x);
  using W = std::remove_cvref_t<decltype(bits)>;
  const W moved = bits + W(one - root_half);  // its exponent is that of 2^k
  const W m_bits = (moved & W((std::uint64_t{1} << 52) - 1)) + W(root_half);
  const V m = W::template reinterpret<double>(m_bits);
  const V k = W::template reinterpret<double>((moved >> W(52)) | W(to_bits(0x1p52))) -
              V(0x1p52 + 1023);
  const V s = (m - V(1.0)) / (m + V(1.0));
  const V z = s * s;
  const V p = horner(z, 2.0, 0x1.555555561e2e1p-1, 0x1.999996a98335bp-2, 0x1.249411d4a1365p-2,
                     0x1.c62b1dcfdb486p-3, 0x1.9114fe61d03f4p-3);
  const V finite = V::fma(s * p, V(0x1.71547652b82fep+0), k);  // 1 / ln2
  const V infinity(std::numeric_limits<double>::infinity());
  const V result = V::pick(V::is_less(x, infinity), finite, x);
  return V::pick(V::is_equal(x, V(0.0)), -infinity, result);
}

/// 2^p, 0 or infinite as a f32 where it is as a real number.
template <class V>
[[nodiscard]] SHEAF_HD constexpr V exp2_for_single(V p) noexcept {
  p = V::clamp(p, -200.0, 200.0);
  const V shifter(0x1.8p52);
  const V shifted = p + shifter;
  const V r = (p - (shifted - shifter)) * V(0x1.62e42fefa39efp-1);  // ln2
  const V power = horner(r, 1.0, 1.0, 0x1.0000003a71890p-1, 0x1.55555441d1e73p-3,
                         0x1.55548d1202965p-5, 0x1.111271df4f4c9p-7, 0x1.6d8dae78b05dcp-10,
                         0x1.9f0834cbc6e76p-13);
  const auto exponent = V::template reinterpret<std::uint64_t>(shifted);
  using W = std::remove_cvref_t<decltype(exponent)>;
  const W scaled = V::template reinterpret<std::uint64_t>(power) + (exponent << W(52));
  return V::pick(V::is_equal(p, p), W::template reinterpret<double>(scaled), p);
}

/// x^y as doubles, given |x|^y where that has no special case or comes out right by itself.
template <class V>
[[nodiscard]] SHEAF_HD constexpr V pow_with_cases(V x, V y, V result) noexcept {
  const V zero(0.0), one(1.0), infinity(std::numeric_limits<double>::infinity());
  const V size = V::abs(x);
  // Adding 2^52 rounds to a whole number; from 2^52 on all are whole, from 2^53 on all are even.
  const V shifter(0x1p52);
  const auto is_whole_number = [shifter](V value) __attribute__((always_inline)) {
    const V bounded = V::clamp(value, 0.0, 0x1p52);
    return V::is_equal((bounded + shifter) - shifter, bounded);
  };
  const auto is_whole = is_whole_number(V::abs(y));
  const auto is_even = is_whole_number(V(0.5) * V::abs(y));
  // A negative x with a y that is no whole number has no power, unless x is infinite or zero.
  const V of_negative =
      V::pick(is_whole, V::pick(is_even, result, -result),
              V::pick(V::is_less(-infinity, x), V(canonical_nan<double>), result));
  const V of_zero = V::pick(is_whole, V::pick(is_even, result, with_sign_of(result, x)), result);
  result = V::pick(V::is_less(x, zero), of_negative, result);
  result = V::pick(V::is_equal(x, zero), of_zero, result);
  const auto infinite_power = V::is_equal(V::abs(y), infinity);
  result = V::pick(infinite_power, V::pick(V::is_equal(size, one), one, result), result);
  result = V::pick(V::is_equal(x, one), one, result);
  return V::pick(V::is_equal(y, zero), one, result);
}

/// x^y of two f32 as doubles.
template <class V>
[[nodiscard]] SHEAF_HD constexpr V pow_of_singles(V x, V y) noexcept {
  return pow_with_cases(x, y, exp2_for_single(y * log2_of_single(V::abs(x))));
}

/// x^y of f64.
template <class V>
[[nodiscard]] SHEAF_HD constexpr V pow_of_doubles(V x, V y) noexcept {
  const V zero(0.0), one(1.0), infinity(std::numeric_limits<double>::infinity());
  const V size = V::abs(x);
  V result = pow_of_size(size, y);
  // 0 or infinity where |x| is one of them, or y is infinite: whichever side of 1 |x| lies on.
  const V extreme = V::pick(V::is_less(size, one), V::pick(V::is_less(zero, y), zero, infinity),
                            V::pick(V::is_less(zero, y), infinity, zero));
  result = V::pick(V::is_equal(size, zero), extreme, result);
  result = V::pick(V::is_equal(size, infinity), extreme, result);
  result = V::pick(V::is_equal(V::abs(y), infinity), extreme, result);
  result = V::pick(V::is_equal(x, x), V::pick(V::is_equal(y, y), result, y), x);
  return pow_with_cases(x, y, result);
}

}  // namespace detail

/// x^y with the special cases of C, Annex F: 1 where x is 1 or y is 0, whatever the other; NaN for
/// x < 0 and finite y that is no whole number; 1 for -1 to an infinity. The error is in
/// docs/operators.md.
template <kernel_value V>
requires float_element<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V pow(V x, V y) noexcept {
  if constexpr (element<V>) {
    return sheaf::pow(lane<V>(x), lane<V>(y)).value_;
  } else if constexpr (std::same_as<lane_of<V>, float>) {
    return V::through_doubles(
        [](auto a, auto b)
            __attribute__((always_inline)) { return detail::pow_of_singles(a, b); },
        x, y);
  } else {
    return detail::pow_of_doubles(x, y);
  }
}

}  // namespace sheaf::inline v0
