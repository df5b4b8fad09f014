/// \file
/// Merging one line: the inner part of every apply body, written once and vectorised by the
/// compiler for each instruction set. All is always inlined, so that nothing is shared between
/// sets.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sheaf/base/dtype.hpp>
#include <sheaf/base/line_mask.hpp>
#include <sheaf/page/delta_operator.hpp>

namespace sheaf::inline v0::page_bodies {

/// An element as it lies in a page, or at any byte of the host's memory.
template <element T>
struct stored {
  using in_page [[gnu::may_alias]] = T;
  using anywhere [[gnu::may_alias, gnu::aligned(1)]] = T;
};

/// Merges `*value` into `*place`; returns the bits that changed.
template <merge_operator Op, element T>
SHEAF_HD bits_of<T> merge_at(typename stored<T>::in_page* place, T value) noexcept {
  const T old = *place;
  const T merged = merge_element<Op, T>(old, value);
  *place = merged;
  return static_cast<bits_of<T>>(__builtin_bit_cast(bits_of<T>, old) ^
                                 __builtin_bit_cast(bits_of<T>, merged));
}

/// Merges `count` elements; true where a bit changed. A constant `count` becomes straight vector
/// code.
template <merge_operator Op, element T>
SHEAF_HD bool merge_elements(std::byte* SHEAF_RESTRICT place,
                             const std::byte* SHEAF_RESTRICT values, std::uint32_t count) noexcept {
  auto* places = reinterpret_cast<typename stored<T>::in_page*>(place);
  const auto* given = reinterpret_cast<const typename stored<T>::anywhere*>(values);
  bits_of<T> difference = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    difference = static_cast<bits_of<T>>(difference | merge_at<Op, T>(places + i, given[i]));
  }
  return difference != 0;
}

/// Spreads bit i of `word` over all bits of element i.
template <element T>
SHEAF_HD void spread_mask(bits_of<T>* SHEAF_RESTRICT spread, std::uint64_t word) noexcept {
  constexpr std::uint32_t count = line_size / sizeof(T);
  if constexpr (sizeof(T) == 1) {
    // Eight bits at a time: each byte of a word keeps its own bit, a carry makes it the top bit,
    // and times 255 fills the byte.
    using word_in_line [[gnu::may_alias]] = std::uint64_t;
    auto* words = reinterpret_cast<word_in_line*>(spread);
    for (std::uint32_t i = 0; i < 8; ++i) {
      const std::uint64_t copies = ((word >> (8 * i)) & 0xff) * 0x0101'0101'0101'0101u;
      const std::uint64_t own = copies & 0x8040'2010'0804'0201u;
      const std::uint64_t top = (own + 0x7f7f'7f7f'7f7f'7f7fu) & 0x8080'8080'8080'8080u;
      words[i] = ((top >> 7) << 8) - (top >> 7);
    }
  } else if constexpr (sizeof(T) == 4) {
    const auto low = static_cast<std::uint32_t>(word);
    for (std::uint32_t i = 0; i < count; ++i) spread[i] = 0u - ((low >> i) & 1u);
  } else {
    for (std::uint32_t i = 0; i < count; ++i) spread[i] = 0u - ((word >> i) & 1u);
  }
}

/// Merges the elements of one line that `elements` names; true where a bit changed.
template <merge_operator Op, element T>
SHEAF_HD bool merge_masked_line(std::byte* SHEAF_RESTRICT place,
                                const std::byte* SHEAF_RESTRICT payload,
                                std::uint64_t elements) noexcept {
  using bits = bits_of<T>;
  constexpr std::uint32_t count = line_size / sizeof(T);
  alignas(line_size) bits takes_part[count];
  spread_mask<T>(takes_part, elements);
  auto* places = reinterpret_cast<typename stored<T>::in_page*>(place);
  const auto* given = reinterpret_cast<const typename stored<T>::anywhere*>(payload);
  bits difference = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const T old = places[i];
    const T merged = merge_element<Op, T>(old, given[i]);
    const bits before = __builtin_bit_cast(bits, old);
    const bits changed =
        static_cast<bits>((before ^ __builtin_bit_cast(bits, merged)) & takes_part[i]);
    places[i] = __builtin_bit_cast(T, static_cast<bits>(before ^ changed));
    difference = static_cast<bits>(difference | changed);
  }
  return difference != 0;
}

}  // namespace sheaf::inline v0::page_bodies
