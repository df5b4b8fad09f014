/// \file
/// matmul: a block of rows and columns of a product. Each element is one chain over k, in order;
/// what vectorises are the columns, what hides the chain's latency are rows and columns side by
/// side.
///
/// k goes in blocks, the sums so far lie in `results` between them; a sum's bits do not depend on
/// where it was kept, so neither on the blocking. Columns that fill no register go one by one.
///
/// Cost: in a tile of R rows and V registers, V loads, R spreads and R x V operations per k.
#pragma once

#include "propagate/bodies/gemv.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

/// Elements of a row of `a` kept aside at a time.
inline constexpr std::uint64_t matmul_depth = 128;
inline constexpr unsigned matmul_rows_max = 4;

template <element T>
struct matmul_rows {
  alignas(line_size) T a[matmul_rows_max][matmul_depth];
};

/// One block of k, [begin, end), for `Rows` rows and `Registers` registers of columns from `column`
/// on; `to` has the sums, rows `stride` apart.
template <class S, element T, unsigned Rows, unsigned Registers>
SHEAF_HD void add_tile(const matmul_view& view, const matmul_rows<T>& rows, std::uint64_t begin,
                       std::uint64_t end, std::uint64_t column, T* to,
                       std::uint64_t stride) noexcept {
  constexpr unsigned lanes = vec<T>::lanes;
  constexpr unsigned width = Registers * lanes;
  const paged_run<T> b{view.b};
  alignas(line_size) T aside[width];
  vec<T> sums[Rows][Registers];
  std::uint64_t k = begin;
  const auto row_of_b = [&](std::uint64_t at) SHEAF_INLINE_LAMBDA -> const T* {
    const std::uint64_t place = at * view.columns + column;
    if (SHEAF_LIKELY(b.left(place) >= width)) return b.place(place);
    b.copy(place, width, aside);
    return aside;
  };
  if (begin == 0) {
    const T* from = row_of_b(0);
#pragma GCC unroll 16
    for (unsigned r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
      for (unsigned i = 0; i < Registers; ++i) {
        sums[r][i] = S::times(vec<T>(rows.a[r][0]), vec<T>::load_unaligned(from + i * lanes));
      }
    }
    ++k;
  } else {
#pragma GCC unroll 16
    for (unsigned r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
      for (unsigned i = 0; i < Registers; ++i) {
        sums[r][i] = vec<T>::load_unaligned(to + r * stride + i * lanes);
      }
    }
  }
  for (; k < end; ++k) {
    const T* from = row_of_b(k);
    vec<T> right[Registers];
#pragma GCC unroll 16
    for (unsigned i = 0; i < Registers; ++i) right[i] = vec<T>::load_unaligned(from + i * lanes);
#pragma GCC unroll 16
    for (unsigned r = 0; r < Rows; ++r) {
      const vec<T> left(rows.a[r][k - begin]);
#pragma GCC unroll 16
      for (unsigned i = 0; i < Registers; ++i) {
        sums[r][i] = S::plus_times(sums[r][i], left, right[i]);
      }
    }
  }
#pragma GCC unroll 16
  for (unsigned r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (unsigned i = 0; i < Registers; ++i) {
      sums[r][i].store_unaligned(to + r * stride + i * lanes);
    }
  }
}

/// The same for `count` columns, fewer than a register has.
template <class S, element T, unsigned Rows>
SHEAF_HD void add_columns(const matmul_view& view, const matmul_rows<T>& rows,
                          std::uint64_t begin, std::uint64_t end, std::uint64_t column,
                          std::uint64_t count, T* to, std::uint64_t stride) noexcept {
  const paged_run<T> b{view.b};
  for (std::uint64_t c = 0; c < count; ++c) {
    for (unsigned r = 0; r < Rows; ++r) {
      T sum = to[r * stride + c];
      for (std::uint64_t k = begin; k < end; ++k) {
        const T right = *b.place(k * view.columns + column + c);
        const T left = rows.a[r][k - begin];
        sum = k == 0 ? S::times(left, right) : S::plus_times(sum, left, right);
      }
      to[r * stride + c] = sum;
    }
  }
}

/// One block of k for `Rows` rows and all columns of the block.
template <class S, element T, unsigned Rows, unsigned Registers>
SHEAF_HD void add_rows(const matmul_view& view, const matmul_block& block, std::uint64_t row,
                       std::uint64_t begin, std::uint64_t end, matmul_rows<T>& rows) noexcept {
  constexpr std::uint64_t lanes = vec<T>::lanes;
  constexpr std::uint64_t wide = Registers * lanes;
  const paged_run<T> a{view.a};
  for (unsigned r = 0; r < Rows; ++r) {
    a.copy((block.row + row + r) * view.inner + begin, end - begin, rows.a[r]);
  }
  T* const to = reinterpret_cast<T*>(block.results) + row * view.columns;
  const std::uint64_t width = block.end - block.begin;
  std::uint64_t done = 0;
  for (; done + wide <= width; done += wide) {
    add_tile<S, T, Rows, Registers>(view, rows, begin, end, block.begin + done, to + done,
                                    view.columns);
  }
  for (; done + lanes <= width; done += lanes) {
    add_tile<S, T, Rows, 1>(view, rows, begin, end, block.begin + done, to + done, view.columns);
  }
  if (done < width) {
    add_columns<S, T, Rows>(view, rows, begin, end, block.begin + done, width - done, to + done,
                            view.columns);
  }
}

template <class S, element T>
SHEAF_BODY void matmul_of(const matmul_view& from, const matmul_block& wanted) {
  constexpr bool is_short = S::id < semiring_id::counting && vec<T>::lanes > 1;
  constexpr unsigned rows_side_by_side = is_short ? matmul_rows_max : 1;
  const matmul_view view = from;
  const matmul_block block = wanted;
  matmul_rows<T> rows;
  for (std::uint64_t begin = 0; begin < view.inner; begin += matmul_depth) {
    const std::uint64_t left = view.inner - begin;
    const std::uint64_t end = begin + (left < matmul_depth ? left : matmul_depth);
    std::uint64_t row = 0;
    if constexpr (rows_side_by_side > 1) {
      for (; row + rows_side_by_side <= block.count; row += rows_side_by_side) {
        add_rows<S, T, rows_side_by_side, 2>(view, block, row, begin, end, rows);
      }
    }
    for (; row < block.count; ++row) {
      add_rows<S, T, 1, is_short ? 8 : 1>(view, block, row, begin, end, rows);
    }
  }
}

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
