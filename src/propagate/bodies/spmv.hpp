/// \file
/// spmv: rows of a sparse matrix over a semiring, times a vector.
///
/// A row's fold goes from left to right, which no vector unit can share out; what makes it fast is
/// that rows do not depend on one another, so the processor runs several at a time while it waits
/// for the elements of x. Hence nothing here but short chains, and the prefetch of rows that are
/// far apart.
///
/// Cost: an entry is three loads (column, value, frame of x) and the one that may miss.
/// PERF: `bench/propagate/sparse_bench`.
#pragma once

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

/// The fold of the entries [begin, end), not yet canonical.
template <class S, element T>
[[nodiscard]] SHEAF_HD T fold_row(const spmv_view& matrix, entry_reader<T>& values,
                                  std::uint32_t begin, std::uint32_t end) noexcept {
  if (begin == end) return S::template zero<T>();
  const T* value = values.enter(begin);
  T sum = S::times(*value, element_at<T>(matrix.x, matrix.indices[begin]));
  std::uint32_t at = begin + 1;
  ++value;
  std::uint32_t stop = begin + values.left(begin);
  for (;;) {
    if (SHEAF_LIKELY(stop > end)) stop = end;
    for (; at < stop; ++at, ++value) {
      sum = S::plus_times(sum, *value, element_at<T>(matrix.x, matrix.indices[at]));
    }
    if (SHEAF_LIKELY(at == end)) return sum;
    value = values.enter(at);
    stop = at + values.left(at);
  }
}

template <class S, element T>
SHEAF_BODY line_mask spmv_page(const line_task& task, const spmv_view& from,
                               const std::uint64_t* asked) {
  const spmv_view matrix = from;
  entry_reader<T> values(matrix.values);
  line_mask changed = 0;
  for (line_mask left = task.mask; left != 0; left &= left - 1) {
    const auto line = static_cast<unsigned>(__builtin_ctzll(left));
    const std::size_t at = std::size_t{line} * line_size;
    alignas(line_size) T results[line_lanes<T>];
    for (unsigned i = 0; i < line_registers<T>; ++i) {
      load_register<T>(task.old + at + i * register_bytes<T>)
          .store(results + i * vec<T>::lanes);
    }
    const std::uint32_t* const offsets = matrix.offsets + line * line_lanes<T>;
    for (std::uint64_t elements = asked[line]; elements != 0; elements &= elements - 1) {
      const auto i = static_cast<unsigned>(__builtin_ctzll(elements));
      results[i] = fold_row<S, T>(matrix, values, offsets[i], offsets[i + 1]);
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

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
