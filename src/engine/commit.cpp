#include <algorithm>
#include <new>

#include "engine/engine_core.hpp"
#include "engine/graph_change.hpp"
#include "engine/piece_pages.hpp"
#include "propagate/pace.hpp"

namespace sheaf::inline v0 {

namespace {

/// Elements applied between two looks at the clock at least: a page of a range, and so few of a
/// scatter that each may miss the cache.
constexpr std::uint64_t range_part = 1024;
constexpr std::uint64_t scatter_part = 64;

/// Elements of `whole` from the `from`th on; of lines, all.
delta_piece part_of(const delta_piece& whole, std::uint64_t from) noexcept {
  if (whole.kind == piece_kind::lines) return whole;
  delta_piece part = whole;
  part.values = whole.payload() + (from << size_shift(whole.type));
  const bool is_range = whole.kind == piece_kind::range;
  part.count = std::min(whole.count - from, is_range ? range_part : scatter_part);
  if (is_range) part.first = whole.first + from;
  else if (whole.kind == piece_kind::scatter32) part.columns = whole.indices32() + from;
  else part.columns = whole.indices64() + from;
  return part;
}

}  // namespace

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

/// Every page of the engine is the cheap bound. Only where the budget does not hold that much, or
/// where contiguous arrays want all of an array or nothing, what `mark_cone` marks is followed.
template <class MarkCone>
status engine_core::reserve_for(MarkCone&& mark_cone) {
  executor& runner = *now_->runner;
  if (!frames_->has_runs() &&
      frames_->reserve(runner.whole_demand(), runner.logs()).is_ok()) {
    return {};
  }
  mark_cone();
  return frames_->reserve(runner.count_cone(), runner.logs());
}

status engine_core::reserve_frames(const accepted_group& group) {
  return reserve_for([&]() SHEAF_NO_THREAD_SAFETY_ANALYSIS {  // seen without its caller's turn
    now_->runner->mark_delays(delays_);
    for (const commit_request& member : group) mark_pieces(*member.changes);
  });
}

status engine_core::reserve_frames(const graph_change& change, const delta& changes) {
  return reserve_for([&]() SHEAF_NO_THREAD_SAFETY_ANALYSIS {  // seen without its caller's turn
    mark_pieces(changes);
    mark_change(change, *now_->runner);
    now_->runner->mark_delays(delays_, change.delays);
  });
}

void engine_core::mark_pieces(const delta& changes) {
  line_mask* masks = now_->runner->masks();
  for (const delta_piece& piece : changes.pieces()) {
    const plan_source& source = now_->graph->sources[now_->source_index(piece.array)];
    const std::uint64_t lines = ((source.length << size_shift(source.type)) - 1) / line_size + 1;
    visit_pages(piece, source, [&](std::uint32_t page) {
      // Only lines with elements: the dirty maps know no others.
      const std::uint64_t left = lines - std::uint64_t{page} * lines_of(source.page);
      masks[source.slot + page] = first_lines(
          static_cast<unsigned>(std::min<std::uint64_t>(left, lines_of(source.page))));
      now_->runner->mark(source.slot + page);
      return true;
    });
  }
}

void engine_core::apply_pieces(const delta& changes) {
  for (const delta_piece& piece : changes.pieces()) apply_piece(piece);
}

void engine_core::apply_piece(const delta_piece& piece) {
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

/// Goes on where it stopped; true once all of it is applied.
bool engine_core::apply_until(const delta& changes, pace& with) {
  const auto pieces = changes.pieces();
  for (; epoch_.piece < pieces.size(); ++epoch_.piece, epoch_.element = 0) {
    const delta_piece& whole = pieces[epoch_.piece];
    with.change();
    while (epoch_.element < whole.count) {
      if (with.is_over()) return false;
      const delta_piece part = part_of(whole, epoch_.element);
      apply_piece(part);
      epoch_.element += part.count;
      (void)with.spent(part.count);
    }
  }
  return true;
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
