/// \file
/// combine: a result line is the left fold of the operands' lines (`fold_left` in semiring.hpp).
///
/// Cost: a load and an operation a register and operand. One to four operands, the common fan-ins,
/// have loops of their own, so the fold stays in registers and no pointer is loaded twice.
/// PERF: 4 operands, f32, 4 KiB pages: see `bench/propagate/kernels_bench`.
#pragma once

#include "propagate/bodies/line.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

/// Loaded by itself. PERF: GCC would load the pointers of the four pages with one vector load,
/// which has to wait until the four stores the caller has just made reach the cache: 10 ns a call.
[[nodiscard]] SHEAF_HD const std::byte* alone(const std::byte* page) noexcept {
  asm("" : "+r"(page));
  return page;
}

template <class S, element T, unsigned Count>
SHEAF_NOINLINE SHEAF_BODY line_mask combine_of(const line_task& task,
                                               const std::byte* const* values) {
  static_assert(Count >= 1 && Count <= 4);
  const std::byte* const a = alone(values[0]);
  const std::byte* const b = Count > 1 ? alone(values[1]) : a;
  const std::byte* const c = Count > 2 ? alone(values[2]) : a;
  const std::byte* const d = Count > 3 ? alone(values[3]) : a;
  return settle_lines<T>(task, [=](std::size_t at) SHEAF_INLINE_LAMBDA {
    vec<T> sum = load_register<T>(a + at);
    if constexpr (Count > 1) sum = S::plus(sum, load_register<T>(b + at));
    if constexpr (Count > 2) sum = S::plus(sum, load_register<T>(c + at));
    if constexpr (Count > 3) sum = S::plus(sum, load_register<T>(d + at));
    return sum;
  });
}

template <class S, element T>
SHEAF_NOINLINE SHEAF_BODY line_mask combine_many(const line_task& task,
                                                 const std::byte* const* values,
                                                 std::uint32_t count) {
  return settle_lines<T>(task, [values, count](std::size_t at) SHEAF_INLINE_LAMBDA {
    vec<T> sum = load_register<T>(values[0] + at);
    for (std::uint32_t k = 1; k < count; ++k) {
      sum = S::plus(sum, load_register<T>(values[k] + at));
    }
    return sum;
  });
}

/// Each loop is a function of its own, reached by a jump: together they would share one prologue
/// that saves what the widest of them needs.
template <class S, element T>
SHEAF_BODY line_mask combine_page(const line_task& task, const std::byte* const* values,
                                  std::uint32_t count) {
  if (count == 4) return combine_of<S, T, 4>(task, values);
  if (count == 2) return combine_of<S, T, 2>(task, values);
  if (count == 3) return combine_of<S, T, 3>(task, values);
  if (count == 1) return combine_of<S, T, 1>(task, values);
  return combine_many<S, T>(task, values, count);
}

/// The register of an operand `at` bytes into the page, or its one element everywhere.
template <element T>
[[nodiscard]] SHEAF_HD vec<T> load_operand(const operand_view& operand, std::size_t at) noexcept {
  if (operand.step == 0) return vec<T>(load_element<T>(operand.data));
  return load_register<T>(operand.data + at);
}

/// Lines a scaled fold computes side by side.
inline constexpr unsigned block_lines = 4;

/// Every value a whole page, every weight one element: a linear combination of arrays.
[[nodiscard]] SHEAF_HD bool is_scaled(const operand_view* values, const operand_view* weights,
                                      std::uint32_t count) noexcept {
  std::uint32_t others = 0;
  for (std::uint32_t k = 0; k < count; ++k) {
    others |= static_cast<std::uint32_t>(values[k].step == 0) | weights[k].step;
  }
  return others == 0;
}

/// Settles `block_lines` lines from `at` on for a scaled fold. Terms go around lines: a term is
/// read as a run of lines and its weight is spread once; line by line, every term would be another
/// page. The order of the fold is the same for every element.
/// PERF: a tick of the risk desk (45 terms of 79 lines) takes 22 us and not 27.
template <class S, element T>
[[nodiscard]] SHEAF_HD line_mask settle_scaled_block(const line_task& task, std::size_t at,
                                                     const operand_view* values,
                                                     const operand_view* weights,
                                                     std::uint32_t count) noexcept {
  constexpr unsigned registers = block_lines * line_registers<T>;
  vec<T> sums[registers];
  const vec<T> first(load_element<T>(weights[0].data));
#pragma GCC unroll 16
  for (unsigned i = 0; i < registers; ++i) {
    sums[i] = S::times(load_register<T>(values[0].data + at + i * register_bytes<T>), first);
  }
  for (std::uint32_t k = 1; k < count; ++k) {
    const vec<T> weight(load_element<T>(weights[k].data));
    const std::byte* from = values[k].data + at;
#pragma GCC unroll 16
    for (unsigned i = 0; i < registers; ++i) {
      sums[i] = S::plus_times(sums[i], load_register<T>(from + i * register_bytes<T>), weight);
    }
  }
  line_mask changed = 0;
#pragma GCC unroll 4
  for (unsigned line = 0; line < block_lines; ++line) {
    const std::size_t begin = at + line * line_size;
    const vec<T>* mine = sums + line * line_registers<T>;
    const bool differs =
        settle_line<T>(task, begin, [mine, begin](std::size_t place) SHEAF_INLINE_LAMBDA {
          return mine[(place - begin) / register_bytes<T>];
        });
    changed |= line_mask{differs} << line;
  }
  return changed;
}

/// The blocks of whole lines of a scaled fold; `rest` keeps the lines that are in none.
template <class S, element T>
[[nodiscard]] SHEAF_HD line_mask settle_scaled(line_task& rest, const operand_view* values,
                                               const operand_view* weights,
                                               std::uint32_t count) noexcept {
  constexpr line_mask block = (line_mask{1} << block_lines) - 1;
  const line_task task = rest;
  line_mask changed = 0;
  for (unsigned line = 0; line < page_lines_max; line += block_lines) {
    const bool is_whole = (task.mask >> line & block) == block;
    if (!is_whole || task.tail_line - line < block_lines) continue;
    const std::size_t at = std::size_t{line} * line_size;
    changed |= settle_scaled_block<S, T>(task, at, values, weights, count) << line;
    rest.mask &= ~(block << line);
  }
  return changed;
}

template <class S, element T>
SHEAF_BODY line_mask combine_weighted_page(const line_task& task, const operand_view* values,
                                           const operand_view* weights, std::uint32_t count) {
  if (weights == nullptr) {
    return settle_lines<T>(task, [values, count](std::size_t at) SHEAF_INLINE_LAMBDA {
      vec<T> sum = load_operand<T>(values[0], at);
      for (std::uint32_t k = 1; k < count; ++k) sum = S::plus(sum, load_operand<T>(values[k], at));
      return sum;
    });
  }
  line_task rest = task;
  line_mask changed = 0;
#if SHEAF_ARCH_LEVEL > 0
  if (is_scaled(values, weights, count)) {
    changed = settle_scaled<S, T>(rest, values, weights, count);
  }
#endif
  if (rest.mask == 0) return changed;
  return changed | settle_lines<T>(rest, [values, weights, count](std::size_t at)
                                             SHEAF_INLINE_LAMBDA {
    vec<T> sum = S::times(load_operand<T>(values[0], at), load_operand<T>(weights[0], at));
    for (std::uint32_t k = 1; k < count; ++k) {
      sum = S::plus_times(sum, load_operand<T>(values[k], at), load_operand<T>(weights[k], at));
    }
    return sum;
  });
}

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
