/// \file
/// The folds of reduce and segment_reduce: the fixed tree of fold_tree.hpp, whole blocks in
/// registers.
///
/// Results are canonical; they are not compared or stored here (the executor settles the line they
/// make). Cost: a block of 64 f32 is four loads, two levels of whole registers and four of lanes.
#pragma once

#include "propagate/bodies/gather.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

template <class S, element T>
SHEAF_BODY void fold_page_lines(std::byte* results, const std::byte* page, line_mask mask,
                                std::uint32_t tail_line, std::uint32_t tail_elements) {
  T* const to = reinterpret_cast<T*>(results);
  for (line_mask left = mask; left != 0; left &= left - 1) {
    const auto line = static_cast<unsigned>(__builtin_ctzll(left));
    const T* items = reinterpret_cast<const T*>(page + std::size_t{line} * line_size);
    to[line] = fold_line<S>(items, line == tail_line ? tail_elements : line_lanes<T>);
  }
}

template <class S, element T>
SHEAF_BODY void fold_page_blocks(std::byte* results, const std::byte* page, std::uint32_t valid,
                                 std::uint32_t begin, std::uint32_t end) {
  T* const to = reinterpret_cast<T*>(results);
  const T* const items = reinterpret_cast<const T*>(page);
  for (std::uint32_t b = begin; b < end; ++b) {
    const std::uint32_t first = b << fold_block_shift;
    const std::uint32_t left = valid - first;
    to[b] = fold_partials<S>(items + first,
                             left < fold_block_items_max ? left : fold_block_items_max);
  }
}

template <class S, element T>
SHEAF_BODY void fold_segments(std::byte* results, std::uint64_t elements,
                              const paged_view& operand, const std::uint32_t* offsets,
                              const std::uint32_t* indices) {
  T* const to = reinterpret_cast<T*>(results);
  alignas(line_size) T items[fold_block_items_max];
  for (std::uint64_t left = elements; left != 0; left &= left - 1) {
    const auto i = static_cast<unsigned>(__builtin_ctzll(left));
    const std::uint32_t begin = offsets[i];
    const std::uint32_t count = offsets[i + 1] - begin;
    for (std::uint32_t k = 0; k < count; ++k) {
      const std::uint32_t item = begin + k;
      items[k] = element_at<T>(operand, indices == nullptr ? item : indices[item]);
    }
    to[i] = count == 0 ? S::template zero<T>() : fold_partials<S>(items, count);
  }
}

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
