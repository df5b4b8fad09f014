/// \file
/// The lines that a piece of a delta writes: one walk for the conflict window, reads of own writes
/// and whoever else asks.
#pragma once

#include <algorithm>
#include <cstdint>

#include <sheaf/base/line_mask.hpp>
#include <sheaf/page/delta.hpp>

namespace sheaf::inline v0 {

/// Runs of whole lines at least this long are one span instead of an entry a line.
inline constexpr std::uint64_t span_lines_min = 16;

/// Calls `on_line(line, element mask)` for every line of which `piece` writes a part, and
/// `on_span(first line, one past the last)` for long runs of whole lines. Neighbouring writes of a
/// scatter to one line come in one call; a line may come several times. Both return true to stop.
template <class OnLine, class OnSpan>
void walk_lines(const delta_piece& piece, OnLine&& on_line, OnSpan&& on_span) {
  const unsigned shift = line_shift - size_shift(piece.type);
  const std::uint64_t per_line = std::uint64_t{1} << shift;
  if (piece.kind == piece_kind::range) {
    const std::uint64_t end = piece.first + piece.count;
    for (std::uint64_t line = piece.first >> shift; line << shift < end;) {
      const std::uint64_t begin = line << shift;
      const std::uint64_t whole_end = end >> shift;
      if (begin >= piece.first && whole_end >= line + span_lines_min) {
        if (on_span(line, whole_end)) return;
        line = whole_end;
        continue;
      }
      const auto from = static_cast<unsigned>(std::max(piece.first, begin) - begin);
      const auto to = static_cast<unsigned>(std::min(end - begin, per_line));
      if (on_line(line, lines_between(from, to))) return;
      ++line;
    }
    return;
  }
  if (piece.kind == piece_kind::lines) {
    std::size_t k = 0;
    for (line_mask left = piece.mask; left != 0; left &= left - 1) {
      const std::uint64_t elements = piece.element_masks()[k++];
      if (elements == 0) continue;
      if (on_line(piece.first + static_cast<unsigned>(std::countr_zero(left)), elements)) return;
    }
    return;
  }
  const bool wide = piece.kind == piece_kind::scatter64;
  for (std::uint64_t i = 0; i < piece.count;) {
    const std::uint64_t first = wide ? piece.indices64()[i] : piece.indices32()[i];
    const std::uint64_t line = first >> shift;
    std::uint64_t elements = 0;
    for (std::uint64_t index = first; index >> shift == line;) {
      elements |= std::uint64_t{1} << (index & (per_line - 1));
      if (++i == piece.count) break;
      index = wide ? piece.indices64()[i] : piece.indices32()[i];
    }
    if (on_line(line, elements)) return;
  }
}

}  // namespace sheaf::inline v0
