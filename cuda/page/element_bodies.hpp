/// \file
/// Deltas of single elements, an index and a value each: which element an index names, and what a
/// run of values makes of it.
///
/// Invariants
///  1. `elements-in-order`: values of one element are merged one by one in the order in which they
///     were given, so float `add` has the bits that a host's apply gives. Deltas are sorted by
///     index, stably, and one thread merges all of an element.
///  2. A line is noted where at least one merge into it changed bits, as `delta_apply.hpp` says.
///
/// Thread safety: elements are independent of one another; `note` is atomic.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sheaf/base/bits.hpp>
#include <sheaf/base/dtype.hpp>
#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/macros.hpp>
#include <sheaf/page/delta_operator.hpp>

#include "cuda/page/scatter_bodies.hpp"

namespace sheaf::inline v0 {

/// The pages of one array, which have consecutive slots.
struct device_array {
  std::uint32_t first_slot;
  page_class size;
  dtype type;
  std::uint64_t length;  ///< elements
};

/// Changes of elements of one array, wherever the columns lie.
struct element_deltas {
  const void* indices;  ///< u32, or u64 where `is_wide`
  const void* values;   ///< of the array's type
  std::uint64_t count;  ///< below 2^31
  merge_operator op;
  bool is_wide;
  bool is_distinct;  ///< no index occurs twice: the caller's word, checked by nobody
};

/// What the pages of an element have in common, worked out once.
struct element_target {
  device_scatter into;
  std::uint32_t first_slot;
  std::uint32_t page_shift;  ///< log2 elements a page
  std::uint32_t line_shift;  ///< log2 elements a line
  page_class size;
};

[[nodiscard]] constexpr element_target target_of(const device_array& array,
                                                 const device_scatter& into) noexcept {
  const unsigned element = size_shift(array.type);
  return {into, array.first_slot, byte_shift(array.size) - element, line_shift - element,
          array.size};
}

/// `op` at run time; every thread of a kernel has the same one.
template <element T>
[[nodiscard]] SHEAF_HD T merge_by(merge_operator op, T old, T value) noexcept {
  if constexpr (!std::is_floating_point_v<T>) {
    if (op == merge_operator::bit_and) {
      return merge_element<merge_operator::bit_and, T>(old, value);
    }
    if (op == merge_operator::bit_or) return merge_element<merge_operator::bit_or, T>(old, value);
    if (op == merge_operator::bit_xor) {
      return merge_element<merge_operator::bit_xor, T>(old, value);
    }
  }
  if (op == merge_operator::add) return merge_element<merge_operator::add, T>(old, value);
  if (op == merge_operator::min) return merge_element<merge_operator::min, T>(old, value);
  if (op == merge_operator::max) return merge_element<merge_operator::max, T>(old, value);
  return value;
}

/// Merges `count` values into element `index`: value k is `values[order[k]]`, or `values[k]` where
/// `order` is null. Values and elements are moved as bits, so no NaN loses its payload.
template <element T>
SHEAF_HD void merge_run(const element_target& target, merge_operator op, std::uint64_t index,
                        const bits_of<T>* values, const std::uint32_t* order,
                        std::uint64_t count) noexcept {
  const auto page = static_cast<std::uint32_t>(index >> target.page_shift);
  const std::uint64_t within = index & ((std::uint64_t{1} << target.page_shift) - 1);
  const std::uint32_t slot = target.first_slot + page;
  auto* place = reinterpret_cast<bits_of<T>*>(target.into.pages.page(slot, target.size)) + within;
  const bits_of<T> before = *place;
  bits_of<T> now = before;
  bool differs = false;
  for (std::uint64_t k = 0; k < count; ++k) {
    const bits_of<T> value = values[order == nullptr ? k : order[k]];
    const bits_of<T> next = op == merge_operator::assign
                                ? value
                                : to_bits(merge_by<T>(op, from_bits<T>(now), from_bits<T>(value)));
    differs |= next != now;
    now = next;
  }
  if (now != before) *place = now;
  if (differs || target.into.notes_equal_lines) {
    note(target.into.changed, slot, line_mask{1} << (within >> target.line_shift));
  }
}

/// Merges the run that begins at place `at` of indices that were sorted with their places in
/// `order`; nothing where none begins there.
template <element T, class Index>
SHEAF_HD void merge_run_at(const element_target& target, merge_operator op, const Index* sorted,
                           const std::uint32_t* order, std::uint64_t count, std::uint64_t at,
                           const void* values) noexcept {
  const Index index = sorted[at];
  if (at != 0 && sorted[at - 1] == index) return;
  std::uint64_t end = at + 1;
  while (end < count && sorted[end] == index) ++end;
  merge_run<T>(target, op, index, static_cast<const bits_of<T>*>(values), order + at, end - at);
}

}  // namespace sheaf::inline v0
