/// \file
/// Sine and cosine of f64; what math_trig.hpp calls.
///
/// Method: x = n pi/2 + r, r as a pair. Up to 2^27: pi/2 in three parts of 53 bits; x - n P1 is
/// exact, n P2 and the rest are taken off as a pair. Beyond: the part of a turn x / (2 pi) in
/// 128-bit fixed point, from a window of 192 bits of 1 / (2 pi) (after Payne and Hanek, 1983); no
/// f64 comes nearer to a multiple of pi/2 than 2^-61, so 64 bits of r are right at the worst. Then
/// minimax polynomials in high, corrected for low to first order, after fdlibm's k_sin.c and
/// k_cos.c. Coefficients: tests/algebra/minimax.py, `sin_f64` (relative error 2^-56.7), `cos_f64`
/// (2^-59.2).
///
/// Thread safety: pure functions. Cost: about 50 instructions a register, and about 200 more where
/// one of its elements is beyond 2^27.
#pragma once

#include <sheaf/algebra/math_exp.hpp>
#include <sheaf/algebra/math_pair.hpp>

namespace sheaf::inline v0::detail {

/// A multiple of a quarter turn, in its lowest two bits, and the rest in radians.
template <class V, class W>
struct turned_pair {
  W quarters;
  value_pair<V> rest;
};

/// The upper 64 bits of a product of 64-bit integers.
template <class W>
[[nodiscard]] SHEAF_HD constexpr W high_product(W a, W b) noexcept {
  const W half(32), low(0xffffffff);
  const W a0 = a & low, a1 = a >> half, b0 = b & low, b1 = b >> half;
  const W cross = a1 * b0 + ((a0 * b0) >> half);
  const W other = a0 * b1 + (cross & low);
  return a1 * b1 + (cross >> half) + (other >> half);
}

/// Four words of 1 / (2 pi), from word `first` (0 to 16) on; word 0 is 0, the others follow the
/// point.
template <class W>
struct turn_words {
  W at[20];

