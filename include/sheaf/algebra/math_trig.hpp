/// \file
/// Sine and cosine in plain IEEE and integer operations: the same bits on every backend.
///
/// Method, f32 (f64: math_trig_double.hpp): in f64, x = n pi/2 + r. To 2^32: n is x 2/pi, rounded,
/// and r = (x - n P1) - n P2 with pi/2 = P1 + P2 to 2^-107; the first step is exact, as x and n P1
/// are multiples of 2^-52. Beyond: x / (2 pi) less its whole part, in 64-bit fixed point, from a
/// window of 96 bits of 1 / (2 pi) (after Payne and Hanek, 1983): wrong by less than 2^-60 of a
/// quarter turn, when no f32 comes nearer to a multiple of pi/2 than 2^-30. Minimax polynomials in
/// r follow; coefficients: tests/algebra/minimax.py, `sin_f32` (relative error 2^-37.5), `cos_f32`
/// (2^-43.6). The result is rounded to f32 once.
///
/// Thread safety: pure functions. Cost: about 25 instructions for each half of a register, and
/// about 60 more where one of its elements is beyond 2^32.
#pragma once

#include <sheaf/algebra/math_trig_double.hpp>

namespace sheaf::inline v0 {
namespace detail {

/// A multiple of a quarter turn, in its lowest two bits, and the rest in radians.
template <class V>
struct turned {
  decltype(V::template reinterpret<std::uint64_t>(V{})) quarters;
  V rest;
};

/// `turned` of |x| from 2^32 to 2^128; x is a f32.
template <class V>
[[nodiscard]] SHEAF_HD constexpr turned<V> turned_of_huge(V x) noexcept {
  const auto bits = V::template reinterpret<std::uint64_t>(x);
  using W = std::remove_cvref_t<decltype(bits)>;
  // The bits of 1 / (2 pi) after the point.
  constexpr std::uint64_t words[4] = {0x28be60db9391054a, 0x7f09d5f47d4d3770, 0x36d8a5664f10e410,
                                      0x7f9458eaf7aef158};
  // |x| = mantissa 2^offset, mantissa of 24 bits: the first `offset` bits only make whole turns.
  const W offset = ((bits >> W(52)) & W(0x7ff)) - W(1023 + 23);
  const W mantissa = ((bits >> W(29)) & W(0x7fffff)) | W(0x800000);
  const auto second = W::is_less(W(63), offset);
  const W a = W::pick(second, W(words[1]), W(words[0]));
  const W b = W::pick(second, W(words[2]), W(words[1]));
  const W c = W::pick(second, W(words[3]), W(words[2]));
  const W shift = offset & W(63);
  const W rest_of_word = W(63) - shift;
  const W high = (a << shift) | ((b >> W(1)) >> rest_of_word);
  const W low = ((b << shift) | ((c >> W(1)) >> rest_of_word)) >> W(32);
  // The part of a turn, times 2^64: two bits of quarters and 62 of the rest.
  const W turn = mantissa * high + ((mantissa * low) >> W(32));
  const W quarters = (turn + W(std::uint64_t{1} << 61)) >> W(62);
  const auto rest = W::template cast<std::int64_t>(turn - (quarters << W(62)));
  const V radians = std::remove_cvref_t<decltype(rest)>::template cast<double>(rest) *
                    V(0x1.921fb54442d18p+0 * 0x1p-62);
  const auto negative = V::is_less(x, V(0.0));
  return {W::pick(negative, W(0) - quarters, quarters), V::pick(negative, -radians, radians)};
}

template <class V>
[[nodiscard]] SHEAF_HD constexpr turned<V> turned_of(V x) noexcept {
  const V shifter(0x1.8p52);
  const V shifted = V::fma(x, V(0x1.45f306dc9c883p-1), shifter);
  const V n = shifted - shifter;
  V rest = V::fma(n, V(-0x1.921fb54442d18p+0), x);
  rest = V::fma(n, V(-0x1.1a62633145c07p-54), rest);
  turned<V> near{V::template reinterpret<std::uint64_t>(shifted), rest};
  const auto huge = V::is_less(V(0x1p32), V::abs(x));
  if (!V::any(huge)) return near;
  const turned<V> far = turned_of_huge(x);
  using W = decltype(near.quarters);
  const auto taken = huge & V::is_less(V::abs(x), V(std::numeric_limits<double>::infinity()));
  return {W::pick(taken, far.quarters, near.quarters), V::pick(taken, far.rest, near.rest)};
}

/// sin(x + more quarter turns), of a f32 as a double.
template <class V>
[[nodiscard]] SHEAF_HD constexpr V sine_of(V x, std::uint64_t more) noexcept {
  const turned<V> at = turned_of(x);
  using W = std::remove_cvref_t<decltype(at.quarters)>;
  const W quarters = at.quarters + W(more);
  const V r = at.rest;
  const V z = r * r;
  const V sine = V::fma(
      r * z,
      horner(z, -0x1.5555554c5fe56p-3, 0x1.1111085d56066p-7, -0x1.a00f749fd1d6ep-13,
             0x1.6ccf6d5e1e195p-19),
      r);
  const V cosine = horner(z, 1.0, -0x1.ffffffffe950bp-2, 0x1.55555545a5105p-5,
                          -0x1.6c16b3330a2f7p-10, 0x1.a00eae319974bp-16, -0x1.23c7696232486p-22);
  const V size = V::pick(W::is_equal(quarters & W(1), W(0)), sine, cosine);
  // The second bit of the quarters is the sign.
  const W sign = (quarters & W(2)) << W(62);
  return W::template reinterpret<double>(V::template reinterpret<std::uint64_t>(size) ^ sign);
}

}  // namespace detail

/// sin x, x in radians; of -0 -0, of an infinity NaN, of NaN NaN. Any x is reduced in
/// full. The error is in docs/operators.md.
template <kernel_value V>
requires float_element<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V sin(V x) noexcept {
  if constexpr (element<V>) {
    return sheaf::sin(lane<V>(x)).value_;
  } else {
    V result;
    if constexpr (std::same_as<lane_of<V>, float>) {
      result = V::through_doubles(
          [](auto part) __attribute__((always_inline)) { return detail::sine_of(part, 0); }, x);
    } else {
      result = detail::sine_of_double(x, 0);
    }
    return V::pick(V::is_equal(x, V(lane_of<V>{0})), x, result);  // r = fma(...) makes +0 of -0
  }
}

/// cos x, x in radians; of an infinity NaN, of NaN NaN. Any x is reduced in full. The
/// error is in docs/operators.md.
template <kernel_value V>
requires float_element<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V cos(V x) noexcept {
  if constexpr (element<V>) {
    return sheaf::cos(lane<V>(x)).value_;
  } else if constexpr (std::same_as<lane_of<V>, double>) {
    return detail::sine_of_double(x, 1);
  } else {
    return V::through_doubles(
        [](auto part) __attribute__((always_inline)) { return detail::sine_of(part, 1); }, x);
  }
}

}  // namespace sheaf::inline v0
