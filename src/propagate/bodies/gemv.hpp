/// \file
/// gemv: a row of a matrix times a vector, in 64 chains by column modulo 64.
///
/// The chains are 4 registers of f32 on AVX-512 and 8 on AVX2, so that as many multiply-adds are
/// under way as the processor takes; the order of every addition is the same everywhere
/// (sheaf/graph/dense.hpp).
///
/// Cost: two loads and an operation a register of the row; at the ends of pages 64 elements are put
/// together aside.
/// PERF: `bench/propagate/dense_bench`.
#pragma once

#include <cstring>

#include "propagate/bodies/gather.hpp"
#include "propagate/bodies/products.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

/// Elements of a paged array one after the other.
template <element T>
struct paged_run {
  const paged_view& from;

  /// Elements from `at` on that lie in one page.
  [[nodiscard]] SHEAF_HD std::uint64_t left(std::uint64_t at) const noexcept {
    const std::uint64_t page = std::uint64_t{1} << from.page_shift;
    return page - (at & (page - 1));
  }
  [[nodiscard]] SHEAF_HD const T* place(std::uint64_t at) const noexcept {
    const std::size_t frame = from.frames[at >> from.page_shift];
    const std::uint64_t place = at & ((std::uint64_t{1} << from.page_shift) - 1);
    return reinterpret_cast<const T*>(from.base + (frame << from.frame_shift)) + place;
  }
  SHEAF_HD void copy(std::uint64_t at, std::uint64_t count, T* to) const noexcept {
    while (count != 0) {
      const std::uint64_t here = left(at) < count ? left(at) : count;
      std::memcpy(to, place(at), here * sizeof(T));
      to += here;
      at += here;
      count -= here;
    }
  }
};

/// Bytes ahead of the fold that a row of the matrix is fetched.
inline constexpr std::size_t gemv_ahead = page_lines_max * line_size;
template <element T>
inline constexpr unsigned chain_registers = gemv_chains / vec<T>::lanes;

/// `chunks` times 64 columns.
template <class S, element T>
SHEAF_HD void add_chunks(vec<T>* chains, const T* a, const T* x, std::uint64_t chunks,
                         bool& begun) noexcept {
  if (!begun) {
#pragma GCC unroll 16
    for (unsigned i = 0; i < chain_registers<T>; ++i) {
      const unsigned at = i * vec<T>::lanes;
      chains[i] = S::times(vec<T>::load_unaligned(a + at), vec<T>::load_unaligned(x + at));
    }
    begun = true;
    a += gemv_chains;
    x += gemv_chains;
    --chunks;
  }
  for (; chunks != 0; --chunks, a += gemv_chains, x += gemv_chains) {
    // PERF: a page ahead, where the next one mostly lies and the processor does not look by itself.
    for (std::size_t ahead = 0; ahead < gemv_chains * sizeof(T); ahead += line_size) {
      __builtin_prefetch(reinterpret_cast<const std::byte*>(a) + gemv_ahead + ahead);
    }
#pragma GCC unroll 16
    for (unsigned i = 0; i < chain_registers<T>; ++i) {
      const unsigned at = i * vec<T>::lanes;
      chains[i] = S::plus_times(chains[i], vec<T>::load_unaligned(a + at),
                                vec<T>::load_unaligned(x + at));
    }
  }
}

/// The last `rest` columns, fewer than 64; `items` gets the chains.
template <class S, element T>
SHEAF_HD void add_rest(vec<T>* chains, const T* a, const T* x, unsigned rest, T* items) noexcept {
#pragma GCC unroll 16
  for (unsigned i = 0; i < chain_registers<T>; ++i) {
    const unsigned at = i * vec<T>::lanes;
    if (at + vec<T>::lanes <= rest) {
      chains[i] = S::plus_times(chains[i], vec<T>::load_unaligned(a + at),
                                vec<T>::load_unaligned(x + at));
    }
    chains[i].store(items + at);
  }
  for (unsigned at = rest / vec<T>::lanes * vec<T>::lanes; at < rest; ++at) {
    items[at] = S::plus_times(items[at], a[at], x[at]);
  }
}

template <class S, element T>
[[nodiscard]] SHEAF_HD T gemv_row(const gemv_view& view, std::uint64_t row) noexcept {
  const paged_run<T> a{view.a};
  const paged_run<T> x{view.x};
  alignas(line_size) T a_aside[gemv_chains];
  alignas(line_size) T x_aside[gemv_chains];
  alignas(line_size) T items[gemv_chains];
  const std::uint64_t columns = view.columns;
  const std::uint64_t first = row * columns;
  if (columns < gemv_chains) {
    const auto count = static_cast<unsigned>(columns);
    a.copy(first, count, a_aside);
    x.copy(0, count, x_aside);
    for (unsigned i = 0; i < count; ++i) items[i] = S::times(a_aside[i], x_aside[i]);
    return fold_partials<S>(items, count);
  }
  vec<T> chains[chain_registers<T>];
  bool begun = false;
  std::uint64_t column = 0;
  while (columns - column >= gemv_chains) {
    std::uint64_t run = columns - column;
    if (const std::uint64_t left = a.left(first + column); left < run) run = left;
    if (const std::uint64_t left = x.left(column); left < run) run = left;
    std::uint64_t chunks = run / gemv_chains;
    if (SHEAF_LIKELY(chunks != 0)) {
      add_chunks<S, T>(chains, a.place(first + column), x.place(column), chunks, begun);
    } else {
      chunks = 1;
      a.copy(first + column, gemv_chains, a_aside);
      x.copy(column, gemv_chains, x_aside);
      add_chunks<S, T>(chains, a_aside, x_aside, 1, begun);
    }
    column += chunks * gemv_chains;
  }
  const auto rest = static_cast<unsigned>(columns - column);
  const T* last_a = a_aside;
  const T* last_x = x_aside;
  if (rest != 0 && a.left(first + column) >= rest) last_a = a.place(first + column);
  else a.copy(first + column, rest, a_aside);
  if (rest != 0 && x.left(column) >= rest) last_x = x.place(column);
  else x.copy(column, rest, x_aside);
  add_rest<S, T>(chains, last_a, last_x, rest, items);
  return fold_partials<S>(items, gemv_chains);
}

template <class S, element T>
SHEAF_BODY void gemv_rows(std::byte* results, std::uint64_t rows, const gemv_view& view,
                          std::uint64_t first) {
  T* const to = reinterpret_cast<T*>(results);
  for (std::uint64_t left = rows; left != 0; left &= left - 1) {
    const auto i = static_cast<unsigned>(__builtin_ctzll(left));
    to[i] = gemv_row<S, T>(view, first + i);
  }
}

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
