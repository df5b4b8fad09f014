/// \file
/// Entries of sorts: a key whose unsigned order is the order of values, and the value's index,
/// which makes every entry unique and the order stable.
///
/// Keys: floats by IEEE 754 with -0 before +0, every NaN the greatest key in both directions;
/// integers by value; descending turns the others round.
#pragma once

#include <cstdint>
#include <type_traits>

#include <sheaf/base/bits.hpp>
#include <sheaf/base/dtype.hpp>

namespace sheaf::inline v0 {

/// Values of up to 4 bytes: the key above the index.
struct narrow_entry {
  std::uint64_t word;
  [[nodiscard]] std::uint32_t index() const noexcept { return static_cast<std::uint32_t>(word); }
  friend bool operator<(narrow_entry a, narrow_entry b) noexcept { return a.word < b.word; }
};
/// Values of 8 bytes.
struct wide_entry {
  std::uint64_t key;
  std::uint64_t at;
  [[nodiscard]] std::uint32_t index() const noexcept { return static_cast<std::uint32_t>(at); }
  friend bool operator<(const wide_entry& a, const wide_entry& b) noexcept {
    return a.key < b.key || (a.key == b.key && a.at < b.at);
  }
};
template <element T>
using entry_of = std::conditional_t<sizeof(T) == 8, wide_entry, narrow_entry>;

/// The key of `value`, as wide as it.
template <element T>
[[nodiscard]] constexpr bits_of<T> order_key(T value, bool descending) noexcept {
  using Bits = bits_of<T>;
  constexpr auto sign = static_cast<Bits>(Bits{1} << (sizeof(T) * 8 - 1));
  Bits key = to_bits(value);
  if constexpr (float_element<T>) {
    if (value != value) return static_cast<Bits>(~Bits{0});
    key = static_cast<Bits>((key & sign) != 0 ? ~key : key | sign);
  } else if constexpr (std::is_signed_v<T>) {
    key = static_cast<Bits>(key ^ sign);
  }
  return descending ? static_cast<Bits>(~key) : key;
}

template <element T>
[[nodiscard]] constexpr entry_of<T> entry_for(T value, std::uint64_t index,
                                              bool descending) noexcept {
  const std::uint64_t key = order_key(value, descending);
  if constexpr (sizeof(T) == 8) return {key, index};
  else return {key << 32 | index};
}

}  // namespace sheaf::inline v0
