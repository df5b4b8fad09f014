/// \file
/// Elements as bits, and the one NaN that results may be.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

#include <sheaf/base/dtype.hpp>
#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

template <class T>
concept float_element = element<T> && std::is_floating_point_v<T>;
template <class T>
concept integer_element = element<T> && std::is_integral_v<T>;

/// The unsigned integer of the same width as `T`.
template <element T>
using bits_of =
    std::conditional_t<sizeof(T) == 1, std::uint8_t,
                       std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;

/// The bits of `x`.
template <element T>
[[nodiscard]] SHEAF_HD constexpr bits_of<T> to_bits(T x) noexcept {
  return __builtin_bit_cast(bits_of<T>, x);
}
template <element T>
[[nodiscard]] SHEAF_HD constexpr T from_bits(bits_of<T> x) noexcept {
  return __builtin_bit_cast(T, x);
}

/// The one NaN that is ever stored as a result: 0x7fc00000, 0x7ff8000000000000.
template <float_element T>
inline constexpr T canonical_nan = __builtin_bit_cast(
    T, static_cast<bits_of<T>>(sizeof(T) == 4 ? 0x7fc0'0000u : 0x7ff8'0000'0000'0000u));

}  // namespace sheaf::inline v0
