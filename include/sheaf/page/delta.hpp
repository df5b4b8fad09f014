/// \file
/// A delta: a private columnar batch of changes to source arrays. What a transaction holds.
///
/// Terms: a *piece* is a run of changes to one array by one operator; its columns (indices, values)
/// are plain arrays. Pieces of one array apply in the order of `pieces()`; pieces of different
/// arrays are independent of one another.
///
/// Invariants
///  1. Columns of owned pieces lie in blocks that are never reallocated. Those of the last piece
///     may move when the next call adds one; else none does while the delta lives, even when it is
///     moved.
///  2. A call that returns an error changed nothing.
///  3. `byte_size() <= bytes_max()` (promise P6). Borrowed columns are the host's and count
///     nothing.
///  4. No piece is empty, and none has an operator its element type lacks.
///
/// A delta knows nothing about arrays: whether an index lies inside its array and whether the type
/// is the array's is for the caller to judge, before the call.
///
/// Thread safety: none; a delta belongs to one thread at a time.
/// Cost: `set` on the same (array, type, operator) as the call before it is a handful of ns; the
/// others copy their spans once, the borrowed forms not at all. An empty delta owns no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include <sheaf/base/dtype.hpp>
#include <sheaf/base/id.hpp>
#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/status.hpp>
#include <sheaf/page/delta_operator.hpp>

namespace sheaf::inline v0 {

/// The form of a piece.
enum class piece_kind : std::uint8_t {
  range,      ///< elements [first, first + count): one value each
  scatter32,  ///< `count` pairs of a u32 index and a value; equal indices apply one after the other
  scatter64,  ///< the same with u64 indices
  lines,      ///< `count` lines of one page: an element mask and 64 payload bytes each
};

/// One piece of a delta. Plain data; the columns belong to the delta, or to the host if borrowed.
struct delta_piece {
  array_id array;
  dtype type;
  merge_operator op;
  piece_kind kind;
  page_class size;      ///< lines: the page the mask spans; else unspecified
  bool is_borrowed;     ///< the columns are the host's
  std::uint64_t first;  ///< range: its first element; lines: the line of mask bit 0; else 0
  std::uint64_t count;  ///< range, scatter: elements; lines: set bits of `mask`
  line_mask mask;       ///< lines: which lines; else 0
  const void* values;   ///< elements, or 64 bytes per set line; no alignment promised if borrowed
  const void* columns;  ///< scatter: indices; lines: element masks; range: null

  [[nodiscard]] const std::uint32_t* indices32() const noexcept {
    return static_cast<const std::uint32_t*>(columns);
  }
  [[nodiscard]] const std::uint64_t* indices64() const noexcept {
    return static_cast<const std::uint64_t*>(columns);
  }
  /// Bit i of word k: element i of the k-th set line takes part.
  [[nodiscard]] const std::uint64_t* element_masks() const noexcept {
    return static_cast<const std::uint64_t*>(columns);
  }
  [[nodiscard]] const std::byte* payload() const noexcept {
    return static_cast<const std::byte*>(values);
  }
};

/// See the head of this file. Every call but `set` with an open piece returns `too_many` where the
/// delta would grow past `bytes_max()`, `out_of_memory` where the machine has no more, and
/// `invalid_argument` where `supports(op, type)` is false. A count of zero is accepted and adds
/// nothing.
class delta {
 public:
  static constexpr std::size_t bytes_max_default = std::size_t{1} << 32;
  static constexpr std::size_t block_size_usual = 4096;

  /// `block_size_first`: what the first owned column takes from the system at least.
  explicit delta(std::size_t bytes_max = bytes_max_default,
                 std::size_t block_size_first = block_size_usual) noexcept
      : bytes_max_(bytes_max), block_size_first_(block_size_first) {}
  delta(delta&& other) noexcept;
  delta& operator=(delta&& other) noexcept;
  delta(const delta&) = delete;
  delta& operator=(const delta&) = delete;
  ~delta() = default;

  /// Merges the element at `value` into element `index`. Consecutive calls with the same array,
  /// type and operator extend one open scatter piece (a long series becomes several pieces, each
  /// four times as long as the one before).
  status set(array_id array, dtype type, merge_operator op, std::uint64_t index,
             const void* value) noexcept {
    if (SHEAF_UNLIKELY(!is_open_for(array, type, op, index))) {
      if (status opened = open_set(array, type, op, index); !opened.is_ok()) return opened;
    }
    switch (size_shift(type)) {
      case 0: append<1>(index, value); break;
      case 2: append<4>(index, value); break;
      default: append<8>(index, value); break;
    }
    return {};
  }
  template <element T>
  status set(array_id array, merge_operator op, std::uint64_t index, T value) noexcept {
    return set(array, dtype_of<T>, op, index, &value);
  }

  /// Merges `count` elements at `values` into [first, first + count). `out_of_range` where that
  /// passes 2^64.
  status range(array_id array, dtype type, merge_operator op, std::uint64_t first,
               const void* values, std::uint64_t count) noexcept;
  /// The same, nothing copied: `values` stays alive and still until the delta is cleared or gone.
  status range_borrowed(array_id array, dtype type, merge_operator op, std::uint64_t first,
                        const void* values, std::uint64_t count) noexcept;

