/// \file
/// What every page body shares: walking the lines of a task, and settling a computed line.
///
/// A body supplies `compute(at)`: the register of the result that lies `at` bytes into the page.
/// All else (canonical NaN, the cut tail, the comparison with the old line, the conditional store,
/// the mask) is here, once.
///
/// Invariants
///  1. `line-settled-once`: a line is read from `old` before it is written to `out`, and is written
///     only where it differs, so `out == old` and `out != old` need no distinction.
///  2. Nothing here has external linkage: a file compiled for one instruction set leaves no symbol
///     of it behind.
///
/// Cost per line beyond `compute`: one load, one compare and one blend a register (floats), one
/// branch, and where the line differs its store.
#pragma once

#include "algebra/simd.hpp"

#include <sheaf/base/line_mask.hpp>
#include <sheaf/propagate/kernels.hpp>

/// A lambda inside a body: inlined at any optimisation level.
#define SHEAF_INLINE_LAMBDA __attribute__((always_inline))
/// A function whose address goes into a table: whatever it calls is inlined into it, xsimd's
/// functions (plain `inline`) too.
#define SHEAF_BODY [[gnu::flatten]] static

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

template <element T>
inline constexpr unsigned register_bytes = vec<T>::lanes * sizeof(T);
template <element T>
inline constexpr unsigned line_registers = line_lanes<T> / vec<T>::lanes;

template <element T>
[[nodiscard]] SHEAF_HD vec<T> load_register(const std::byte* from) noexcept {
  return vec<T>::load(reinterpret_cast<const T*>(from));
}
template <element T>
[[nodiscard]] SHEAF_HD T load_element(const std::byte* from) noexcept {
  return *reinterpret_cast<const T*>(from);
}

/// Whether the registers in `line` differ in any bit from the line at `old`.
template <element T>
[[nodiscard]] SHEAF_HD bool line_differs(const vec<T>* line, const std::byte* old) noexcept {
#if SHEAF_ARCH_LEVEL == 0
  bits_of<T> difference = 0;
  for (unsigned i = 0; i < line_registers<T>; ++i) {
    difference = static_cast<bits_of<T>>(
        difference | (to_bits(line[i].value_) ^ to_bits(load_element<T>(old + i * sizeof(T)))));
  }
  return difference != 0;
#else
  if constexpr (line_registers<T> == 1) {
    return !vec<T>::same_bits(line[0], load_register<T>(old));
  } else {
    auto difference = line[0].bits() ^ load_register<T>(old).bits();
    for (unsigned i = 1; i < line_registers<T>; ++i) {
      difference |= line[i].bits() ^ load_register<T>(old + i * register_bytes<T>).bits();
    }
    return !vec<T>::same_bits(vec<T>::from_bits(difference),
                              vec<T>::from_bits(typename vec<T>::native_bits{}));
  }
#endif
}

/// Settles the line `at` bytes into the page; true where it changed.
template <element T, class Compute>
[[nodiscard]] SHEAF_HD bool settle_line(const line_task& task, std::size_t at,
                                        const Compute& compute) noexcept {
  vec<T> line[line_registers<T>];
  for (unsigned i = 0; i < line_registers<T>; ++i) {
    line[i] = vec<T>::canonical(compute(at + i * register_bytes<T>));
  }
  if (!line_differs<T>(line, task.old + at)) return false;
  for (unsigned i = 0; i < line_registers<T>; ++i) {
    line[i].store(reinterpret_cast<T*>(task.out + at + i * register_bytes<T>));
  }
  return true;
}

/// The same for the line in which the array ends: elements past the end become zero. Apart from the
/// loops, whose registers and stack it would cost.
template <element T, class Compute>
[[nodiscard, gnu::noinline, gnu::cold, gnu::flatten]] static bool settle_tail(
    const line_task& task, Compute compute) noexcept {
  const std::size_t at = std::size_t{task.tail_line} * line_size;
  alignas(line_size) T elements[line_lanes<T>];
  for (unsigned i = 0; i < line_registers<T>; ++i) {
    vec<T>::canonical(compute(at + i * register_bytes<T>)).store(elements + i * vec<T>::lanes);
  }
  for (unsigned i = task.tail_elements; i < line_lanes<T>; ++i) elements[i] = T{0};
  const auto* bytes = reinterpret_cast<const std::byte*>(elements);
  return settle_line<T>(task, at, [bytes, at](std::size_t place) SHEAF_INLINE_LAMBDA {
    return load_register<T>(bytes + (place - at));
  });
}

/// All lines of the task. A mask of lines 0 .. n-1 is a counted loop; any other goes bit by bit.
template <element T, class Compute>
[[nodiscard]] SHEAF_HD line_mask settle_lines(const line_task& task,
                                              const Compute& compute) noexcept {
  const line_task lines = task;  // a store through `out` might change the caller's, not this one
  line_mask whole = lines.mask;
  if (SHEAF_UNLIKELY(lines.tail_line < page_lines_max)) {
    whole &= ~(line_mask{1} << lines.tail_line);
  }
  line_mask changed = 0;
  if (SHEAF_LIKELY((whole & (whole + 1)) == 0)) {
    const std::size_t end =
        whole == ~line_mask{0} ? page_lines_max * line_size
                               : static_cast<std::size_t>(__builtin_ctzll(~whole)) * line_size;
    line_mask bit = 1;
    for (std::size_t at = 0; at != end; at += line_size, bit <<= 1) {
      if (settle_line<T>(lines, at, compute)) changed |= bit;
    }
  } else {
    for (line_mask left = whole; left != 0; left &= left - 1) {
      const auto line = static_cast<unsigned>(__builtin_ctzll(left));
      if (settle_line<T>(lines, std::size_t{line} * line_size, compute)) changed |= left & -left;
    }
  }
  if (SHEAF_UNLIKELY(whole != lines.mask) && settle_tail<T>(task, compute)) {
    changed |= line_mask{1} << lines.tail_line;
  }
  return changed;
}

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
