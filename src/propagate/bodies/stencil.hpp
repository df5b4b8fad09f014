/// \file
/// stencil: a result line is the fold, over the taps, of an unaligned line of the operand times a
/// number.
///
/// The caller (operators/stencil.cpp) finds for each tap where its line begins, so a body neither
/// knows rows nor pages. Four lines are computed side by side, taps outside: a weight is spread
/// once for four lines.
///
/// Cost: a load and an operation a register and tap.
/// PERF: `bench/propagate/stencil_bench`.
#pragma once

#include "propagate/bodies/line.hpp"
#include "propagate/bodies/products.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

/// Lines computed side by side.
inline constexpr unsigned stencil_block = 4;

template <element T>
[[nodiscard]] SHEAF_HD T weight_of(const stencil_tap& tap) noexcept {
  return from_bits<T>(static_cast<bits_of<T>>(tap.weight));
}
template <element T>
[[nodiscard]] SHEAF_HD vec<T> load_anywhere(const std::byte* from) noexcept {
  return vec<T>::load_unaligned(reinterpret_cast<const T*>(from));
}

/// `Lines` lines from `at` on; bit i of what it returns: line i of them changed.
template <class S, element T, unsigned Lines>
[[nodiscard]] SHEAF_HD line_mask settle_stencil(const line_task& task, std::size_t at,
                                                const std::byte* const* places,
                                                const stencil_tap* taps,
                                                std::uint32_t count) noexcept {
  constexpr unsigned registers = Lines * line_registers<T>;
  vec<T> sums[registers];
  const std::byte* from = places[0] + at;
  const vec<T> first(weight_of<T>(taps[0]));
#pragma GCC unroll 16
  for (unsigned i = 0; i < registers; ++i) {
    sums[i] = S::times(load_anywhere<T>(from + i * register_bytes<T>), first);
  }
  for (std::uint32_t k = 1; k < count; ++k) {
    const vec<T> weight(weight_of<T>(taps[k]));
    from = places[k] + at;
#pragma GCC unroll 16
    for (unsigned i = 0; i < registers; ++i) {
      sums[i] = S::plus_times(sums[i], load_anywhere<T>(from + i * register_bytes<T>), weight);
    }
  }
  line_mask changed = 0;
#pragma GCC unroll 4
  for (unsigned line = 0; line < Lines; ++line) {
    const std::size_t begin = at + line * line_size;
    // Pages mostly lie one after the other: the next one's line, before the fold gets there.
    // PERF: no page is in a cache when all of a large grid changes, and the processor's own
    // prefetch stops at each page's end (`bench/propagate/stencil_bench`, full).
    // A line alone says nothing of the next page.
    if constexpr (Lines != 1) {
      __builtin_prefetch(task.out + begin + page_lines_max * line_size, 1);
      __builtin_prefetch(places[count - 1] + begin + page_lines_max * line_size);
    }
    const vec<T>* mine = sums + line * line_registers<T>;
    const bool differs =
        settle_line<T>(task, begin, [mine, begin](std::size_t place) SHEAF_INLINE_LAMBDA {
          return mine[(place - begin) / register_bytes<T>];
        });
    changed |= line_mask{differs} << line;
  }
  return changed;
}

template <class S, element T>
SHEAF_BODY line_mask stencil_lines(const line_task& asked, const std::byte* const* places,
                                   const stencil_tap* taps, std::uint32_t count) {
  // Blocks pay where all sums fit into registers and an operation is a few instructions.
  constexpr bool is_short = S::id < semiring_id::counting;
  constexpr unsigned block = is_short && line_registers<T> <= 2 ? stencil_block : 1;
  constexpr line_mask all = (line_mask{1} << block) - 1;
  const line_task task = asked;
  line_mask changed = 0;
  line_mask left = task.mask;
  while (left != 0) {
    const auto line = static_cast<unsigned>(__builtin_ctzll(left));
    const std::size_t at = std::size_t{line} * line_size;
    if (block > 1 && (left >> line & all) == all) {
      changed |= settle_stencil<S, T, block>(task, at, places, taps, count) << line;
      left &= ~(all << line);
    } else {
      changed |= settle_stencil<S, T, 1>(task, at, places, taps, count) << line;
      left &= left - 1;
    }
  }
  return changed;
}

/// Elements of one line, some of whose taps are absent.
template <class S, element T>
SHEAF_BODY void stencil_present(std::byte* results, const std::byte* const* lines,
                                const std::uint64_t* present, const stencil_tap* taps,
                                std::uint32_t count, std::uint32_t elements) {
  T* const to = reinterpret_cast<T*>(results);
  for (std::uint32_t i = 0; i < elements; ++i) {
    T sum = S::template zero<T>();
    bool begun = false;
    for (std::uint32_t k = 0; k < count; ++k) {
      if ((present[k] >> i & 1) == 0) continue;
      const T value = reinterpret_cast<const T*>(lines[k])[i];
      const T weight = weight_of<T>(taps[k]);
      sum = begun ? S::plus_times(sum, value, weight) : S::times(value, weight);
      begun = true;
    }
    to[i] = sum;
  }
}

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
