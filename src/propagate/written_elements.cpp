/// \file
/// Which elements of a source line changed, for sources that an indexed operator reads: those that
/// the delta wrote, in lines whose bits changed. Without this a changed element of `x` would mark
/// the readers of all its line's elements.
///
/// Cost: O(elements written to such sources).
#include <algorithm>

#include "propagate/executor_state.hpp"

namespace sheaf::inline v0 {

namespace {

/// Notes elements of one source array.
struct element_notes {
  const plan_source& source;
  const line_mask* masks;      ///< of the source's first slot on
  std::uint64_t* elements;     ///< by line

  [[nodiscard]] bool is_changed(std::uint64_t line) const noexcept {
    const auto shift = static_cast<unsigned>(source.page);
    return (masks[line >> shift] >> (line & (lines_of(source.page) - 1)) & 1) != 0;
  }
  void note(std::uint64_t line, std::uint64_t mask) const noexcept {
    if (is_changed(line)) elements[line] |= mask;
  }
  void note_element(std::uint64_t element) const noexcept {
    const unsigned shift = line_shift - size_shift(source.type);
    note(element >> shift, std::uint64_t{1} << (element & ((1u << shift) - 1)));
  }
  void note_range(std::uint64_t first, std::uint64_t count) const noexcept {
    const unsigned shift = line_shift - size_shift(source.type);
    const std::uint64_t per_line = std::uint64_t{1} << shift;
    const std::uint64_t end = first + count;
    for (std::uint64_t line = first >> shift; line << shift < end; ++line) {
      const std::uint64_t begin = line << shift;
      const auto from = static_cast<unsigned>(std::max(first, begin) - begin);
      const auto to = static_cast<unsigned>(std::min(end - begin, per_line));
      note(line, first_lines(to) & ~first_lines(from));
    }
  }
  void note_piece(const delta_piece& piece) const noexcept {
    switch (piece.kind) {
      case piece_kind::range: return note_range(piece.first, piece.count);
      case piece_kind::scatter32:
        for (std::uint64_t i = 0; i < piece.count; ++i) note_element(piece.indices32()[i]);
        return;
      case piece_kind::scatter64:
        for (std::uint64_t i = 0; i < piece.count; ++i) note_element(piece.indices64()[i]);
        return;
      case piece_kind::lines: {
        std::size_t k = 0;
        for_each_line(piece.mask, [&](unsigned line) {
          note(piece.first + line, piece.element_masks()[k++]);
        });
        return;
      }
    }
  }
};

}  // namespace

void executor::state::note_written(const delta& changes) noexcept {
  if (!plan_->any_tracked_source) return;
  for (const delta_piece& piece : changes.pieces()) {
    const std::uint32_t producer = graph_.producer_of_array[index_of(piece.array)];
    std::uint64_t* elements = plan_->tracked_elements(producer, changed_elements_.get());
    if (elements == nullptr) continue;
    const plan_source& source = graph_.sources[producer];
    element_notes{source, masks_.get() + source.slot, elements}.note_piece(piece);
  }
}

/// Forgets what was noted of the source page at `slot`.
void executor::state::forget_written(std::uint32_t slot) noexcept {
  const std::uint32_t at = segment_of(graph_.levels[0], slot, graph_.levels[0].segment_begin);
  const place here = place_in(graph_.segments[at], slot);
  std::uint64_t* elements = plan_->tracked_elements(here.node, changed_elements_.get());
  if (elements == nullptr) return;
  const unsigned lines = lines_of(graph_.sources[here.node].page);
  std::fill_n(elements + std::uint64_t{here.page} * lines, lines, std::uint64_t{0});
}

}  // namespace sheaf::inline v0
