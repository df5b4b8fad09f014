/// \file
/// Merge operators: how a change combines with the element it meets. Scalar text of each, which
/// every apply body is made of.
///
/// Bit rules
///  1. `assign` stores the host's bits, NaN payloads included.
///  2. A NaN result of `add`, `min` or `max` is the canonical quiet NaN.
///  3. `min` and `max` are IEEE 754-2019 minimum and maximum: a NaN operand gives NaN, -0 < +0.
///  4. Integers wrap.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include <sheaf/base/bits.hpp>
#include <sheaf/base/dtype.hpp>
#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

enum class merge_operator : std::uint8_t { assign, add, min, max, bit_and, bit_or, bit_xor };
inline constexpr unsigned merge_operator_count = 7;

[[nodiscard]] constexpr std::string_view name_of(merge_operator op) noexcept {
  constexpr std::string_view names[merge_operator_count] = {"assign", "add", "min", "max",
                                                            "and",    "or",  "xor"};
  return names[static_cast<unsigned>(op)];
}

/// The bit operators are for integers only.
[[nodiscard]] constexpr bool supports(merge_operator op, dtype type) noexcept {
  return op < merge_operator::bit_and || !is_float(type);
}

/// True where x op a op b = x op (a op b), bit for bit, so that two changes may become one before
/// they meet their element (for `assign`: the later one). False for float `add` alone.
[[nodiscard]] constexpr bool merges_exactly(merge_operator op, dtype type) noexcept {
  return op != merge_operator::add || !is_float(type);
}

/// What `old` becomes when `value` is merged into it by `Op`. Branch-free. `V` is `T`, or a
/// compiler's vector of `T`; `B` is `bits_of<T>`, or the vector of it of the same size.
template <merge_operator Op, element T, class V, class B>
[[nodiscard]] SHEAF_HD constexpr V merge_lanes(V old, V value) noexcept {
  static_assert(supports(Op, dtype_of<T>));
  const B a = __builtin_bit_cast(B, old), b = __builtin_bit_cast(B, value);
  if constexpr (Op == merge_operator::assign) {
    return value;
  } else if constexpr (Op == merge_operator::bit_and) {
    return __builtin_bit_cast(V, static_cast<B>(a & b));
  } else if constexpr (Op == merge_operator::bit_or) {
    return __builtin_bit_cast(V, static_cast<B>(a | b));
  } else if constexpr (Op == merge_operator::bit_xor) {
    return __builtin_bit_cast(V, static_cast<B>(a ^ b));
  } else if constexpr (!std::is_floating_point_v<T>) {
    if constexpr (Op == merge_operator::add) {
      return __builtin_bit_cast(V, static_cast<B>(a + b));
    } else {
      return (Op == merge_operator::min ? value < old : old < value) ? value : old;
    }
  } else {
    const V nan = __builtin_bit_cast(V, B{} | __builtin_bit_cast(bits_of<T>, canonical_nan<T>));
    if constexpr (Op == merge_operator::add) {
      const V sum = old + value;
      return sum == sum ? sum : nan;
    } else {
      // Equal operands have equal bits, or are zeros: `or` keeps a minus sign, `and` drops it.
      constexpr bool is_min = Op == merge_operator::min;
      V picked = old == value ? __builtin_bit_cast(V, is_min ? a | b : a & b) : nan;
      picked = old < value ? (is_min ? old : value) : picked;
      return value < old ? (is_min ? value : old) : picked;
    }
  }
}

/// The same for one element.
template <merge_operator Op, element T>
[[nodiscard]] SHEAF_HD constexpr T merge_element(T old, T value) noexcept {
  return merge_lanes<Op, T, T, bits_of<T>>(old, value);
}

}  // namespace sheaf::inline v0
