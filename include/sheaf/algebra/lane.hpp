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
