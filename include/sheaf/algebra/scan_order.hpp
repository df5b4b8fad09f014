/// \file
/// The fixed order of a scan: which two values meet, and in which order, so that every backend and
/// thread count gives the same bits and a change at element i recomputes from its block on only.
///
/// Definition, version 1. Let ⊕ be the operation, x[0..n) the elements, and let *heads* be the
/// elements where a segment begins; element 0 always is one.
///  - Blocks are 64 elements: block b holds [64 b, min(n, 64 b + 64)).
///  - total[b] is the block fold (fold_tree.hpp) of the block's elements from its last head on, or
///    of all of them where it has none; canonical.
///  - carry[b], b >= 1, is what the blocks before b leave: the running value of this same scan over
///    total[], before element b, where total[j] is a head if block j has one. So totals are
///    scanned in blocks of 64 too, level by level; canonical.
///  - Inside a block the running value starts as carry[b] (absent in block 0) and takes one element
///    after the other: r becomes x[i] where i is a head or nothing ran before, else r ⊕ x[i].
///  - inclusive[i] is r after element i, exclusive[i] r before it; canonical at the store. Where i
///    is a head nothing comes before it, and exclusive[i] is the semiring's zero.
///
/// A float sum is therefore not the sum from left to right across a block's border, and a scan of
/// values that are not negative may fall there by a rounding.
///
/// Thread safety: pure functions. Cost: about 2 operations an element.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <sheaf/algebra/fold_tree.hpp>
#include <sheaf/algebra/semiring.hpp>

namespace sheaf::inline v0 {

inline constexpr unsigned scan_order_version = 1;
inline constexpr unsigned scan_block_items = 64;
inline constexpr unsigned scan_block_shift = 6;

/// Blocks of an array of `length` elements.
[[nodiscard]] constexpr std::uint64_t scan_blocks_of(std::uint64_t length) noexcept {
  return length == 0 ? 0 : ((length - 1) >> scan_block_shift) + 1;
}

namespace detail {

/// The running value before every element; entry 0 is left as the zero. `heads` one per element.
template <class S, element T>
[[nodiscard]] std::vector<T> running_before(std::span<const T> values,
                                            const std::vector<bool>& heads) {
  const std::uint64_t blocks = scan_blocks_of(values.size());
  std::vector<T> carries(blocks, S::template zero<T>());
  if (blocks > 1) {
    std::vector<T> totals(blocks);
    std::vector<bool> block_heads(blocks, false);
    for (std::uint64_t b = 0; b < blocks; ++b) {
      const std::uint64_t begin = b * scan_block_items;
      const std::uint64_t end = std::min<std::uint64_t>(values.size(), begin + scan_block_items);
      std::uint64_t first = begin;
      for (std::uint64_t i = begin; i < end; ++i) {
        if (heads[i]) first = i, block_heads[b] = true;
      }
      totals[b] = canonical(
          fold_block<S>(values.data() + first, static_cast<unsigned>(end - first)));
    }
    carries = running_before<S, T>(std::span<const T>(totals), block_heads);
  }
  std::vector<T> before(values.size(), S::template zero<T>());
  for (std::uint64_t b = 0; b < blocks; ++b) {
    T running = carries[b];
    bool has_running = b != 0;
    const std::uint64_t end =
        std::min<std::uint64_t>(values.size(), (b + 1) * scan_block_items);
    for (std::uint64_t i = b * scan_block_items; i < end; ++i) {
      if (has_running) before[i] = canonical(running);
      running = heads[i] || !has_running ? values[i] : S::plus(running, values[i]);
      has_running = true;
    }
  }
  return before;
}

}  // namespace detail

/// The scan of `values`; `heads` has one entry per element, or none where element 0 is the only
/// head. The reference of `scan`; O(n).
template <class S, element T>
[[nodiscard]] std::vector<T> scan_in_order(std::span<const T> values, std::vector<bool> heads,
                                           bool exclusive) {
  heads.resize(values.size(), false);
  if (!values.empty()) heads[0] = true;
  const std::vector<T> before = detail::running_before<S, T>(values, heads);
  std::vector<T> out(values.size());
  T running{};
  for (std::uint64_t i = 0; i < values.size(); ++i) {
    if (i % scan_block_items == 0) running = before[i];
    const T prior = running;
    running = heads[i] ? values[i] : S::plus(prior, values[i]);
    if (exclusive) out[i] = heads[i] ? S::template zero<T>() : canonical(prior);
    else out[i] = canonical(running);
  }
  return out;
}

}  // namespace sheaf::inline v0
