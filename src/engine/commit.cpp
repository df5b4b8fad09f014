#include <algorithm>
#include <new>

#include <sheaf/propagate/operator_scope.hpp>

#include "engine/engine_core.hpp"

namespace sheaf::inline v0 {

result<epoch> engine_core::commit(delta& changes) {
  if (is_inside_operator()) return inside_operator();
  const mutex_lock lock(commit_mutex_);
  if (is_closed()) {
    return status(status_code::closed, subsystem::engine, "the engine is closed");
  }
  if (changes.is_empty()) {
    last_ = {};
    last_.page_nodes_skipped = now_->runner->derived_page_count();
    ++commits_;
    const std::uint64_t number = ++next_epoch_;
    // release: pairs with the load of an opener.
    published_.store(number, std::memory_order_release);
    return epoch{number};
  }
  result<epoch> done = commit_locked(changes);
  ++(done ? commits_ : failed_commits_);
  return done;
}

/// The way of a delta, see the head of engine.hpp.
result<epoch> engine_core::commit_locked(delta& changes) {
  SHEAF_TRY(make_room(changes));
  const std::uint64_t before = published();
  const std::uint64_t number = ++next_epoch_;
  const bool fallible = can_fail(changes);
  const bool never_in_place = fallible || options_.mode == readers::wait_free;
  if (!never_in_place) pins_.begin_in_place(number);
  pins_.scan(scanned_);
  std::uint64_t newest_pinned = scanned_.epochs.empty() ? 0 : scanned_.epochs.back();
  if (never_in_place || scanned_.open_from != ~std::uint64_t{0}) newest_pinned = before;
  frames_->begin_commit(number, newest_pinned);
  if (newest_pinned != 0) {
    if (const status reserved = reserve_frames(changes); !reserved.is_ok()) {
      pins_.end_in_place();
      return reserved;
    }
  }
  apply_pieces(changes);
  mark_touched();
  now_->runner->note_written(changes);
  if (const status ran = now_->runner->propagate(); !ran.is_ok()) {
    SHEAF_ASSERT(fallible, "built-in-operators-cannot-fail");
    (void)now_->runner->take_counters();
    now_->runner->discard();
    frames_->roll_back(now_->runner->logs(), pins_);
    return ran;
  }
  now_->runner->finish(keep_spares_);
  // release (seq_cst, as the handshake needs): everything of this epoch is visible to who reads it.
  published_.store(number);
  if (!never_in_place) pins_.end_in_place();
  last_ = now_->runner->take_counters();
  last_.source_pages_touched = touched_.size();
  total_ += last_;
  if (newest_pinned != 0) frames_->end_commit(now_->runner->logs(), pins_, keep_spares_);
  frames_->reclaim(pins_);
  for (frame_log* log : now_->runner->logs()) log->clear();
  return epoch{number};
}

/// Room in `touched_` for every page the delta may write to, before anything changes.
status engine_core::make_room(const delta& changes) {
  std::uint64_t pages = 0;
  for (const delta_piece& piece : changes.pieces()) {
    const std::uint32_t source = now_->source_index(piece.array);
    // A range of n elements touches at most n / page + 2 pages; n is a bound for every kind.
    pages += std::min<std::uint64_t>(piece.count, now_->graph->sources[source].page_count);
  }
  try {
    touched_.reserve(pages);
  } catch (const std::bad_alloc&) {
    return make_status(status_code::out_of_memory, subsystem::engine,
                       "no memory to keep track of touched pages", "%llu pages",
                       static_cast<unsigned long long>(pages));
  }
  return {};
}

bool engine_core::can_fail(const delta& changes) const noexcept {
  return std::any_of(changes.pieces().begin(), changes.pieces().end(),
                     [this](const delta_piece& piece) {
                       const std::uint32_t source = now_->source_index(piece.array);
                       return now_->graph->reaches_fallible[source] != 0;
                     });
}

/// Every page of the engine is the cheap bound. Only where the budget does not hold that much are
/// the frames for the dirty cone of this delta counted exactly.
status engine_core::reserve_frames(const delta& changes) {
  if (frames_->reserve(now_->runner->whole_demand(), now_->runner->logs()).is_ok()) return {};
  mark_pieces(changes);
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
  touched_.clear();
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
