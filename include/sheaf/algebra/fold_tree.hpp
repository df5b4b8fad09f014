/// \file
/// The fixed reduction tree: which two values meet, and in which order, when an array is folded to
/// one value. Its shape depends on element index alone, so every backend, thread count and number
/// of devices gives the same bits, and one changed line costs O(log n).
///
/// Definition, version 1. Let ⊕ be the operation, T the element type, W = 64 / sizeof(T) the
/// elements of a line, n >= 1 the elements of the array.
///  - *block fold* of m items, 1 <= m <= 64: for stride = 32, 16, 8, 4, 2, 1 in turn, and for
///    each i < stride: if i + stride < m, item[i] becomes item[i] ⊕ item[i + stride] (the lower
///    index is the left operand), else item[i] stays. The result is item[0]. A missing item is
///    absent, it is never a zero (which would turn -0 into +0). For m <= W strides of W and more
///    find nothing.
///  - *level 0*: partial[0][j] is the block fold of the elements of line j, [j * W, min(n, (j+1) *
///    W)), made canonical. This level is always there: the fold of one element is its canonical
///    form.
///  - *level k >= 1*: partial[k][j] is the block fold of partial[k-1][64 * j .. 64 * j + 63] (the
///    last block may be shorter), made canonical. Levels go on until one has a single partial: the
///    result.
///
/// Example, 64 f32 elements and one more: five lines; level 0 folds lanes (0,8) (1,9) .. (7,15),
/// then (0,4) .. (3,7), then (0,2) (1,3), then (0,1); line 4 has one element. Level 1 has one
/// block of five: stride 4: p0 ⊕ p4; stride 2: p0 ⊕ p2, p1 ⊕ p3; stride 1: p0 ⊕ p1.
///
/// Changing anything here changes bits that logs and digests rely on: raise `fold_tree_version`.
///
/// Thread safety: pure functions. Cost: n - 1 operations.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include <sheaf/algebra/scalar.hpp>
#include <sheaf/base/assert.hpp>
#include <sheaf/base/line_mask.hpp>

namespace sheaf::inline v0 {

inline constexpr unsigned fold_tree_version = 1;
/// Children of an inner node: one bit each in a 64-bit word.
inline constexpr unsigned fold_block_items_max = 64;
inline constexpr unsigned fold_block_shift = 6;
/// 2^58 lines of 64 bytes are an address space; 58 / 6 rounds up to 10, and level 0.
inline constexpr unsigned fold_tree_levels_max = 11;

/// Elements of type `T` in a line.
template <element T>
inline constexpr unsigned line_lanes = static_cast<unsigned>(line_size / sizeof(T));

/// An operation to fold with: a semiring (its `plus` is taken) or a binary elementwise operation.
template <class F, class T>
concept folds = requires(T a, T b) {
  F::plus(a, b);
}
|| requires(T a, T b) { F::apply(a, b); };

namespace detail {

/// a ⊕ b of whatever `folds`.
template <class F, kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V fold_pair(V a, V b) noexcept {
  if constexpr (requires { F::plus(a, b); }) return F::plus(a, b);
  else return F::apply(a, b);
}

}  // namespace detail

/// How many partials each level of the tree over an array has.
struct fold_tree_shape {
  unsigned levels = 0;
  std::array<std::uint64_t, fold_tree_levels_max> sizes{};  ///< of level k; sizes[levels - 1] is 1
};

/// The shape over `count` >= 1 elements of `type`.
[[nodiscard]] constexpr fold_tree_shape shape_of_fold_tree(std::uint64_t count,
                                                           dtype type) noexcept {
  SHEAF_ASSERT(count != 0, "fold-tree-not-empty");
  const unsigned line_items_shift = line_shift - size_shift(type);
  fold_tree_shape shape;
  std::uint64_t size = ((count - 1) >> line_items_shift) + 1;
  shape.sizes[shape.levels++] = size;
  while (size > 1) {
    size = ((size - 1) >> fold_block_shift) + 1;
    shape.sizes[shape.levels++] = size;
  }
  return shape;
}

/// The block fold of `count` items, 1 <= count <= 64, not yet canonical. Always inlined.
template <class F, element T>
[[nodiscard]] SHEAF_HD constexpr T fold_block(const T* from, unsigned count) noexcept {
  T items[fold_block_items_max] = {};
  for (unsigned i = 0; i < count; ++i) items[i] = from[i];
  for (unsigned stride = fold_block_items_max / 2; stride != 0; stride /= 2) {
    for (unsigned i = 0; i < stride && i + stride < count; ++i) {
      items[i] = detail::fold_pair<F>(items[i], items[i + stride]);
    }
  }
  return items[0];
}

/// partial[level][index] of the tree over `values`, from the elements up: O(64^level).
template <class F, element T>
[[nodiscard]] constexpr T fold_tree_partial(std::span<const T> values, unsigned level,
                                            std::uint64_t index) noexcept {
  constexpr std::uint64_t line_items = line_lanes<T>;
  if (level == 0) {
    const std::uint64_t begin = index * line_items;
    const std::uint64_t left = values.size() - begin;
    const auto count = static_cast<unsigned>(left < line_items ? left : line_items);
    return canonical(fold_block<F>(values.data() + begin, count));
  }
  const std::uint64_t below = shape_of_fold_tree(values.size(), dtype_of<T>).sizes[level - 1];
  const std::uint64_t begin = index * fold_block_items_max;
  const std::uint64_t left = below - begin;
  const auto count =
      static_cast<unsigned>(left < fold_block_items_max ? left : fold_block_items_max);
  T partials[fold_block_items_max] = {};
  for (unsigned i = 0; i < count; ++i) {
    partials[i] = fold_tree_partial<F>(values, level - 1, begin + i);
  }
  return canonical(fold_block<F>(static_cast<const T*>(partials), count));
}

/// The fold of all of `values`, which has at least one element. The reference of `reduce`; O(n), no
/// allocation, stack about 1 KiB a level.
template <class F, element T>
requires folds<F, T>
[[nodiscard]] constexpr T fold_tree(std::span<const T> values) noexcept {
  const fold_tree_shape shape = shape_of_fold_tree(values.size(), dtype_of<T>);
  return fold_tree_partial<F>(values, shape.levels - 1, 0);
}

}  // namespace sheaf::inline v0
