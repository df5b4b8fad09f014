/// \file
/// Which elements of a source line changed, for sources that an indexed operator reads: those that
/// the delta wrote, in lines whose bits changed. Without this a changed element of `x` would mark
/// the readers of all its line's elements.
///
/// Cost: O(elements written to such sources).
#include <algorithm>

#include "page/piece_lines.hpp"
#include "propagate/executor_state.hpp"

namespace sheaf::inline v0 {

namespace {

/// Notes elements of one source array.
struct element_notes {
  const plan_source& source;
  const line_mask* masks;   ///< of the source's first slot on
  std::uint64_t* elements;  ///< by line

  void note(std::uint64_t line, std::uint64_t mask) const noexcept {
    const auto shift = static_cast<unsigned>(source.page);
    const line_mask changed = masks[line >> shift] >> (line & (lines_of(source.page) - 1));
    if ((changed & 1) != 0) elements[line] |= mask;
  }
  void note_piece(const delta_piece& piece) const noexcept {
    const std::uint64_t whole = first_lines(line_size >> size_shift(source.type));
    walk_lines(
        piece,
        [&](std::uint64_t line, std::uint64_t mask) {
          note(line, mask);
          return false;
        },
        [&](std::uint64_t begin, std::uint64_t end) {
          for (std::uint64_t line = begin; line < end; ++line) note(line, whole);
          return false;
        });
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
