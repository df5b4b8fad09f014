/// \file
/// The error function in plain IEEE operations: the same bits on every backend.
///
/// Method: below 0.90625 an odd minimax polynomial, x + x p(x^2); above it 1 - e^(q(t) - t^2) with
/// t = |x| and q, a minimax polynomial too, the logarithm of e^(t^2) erfc t, which is nearly
/// straight; the sum is fused, so that it is rounded once. Both are computed, one is taken.
/// Coefficients: tests/algebra/minimax.py, `erf_f32` (relative error 2^-25.7), `erf_tail_f32`
/// (2^-26.0), `erf_f64` (2^-56.2), `erf_tail_f64` (2^-55.6).
///
/// Thread safety: pure functions. Cost: about 40 (f32) or 65 (f64) instructions a register.
#pragma once

#include <sheaf/algebra/math_tanh.hpp>

namespace sheaf::inline v0 {
namespace detail {

template <class V>
[[nodiscard]] SHEAF_HD constexpr V erf_of(V x) noexcept {
  using T = lane_of<V>;
  const V size = V::abs(x);
  const V z = x * x;
  V p, q, t;
  if constexpr (std::same_as<T, float>) {
    p = horner(z, 0x1.06eba6p-3f, -0x1.8126f4p-2f, 0x1.ce1ce6p-4f, -0x1.b6b0b2p-6f,
               0x1.481e86p-8f, -0x1.3dd2b8p-11f);
    t = V::clamp(size, 0.0f, 4.0f);  // from 3.9 on the result is 1
    q = horner(t - V(2.0f), -0x1.5d6cc4p+0f, -0x1.ac321cp-2f, 0x1.38485cp-4f, -0x1.0e4540p-6f,
               0x1.d1a78ap-9f, -0x1.68f564p-11f, 0x1.9e3472p-13f);
  } else {
    p = horner(z, 0x1.06eba8214db69p-3, -0x1.812746b0379e2p-2, 0x1.ce2f21a04274ep-4,
               -0x1.b82ce3126eefep-6, 0x1.565bcd09b822dp-8, -0x1.c02db2fd1765ap-11,
               0x1.f9a30376266e7p-14, -0x1.f4cf255b4289ap-17, 0x1.b9b4dea01e4ddp-20,
               -0x1.5d7044e50661bp-23, 0x1.e1f99169e106dp-27, -0x1.cfe6e923d3198p-31);
    t = V::clamp(size, 0.0, 6.0);  // from 5.93 on the result is 1
    q = horner(t - V(2.5), -0x1.8e8b721a46e58p+0, -0x1.6925248da94bbp-2, 0x1.cb9f5e73b62c2p-5,
               -0x1.63cc1da6bf315p-7, 0x1.1bd558e949527p-9, -0x1.b9613a7893c58p-12,
               0x1.43172dfbb8c51p-14, -0x1.ac037ed223438p-17, 0x1.dae10c30b7da5p-20,
               -0x1.4ef20d35846cbp-23, -0x1.b514b6c0e172ap-27, 0x1.75436da6bae28p-27,
               -0x1.dbbd72b65c184p-29, 0x1.f2b27584932dap-31, -0x1.5d63838aee981p-33,
               0x1.0225c90ab3782p-39, -0x1.37c5fee1d7e37p-37, 0x1.bc1bdb3906709p-40,
               0x1.b22cb7500a324p-40);
  }
  const V near = V::fma(size, p, size);
  const V far = V(T{1}) - exp_of(V::fma(-t, t, q));
  return with_sign_of(V::pick(V::is_less(size, V(static_cast<T>(0.90625))), near, far), x);
}

}  // namespace detail

/// erf x, 2 / sqrt(pi) times the integral of e^(-u^2) from 0 to x. Of -0 -0, of an infinity 1 with
/// its sign, of NaN NaN. The error is in docs/operators.md.
template <kernel_value V>
requires float_element<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V erf(V x) noexcept {
  if constexpr (element<V>) return detail::erf_of(lane<V>(x)).value_;
  else return detail::erf_of(x);
}

}  // namespace sheaf::inline v0
