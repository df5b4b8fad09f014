/// \file
/// spmv: rows of a sparse matrix over a semiring, times a vector.
///
/// A row's fold goes from left to right, which no vector unit can share out; what makes it fast is
/// that rows do not depend on one another, so the processor runs several at a time while it waits
/// for elements of x. Where few rows are asked for, all that they read is fetched before the first
/// is folded: the processor does not see as far ahead.
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

/// A page with at most this many asked rows has them fetched first.
inline constexpr unsigned spmv_few = 128;

/// Result lines fetched ahead of the fold.
inline constexpr unsigned spmv_lines_ahead = 8;

template <element T, bool Flat>
[[nodiscard]] SHEAF_HD const T* place_of_x(const spmv_view& matrix, std::uint32_t at) noexcept {
  if constexpr (Flat) return reinterpret_cast<const T*>(matrix.flat_x) + at;
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
template <class S, element T, bool Flat>
[[nodiscard]] SHEAF_HD T fold_row(const spmv_view& matrix, entry_reader<T>& values,
                                  std::uint32_t begin, std::uint32_t end) noexcept {
  using V = typename chain_of<S, T>::type;
  if (begin == end) return S::template zero<T>();
  const T* value = values.enter(begin);
  V sum = S::times(V(*value), V(*place_of_x<T, Flat>(matrix, matrix.indices[begin])));
  std::uint32_t at = begin + 1;
  ++value;
  std::uint32_t stop = begin + values.left(begin);
  for (;;) {
    if (SHEAF_LIKELY(stop > end)) stop = end;
    for (; at < stop; ++at, ++value) {
      // Rows are short: the compiler is not to spread one over lanes.
      if constexpr (integer_element<T>) asm("" : "+r"(at));
      sum = S::plus_times(sum, V(*value), V(*place_of_x<T, Flat>(matrix, matrix.indices[at])));
    }
    if (SHEAF_LIKELY(at == end)) return chain_of<S, T>::first(sum);
    value = values.enter(at);
    stop = at + values.left(at);
  }
}

/// Fetches all that the asked rows of a page read: entries of every row first, then of x.
template <element T>
SHEAF_HD void fetch_few(const spmv_view& matrix, line_mask lines,
                        const std::uint64_t* asked) noexcept {
  std::uint32_t begins[spmv_few];
  std::uint32_t ends[spmv_few];
  unsigned count = 0;
  entry_reader<T> values(matrix.values);
  for (; lines != 0; lines &= lines - 1) {
    const auto line = static_cast<unsigned>(__builtin_ctzll(lines));
    for (std::uint64_t elements = asked[line]; elements != 0; elements &= elements - 1) {
      const std::uint32_t* row =
          matrix.offsets + line * line_lanes<T> + static_cast<unsigned>(__builtin_ctzll(elements));
      begins[count] = row[0];
      ends[count] = row[1];
      if (row[0] == row[1]) continue;
      __builtin_prefetch(matrix.indices + row[0]);
      __builtin_prefetch(matrix.indices + row[1] - 1);
      const T* value = values.enter(row[0]);
      __builtin_prefetch(value);
      __builtin_prefetch(value + (row[1] - row[0] - 1));
      ++count;
    }
  }
  for (unsigned i = 0; i < count; ++i) {
    for (std::uint32_t at = begins[i]; at < ends[i]; ++at) {
      __builtin_prefetch(place_of_x<T, false>(matrix, matrix.indices[at]));
    }
  }
}

template <class S, element T, bool Flat>
SHEAF_HD line_mask spmv_lines(const line_task& task, const spmv_view& from,
                              const std::uint64_t* asked) noexcept {
  const spmv_view matrix = from;
  entry_reader<T> values(matrix.values);
  line_mask changed = 0;
  for (line_mask left = task.mask; left != 0; left &= left - 1) {
    const auto line = static_cast<unsigned>(__builtin_ctzll(left));
    const std::size_t at = std::size_t{line} * line_size;
    alignas(line_size) T results[line_lanes<T>];
    // PERF: the old line is in no cache when all rows are asked for: a quarter of the time.
    __builtin_prefetch(task.old + at + spmv_lines_ahead * line_size);
    for (unsigned i = 0; i < line_registers<T>; ++i) {
      load_register<T>(task.old + at + i * register_bytes<T>)
          .store(results + i * vec<T>::lanes);
    }
    const std::uint32_t* const offsets = matrix.offsets + line * line_lanes<T>;
    for (std::uint64_t elements = asked[line]; elements != 0; elements &= elements - 1) {
      const auto i = static_cast<unsigned>(__builtin_ctzll(elements));
      results[i] = fold_row<S, T, Flat>(matrix, values, offsets[i], offsets[i + 1]);
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(results);
    const bool differs = settle_line<T>(task, at, [bytes, at](std::size_t place)
                                                      SHEAF_INLINE_LAMBDA {
      return load_register<T>(bytes + (place - at));
    });
    changed |= line_mask{differs} << line;
  }
  return changed;
}

template <class S, element T>
SHEAF_BODY line_mask spmv_page(const line_task& task, const spmv_view& matrix,
                               const std::uint64_t* asked) {
  if (matrix.flat_x != nullptr) return spmv_lines<S, T, true>(task, matrix, asked);
  unsigned rows = 0;
  for (line_mask left = task.mask; left != 0; left &= left - 1) {
    rows += line_count(asked[__builtin_ctzll(left)]);
  }
  if (rows <= spmv_few) fetch_few<T>(matrix, task.mask, asked);
  return spmv_lines<S, T, false>(task, matrix, asked);
}

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