  /// Merges `indices.size()` elements at `values`, in that order; an index may occur several times.
  status scatter(array_id array, dtype type, merge_operator op,
                 std::span<const std::uint32_t> indices, const void* values) noexcept;
  status scatter(array_id array, dtype type, merge_operator op,
                 std::span<const std::uint64_t> indices, const void* values) noexcept;
  /// The same, nothing copied: both spans stay alive and still until the delta is cleared or gone.
  status scatter_borrowed(array_id array, dtype type, merge_operator op,
                          std::span<const std::uint32_t> indices, const void* values) noexcept;
  status scatter_borrowed(array_id array, dtype type, merge_operator op,
                          std::span<const std::uint64_t> indices, const void* values) noexcept;

  /// Merges lines of the page that begins at line `first_line` of the array: for the k-th set bit
  /// of `mask`, those elements of the 64 bytes at `payload + 64 k` whose bits are set in
  /// `element_masks[k]`. `invalid_argument` where `first_line` begins no page of `size`, `mask`
  /// names a line past that page, or an element mask names an element past its line.
  status lines(array_id array, dtype type, merge_operator op, page_class size,
               std::uint64_t first_line, line_mask mask, const std::uint64_t* element_masks,
               const void* payload) noexcept;

  /// Adds a copy of `piece`; a borrowed one stays borrowed.
  status append(const delta_piece& piece) noexcept;
  /// Adds copies of all pieces of `next`, in order; columns that it borrowed are copied too.
  status append_owned(const delta& next) noexcept;

  [[nodiscard]] std::span<const delta_piece> pieces() const noexcept { return pieces_; }
  [[nodiscard]] bool is_empty() const noexcept { return pieces_.empty(); }
  /// Bytes of pieces and owned columns, the reserve of an open piece included.
  [[nodiscard]] std::size_t byte_size() const noexcept;
  [[nodiscard]] std::size_t bytes_max() const noexcept { return bytes_max_; }
  /// Empty again; memory is kept for the next use.
  void clear() noexcept;

  /// A state to come back to.
  struct mark {
    std::size_t piece_count, block_index, block_used, byte_count;
  };
  /// This state. Later calls open pieces of their own.
  [[nodiscard]] mark here() noexcept;
  /// Exactly what it was at `to`, a mark of this delta since its last `clear`; marks made after
  /// `to` mean nothing any more.
  void roll_back(const mark& to) noexcept;

 private:
  struct block {
    std::unique_ptr<std::byte[]> data;
    std::size_t size;
  };
  /// The scatter piece that `set` extends: always the last piece, its columns the last thing in the
  /// current block.
  struct open_piece {
    std::uint64_t key = no_key;
    std::uint64_t left = 0;       ///< elements it still has room for
    std::uint64_t index_max = 0;  ///< greatest index its index column can hold
    std::uint64_t capacity = 0;
    std::byte* next_value = nullptr;
    std::byte* next_index = nullptr;
  };
  static constexpr std::uint64_t no_key = ~std::uint64_t{0};

  static constexpr std::uint64_t key_of(array_id array, dtype type, merge_operator op) noexcept {
    return std::uint64_t{index_of(array)} << 16 | static_cast<std::uint64_t>(type) << 8 |
           static_cast<std::uint64_t>(op);
  }
  [[nodiscard]] bool is_open_for(array_id array, dtype type, merge_operator op,
                                 std::uint64_t index) const noexcept {
    return open_.key == key_of(array, type, op) && open_.left != 0 && index <= open_.index_max;
  }
  template <std::size_t Size>
  void append(std::uint64_t index, const void* value) noexcept {
    std::memcpy(open_.next_value, value, Size);
    open_.next_value += Size;
    if (open_.index_max > 0xffff'ffffu) {
      std::memcpy(open_.next_index, &index, 8);
      open_.next_index += 8;
    } else {
      const auto narrow = static_cast<std::uint32_t>(index);
      std::memcpy(open_.next_index, &narrow, 4);
      open_.next_index += 4;
    }
    --open_.left;
    ++pieces_.back().count;
  }

  status open_set(array_id array, dtype type, merge_operator op, std::uint64_t index) noexcept;
  void close_set() noexcept;
  status add_piece(const delta_piece& piece, std::size_t values_size,
                   std::size_t columns_size) noexcept;
  status reserve_piece(std::size_t columns_size) noexcept;
  std::byte* take(std::size_t size) noexcept;
  friend status merge(delta& into, const delta& next) noexcept;

  std::size_t bytes_max_;
  std::size_t block_size_first_;
  std::size_t byte_count_ = 0;   ///< of owned columns, rounded as taken
  std::size_t block_index_ = 0;  ///< the block that is being filled
  std::size_t block_used_ = 0;
  open_piece open_;
  std::vector<delta_piece> pieces_;
  std::vector<block> blocks_;
};

/// Appends `next` to `into`, so that the result applied once leaves the bits that `into` and then
/// `next` would.
///
/// For an array that both change, the changes of each element become as few as the operators allow:
/// an `assign` swallows what it overwrites, what follows an `assign` is folded into its value, and
/// neighbours of one operator that merges exactly (`merges_exactly`) become one. Float `add`s are
/// never merged with one another: they stay apart, in their order. Pieces of other arrays are taken
/// over as they are; borrowed ones of `next` stay borrowed.
///
/// Errors: `too_many`, `out_of_memory`, `type_mismatch` where the two disagree on the type of an
/// array; `into` is then unchanged.
/// Cost: a copy of `next` where no array is shared; else a copy of both, and O(n log n) in the
/// elements of the shared arrays.
status merge(delta& into, const delta& next) noexcept;

}  // namespace sheaf::inline v0
