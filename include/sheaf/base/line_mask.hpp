/// \file
/// Lines, pages and the 64-bit word that says which lines of a page changed.
///
/// A *line* is 64 bytes, 64-byte aligned: one cache line, one AVX-512 register, four 16-byte GPU
/// accesses. A *page* is a power of two of lines, 1 to 64, so that what changed in a page is
/// exactly one 64-bit word: bit i is line i.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

inline constexpr std::size_t line_size = 64;
inline constexpr unsigned line_shift = 6;
inline constexpr unsigned page_lines_max = 64;

using line_mask = std::uint64_t;

/// The mask of the first `count` lines; `count` in 0..64.
[[nodiscard]] SHEAF_HD constexpr line_mask first_lines(unsigned count) noexcept {
  return count >= 64 ? ~line_mask{0} : (line_mask{1} << count) - 1;
}
/// The mask of lines [begin, end).
[[nodiscard]] SHEAF_HD constexpr line_mask lines_between(unsigned begin, unsigned end) noexcept {
  return first_lines(end) & ~first_lines(begin);
}
/// How many lines `mask` names. In arithmetic: baseline x86-64 has no instruction for it, and what
/// the compiler calls instead is a function in another library.
[[nodiscard]] SHEAF_HD constexpr unsigned line_count(line_mask mask) noexcept {
  mask -= mask >> 1 & 0x5555'5555'5555'5555u;
  mask = (mask & 0x3333'3333'3333'3333u) + (mask >> 2 & 0x3333'3333'3333'3333u);
  mask = (mask + (mask >> 4)) & 0x0f0f'0f0f'0f0f'0f0fu;
  return static_cast<unsigned>(mask * 0x0101'0101'0101'0101u >> 56);
}
/// Calls `visitor(line)` for each set bit, in rising order.
template <class Visitor>
SHEAF_HD void for_each_line(line_mask mask, Visitor&& visitor) {
  for (; mask != 0; mask &= mask - 1) visitor(static_cast<unsigned>(std::countr_zero(mask)));
}

/// How large an array's pages are: 2^n lines. The size class of its frames.
enum class page_class : std::uint8_t { b64, b128, b256, b512, b1k, b2k, b4k };
inline constexpr unsigned page_class_count = 7;

[[nodiscard]] constexpr unsigned lines_of(page_class size) noexcept {
  return 1u << static_cast<unsigned>(size);
}
[[nodiscard]] constexpr std::size_t bytes_of(page_class size) noexcept {
  return line_size << static_cast<unsigned>(size);
}
[[nodiscard]] constexpr unsigned byte_shift(page_class size) noexcept {
  return line_shift + static_cast<unsigned>(size);
}

}  // namespace sheaf::inline v0
