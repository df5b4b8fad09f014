/// \file
/// spmv: rows of a sparse matrix over a semiring, times a vector.
///
/// A row's fold goes from left to right, which no vector unit can share out; what makes it fast is
/// that rows do not depend on one another, so the processor runs several at a time while it waits
/// for elements of x. It does not see far past the end of a row, whose length it guesses wrong: so
/// where all rows are asked for, elements of x are fetched some entries ahead. Where few are, all
/// that they read was fetched before (operators/spmv.cpp).
///
/// Float minima and maxima are computed in a register of equal elements: on a single element their
/// rules (scalar.hpp) are branches that depend on the data.
///
/// Cost: an entry is two or three loads (column, value, frame of x unless x is flat) and the one
/// that may miss.
/// PERF: `bench/propagate/sparse_bench`.
#pragma once

#include <type_traits>

#include "propagate/bodies/gather.hpp"
#include "propagate/bodies/products.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

/// Consecutive elements of a paged array: keeps the page it is in.
template <element T>
class entry_reader {
 public:
  SHEAF_HD explicit entry_reader(const paged_view& from) noexcept : from_(from) {}

  /// The element `at` of the array; valid until the end of its page, `end()`.
  [[nodiscard]] SHEAF_HD const T* enter(std::uint32_t at) noexcept {
    if (at - begin_ >= size_) {
      const std::uint32_t page = at >> from_.page_shift;
      begin_ = page << from_.page_shift;
      size_ = std::uint32_t{1} << from_.page_shift;
      const std::size_t frame = from_.frames[page];
      page_ = reinterpret_cast<const T*>(from_.base + (frame << from_.frame_shift));
    }
    return page_ + (at - begin_);
  }
  /// The page entered last: its first element, and that one's place in the array.
  [[nodiscard]] SHEAF_HD const T* page() const noexcept { return page_; }
  [[nodiscard]] SHEAF_HD std::uint32_t begin() const noexcept { return begin_; }
  [[nodiscard]] SHEAF_HD std::uint32_t size() const noexcept { return size_; }
  /// Elements of the page from `at` on, which lies in it.
  [[nodiscard]] SHEAF_HD std::uint32_t left(std::uint32_t at) const noexcept {
    return size_ - (at - begin_);
  }

 private:
  const paged_view from_;
  const T* page_ = nullptr;
  std::uint32_t begin_ = 0;
  std::uint32_t size_ = 0;
};

/// Entries whose element of x is fetched ahead of the fold where all rows are asked for.
inline constexpr std::uint32_t spmv_entries_ahead = 32;

/// Result lines fetched ahead of the fold.
inline constexpr unsigned spmv_lines_ahead = 8;

template <element T>
[[nodiscard]] SHEAF_HD const T* place_of_x(const spmv_view& matrix, std::uint32_t at) noexcept {
  const std::size_t frame = matrix.x.frames[at >> matrix.x.page_shift];
  const std::uint32_t place = at & ((std::uint32_t{1} << matrix.x.page_shift) - 1);
  return reinterpret_cast<const T*>(matrix.x.base + (frame << matrix.x.frame_shift)) + place;
}

/// What a row's fold is computed in.
template <class S, element T>
struct chain_of {
  static constexpr bool is_spread = float_element<T> && S::id != semiring_id::sum_product;
  using type = std::conditional_t<is_spread, vec<T>, T>;
  [[nodiscard]] SHEAF_HD static T first(type sum) noexcept {
    if constexpr (is_spread) return sum.first();
    else return sum;
  }
};

/// The fold of the entries [begin, end), not yet canonical.
template <class S, element T>
[[nodiscard]] SHEAF_HD T fold_row(const spmv_view& matrix, entry_reader<T>& values,
                                  std::uint32_t begin, std::uint32_t end) noexcept {
  using V = typename chain_of<S, T>::type;
  if (begin == end) return S::template zero<T>();
  const T* value = values.enter(begin);
  V sum = S::times(V(*value), V(*place_of_x<T>(matrix, matrix.indices[begin])));
  std::uint32_t at = begin + 1;
  ++value;
  std::uint32_t stop = begin + values.left(begin);
  for (;;) {
    if (SHEAF_LIKELY(stop > end)) stop = end;
    for (; at < stop; ++at, ++value) {
      // Rows are short: the compiler is not to spread one over lanes.
      if constexpr (integer_element<T>) asm("" : "+r"(at));
      sum = S::plus_times(sum, V(*value), V(*place_of_x<T>(matrix, matrix.indices[at])));
    }
    if (SHEAF_LIKELY(at == end)) return chain_of<S, T>::first(sum);
    value = values.enter(at);
    stop = at + values.left(at);
  }
}

template <element T>
SHEAF_HD void copy_line(T* to, const std::byte* from) noexcept {
  for (unsigned i = 0; i < line_registers<T>; ++i) {
    load_register<T>(from + i * register_bytes<T>).store(to + i * vec<T>::lanes);
  }
}

/// Settles `results`, a line of which some elements are new.
template <element T>
[[nodiscard]] SHEAF_HD bool settle_rows(const line_task& task, std::size_t at,
                                        const T* results) noexcept {
  const auto* bytes = reinterpret_cast<const std::byte*>(results);
  return settle_line<T>(task, at, [bytes, at](std::size_t place) SHEAF_INLINE_LAMBDA {
    return load_register<T>(bytes + (place - at));
  });
}