  SHEAF_HD constexpr explicit turn_words(W first) noexcept
      : at{W(0),
           W(0x28be60db9391054a), W(0x7f09d5f47d4d3770), W(0x36d8a5664f10e410),
           W(0x7f9458eaf7aef158), W(0x6dc91b8e909374b8), W(0x01924bba82746487),
           W(0x3f877ac72c4a69cf), W(0xba208d7d4baed121), W(0x3a671c09ad17df90),
           W(0x4e64758e60d4ce7d), W(0x272117e2ef7e4a0e), W(0xc7fe25fff7816603),
           W(0xfbcbc462d6829b47), W(0xdb4d9fb3c9f2c26d), W(0xd3d18fd9a797fa8b),
           W(0x5d49eeb1faf97c5e), W(0xcf41ce7de294a4ba), W(0x9afed7ec47e35742),
           W(0x1580cc11bf1edaea)} {
    // 20 words moved down by 16, 8, 4, 2 and 1 where `first` has that bit; what is past them is
    // not asked for.
    for (unsigned step = 16; step != 0; step /= 2) {
      const auto stay = W::is_equal(first & W(std::uint64_t{step}), W(0));
      const unsigned kept = step == 16 ? 4 : step + 3;
      for (unsigned i = 0; i < kept; ++i) at[i] = W::pick(stay, at[i], at[i + step]);
    }
  }
};

/// `turned_pair` of a finite x from 2^27 on, in size.
template <class V, class W>
[[nodiscard]] SHEAF_HD constexpr turned_pair<V, W> turned_of_huge_double(V x) noexcept {
  const W bits = V::template reinterpret<std::uint64_t>(x);
  // |x| = mantissa 2^(exponent - 52); 64 bits in front of 1 / (2 pi) keep the offset positive.
  const W offset = ((bits >> W(52)) & W(0x7ff)) - W(1023 + 52 - 64);
  const W mantissa = (bits & W(0xfffffffffffff)) | W(0x10000000000000);
  const turn_words<W> words(offset >> W(6));
  const W shift = offset & W(63);
  const W rest_of_word = W(63) - shift;
  W window[3];
  for (unsigned i = 0; i < 3; ++i) {
    window[i] = (words.at[i] << shift) | ((words.at[i + 1] >> W(1)) >> rest_of_word);
  }
  // mantissa * window modulo a turn: 2^128 is a turn, the last 64 bits are dropped.
  const W second = mantissa * window[1];
  const W middle = second + high_product(mantissa, window[2]);
  const W carry = W::pick(W::is_less(middle, second), W(1), W(0));
  const W top = mantissa * window[0] + high_product(mantissa, window[1]) + carry;
  const W quarters = (top + W(std::uint64_t{1} << 61)) >> W(62);
  using Signed = decltype(W::template cast<std::int64_t>(top));
  const Signed part = W::template cast<std::int64_t>(top - (quarters << W(62)));
  const V rounded = Signed::template cast<double>(part);
  const Signed lost = part - V::template cast<std::int64_t>(rounded);
  const V more = V::fma(W::template cast<double>(middle), V(0x1p-64),
                        Signed::template cast<double>(lost));
  const value_pair<V> exact = exact_ordered_sum(rounded, more);
  const value_pair<V> quarter{V(0x1.921fb54442d18p+0 * 0x1p-62),
                              V(0x1.1a62633145c07p-54 * 0x1p-62)};
  const value_pair<V> radians = pair_product(exact, quarter);
  const auto negative = V::is_less(x, V(0.0));
  return {W::pick(negative, W(0) - quarters, quarters),
          {V::pick(negative, -radians.high, radians.high),
           V::pick(negative, -radians.low, radians.low)}};
}

template <class V, class W>
[[nodiscard]] SHEAF_HD constexpr turned_pair<V, W> turned_of_double(V x) noexcept {
  const V shifter(0x1.8p52);
  const V shifted = V::fma(x, V(0x1.45f306dc9c883p-1), shifter);
  const V n = shifted - shifter;
  const V first = V::fma(n, V(-0x1.921fb54442d18p+0), x);
  const value_pair<V> product = exact_product(n, V(0x1.1a62633145c07p-54));
  const value_pair<V> second = exact_sum(first, -product.high);
  const V third = V::fma(n, V(0x1.f1976b7ed8fbcp-110), second.low - product.low);
  turned_pair<V, W> near{V::template reinterpret<std::uint64_t>(shifted),
                         exact_ordered_sum(second.high, third)};
  const auto huge = V::is_less(V(0x1p27), V::abs(x));
  if (!V::any(huge)) return near;
  const turned_pair<V, W> far = turned_of_huge_double<V, W>(x);
  const V infinity(std::numeric_limits<double>::infinity());
  const auto taken = huge & V::is_less(V::abs(x), infinity);
  return {W::pick(taken, far.quarters, near.quarters),
          {V::pick(taken, far.rest.high, near.rest.high),
           V::pick(taken, far.rest.low, near.rest.low)}};
}

/// sin(x + more quarter turns) of f64.
template <class V>
[[nodiscard]] SHEAF_HD constexpr V sine_of_double(V x, std::uint64_t more) noexcept {
  using W = decltype(V::template reinterpret<std::uint64_t>(x));
  const turned_pair<V, W> at = turned_of_double<V, W>(x);
  const V r = at.rest.high, low = at.rest.low;
  const V one(1.0), z = r * r, half = V(0.5) * z;
  const V p = horner(z, -0x1.5555555555548p-3, 0x1.111111110f791p-7, -0x1.a01a019bf5ad9p-13,
                     0x1.71de356069dcbp-19, -0x1.ae5e54948b7aep-26, 0x1.5d8e0854db4bcp-33);
  const V sine = r + V::fma(r * z, p, V::fma(-half, low, low));
  const V q = horner(z, 0x1.555555555554bp-5, -0x1.6c16c16c14f49p-10, 0x1.a01a019c7d0aap-16,
                     -0x1.27e4f7e560b9bp-22, 0x1.1ee9d3f3bba76p-29, -0x1.8fa29ce771878p-37);
  const V most = one - half;
  const V cosine = most + (((one - most) - half) + V::fma(z * z, q, -(r * low)));
  const W quarters = at.quarters + W(more);
  const V size = V::pick(W::is_equal(quarters & W(1), W(0)), sine, cosine);
  const W sign = (quarters & W(2)) << W(62);
  return W::template reinterpret<double>(V::template reinterpret<std::uint64_t>(size) ^ sign);
}

}  // namespace sheaf::inline v0::detail
