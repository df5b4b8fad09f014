/// \file
/// The pages that a piece of a delta writes to.
#pragma once

#include <cstdint>

#include <sheaf/graph/plan.hpp>
#include <sheaf/page/delta.hpp>

namespace sheaf::inline v0 {

/// Calls `visitor(page)`, which says whether to go on, for every page of `source` that `piece`
/// writes to; a page may come more than once. O(pages) for a range, else O(elements).
template <class Visitor>
void visit_pages(const delta_piece& piece, const plan_source& source, Visitor&& visitor) {
  const unsigned shift = byte_shift(source.page) - size_shift(source.type);
  switch (piece.kind) {
    case piece_kind::range: {
      const std::uint64_t last = (piece.first + (piece.count - 1)) >> shift;
      for (std::uint64_t page = piece.first >> shift; page <= last; ++page) {
        if (!visitor(static_cast<std::uint32_t>(page))) return;
      }
      return;
    }
    case piece_kind::scatter32:
      for (std::uint64_t i = 0; i < piece.count; ++i) {
        if (!visitor(piece.indices32()[i] >> shift)) return;
      }
      return;
    case piece_kind::scatter64:
      for (std::uint64_t i = 0; i < piece.count; ++i) {
        if (!visitor(static_cast<std::uint32_t>(piece.indices64()[i] >> shift))) return;
      }
      return;
    case piece_kind::lines:
      visitor(static_cast<std::uint32_t>(piece.first >> static_cast<unsigned>(source.page)));
      return;
  }
}

}  // namespace sheaf::inline v0
