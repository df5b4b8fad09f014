/// \file
/// The element types an array may have, as types and as a run-time tag.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sheaf::inline v0 {

enum class dtype : std::uint8_t { f32, f64, i32, i64, u8, u32, u64 };
inline constexpr unsigned dtype_count = 7;

/// One of the seven element types.
template <class T>
concept element = std::same_as<T, float> || std::same_as<T, double> ||
                  std::same_as<T, std::int32_t> || std::same_as<T, std::int64_t> ||
                  std::same_as<T, std::uint8_t> || std::same_as<T, std::uint32_t> ||
                  std::same_as<T, std::uint64_t>;

template <element T>
inline constexpr dtype dtype_of = std::same_as<T, float>          ? dtype::f32
                                  : std::same_as<T, double>       ? dtype::f64
                                  : std::same_as<T, std::int32_t> ? dtype::i32
                                  : std::same_as<T, std::int64_t> ? dtype::i64
                                  : std::same_as<T, std::uint8_t> ? dtype::u8
                                  : std::same_as<T, std::uint32_t> ? dtype::u32
                                                                   : dtype::u64;

/// log2 of the element size in bytes.
[[nodiscard]] constexpr unsigned size_shift(dtype type) noexcept {
  constexpr unsigned shifts[dtype_count] = {2, 3, 2, 3, 0, 2, 3};
  return shifts[static_cast<unsigned>(type)];
}
[[nodiscard]] constexpr std::size_t size_of(dtype type) noexcept {
  return std::size_t{1} << size_shift(type);
}
[[nodiscard]] constexpr bool is_float(dtype type) noexcept {
  return type == dtype::f32 || type == dtype::f64;
}
[[nodiscard]] constexpr std::string_view name_of(dtype type) noexcept {
  constexpr std::string_view names[dtype_count] = {"f32", "f64", "i32", "i64", "u8", "u32", "u64"};
  return names[static_cast<unsigned>(type)];
}

/// Calls `visitor(std::type_identity<T>{})` with the type `type` stands for.
template <class Visitor>
constexpr decltype(auto) visit_dtype(dtype type, Visitor&& visitor) {
  switch (type) {
    case dtype::f32: return visitor(std::type_identity<float>{});
    case dtype::f64: return visitor(std::type_identity<double>{});
    case dtype::i32: return visitor(std::type_identity<std::int32_t>{});
    case dtype::i64: return visitor(std::type_identity<std::int64_t>{});
    case dtype::u8: return visitor(std::type_identity<std::uint8_t>{});
    case dtype::u32: return visitor(std::type_identity<std::uint32_t>{});
    case dtype::u64: break;
  }
  return visitor(std::type_identity<std::uint64_t>{});
}

}  // namespace sheaf::inline v0
