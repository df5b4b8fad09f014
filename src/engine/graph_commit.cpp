/// \file
/// The commit of a transaction that changes the graph: one generation takes the place of another.
///
/// Everything that can fail comes before the epoch is published, and changes no frame that the old
/// graph has: pages get fresh frames, in a table of the new graph. So a failure goes back to the
/// old generation and its table, whole.
#include <algorithm>
#include <cstring>
#include <new>

#include "engine/engine_core.hpp"
#include "engine/graph_change.hpp"

namespace sheaf::inline v0 {

namespace {

status no_memory() {
  return status(status_code::out_of_memory, subsystem::engine,
                "no memory for the tables of the changed graph");
}

}  // namespace

/// Of a transaction whose calls were checked against another graph than the newest.
status engine_core::judge_graph(const commit_request& member) const {
  if (member.base == nullptr || member.base == now_.get()) return {};
  if (member.edit != nullptr) {
    return make_status(status_code::conflict, subsystem::engine,
                       "another transaction changed the graph first, begin again",
                       "at epoch %llu", static_cast<unsigned long long>(now_->first_epoch));
  }
  const status fit = pieces_fit(*member.changes, *now_->graph, *now_->declared, *apply_);
  if (fit.is_ok()) return {};
  return make_status(status_code::conflict, subsystem::engine,
                     "another transaction dropped or shrank the array first, begin again",
                     "%.*s, since epoch %llu", static_cast<int>(fit.detail().size()),
                     fit.detail().data(), static_cast<unsigned long long>(now_->first_epoch));
}

status engine_core::commit_graph(commit_request& member) {
  try {
    auto graph = member.edit->compile();
    if (!graph) return graph.error();
    std::shared_ptr<const model_data> declared = member.edit->data();
    SHEAF_TRY(pieces_fit(*member.changes, **graph, *declared, *apply_));
    const graph_change change = change_between(*now_->graph, **graph, *declared);
    const std::uint64_t number = ++next_epoch_;
    frames_->begin_commit(number, published());
    SHEAF_TRY(frames_->begin_table(change.table, number, pins_));
    const status changed = enter_generation(std::move(*graph), std::move(declared), change, member);
    if (!changed.is_ok()) frames_->undo_table();
    return changed;
  } catch (const std::bad_alloc&) {
    return no_memory();
  }
}

/// From the new table on: the new generation, or the old one and a status.
status engine_core::enter_generation(std::shared_ptr<const plan> graph,
                                     std::shared_ptr<const model_data> declared,
                                     const graph_change& change, commit_request& member) noexcept {
  std::shared_ptr<generation> before = now_;
  delay_queue queued;  // by what follows this epoch
  status ran;
  try {
    auto made = generation::create(std::move(graph), std::move(declared), *frames_,
                                   for_executors());
    if (!made) return made.error();
    (*made)->first_epoch = next_epoch_;
    reserve_generation();
    now_ = std::move(*made);
    now_->runner->queue_all(queued);  // for the room it takes
    ran = run_change(change, before->table, *member.changes);
  } catch (const std::bad_alloc&) {
    ran = no_memory();
  }
  if (!ran.is_ok()) {
    frames_->roll_back(now_->runner->logs(), pins_);
    now_ = std::move(before);
    return ran;
  }
  for (const plan_operation& op : now_->graph->operations) {
    keep_spares_ |= op.fallible && !op.lazy;
  }
  now_->runner->note_delays(queued, change.delays);
  delays_ = std::move(queued);
  records_.changes().clear();
  now_->runner->finish(keep_spares_ || frames_->has_runs(), &records_.changes());
  show_generation();
  published_.store(next_epoch_);
  accepted_group group;
  group.add(member);
  records_.publish(next_epoch_, group, now_->resolved);
  before->runner.reset();
  last_ = now_->runner->take_counters();
  last_.source_pages_touched = touched_.size();
  total_ += last_;
  ++groups_;
  ++commits_;
  member.epoch = next_epoch_;
  frames_->retire_table(before->first_epoch, pins_);
  frames_->end_commit(now_->runner->logs(), pins_, keep_spares_);
  frames_->reclaim(pins_);
  for (frame_log* log : now_->runner->logs()) log->clear();
  forget_generations();
  return {};
}

/// The levels of the new plan, with the writes of the transaction.
status engine_core::run_change(const graph_change& change, const std::uint32_t* old_table,
                               const delta& changes) {
  executor& runner = *now_->runner;
  touched_.clear();
  touched_.reserve(now_->graph->levels[0].slot_end);
  SHEAF_TRY(reserve_frames(change, changes));
  for (const graph_change::copy& copy : change.copies) {
    for (std::uint32_t i = 0; i < copy.count; ++i) {
      std::memcpy(frames_->current(copy.to + i, copy.page),
                  frames_->base(copy.page) +
                      (std::size_t{old_table[copy.from + i]} << byte_shift(copy.page)),
                  bytes_of(copy.page));
    }
  }
  // Before anything else changes: what is followed has the bits of the epoch before.
  const status moved = runner.move_delays(delays_, change.delays);
  SHEAF_ASSERT(moved.is_ok(), "built-in-operators-cannot-fail");
  for (const graph_change::tail& tail : change.tails) {
    std::byte* page = frames_->changes_in_place(tail.slot, tail.page)
                          ? frames_->current(tail.slot, tail.page)
                          : frames_->replace(tail.slot, tail.page, 0, *runner.logs()[0]);
    std::memset(page + tail.first_byte, 0, bytes_of(tail.page) - tail.first_byte);
    frames_->note_changed(tail.slot, tail.page,
                          first_lines(lines_of(tail.page)) &
                              ~first_lines(tail.first_byte / unsigned{line_size}));
  }
  mark_change(change, runner);
  apply_pieces(changes);
  mark_touched();
  runner.note_written(changes);
  return runner.propagate();
}

/// Old generations go with their page tables, each without the lock.
void engine_core::forget_generations() {
  for (;;) {
    std::shared_ptr<const generation> gone;
    const mutex_lock lock(pool_mutex_);
    const auto found = std::ranges::find_if(generations_, [&](const auto& held) {
      return held != now_ && !frames_->keeps(held->table);
    });
    old_generations_ = static_cast<std::uint32_t>(generations_.size()) - 1;
    if (found == generations_.end()) return;
    gone = std::move(*found);
    generations_.erase(found);
  }
}

}  // namespace sheaf::inline v0
