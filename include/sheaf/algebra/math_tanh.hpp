/// \file
/// The hyperbolic tangent in plain IEEE operations: the same bits on every backend.
///
/// Method: below 0.625 an odd minimax polynomial, x + x z p(z) with z = x^2; above it
/// 1 - 2 / (e^2|x| + 1) with the sign of x. Both are computed, one is taken. Coefficients:
/// tests/algebra/minimax.py, `tanh_f32` (relative error 2^-26.8) and `tanh_f64` (2^-56.4).
///
/// Thread safety: pure functions. Cost: about 35 (f32) or 50 (f64) instructions a register, one of
/// them a division.
#pragma once

#include <sheaf/algebra/math_exp.hpp>

namespace sheaf::inline v0 {
namespace detail {

/// `size` with the sign of x; size is not negative.
template <class V>
[[nodiscard]] SHEAF_HD constexpr V with_sign_of(V size, V x) noexcept {
  using T = lane_of<V>;
  using word = bits_of<T>;
  const auto bits = V::template reinterpret<word>(x);
  using W = std::remove_cvref_t<decltype(bits)>;
  constexpr word sign = word{1} << (sizeof(T) * 8 - 1);
  return W::template reinterpret<T>((bits & W(sign)) | V::template reinterpret<word>(size));
}

template <class V>
[[nodiscard]] SHEAF_HD constexpr V tanh_of(V x) noexcept {
  using T = lane_of<V>;
  const V size = V::abs(x);
  const V z = x * x;
  V p;
  if constexpr (std::same_as<T, float>) {
    p = horner(z, -0x1.555532p-2f, 0x1.110726p-3f, -0x1.b83c56p-5f, 0x1.522684p-6f,
               -0x1.75e176p-8f);
  } else {
    p = horner(z, -0x1.5555555555552p-2, 0x1.1111111110c03p-3, -0x1.ba1ba1b9ce64ep-5,
               0x1.664f487037191p-6, -0x1.226e32c12753dp-7, 0x1.d6d3584ccf915p-9,
               -0x1.7d9c1d478f538p-10, 0x1.350ae0f2737d6p-11, -0x1.f10cacfb6964ap-13,
               0x1.8005ff7cea075p-14, -0x1.fa74bb7af4219p-16, 0x1.958021782f56cp-18);
  }
  const V near = V::fma(size, z * p, size);
  const V one(T{1});
  const V far = one - V(T{2}) / (exp_of(size + size) + one);
  return with_sign_of(V::pick(V::is_less(size, V(static_cast<T>(0.625))), near, far), x);
}

}  // namespace detail

/// tanh x. Of -0 -0, of an infinity 1 with its sign, of NaN NaN. The error is in docs/operators.md.
template <kernel_value V>
requires float_element<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V tanh(V x) noexcept {
  if constexpr (element<V>) return detail::tanh_of(lane<V>(x)).value_;
  else return detail::tanh_of(x);
}

}  // namespace sheaf::inline v0
