/// \file
/// The exponential function in plain IEEE operations: the same bits on every backend.
///
/// Method: x = n ln2 + r with |r| <= ln2 / 2 (the product with ln2 in two parts, fused), e^r by a
/// minimax polynomial, times 2^n rounded once. Coefficients: tests/algebra/minimax.py, `exp_f32`
/// (relative error 2^-27.8) and `exp_f64` (2^-56.5).
///
/// Thread safety: pure functions.
/// Cost: 15 (f32) or 20 (f64) instructions a register, nine more where the set cannot scale by a
/// power of two.
#pragma once

#include <sheaf/algebra/lane.hpp>

namespace sheaf::inline v0 {
namespace detail {

/// c0 + c1 x + c2 x^2 + ..., from the highest power down, each step fused.
template <class V>
[[nodiscard]] SHEAF_HD constexpr V horner(V, lane_of<V> last) noexcept {
  return V(last);
}
template <class V, class... More>
[[nodiscard]] SHEAF_HD constexpr V horner(V x, lane_of<V> first, More... more) noexcept {
  return V::fma(horner(x, more...), x, V(first));
}

/// e^r for |r| <= ln2 / 2.
template <class V>
[[nodiscard]] SHEAF_HD constexpr V exp_polynomial(V r) noexcept {
  if constexpr (std::same_as<lane_of<V>, float>) {
    return horner(r, 1.0f, 1.0f, 0x1.fffffcp-2f, 0x1.555490p-3f, 0x1.5558f4p-5f, 0x1.123a68p-7f,
                  0x1.6a234ap-10f);
  } else {
    return horner(r, 1.0, 1.0, 0x1.000000000000ap-1, 0x1.55555555554f9p-3, 0x1.55555555507f5p-5,
                  0x1.1111111127e8ep-7, 0x1.6c16c18449f7fp-10, 0x1.a01a0129b0439p-13,
                  0x1.a01999b09ce0bp-16, 0x1.71df263776c7cp-19, 0x1.28adcbd4772a7p-22,
                  0x1.ad7eed11ffe71p-26);
  }
}

template <class V>
[[nodiscard]] SHEAF_HD constexpr V exp_of(V x) noexcept {
  if constexpr (std::same_as<lane_of<V>, float>) {
    // Past these the result is 0 or infinite, and it becomes that by itself.
    x = V::clamp(x, -104.0f, 89.0f);
    const V shifter(0x1.8p23f);
    const V n = V::fma(x, V(0x1.715476p+0f), shifter) - shifter;  // 1 / ln2
    V r = V::fma(n, V(-0x1.62e430p-1f), x);
    r = V::fma(n, V(0x1.05c610p-29f), r);
    return V::times_power_of_two(exp_polynomial(r), n);
  } else {
    x = V::clamp(x, -746.0, 710.0);
    const V shifter(0x1.8p52);
    const V n = V::fma(x, V(0x1.71547652b82fep+0), shifter) - shifter;
    V r = V::fma(n, V(-0x1.62e42fefa39efp-1), x);
    r = V::fma(n, V(-0x1.abc9e3b39803fp-56), r);
    return V::times_power_of_two(exp_polynomial(r), n);
  }
}

}  // namespace detail

/// e^x. Of -infinity +0, of +infinity +infinity, of NaN NaN; subnormal results are kept. The error
/// is in docs/operators.md.
template <kernel_value V>
requires float_element<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V exp(V x) noexcept {
  if constexpr (element<V>) return detail::exp_of(lane<V>(x)).value_;
  else return detail::exp_of(x);
}

}  // namespace sheaf::inline v0
