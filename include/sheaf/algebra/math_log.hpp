/// \file
/// The natural logarithm in plain IEEE operations: the same bits on every backend.
///
/// Method: x = 2^k m with m in [sqrt(1/2), sqrt(2)), f = m - 1. f32: log(1 + f) = f - f^2/2 +
/// f^3 p(f). f64 (after fdlibm's e_log.c): s = f / (2 + f), log(1 + f) = f - f^2/2 + s (f^2/2 +
/// s^2 p(s^2)), which keeps the large part of the sum exact. k ln2 is added in two parts.
/// Coefficients: tests/algebra/minimax.py, `log_f32` (relative error 2^-27.2) and `log_f64`
/// (2^-58.9).
///
/// Thread safety: pure functions. Cost: about 30 instructions a register; f64 one division.
#pragma once

#include <sheaf/algebra/math_exp.hpp>

namespace sheaf::inline v0 {
namespace detail {

/// log(x + c) + extra ln2 for positive normal x and |c| at most an ulp of x; `extra` is whole.
template <class V>
[[nodiscard]] SHEAF_HD constexpr V log_of_normal(V x, V extra, V c) noexcept {
  using T = lane_of<V>;
  using word = bits_of<T>;
  constexpr bool single = sizeof(T) == 4;
  constexpr word fraction_bits = single ? 23 : 52;
  constexpr word root_half = to_bits(static_cast<T>(0.70710678118654752440));
  constexpr word one = to_bits(T{1});
  constexpr word fraction = (word{1} << fraction_bits) - 1;
  const auto bits = V::template reinterpret<word>(x);
  using W = std::remove_cvref_t<decltype(bits)>;
  const W moved = bits + W(one - root_half);  // its exponent is that of 2^k
  const W m_bits = (moved & W(fraction)) + W(root_half);
  const V f = W::template reinterpret<T>(m_bits) - V(T{1});
  // k by the bits of a float: 2^fraction_bits + (k + bias), less that.
  constexpr T shifter = static_cast<T>(single ? 0x1p23 : 0x1p52);
  constexpr T bias = static_cast<T>(single ? 127 : 1023);
  const W biased_k = shr(moved, W(fraction_bits)) | W(to_bits(shifter));
  const V k = (W::template reinterpret<T>(biased_k) - V(shifter + bias)) + extra;
  const V square = f * f;
  if constexpr (single) {
    const V p = horner(f, 0x1.555554p-2f, -0x1.000226p-2f, 0x1.99a008p-3f, -0x1.547244p-3f,
                       0x1.22da1ap-3f, -0x1.0d853ep-3f, 0x1.055ba0p-3f, -0x1.38b652p-4f);
    V rest = V::fma(square * f, p, c);
    rest = V::fma(k, V(-0x1.05c610p-29f), rest);
    rest = V::fma(square, V(-0.5f), rest);
    return V::fma(k, V(0x1.62e430p-1f), f + rest);
  } else {
    const V s = f / (V(2.0) + f);
    const V z = s * s;
    const V p = horner(z, 0x1.5555555555592p-1, 0x1.999999997fdabp-2, 0x1.24924941f1e6ap-2,
                       0x1.c71c5208bb465p-3, 0x1.74663f09c8cf2p-3, 0x1.39a1b75fef756p-3,
                       0x1.2f0584ccea1fep-3);
    const V half = V(0.5) * square;
    V rest = V::fma(s, V::fma(z, p, half), c);
    rest = V::fma(k, V(0x1.abc9e3b39803fp-56), rest);
    return V::fma(k, V(0x1.62e42fefa39efp-1), f - (half - rest));
  }
}

template <class V>
[[nodiscard]] SHEAF_HD constexpr V log_of(V x) noexcept {
  using T = lane_of<V>;
  constexpr T infinity = std::numeric_limits<T>::infinity();
  constexpr T up = static_cast<T>(sizeof(T) == 4 ? 0x1p23 : 0x1p52);
  constexpr T down = static_cast<T>(sizeof(T) == 4 ? -23 : -52);
  const auto is_small = V::is_less(x, V(std::numeric_limits<T>::min()));
  const V normal = V::pick(is_small, x * V(up), x);
  const V extra = V::pick(is_small, V(down), V(T{0}));
  V result = log_of_normal(normal, extra, V(T{0}));
  result = V::pick(V::is_less(x, V(infinity)), result, x);  // infinity and NaN are their own
  result = V::pick(V::is_equal(x, V(T{0})), V(-infinity), result);
  return V::pick(V::is_less(x, V(T{0})), V(canonical_nan<T>), result);
}

/// log(1 + t) for 0 <= t <= 1; of NaN, anything.
template <class V>
[[nodiscard]] SHEAF_HD constexpr V log_one_plus(V t) noexcept {
  using T = lane_of<V>;
  const V sum = V(T{1}) + t;
  const V lost = t - (sum - V(T{1}));
  return log_of_normal(sum, V(T{0}), lost / sum);
}

}  // namespace detail

/// ln x. Of +0 and -0 -infinity, of a negative number NaN, of +infinity +infinity, of NaN NaN. The
/// error is in docs/operators.md.
template <kernel_value V>
requires float_element<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V log(V x) noexcept {
  if constexpr (element<V>) return detail::log_of(lane<V>(x)).value_;
  else return detail::log_of(x);
}

}  // namespace sheaf::inline v0
