/// \file
/// Applying deltas to pages: one table of bodies per instruction set, all giving the same bits.
///
/// Shared contract of the bodies
///  1. Pages are line-aligned and writable (for scatter: once `touch` returned); values and
///     payloads need no alignment. Values do not overlap pages.
///  2. A body writes no byte outside the elements it is given to change.
///  3. A line is reported as changed where at least one store into it changed bits. Two stores into
///     one element that cancel out in one scatter still report it.
///  4. Indices are not checked: the caller did (`max_index`).
///
/// Thread safety: bodies touch only what they are given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <sheaf/base/dtype.hpp>
#include <sheaf/base/isa.hpp>
#include <sheaf/base/line_mask.hpp>
#include <sheaf/page/delta.hpp>
#include <sheaf/page/delta_operator.hpp>

namespace sheaf::inline v0 {

/// One array's pages, for random access: element i lies in page `i >> page_shift`, page p in the
/// frame at `base + (frames[p] << frame_shift)`.
struct scatter_target {
  const std::uint32_t* frames;   ///< current frame id by page; `touch` may change entries
  std::byte* base;               ///< of the size class
  std::uint32_t page_shift;      ///< log2 elements per page
  std::uint32_t frame_shift;     ///< log2 bytes per frame
  line_mask* masks;              ///< changed lines by page: or-ed into
  const std::uint64_t* touched;  ///< bitmap by page, written by `touch` alone
  void* context;
  /// Called before the first write to a page whose bit in `touched` is clear: makes the page
  /// writable and sets the bit. `frames[page]` may differ afterwards.
  void (*touch)(void* context, std::uint32_t page);
};

/// Merges `values` into elements [first, first + count) of one page, `count` >= 1; returns the
/// lines that changed.
using range_body = line_mask (*)(std::byte* page, const void* values, std::uint32_t first,
                                 std::uint32_t count);
/// Merges `values[k]` into element `indices[k]`, k rising. Touches each page once at most.
using scatter32_body = void (*)(const scatter_target& target, const std::uint32_t* indices,
                                const void* values, std::size_t count);
using scatter64_body = void (*)(const scatter_target& target, const std::uint64_t* indices,
                                const void* values, std::size_t count);
/// For the k-th set bit of `mask`: merges the elements of the 64 bytes at `payload + 64 k` that
/// `element_masks[k]` names into that line; returns the lines that changed.
using lines_body = line_mask (*)(std::byte* page, line_mask mask,
                                 const std::uint64_t* element_masks, const std::byte* payload);

/// All bodies of one instruction set. A null entry: `supports(op, dtype)` is false.
struct apply_table {
  isa set;
  range_body range[merge_operator_count][dtype_count];
  scatter32_body scatter32[merge_operator_count][dtype_count];
  scatter64_body scatter64[merge_operator_count][dtype_count];
  lines_body lines[merge_operator_count][dtype_count];
  /// The greatest of `count` indices; 0 where there is none.
  std::uint64_t (*max_index32)(const std::uint32_t* indices, std::size_t count);
  std::uint64_t (*max_index64)(const std::uint64_t* indices, std::size_t count);
};

/// The table of `set`; null where this build or machine lacks it.
[[nodiscard]] const apply_table* apply_of(isa set) noexcept;

/// The greatest index, 0 where there is none.
[[nodiscard]] inline std::uint64_t max_index(const apply_table& table,
                                             std::span<const std::uint32_t> indices) noexcept {
  return table.max_index32(indices.data(), indices.size());
}
[[nodiscard]] inline std::uint64_t max_index(const apply_table& table,
                                             std::span<const std::uint64_t> indices) noexcept {
  return table.max_index64(indices.data(), indices.size());
}
/// One past the last element that `piece` can change: to be at most the array's length.
[[nodiscard]] std::uint64_t element_end(const apply_table& table,
                                        const delta_piece& piece) noexcept;

/// Applies a whole piece to its array: every page that gets a write is touched first,
/// `target.masks` gains the lines that changed. The target's elements have the piece's type, its
/// pages are at least as large as those of a `lines` piece. Cost: the changes, plus one call per
/// page of a range.
void apply(const apply_table& table, const scatter_target& target,
           const delta_piece& piece) noexcept;

/// Changes to one page in line form, packed as `delta::lines` takes them: the k-th set bit of
/// `mask` has `element_masks[k]` and the 64 bytes at `payload + 64 k`. Payload bytes of elements
/// that take no part are unspecified.
struct line_delta {
  dtype type;
  merge_operator op;
  line_mask mask;
  std::uint64_t element_masks[page_lines_max];
  alignas(line_size) std::byte payload[page_lines_max * line_size];
};

/// What became of two line deltas of one page.
enum class line_merge : std::uint8_t {
  merged,  ///< the earlier one now stands for both
  apart,   ///< both stay, to be applied one after the other
};

/// Merges `later` into `earlier` where they have the same operator and it merges exactly. Otherwise
/// they stay apart; where `later` assigns, `earlier` lost the elements that `later` overwrites (its
/// mask may become 0). Types are equal. Applying what remains leaves the bits that the two left.
/// Cost: O(lines).
line_merge merge_lines(const apply_table& table, line_delta& earlier,
                       const line_delta& later) noexcept;

}  // namespace sheaf::inline v0
