#include <algorithm>
#include <new>

#include "engine/engine_core.hpp"

namespace sheaf::inline v0 {

/// Room in `touched_` for every page the group may write to, before anything changes.
status engine_core::make_room(const accepted_group& group) {
  std::uint64_t pages = 0;
  for (const commit_request& member : group) {
    for (const delta_piece& piece : member.changes->pieces()) {
      const std::uint32_t source = now_->source_index(piece.array);
      // A range of n elements touches at most n / page + 2 pages; n is a bound for every kind.
      pages += std::min<std::uint64_t>(piece.count, now_->graph->sources[source].page_count);
    }
  }
  if (group.count > 1) pages = std::min<std::uint64_t>(pages, now_->graph->slot_count);
  try {
    touched_.reserve(pages);
  } catch (const std::bad_alloc&) {
    return make_status(status_code::out_of_memory, subsystem::engine,
                       "no memory to keep track of touched pages", "%llu pages",
                       static_cast<unsigned long long>(pages));
  }
  return {};
}

bool engine_core::can_fail(const accepted_group& group) const noexcept {
  bool found = false;
  for (const commit_request& member : group) {
    for (const delta_piece& piece : member.changes->pieces()) {
      found |= now_->graph->reaches_fallible[now_->source_index(piece.array)] != 0;
    }
  }
  return found || now_->runner->delays_reach_fallible(delays_);
}

/// Every page of the engine is the cheap bound. Only where the budget does not hold that much are
/// the frames for the dirty cone of this group counted exactly.
status engine_core::reserve_frames(const accepted_group& group) {
  // What a contiguous array needs is counted exactly: it is all of the array or nothing.
  if (!frames_->has_runs() &&
      frames_->reserve(now_->runner->whole_demand(), now_->runner->logs()).is_ok()) {
    return {};
  }
  now_->runner->mark_delays(delays_);
  for (const commit_request& member : group) mark_pieces(*member.changes);
  return frames_->reserve(now_->runner->count_cone(), now_->runner->logs());
}

void engine_core::mark_pieces(const delta& changes) {
  line_mask* masks = now_->runner->masks();
  for (const delta_piece& piece : changes.pieces()) {
    const plan_source& source = now_->graph->sources[now_->source_index(piece.array)];
    const unsigned shift = byte_shift(source.page) - size_shift(source.type);
    const std::uint64_t lines = ((source.length << size_shift(source.type)) - 1) / line_size + 1;
    const auto mark = [&](std::uint64_t page) {
      const auto slot = source.slot + static_cast<std::uint32_t>(page);
      // Only lines with elements: the dirty maps know no others.
      const std::uint64_t left = lines - page * lines_of(source.page);
      masks[slot] = first_lines(
          static_cast<unsigned>(std::min<std::uint64_t>(left, lines_of(source.page))));
      now_->runner->mark(slot);
    };
    if (piece.kind == piece_kind::range) {
      for (std::uint64_t page = piece.first >> shift;
           page <= (piece.first + piece.count - 1) >> shift; ++page) {
        mark(page);
      }
    } else if (piece.kind == piece_kind::lines) {
      mark(piece.first >> static_cast<unsigned>(source.page));
    } else {
      const bool wide = piece.kind == piece_kind::scatter64;
      for (std::uint64_t i = 0; i < piece.count; ++i) {
        mark((wide ? piece.indices64()[i] : piece.indices32()[i]) >> shift);
      }
    }
  }
}

void engine_core::apply_pieces(const delta& changes) {
  for (const delta_piece& piece : changes.pieces()) {
    const std::uint32_t index = now_->source_index(piece.array);
    const plan_source& source = now_->graph->sources[index];
    touch_context context{this, index};
    const unsigned frame_shift = byte_shift(source.page);
    const scatter_target target{frames_->frames() + source.slot,
                                frames_->base(source.page),
                                frame_shift - size_shift(source.type),
                                frame_shift,
                                now_->runner->masks() + source.slot,
                                now_->touched_bits.get() + now_->touched_begin[index],
                                &context,
                                touch};
    apply(*apply_, target, piece);
  }
}

void engine_core::touch(void* context, std::uint32_t page) {
  const touch_context& where = *static_cast<const touch_context*>(context);
  engine_core& core = *where.core;
  const plan_source& source = core.now_->graph->sources[where.source];
  const std::uint32_t slot = source.slot + page;
  if (!core.frames_->all_in_place() && !core.frames_->changes_in_place(slot, source.page)) {
    core.frames_->replace(slot, source.page, 0, *core.now_->runner->logs()[0]);
  }
  core.now_->touched_bits[core.now_->touched_begin[where.source] + (page >> 6)] |= std::uint64_t{1}
                                                                         << (page & 63);
  core.touched_.push_back({where.source, page});
}

void engine_core::mark_touched() {
  const line_mask* masks = now_->runner->masks();
  for (const touched_page& at : touched_) {
    now_->touched_bits[now_->touched_begin[at.source] + (at.page >> 6)] = 0;
    const std::uint32_t slot = now_->graph->sources[at.source].slot + at.page;
    if (masks[slot] != 0) now_->runner->mark(slot);
  }
}

}  // namespace sheaf::inline v0
