/// \file
/// The conflict window: which elements recent epochs wrote, so that a transaction that began before
/// them learns whether it collides.
///
/// Terms
///   entry    one line of one array that one transaction wrote: epoch, element mask, operator.
///            Entries lie in a ring in the order of their epochs; entries of lines with equal hash
///            are linked, newest first.
///   span     a run of lines written whole; spans lie in a ring of their own.
///   writer   the place of a transaction in its group, to find its tag in the record of its epoch.
///
/// Rule: two writes to one element conflict, unless both use the same operator and it is not
/// `assign`. Operators are applied at the commit to what they meet there, in commit order, so two
/// `add`s of floats need no other order than the one they get: they do not conflict either.
///
/// Invariants
///  1. `window-is-exact`: what an epoch after `complete_since()` wrote is found element by element;
///     nothing else is. There are no false conflicts.
///  2. Memory is bounded by the capacities given; what falls out raises `complete_since()`.
///
/// Thread safety: none; it belongs to who has the turn.
/// Cost: 32 B and about 5 ns a line recorded; a check looks at the entries of equal hash that are
/// newer than the transaction, normally none: one load a line.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <sheaf/base/id.hpp>
#include <sheaf/page/delta.hpp>

namespace sheaf::inline v0 {

/// The first collision found.
struct write_conflict {
  std::uint64_t epoch = 0;  ///< 0: there is none
  array_id array = no_array;
  std::uint64_t first = 0;  ///< elements [first, first + count) of one line
  std::uint64_t count = 0;
  std::uint32_t writer = 0;
};

class conflict_window {
 public:
  /// At most `bytes_max` for the ring of entries and its index; at least one entry. Throws
  /// `std::bad_alloc`.
  explicit conflict_window(std::size_t bytes_max);

  /// Everything written after this epoch is in the window.
  [[nodiscard]] std::uint64_t complete_since() const noexcept { return complete_since_; }
  /// The last epoch recorded; nothing was written after it.
  [[nodiscard]] std::uint64_t newest() const noexcept { return newest_; }

  /// The first element of `changes` that an epoch after `begin` wrote in a way that conflicts.
  [[nodiscard]] write_conflict find(const delta& changes, std::uint64_t begin) const noexcept;
  /// True where an epoch after `begin` wrote into `line` of `array`.
  [[nodiscard]] bool is_line_written(array_id array, std::uint64_t line,
                                     std::uint64_t begin) const noexcept;
  /// Adds what transaction `writer` of `epoch` wrote; epochs never fall.
  void record(const delta& changes, std::uint64_t epoch, std::uint32_t writer) noexcept;
  /// Everything up to `epoch` counts as unknown: nobody asks for it any more.
  void skip_to(std::uint64_t epoch) noexcept;
  /// Takes back what was recorded of `epoch`, the newest one.
  void forget(std::uint64_t epoch) noexcept;

 private:
  struct entry {
    std::uint64_t epoch;
    std::uint64_t place;     ///< line << 20 | writer << 3 | operator
    std::uint64_t elements;  ///< of the line
    array_id array;
    std::uint32_t older;     ///< low bits of the position of the next one of equal hash
  };
  static_assert(sizeof(entry) == 32);
  struct span {
    std::uint64_t epoch;
    std::uint64_t line_begin, line_end;
    array_id array;
    std::uint32_t writer;
    merge_operator op;
    dtype type;
  };

  [[nodiscard]] std::uint64_t& head_of(array_id array, std::uint64_t line) noexcept;
  [[nodiscard]] const entry* newest_of(array_id array, std::uint64_t line) const noexcept;
  [[nodiscard]] const entry* older_than(const entry& at) const noexcept;
  [[nodiscard]] std::uint64_t position_of(const entry& at) const noexcept;
  [[nodiscard]] write_conflict find_line(const delta_piece& piece, std::uint64_t line,
                                         std::uint64_t elements,
                                         std::uint64_t begin) const noexcept;
  [[nodiscard]] write_conflict find_span(const delta_piece& piece, std::uint64_t line_begin,
                                         std::uint64_t line_end,
                                         std::uint64_t begin) const noexcept;
  void record_line(const delta_piece& piece, std::uint64_t line, std::uint64_t elements,
                   std::uint64_t epoch, std::uint32_t writer) noexcept;
  void record_span(const delta_piece& piece, std::uint64_t line_begin, std::uint64_t line_end,
                   std::uint64_t epoch, std::uint32_t writer) noexcept;

  std::uint64_t capacity_;       ///< entries, a power of two
  std::uint64_t head_count_;     ///< a power of two
  std::uint64_t end_ = 0;        ///< position of the next entry; the ring holds the last ones
  std::uint64_t complete_since_ = 0;
  std::uint64_t newest_ = 0;
  std::unique_ptr<entry[]> entries_;
  struct free_delete {
    void operator()(std::uint64_t* heads) const noexcept;
  };
  /// Position + 1 of the newest entry by hash; 0: none.
  std::unique_ptr<std::uint64_t[], free_delete> heads_;
  std::vector<span> spans_;                 ///< a ring of `spans_max`
  std::uint64_t span_end_ = 0;
};

}  // namespace sheaf::inline v0