template <class S, element T>
SHEAF_HD line_mask spmv_lines(const line_task& task, const spmv_view& from,
                              const std::uint64_t* asked) noexcept {
  const spmv_view matrix = from;
  entry_reader<T> values(matrix.values);
  line_mask changed = 0;
  for (line_mask left = task.mask; left != 0; left &= left - 1) {
    const auto line = static_cast<unsigned>(__builtin_ctzll(left));
    const std::size_t at = std::size_t{line} * line_size;
    alignas(line_size) T results[line_lanes<T>];
    copy_line<T>(results, task.old + at);
    const std::uint32_t* const offsets = matrix.offsets + line * line_lanes<T>;
    for (std::uint64_t elements = asked[line]; elements != 0; elements &= elements - 1) {
      const auto i = static_cast<unsigned>(__builtin_ctzll(elements));
      results[i] = fold_row<S, T>(matrix, values, offsets[i], offsets[i + 1]);
    }
    changed |= line_mask{settle_rows<T>(task, at, results)} << line;
  }
  return changed;
}

/// A row without entries, or whose values do not lie in the page entered last. Apart from the loop,
/// whose registers it would cost.
template <class S, element T>
[[nodiscard, gnu::noinline, gnu::cold, gnu::flatten]] static T fold_row_apart(
    const spmv_view& matrix, entry_reader<T>& values, std::uint32_t begin,
    std::uint32_t end) noexcept {
  return fold_row<S, T>(matrix, values, begin, end);
}

/// The fold of the entries [begin, end), which are not none: their columns, values, and x.
template <class S, element T>
[[nodiscard]] SHEAF_HD T fold_flat(const std::uint32_t* columns, const std::uint32_t* ahead,
                                   const T* values, const T* x, std::uint32_t begin,
                                   std::uint32_t end) noexcept {
  using V = typename chain_of<S, T>::type;
  __builtin_prefetch(x + ahead[begin]);
  V sum = S::times(V(*values), V(x[columns[begin]]));
  for (std::uint32_t at = begin + 1; at != end; ++at) {
    ++values;
    // Rows are short: the compiler is not to spread one over lanes.
    asm("" : "+r"(at));
    __builtin_prefetch(x + ahead[at]);
    sum = S::plus_times(sum, V(*values), V(x[columns[at]]));
  }
  return chain_of<S, T>::first(sum);
}

/// Where x lies in one piece and most rows are asked for: all rows of the asked lines, so that one
/// begins where the last one ended.
template <class S, element T>
SHEAF_HD line_mask spmv_flat(const line_task& task, const spmv_view& from,
                             const std::uint64_t* asked) noexcept {
  const spmv_view matrix = from;
  entry_reader<T> values(matrix.values);
  const T* page = nullptr;
  std::uint32_t page_begin = 0;
  std::uint32_t page_size = 0;
  const auto* const x = reinterpret_cast<const T*>(matrix.flat_x);
  // At the end of the matrix there is nothing to fetch: what is here is fetched again.
  const auto last = 63u - static_cast<unsigned>(__builtin_clzll(task.mask));
  const std::uint32_t end_of_page =
      matrix.offsets[last * line_lanes<T> + 64u -
                     static_cast<unsigned>(__builtin_clzll(asked[last]))];
  const bool is_last = matrix.entries - end_of_page < spmv_entries_ahead;
  const std::uint32_t* const ahead = matrix.indices + (is_last ? 0 : spmv_entries_ahead);
  line_mask changed = 0;
  for (line_mask left = task.mask; left != 0; left &= left - 1) {
    const auto line = static_cast<unsigned>(__builtin_ctzll(left));
    const std::size_t place = std::size_t{line} * line_size;
    // PERF: the old line is in no cache: a quarter of the time.
    __builtin_prefetch(task.old + place + spmv_lines_ahead * line_size);
    alignas(line_size) T results[line_lanes<T>];
    copy_line<T>(results, task.old + place);
    const std::uint32_t* const offsets = matrix.offsets + line * line_lanes<T>;
    const unsigned rows = 64u - static_cast<unsigned>(__builtin_clzll(asked[line]));
    std::uint32_t begin = offsets[0];
    for (unsigned i = 0; i < rows; ++i) {
      const std::uint32_t end = offsets[i + 1];
      if (SHEAF_LIKELY(end - page_begin <= page_size && begin != end)) {
        results[i] = fold_flat<S, T>(matrix.indices, ahead, page + (begin - page_begin), x, begin,
                                     end);
      } else {
        results[i] = fold_row_apart<S, T>(matrix, values, begin, end);
        page = values.page(), page_begin = values.begin(), page_size = values.size();
      }
      begin = end;
    }
    changed |= line_mask{settle_rows<T>(task, place, results)} << line;
  }
  return changed;
}

template <class S, element T>
SHEAF_BODY line_mask spmv_page(const line_task& task, const spmv_view& matrix,
                               const std::uint64_t* asked) {
  if (matrix.flat_x != nullptr) return spmv_flat<S, T>(task, matrix, asked);
  return spmv_lines<S, T>(task, matrix, asked);
}

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
