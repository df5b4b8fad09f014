/// \file
/// What the bodies of spmv, stencil, gemv and matmul are given and how they are called. Apart from
/// the operators that call them, so that kernel files depend on neither plans nor executors.
///
/// Thread safety: bodies touch only what they are given.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sheaf/graph/shapes.hpp>
#include <sheaf/propagate/kernels.hpp>

namespace sheaf::inline v0 {

/// What spmv reads. `offsets` belongs to the first row of the page.
struct spmv_view {
  paged_view values;
  paged_view x;
  const std::byte* flat_x;  ///< x, where its pages lie one after the other; or null
  const std::uint32_t* offsets;
  const std::uint32_t* indices;
  std::uint32_t entries;  ///< of the whole matrix
};
/// A page body (kernels.hpp) that recomputes the elements `asked[line]` of each line of the task,
/// of which there are some, and perhaps others before them, which keep their bits where nothing
/// they read changed. `asked` names no element past the array's end.
using spmv_body = line_mask (*)(const line_task&, const spmv_view&, const std::uint64_t* asked);

/// A page body. The line of tap k for the result line `at` bytes into the page lies at
/// `places[k] + at`, aligned to an element. No line of the task is cut off.
using stencil_lines_body = line_mask (*)(const line_task&, const std::byte* const* places,
                                         const stencil_tap* taps, std::uint32_t count);
/// results[i] = fold over the taps k with bit i of `present[k]`, of lines[k][i]; the semiring's
/// zero where there is none. Not canonical.
using stencil_present_body = void (*)(std::byte* results, const std::byte* const* lines,
                                      const std::uint64_t* present, const stencil_tap* taps,
                                      std::uint32_t count, std::uint32_t elements);
struct stencil_bodies {
  stencil_lines_body lines;
  stencil_present_body present;
};

/// Chains of a row of gemv: the columns modulo this.
inline constexpr std::uint32_t gemv_chains = 64;

struct gemv_view {
  paged_view a;
  paged_view x;
  std::uint64_t columns;
};
/// For every set bit i of `rows`: results[i] = row `first` + i. Canonical.
using gemv_body = void (*)(std::byte* results, std::uint64_t rows, const gemv_view&,
                           std::uint64_t first);

struct matmul_view {
  paged_view a;
  paged_view b;
  std::uint64_t inner;
  std::uint64_t columns;
};
/// A block of the result: `count` rows from `row` on, columns [begin, end). Element (r, c) goes to
/// results[(r - row) * columns + (c - begin)].
struct matmul_block {
  std::byte* results;
  std::uint64_t row;
  std::uint64_t count;
  std::uint64_t begin;
  std::uint64_t end;
};
/// Computes a block; not canonical.
using matmul_body = void (*)(const matmul_view&, const matmul_block&);

struct dense_bodies {
  gemv_body gemv;
  matmul_body matmul;
};

}  // namespace sheaf::inline v0
