/// \file
/// `lane<T>`: the kernel value of one element. It is what scalar builds of a kernel compute with.
///
/// Why not `T` itself: a functor may be written with operators (`-rate * tenor`), and on a bare
/// element those would follow C++ (u8 promoted to int, signed overflow undefined, x / 0 a trap). A
/// `lane` has the operators with the meaning of scalar.hpp, as the SIMD values have.
///
/// Thread safety: a value. Cost: that of the element.
#pragma once

#include <sheaf/algebra/scalar.hpp>

/// Defines, inside the class template `TYPE`, the operators of a kernel value of `T` by its static
/// functions.
#define SHEAF_KERNEL_VALUE_OPERATORS(TYPE, T)                                       \
  [[nodiscard]] SHEAF_HD friend constexpr TYPE operator+(TYPE a, TYPE b) noexcept { \
    return TYPE::add(a, b);                                                         \
  }                                                                                 \
  [[nodiscard]] SHEAF_HD friend constexpr TYPE operator-(TYPE a, TYPE b) noexcept { \
    return TYPE::subtract(a, b);                                                    \
  }                                                                                 \
  [[nodiscard]] SHEAF_HD friend constexpr TYPE operator*(TYPE a, TYPE b) noexcept { \
    return TYPE::multiply(a, b);                                                    \
  }                                                                                 \
  [[nodiscard]] SHEAF_HD friend constexpr TYPE operator/(TYPE a, TYPE b) noexcept { \
    return TYPE::divide(a, b);                                                      \
  }                                                                                 \
  [[nodiscard]] SHEAF_HD friend constexpr TYPE operator-(TYPE x) noexcept {         \
    return TYPE::negate(x);                                                         \
  }                                                                                 \
  [[nodiscard]] SHEAF_HD friend constexpr TYPE operator&(                           \
      TYPE a, TYPE b) noexcept requires integer_element<T> {                        \
    return TYPE::bit_and(a, b);                                                     \
  }                                                                                 \
  [[nodiscard]] SHEAF_HD friend constexpr TYPE operator|(                           \
      TYPE a, TYPE b) noexcept requires integer_element<T> {                        \
    return TYPE::bit_or(a, b);                                                      \
  }                                                                                 \
  [[nodiscard]] SHEAF_HD friend constexpr TYPE operator^(                           \
      TYPE a, TYPE b) noexcept requires integer_element<T> {                        \
    return TYPE::bit_xor(a, b);                                                     \
  }                                                                                 \
  [[nodiscard]] SHEAF_HD friend constexpr TYPE operator~(                           \
      TYPE x) noexcept requires integer_element<T> {                                \
    return TYPE::bit_not(x);                                                        \
  }                                                                                 \
  [[nodiscard]] SHEAF_HD friend constexpr TYPE operator<<(                          \
      TYPE x, TYPE count) noexcept requires integer_element<T> {                    \
    return TYPE::shl(x, count);                                                     \
  }                                                                                 \
  [[nodiscard]] SHEAF_HD friend constexpr TYPE operator>>(                          \
      TYPE x, TYPE count) noexcept requires integer_element<T> {                    \
    return TYPE::shr(x, count);                                                     \
  }

namespace sheaf::inline v0 {
namespace detail {

/// x * 2^n in two products, of which the first is exact: 2^n itself may be no float. The conditions
/// are those of `lane::times_power_of_two`.
template <class V>
[[nodiscard]] SHEAF_HD constexpr V times_power_by_halves(V x, V n) noexcept {
  using T = lane_of<V>;
  using bits = bits_of<T>;
  constexpr bool single = sizeof(T) == 4;
  // Added to a small whole number, it leaves that number, and the bias, in the lowest bits.
  constexpr T shifter = static_cast<T>(single ? 0x1.8p23 : 0x1.8p52);
  constexpr T biased = shifter + static_cast<T>(single ? 127 : 1023);
  constexpr bits fraction_bits = single ? 23 : 52;
  const V half = V::fma(n, V(T{0.5}), V(shifter)) - V(shifter);
  const auto power = [](V whole) __attribute__((always_inline)) {
    const auto exponent = V::template reinterpret<bits>(whole + V(biased));
    return decltype(exponent)::template reinterpret<T>(
        shl(exponent, decltype(shl(exponent, exponent))(fraction_bits)));
  };
  return x * power(half) * power(n - half);
}

}  // namespace detail

/// One element with the operators of a kernel value. The surface is that of every kernel value.
template <element T>
struct lane {
  using lane_type = T;
  static constexpr unsigned lanes = 1;
  /// Bit i stands for element i.
  using mask = std::uint64_t;

  T value_;

  lane() = default;
  SHEAF_HD constexpr lane(T x) noexcept : value_(x) {}

  [[nodiscard]] SHEAF_HD static constexpr lane broadcast(T x) noexcept { return x; }
  [[nodiscard]] SHEAF_HD static constexpr lane load(const T* from) noexcept { return *from; }
  [[nodiscard]] SHEAF_HD static constexpr lane load_unaligned(const T* from) noexcept {
    return *from;
  }
  SHEAF_HD constexpr void store(T* to) const noexcept { *to = value_; }
  SHEAF_HD constexpr void store_unaligned(T* to) const noexcept { *to = value_; }
  /// Element 0.
  [[nodiscard]] SHEAF_HD constexpr T first() const noexcept { return value_; }

