#include "engine/fork_core.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include <sheaf/propagate/operator_scope.hpp>

#include "engine/engine_core.hpp"
#include "engine/piece_pages.hpp"
#include "page/copy_lines.hpp"

namespace sheaf::inline v0 {

namespace {

std::byte* frame_bytes(const engine_core& core, page_class page, std::uint32_t frame) noexcept {
  return core.allocator().address(page, frame_id{frame});
}

status no_memory() {
  return status(status_code::out_of_memory, subsystem::engine, "no memory for the layer of a fork");
}

/// Newest first. Throws `std::bad_alloc`.
std::vector<const fork_layer*> layers_from(const layer_ptr& top) {
  std::vector<const fork_layer*> layers;
  for (const fork_layer* at = top.get(); at != nullptr; at = at->parent.get()) layers.push_back(at);
  return layers;
}

}  // namespace

fork_core::fork_core(std::shared_ptr<const fork_base> from, layer_ptr newest,
                     std::uint64_t sequence) noexcept
    : base_(std::move(from)), top_(std::move(newest)), sequence_(sequence) {}

fork_core::~fork_core() { drop(); }

void fork_core::drop() noexcept {
  if (std::exchange(is_over_, true)) return;
  now_.reset();
  top_ = layer_ptr();
  base_->core().close_fork();
  base_.reset();
}

/// Sees to it that the top layer may change: true where it is a new one.
result<bool> fork_core::take_top() noexcept {
  now_.reset();
  if (top_ && top_->is_exclusive()) {
    if (!top_->absorb_parents()) return no_memory();
    return false;
  }
  layer_ptr made(new (std::nothrow) fork_layer(base_, top_));
  if (!made) return no_memory();
  made->index_parents();
  top_ = std::move(made);
  return true;
}

result<std::uint64_t> fork_core::commit(const delta& changes) {
  if (is_inside_operator()) {
    return status(status_code::reentrant, subsystem::engine,
                  "a fork was called from inside an operator");
  }
  if (is_over_) return status(status_code::closed, subsystem::engine, "the fork was dropped");
  fork_workspaces& pool = *base_->graph().forks;
  if (changes.is_empty() && !has_queued_delays()) {
    now_.reset();
    last_ = {};
    return ++sequence_;
  }
  auto taken = pool.take();
  if (!taken) return taken.error();
  const workspace_lease work(pool, std::move(*taken));
  const auto is_new = take_top();
  if (!is_new) return is_new.error();
  undo_ = &work->undo;
  new_bytes_ = 0;
  failure_ = status();
  work->runner->enter(*this);
  const status done = run(changes, *work);
  if (done.is_ok()) {
    base_->core().count_fork_bytes(new_bytes_);
    last_ = work->runner->take_counters();
    last_.source_pages_touched = work->touched.size();
    top_->changes.settle();
    ++sequence_;
  } else {
    (void)work->runner->take_counters();
    roll_back();
    if (*is_new) top_ = layer_ptr(top_->parent);
  }
  work->runner->leave();
  work->undo.clear();
  undo_ = nullptr;
  if (!done.is_ok()) return done;
  return sequence_;
}

bool fork_core::has_queued_delays() const noexcept {
  return base_->graph().graph->has_delay() && (!knows_delays_ || !delays_.is_empty());
}

/// The first commit compares all of what is followed: the snapshot may be of any epoch.
status fork_core::move_delays(executor& runner) {
  if (!has_queued_delays()) return {};
  if (!knows_delays_) {
    try {
      runner.queue_all(delays_);
    } catch (const std::bad_alloc&) {
      return no_memory();
    }
    knows_delays_ = true;
  }
  return runner.move_delays(delays_);
}

status fork_core::run(const delta& changes, fork_workspace& work) {
  status done = move_delays(*work.runner);
  if (done.is_ok()) done = apply_pieces(changes, work);
  if (done.is_ok()) {
    work.runner->note_written(changes);
    done = work.runner->propagate();
  }
  if (done.is_ok()) done = top_->changes.append(changes);
  if (done.is_ok()) {
    work.runner->note_delays(delays_);
    work.runner->finish(false);
  } else {
    work.runner->discard();
  }
  return done;
}

namespace {
void already_touched(void*, std::uint32_t) { SHEAF_ASSERT(false, "fork-pages-are-touched-first"); }
}  // namespace

/// Every page is made writable before a piece is applied, so that only this can fail.
status fork_core::apply_pieces(const delta& changes, fork_workspace& work) {
  const generation& graph = base_->graph();
  work.touched.clear();
  status done;
  for (const delta_piece& piece : changes.pieces()) {
    const std::uint32_t index = graph.source_index(piece.array);
    const plan_source& source = graph.graph->sources[index];
    done = touch_pages(piece, work);
    if (!done.is_ok()) break;
    const unsigned frame_shift = byte_shift(source.page);
    const scatter_target target{work.runner->branch_frames() + source.slot,
                                base_->core().allocator().base(source.page),
                                frame_shift - size_shift(source.type),
                                frame_shift,
                                work.runner->masks() + source.slot,
                                work.touched_bits.get() + graph.touched_begin[index],
                                nullptr,
                                already_touched};
    apply(base_->core().apply_bodies(), target, piece);
  }
  for (const fork_workspace::touched_page& at : work.touched) {
    work.touched_bits[graph.touched_begin[at.source] + (at.page >> 6)] = 0;
    const std::uint32_t slot = graph.graph->sources[at.source].slot + at.page;
    // A mark also where a failure follows: `discard` clears the masks of marked slots.
    if (work.runner->masks()[slot] != 0) work.runner->mark(slot);
  }
  return done;
}

status fork_core::touch_pages(const delta_piece& piece, fork_workspace& work) {
  const generation& graph = base_->graph();
  const std::uint32_t index = graph.source_index(piece.array);
  const plan_source& source = graph.graph->sources[index];
  std::uint64_t* bits = work.touched_bits.get() + graph.touched_begin[index];
  status done;
  try {
    visit_pages(piece, source, [&](std::uint32_t page) {
      std::uint64_t& word = bits[page >> 6];
      const std::uint64_t bit = std::uint64_t{1} << (page & 63);
      if ((word & bit) != 0) return true;
      work.touched.push_back({index, page});
      word |= bit;
      if (work.runner->make_writable(source.slot + page, source.page, 0)) return true;
      done = failure_;
      return false;
    });
  } catch (const std::bad_alloc&) {
    done = no_memory();
  }
  return done;
}

std::uint32_t fork_core::find(std::uint32_t slot, page_class page) noexcept {
  if (top_) {
    const std::uint32_t found = top_->find(slot);
    if (found != slot_map::nothing) return found;
  }
  return base_->find(slot, page);
}

std::uint32_t fork_core::make_writable(std::uint32_t slot, page_class page,
                                       line_mask changing) noexcept {
  if (!failure_.is_ok()) return nothing;  // the first one is told
  const std::uint32_t own = top_->own.find(slot);
  if (own == slot_map::nothing) return own_frame(slot, page, changing);
  // Of a source page it is not known yet which lines change.
  const line_mask lines = changing == 0 ? first_lines(lines_of(page)) : changing;
  return save(slot, page, own, lines) ? own : nothing;
}

/// Keeps what `lines` of an own frame hold.
bool fork_core::save(std::uint32_t slot, page_class page, std::uint32_t frame,
                     line_mask lines) noexcept {
  const std::size_t at = undo_->bytes.size();
  try {
    const std::byte* from = frame_bytes(base_->core(), page, frame);
    if (lines == first_lines(lines_of(page))) {
      undo_->bytes.insert(undo_->bytes.end(), from, from + bytes_of(page));
    } else {
      for_each_line(lines, [&](unsigned line) {
        const std::byte* begin = from + line * line_size;
        undo_->bytes.insert(undo_->bytes.end(), begin, begin + line_size);
      });
    }
    undo_->entries.push_back({slot, page, false, lines, at});
    return true;
  } catch (const std::bad_alloc&) {
    undo_->bytes.resize(at);
    failure_ = no_memory();
    return false;
  }
}

/// A frame of the layer's own for a page it does not have yet.
std::uint32_t fork_core::own_frame(std::uint32_t slot, page_class page,
                                   line_mask changing) noexcept {
  engine_core& core = base_->core();
  failure_ = core.check_fork_bytes(new_bytes_ + bytes_of(page));
  if (!failure_.is_ok()) return nothing;
  try {
    undo_->entries.push_back({slot, page, true, 0, 0});
  } catch (const std::bad_alloc&) {
    failure_ = no_memory();
    return nothing;
  }
  const frame_id fresh =
      top_->own.reserve(1) ? core.allocator().allocate(page) : no_frame;
  if (fresh == no_frame) {
    undo_->entries.pop_back();
    failure_ = core.allocator().exhausted_status(page);
    return nothing;
  }
  const std::uint32_t frame = index_of(fresh);
  copy_lines(frame_bytes(core, page, frame), frame_bytes(core, page, find(slot, page)),
             first_lines(lines_of(page)) & ~changing, page);
  top_->own.insert(slot, frame);
  new_bytes_ += bytes_of(page);
  return frame;
}

void fork_core::roll_back() noexcept {
  engine_core& core = base_->core();
  for (auto entry = undo_->entries.rbegin(); entry != undo_->entries.rend(); ++entry) {
    const std::uint32_t frame = top_->own.find(entry->slot);
    if (entry->is_new) {
      top_->own.erase(entry->slot);
      core.allocator().deallocate(entry->page, frame_id{frame});
      continue;
    }
    std::byte* to = frame_bytes(core, entry->page, frame);
    const std::byte* from = undo_->bytes.data() + entry->at;
    for_each_line(entry->lines, [&](unsigned line) {
      std::memcpy(to + line * line_size, from, line_size);
      from += line_size;
    });
  }
}

result<std::shared_ptr<fork_version>> fork_core::version() {
  if (is_over_) return status(status_code::closed, subsystem::engine, "the fork was dropped");
  if (now_ == nullptr) {
    try {
      now_ = std::make_shared<fork_version>(base_, top_, sequence_);
    } catch (const std::bad_alloc&) {
      return no_memory();
    }
  }
  return now_;
}

status fork_core::all_changes(delta& into) const {
  try {
    const auto layers = layers_from(top_);
    for (auto at = layers.rbegin(); at != layers.rend(); ++at) {
      SHEAF_TRY((*at)->changes.merge_into(into));
    }
  } catch (const std::bad_alloc&) {
    return no_memory();
  }
  return {};
}

/// The lines part at the newest layer both have. It is shared, so neither changed it since.
status fork_core::changes_since(const fork_core& other, delta& into) const {
  try {
    const auto mine = layers_from(top_), others = layers_from(other.top_);
    auto a = mine.rbegin();
    for (auto b = others.rbegin(); a != mine.rend() && b != others.rend() && *a == *b; ++b) ++a;
    for (; a != mine.rend(); ++a) SHEAF_TRY((*a)->changes.merge_into(into));
  } catch (const std::bad_alloc&) {
    return no_memory();
  }
  return {};
}

result<audit_report> fork_core::audit() {
  if (is_over_) return status(status_code::closed, subsystem::engine, "the fork was dropped");
  fork_workspaces& pool = *base_->graph().forks;
  auto taken = pool.take();
  if (!taken) return taken.error();
  const workspace_lease work(pool, std::move(*taken));
  work->runner->enter(*this);
  result<audit_report> report = no_memory();
  try {
    report = work->runner->audit();
  } catch (const std::bad_alloc&) {
    // What it says already.
  }
  work->runner->leave();
  return report;
}

}  // namespace sheaf::inline v0
