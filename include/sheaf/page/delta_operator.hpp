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

/// What the element `old` becomes when `value` is merged into it by `Op`. Branch-free.
template <merge_operator Op, element T>
[[nodiscard]] SHEAF_HD constexpr T merge_element(T old, T value) noexcept {
  static_assert(supports(Op, dtype_of<T>));
  using bits = bits_of<T>;
  if constexpr (Op == merge_operator::assign) {
    return value;
  } else if constexpr (std::is_floating_point_v<T>) {
    if constexpr (Op == merge_operator::add) {
      const T sum = old + value;
      return sum == sum ? sum : canonical_nan<T>;
    } else {
      // Equal operands have equal bits, or are zeros: `or` keeps a minus sign, `and` drops it.
      const bits a = __builtin_bit_cast(bits, old), b = __builtin_bit_cast(bits, value);
      constexpr bool smaller = Op == merge_operator::min;
      const T tie = __builtin_bit_cast(T, static_cast<bits>(smaller ? (a | b) : (a & b)));
      T picked = canonical_nan<T>;
      picked = old == value ? tie : picked;
      picked = (smaller ? old < value : old > value) ? old : picked;
      picked = (smaller ? value < old : value > old) ? value : picked;
      return picked;
    }
  } else if constexpr (Op == merge_operator::min) {
    return value < old ? value : old;
  } else if constexpr (Op == merge_operator::max) {
    return old < value ? value : old;
  } else {
    const bits a = static_cast<bits>(old), b = static_cast<bits>(value);
    if constexpr (Op == merge_operator::add) return static_cast<T>(static_cast<bits>(a + b));
    if constexpr (Op == merge_operator::bit_and) return static_cast<T>(static_cast<bits>(a & b));
    if constexpr (Op == merge_operator::bit_or) return static_cast<T>(static_cast<bits>(a | b));
    if constexpr (Op == merge_operator::bit_xor) return static_cast<T>(static_cast<bits>(a ^ b));
  }
}

}  // namespace sheaf::inline v0