  [[nodiscard]] SHEAF_HD static constexpr lane canonical(lane x) noexcept {
    return sheaf::canonical(x.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane add(lane a, lane b) noexcept {
    return sheaf::add(a.value_, b.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane subtract(lane a, lane b) noexcept {
    return sheaf::subtract(a.value_, b.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane multiply(lane a, lane b) noexcept {
    return sheaf::multiply(a.value_, b.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane divide(lane a, lane b) noexcept {
    return sheaf::divide(a.value_, b.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane negate(lane x) noexcept {
    return sheaf::negate(x.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane abs(lane x) noexcept { return sheaf::abs(x.value_); }
  [[nodiscard]] SHEAF_HD static constexpr lane min(lane a, lane b) noexcept {
    return sheaf::min(a.value_, b.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane max(lane a, lane b) noexcept {
    return sheaf::max(a.value_, b.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane fma(lane a, lane b, lane c) noexcept {
    return sheaf::fma(a.value_, b.value_, c.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane sqrt(lane x) noexcept requires float_element<T> {
    return sheaf::sqrt(x.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane bit_and(lane a, lane b) noexcept requires
      integer_element<T> {
    return sheaf::bit_and(a.value_, b.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane bit_or(lane a,
                                                      lane b) noexcept requires integer_element<T> {
    return sheaf::bit_or(a.value_, b.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane bit_xor(lane a, lane b) noexcept requires
      integer_element<T> {
    return sheaf::bit_xor(a.value_, b.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane bit_not(lane x) noexcept requires
      integer_element<T> {
    return sheaf::bit_not(x.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane shl(lane x, lane count) noexcept requires
      integer_element<T> {
    return sheaf::shl(x.value_, count.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane shr(lane x, lane count) noexcept requires
      integer_element<T> {
    return sheaf::shr(x.value_, count.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane eq(lane a, lane b) noexcept {
    return sheaf::eq(a.value_, b.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane ne(lane a, lane b) noexcept {
    return sheaf::ne(a.value_, b.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane lt(lane a, lane b) noexcept {
    return sheaf::lt(a.value_, b.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane le(lane a, lane b) noexcept {
    return sheaf::le(a.value_, b.value_);
  }
  [[nodiscard]] SHEAF_HD static constexpr lane select(lane cond, lane a, lane b) noexcept {
    return sheaf::select(cond.value_, a.value_, b.value_);
  }
  template <element To>
  [[nodiscard]] SHEAF_HD static constexpr lane<To> cast(lane x) noexcept {
    return sheaf::cast<To>(x.value_);
  }
  /// The same bits as an element type of the same width.
  template <element To>
  requires(sizeof(To) == sizeof(T)) [[nodiscard]] SHEAF_HD static constexpr lane<To> reinterpret(
      lane x) noexcept {
    return from_bits<To>(to_bits(x.value_));
  }
  /// What comparisons give for `pick`; `&` and `|` join them.
  using truth = bool;
  [[nodiscard]] SHEAF_HD static constexpr truth is_less(lane a, lane b) noexcept {
    return a.value_ < b.value_;
  }
  [[nodiscard]] SHEAF_HD static constexpr truth is_equal(lane a, lane b) noexcept {
    return a.value_ == b.value_;
  }
  /// Whether it holds for any element: a reason to skip work, never a change of the result.
  [[nodiscard]] SHEAF_HD static constexpr bool any(truth where) noexcept { return where; }
  /// `a` where the comparison, of values of any equally wide type, holds, else `b`.
  template <class Comparison>
  [[nodiscard]] SHEAF_HD static constexpr lane pick(Comparison where, lane a, lane b) noexcept {
    return where ? a : b;
  }
  /// x, but at least `low` and at most `high`; a NaN stays as it is.
  [[nodiscard]] SHEAF_HD static constexpr lane clamp(lane x, T low, T high) noexcept {
    const T raised = low > x.value_ ? low : x.value_;
    return high < raised ? high : raised;
  }
  /// x * 2^n, rounded once. x: 0, a NaN or 0.25 <= |x| <= 4; n: a whole number, its size at most
  /// 250 (f32) or 2000 (f64).
  [[nodiscard]] SHEAF_HD static constexpr lane times_power_of_two(lane x, lane n) noexcept requires
      float_element<T> {
    return detail::times_power_by_halves(x, n);
  }
  /// `function` of the values as doubles, rounded to f32 once more.
  template <class Function>
  [[nodiscard]] SHEAF_HD static constexpr lane through_doubles(
      const Function& function, lane x) noexcept requires std::same_as<T, float> {
    return static_cast<float>(function(lane<double>(x.value_)).value_);
  }
  template <class Function>
  [[nodiscard]] SHEAF_HD static constexpr lane through_doubles(
      const Function& function, lane x, lane y) noexcept requires std::same_as<T, float> {
    return static_cast<float>(function(lane<double>(x.value_), lane<double>(y.value_)).value_);
  }
  /// Bit i: element i of `a` differs in bits from that of `b`.
  [[nodiscard]] SHEAF_HD static constexpr mask differs(lane a, lane b) noexcept {
    return to_bits(a.value_) != to_bits(b.value_);
  }
  /// Bit i: element i is not zero (a NaN is not, -0 is).
  [[nodiscard]] SHEAF_HD static constexpr mask nonzero(lane x) noexcept { return x.value_ != T{0}; }
  [[nodiscard]] SHEAF_HD static constexpr bool same_bits(lane a, lane b) noexcept {
    return to_bits(a.value_) == to_bits(b.value_);
  }

  SHEAF_KERNEL_VALUE_OPERATORS(lane, T)
};

}  // namespace sheaf::inline v0
