/// \file
/// One element of a result, by kind of operator: the text that host and device share for all kinds
/// whose elements do not depend on one another.
///
/// Order and rounding are those of the CPU's bodies (src/propagate/bodies): left folds from the
/// first operand, the fixed tree of fold_tree.hpp, 64 chains for gemv. Results are not canonical as
/// yet; folds by the tree are, as on the CPU.
///
/// Thread safety: pure functions of operands. Cost: what one element reads.
#pragma once

#include <sheaf/algebra/fold_tree.hpp>
#include <sheaf/algebra/semiring.hpp>

#include "cuda/propagate/run_state.hpp"

namespace sheaf::inline v0 {

/// Reads elements of operands.
struct element_source {
  const device_plan& plan;
  const run_state& state;
  const plan_node& node;
  const plan_operation& op;

  [[nodiscard]] SHEAF_HD const plan_operand& operand(std::uint32_t which) const noexcept {
    return plan.details[plan.operands[node.operand_begin + which]];
  }
  [[nodiscard]] SHEAF_HD std::uint64_t length_of(std::uint32_t which) const noexcept {
    return plan.lengths[operand(which).producer];
  }
  /// Element `index` of the array whose pages begin at `slot`.
  template <element T>
  [[nodiscard]] SHEAF_HD T read(std::uint32_t slot, page_class size,
                                std::uint64_t index) const noexcept {
    const std::uint64_t byte = index * sizeof(T);
    const unsigned shift = line_shift + static_cast<unsigned>(size);
    const std::byte* page =
        state.pages.page(slot + static_cast<std::uint32_t>(byte >> shift), size);
    return *reinterpret_cast<const T*>(page + (byte & ((std::uint64_t{1} << shift) - 1)));
  }
  /// Element `index` of the array `of` names.
  template <element T>
  [[nodiscard]] SHEAF_HD T at(const plan_operand& of, std::uint64_t index) const noexcept {
    return read<T>(of.slot, of.page, index);
  }
  /// What operand number `which` gives to result element `index`: its own one, the one that meets
  /// all, or a constant.
  template <element T>
  [[nodiscard]] SHEAF_HD T aligned(std::uint32_t which, std::uint64_t index) const noexcept {
    if (op.uniform) {
      const std::uint32_t slot = plan.operands[node.operand_begin + which];
      return read<T>(slot, op.page, index);
    }
    const plan_operand& of = operand(which);
    if (of.producer == no_index) {
      return from_bits<T>(static_cast<bits_of<T>>(plan.constants[of.slot]));
    }
    return at<T>(of, of.element == no_index ? index : of.element);
  }
};

template <class S, element T>
[[nodiscard]] SHEAF_HD T combine_element(const element_source& from, std::uint64_t index) noexcept {
  const std::uint32_t entries = from.op.operand_count;
  if (!from.op.weighted) {
    T sum = from.aligned<T>(0, index);
    for (std::uint32_t k = 1; k < entries; ++k) sum = S::plus(sum, from.aligned<T>(k, index));
    return sum;
  }
  const std::uint32_t terms = entries / 2;
  T sum = S::times(from.aligned<T>(0, index), from.aligned<T>(terms, index));
  for (std::uint32_t k = 1; k < terms; ++k) {
    sum = S::plus_times(sum, from.aligned<T>(k, index), from.aligned<T>(terms + k, index));
  }
  return sum;
}

/// Loops that a device compiler is not to unroll.
#if defined(__CUDA_ARCH__)
#define SHEAF_ROLLED _Pragma("unroll 1")
#else
#define SHEAF_ROLLED
#endif

/// `fold_block` (fold_tree.hpp), canonical, in place and not unrolled: in a kernel its 63 steps
/// would be code for each semiring and type.
template <class S, element T>
[[nodiscard]] SHEAF_HD_CALLED T fold_items(T* items, unsigned count) noexcept {
  SHEAF_ROLLED
  for (unsigned stride = fold_block_items_max / 2; stride != 0; stride /= 2) {
    SHEAF_ROLLED
    for (unsigned i = 0; i < stride && i + stride < count; ++i) {
      items[i] = S::plus(items[i], items[i + stride]);
    }
  }
  return canonical(items[0]);
}

/// The canonical block fold of `count` elements of an operand from `first` on.
template <class S, element T>
[[nodiscard]] SHEAF_HD_CALLED T fold_run(const element_source& from, std::uint64_t first,
                                         unsigned count) noexcept {
  T items[fold_block_items_max];
  const plan_operand& of = from.operand(0);
  SHEAF_ROLLED
  for (unsigned i = 0; i < count; ++i) items[i] = from.at<T>(of, first + i);
  return fold_items<S>(items, count);
}

template <class S, element T>
[[nodiscard]] SHEAF_HD T fold_lines_element(const element_source& from,
                                            std::uint64_t index) noexcept {
  constexpr std::uint64_t width = line_lanes<T>;
  const std::uint64_t left = from.length_of(0) - index * width;
  return fold_run<S, T>(from, index * width, static_cast<unsigned>(left < width ? left : width));
}
template <class S, element T>
[[nodiscard]] SHEAF_HD T fold_blocks_element(const element_source& from,
                                             std::uint64_t index) noexcept {
  constexpr std::uint64_t width = fold_block_items_max;
  const std::uint64_t left = from.length_of(0) - index * width;
  return fold_run<S, T>(from, index * width, static_cast<unsigned>(left < width ? left : width));
}

template <class S, element T>
[[nodiscard]] SHEAF_HD_CALLED T segment_element(const element_source& from,
                                                std::uint64_t index) noexcept {
  const device_table& table = from.plan.tables[from.op.payload];
  const std::uint32_t* const words = from.plan.words;
  const std::uint32_t begin = words[table.offsets + index];
  const std::uint32_t count = words[table.offsets + index + 1] - begin;
  if (count == 0) return S::template zero<T>();
  T items[fold_block_items_max];
  const plan_operand& of = from.operand(0);
  SHEAF_ROLLED
  for (std::uint32_t k = 0; k < count; ++k) {
    const std::uint32_t item = begin + k;
    items[k] = from.at<T>(of, table.indices == no_words ? item : words[table.indices + item]);
  }
  return fold_items<S>(items, count);
}

template <element T>
[[nodiscard]] SHEAF_HD T gather_element(const element_source& from, std::uint64_t index) noexcept {
  const device_table& table = from.plan.tables[from.op.payload];
  return from.at<T>(from.operand(0), from.plan.words[table.indices + index]);
}

template <class S, element T>
[[nodiscard]] SHEAF_HD_CALLED T spmv_element(const element_source& from,
                                             std::uint64_t row) noexcept {
  const device_matrix& matrix = from.plan.matrices[from.op.payload];
  const std::uint32_t* const words = from.plan.words;
  const std::uint32_t begin = words[matrix.offsets + row];
  const std::uint32_t end = words[matrix.offsets + row + 1];
  if (begin == end) return S::template zero<T>();
  const plan_operand& values = from.operand(0);
  const plan_operand& x = from.operand(1);
  T sum = S::times(from.at<T>(values, begin), from.at<T>(x, words[matrix.indices + begin]));
  for (std::uint32_t at = begin + 1; at < end; ++at) {
    sum = S::plus_times(sum, from.at<T>(values, at), from.at<T>(x, words[matrix.indices + at]));
  }
  return sum;
}

/// A row times a vector, in `gemv` order: chain c takes the columns that are c modulo 64.
template <class S, element T>
[[nodiscard]] SHEAF_HD_CALLED T gemv_element(const element_source& from,
                                             std::uint64_t row) noexcept {
  const std::uint64_t columns = from.plan.dense[from.op.payload].inner;
  const plan_operand& a = from.operand(0);
  const plan_operand& x = from.operand(1);
  const std::uint64_t first = row * columns;
  T chains[fold_block_items_max];
  const auto begun =
      static_cast<unsigned>(columns < fold_block_items_max ? columns : fold_block_items_max);
  SHEAF_ROLLED
  for (unsigned c = 0; c < begun; ++c) {
    T sum = S::times(from.at<T>(a, first + c), from.at<T>(x, c));
    for (std::uint64_t at = c + fold_block_items_max; at < columns; at += fold_block_items_max) {
      sum = S::plus_times(sum, from.at<T>(a, first + at), from.at<T>(x, at));
    }
    chains[c] = sum;
  }
  return fold_items<S>(chains, begun);
}

template <class S, element T>
[[nodiscard]] SHEAF_HD_CALLED T matmul_element(const element_source& from,
                                               std::uint64_t index) noexcept {
  const dense_shape& shape = from.plan.dense[from.op.payload];
  const std::uint64_t row = index / shape.columns;
  const std::uint64_t column = index - row * shape.columns;
  const plan_operand& a = from.operand(0);
  const plan_operand& b = from.operand(1);
  T sum = S::times(from.at<T>(a, row * shape.inner), from.at<T>(b, column));
  for (std::uint64_t k = 1; k < shape.inner; ++k) {
    sum = S::plus_times(sum, from.at<T>(a, row * shape.inner + k),
                        from.at<T>(b, k * shape.columns + column));
  }
  return sum;
}

/// Where a tap reads along one axis.
struct tap_place {
  std::int64_t at;
  bool is_inside;
};
[[nodiscard]] SHEAF_HD tap_place place_along(std::int64_t at, std::int64_t size,
                                             boundary edge) noexcept {
  if (at >= 0 && at < size) return {at, true};
  if (edge == boundary::clamp) return {at < 0 ? 0 : size - 1, true};
  if (edge == boundary::wrap) return {(at % size + size) % size, true};
  return {0, false};
}

template <class S, element T>
[[nodiscard]] SHEAF_HD_CALLED T stencil_element(const element_source& from,
                                                std::uint64_t index) noexcept {
  const device_stencil& shape = from.plan.stencils[from.op.payload];
  const auto columns = static_cast<std::int64_t>(shape.columns);
  const std::int64_t row = static_cast<std::int64_t>(index) / columns;
  const std::int64_t column = static_cast<std::int64_t>(index) - row * columns;
  const plan_operand& of = from.operand(0);
  T sum = S::template zero<T>();
  bool begun = false;
  for (std::uint32_t k = 0; k < shape.tap_count; ++k) {
    const stencil_tap& tap = from.plan.taps[shape.tap_begin + k];
    const tap_place r =
        place_along(row + tap.row, static_cast<std::int64_t>(shape.rows), shape.edge);
    const tap_place c = place_along(column + tap.column, columns, shape.edge);
    const bool inside = r.is_inside && c.is_inside;
    if (!inside && shape.edge == boundary::skip) continue;
    const T value = inside ? from.at<T>(of, static_cast<std::uint64_t>(r.at * columns + c.at))
                           : from_bits<T>(static_cast<bits_of<T>>(shape.outside));
    const T weight = from_bits<T>(static_cast<bits_of<T>>(tap.weight));
    sum = begun ? S::plus_times(sum, value, weight) : S::times(value, weight);
    begun = true;
  }
  return sum;
}

/// As `cast` says, from the operand's type, which `payload` names.
template <element T>
[[nodiscard]] SHEAF_HD T cast_element(const element_source& from, std::uint64_t index) noexcept {
  const plan_operand& of = from.operand(0);
  switch (of.type) {
    case dtype::f32: return sheaf::cast<T>(from.at<float>(of, index));
    case dtype::f64: return sheaf::cast<T>(from.at<double>(of, index));
    case dtype::i32: return sheaf::cast<T>(from.at<std::int32_t>(of, index));
    case dtype::i64: return sheaf::cast<T>(from.at<std::int64_t>(of, index));
    case dtype::u8: return sheaf::cast<T>(from.at<std::uint8_t>(of, index));
    case dtype::u32: return sheaf::cast<T>(from.at<std::uint32_t>(of, index));
    default: return sheaf::cast<T>(from.at<std::uint64_t>(of, index));
  }
}

/// Element `operand 1 [index]` of operand 0; past its end zero.
template <element T>
[[nodiscard]] SHEAF_HD T gather_at_element(const element_source& from,
                                           std::uint64_t index) noexcept {
  const std::uint32_t at = from.at<std::uint32_t>(from.operand(1), index);
  return at < from.length_of(0) ? from.at<T>(from.operand(0), at) : T{0};
}

template <element T>
[[nodiscard]] SHEAF_HD T slice_element(const element_source& from, std::uint64_t index) noexcept {
  return from.at<T>(from.operand(0), index + std::uint64_t{from.op.payload} * line_lanes<T>);
}

}  // namespace sheaf::inline v0
