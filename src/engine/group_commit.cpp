/// \file
/// Group commit: one thread leads, a group of transactions becomes one epoch.
///
/// Invariants
///  1. `group-is-one-epoch`: the members of a group are applied in order, propagated once and
///     published with one store.
///  2. A group of several that fails leaves no trace; its members then commit one by one, so that
///     only the culprit is refused.
#include <sheaf/propagate/operator_scope.hpp>

#include "engine/engine_core.hpp"

namespace sheaf::inline v0 {

namespace {

/// A leader goes on for others as long as some wait, which is cheaper than waking them, but not for
/// ever: its own transaction is done.
constexpr unsigned led_groups_max = 64;

void refuse(commit_request& member, const status& why) noexcept { member.outcome = why; }

}  // namespace

result<epoch> engine_core::commit(commit_request& request) {
  if (is_inside_operator()) return inside_operator();
  while (turn_.enter(request)) lead(request);
  if (!request.outcome.is_ok()) return request.outcome;
  return epoch{request.epoch};
}

void engine_core::lead(const commit_request& mine) {
  // Every commit moves delays on by one epoch: theirs are groups of one.
  const std::uint32_t group_max =
      now_->graph->has_delay() ? 1 : options_.group_transactions_max;
  commit_group group = turn_.take_group(group_max);
  for (unsigned led = 1; !group.is_empty(); ++led) {
    commit_group_of(group);
    if (led == led_groups_max || !turn_.has_waiting()) break;
    const commit_group next = turn_.take_group(group_max);
    commit_queue::complete(group, &mine);
    group = next;
  }
  turn_.leave();
  // Waking is a system call: nobody waits for the turn meanwhile.
  commit_queue::complete(group, &mine);
}

void engine_core::commit_group_of(const commit_group& group) {
  if (is_closed()) {
    const status closed(status_code::closed, subsystem::engine, "the engine is closed");
    group.for_each([&](commit_request& member) { refuse(member, closed); });
    return;
  }
  bool fits = true;
  group.for_each([&](commit_request& member) { fits &= judge_graph(member).is_ok(); });
  status together;
  if (!fits) together = judge_graph(*group.first);
  else if (group.first->edit != nullptr) together = commit_graph(*group.first);
  else together = commit_together(group);
  if (fits && together.is_ok()) return;
  if (group.is_single()) {
    ++failed_commits_;
    refuse(*group.first, together);
    return;
  }
  ++groups_split_;
  group.for_each([this](commit_request& member) {
    status alone = judge_graph(member);
    if (alone.is_ok()) alone = commit_together({&member, member.next});
    if (alone.is_ok()) return;
    ++failed_commits_;
    refuse(member, alone);
  });
}

/// The way of a delta, see the head of engine.hpp.
status engine_core::commit_together(const commit_group& group) {
  bool is_empty = true;
  group.for_each([&](const commit_request& member) { is_empty &= member.changes->is_empty(); });
  if (is_empty && delays_.is_empty()) {
    publish_nothing_new(group);
    return {};
  }
  SHEAF_TRY(make_room(group));
  const std::uint64_t before = published();
  const std::uint64_t number = ++next_epoch_;
  const bool fallible = can_fail(group);
  const bool never_in_place = fallible || options_.mode == readers::wait_free;
  if (!never_in_place) pins_.begin_in_place(number);
  pins_.scan(scanned_);
  std::uint64_t newest_pinned = scanned_.epochs.empty() ? 0 : scanned_.epochs.back();
  if (never_in_place || scanned_.open_from != ~std::uint64_t{0}) newest_pinned = before;
  frames_->begin_commit(number, newest_pinned);
  if (newest_pinned != 0) {
    if (const status reserved = reserve_frames(group); !reserved.is_ok()) {
      pins_.end_in_place();
      return reserved;
    }
  }
  touched_.clear();
  const status moved = now_->runner->move_delays(delays_);
  SHEAF_ASSERT(moved.is_ok(), "built-in-operators-cannot-fail");
  group.for_each([this](const commit_request& member) { apply_pieces(*member.changes); });
  mark_touched();
  group.for_each([this](const commit_request& member) {
    now_->runner->note_written(*member.changes);
  });
  if (const status ran = now_->runner->propagate(); !ran.is_ok()) {
    SHEAF_ASSERT(fallible, "built-in-operators-cannot-fail");
    (void)now_->runner->take_counters();
    now_->runner->discard();
    frames_->roll_back(now_->runner->logs(), pins_);
    return ran;
  }
  now_->runner->note_delays(delays_);
  now_->runner->finish(keep_spares_ || frames_->has_runs());
  // release (seq_cst, as the handshake needs): everything of this epoch is visible to who reads it.
  published_.store(number);
  if (!never_in_place) pins_.end_in_place();
  last_ = now_->runner->take_counters();
  last_.source_pages_touched = touched_.size();
  total_ += last_;
  ++groups_;
  group.for_each([&](commit_request& member) {
    member.epoch = number;
    ++commits_;
  });
  if (newest_pinned != 0) frames_->end_commit(now_->runner->logs(), pins_, keep_spares_);
  frames_->reclaim(pins_);
  if (SHEAF_UNLIKELY(old_generations_ != 0)) forget_generations();
  for (frame_log* log : now_->runner->logs()) log->clear();
  return {};
}

void engine_core::publish_nothing_new(const commit_group& group) {
  last_ = {};
  last_.page_nodes_skipped = now_->runner->derived_page_count();
  const std::uint64_t number = ++next_epoch_;
  // release: pairs with the load of an opener.
  published_.store(number, std::memory_order_release);
  ++groups_;
  group.for_each([&](commit_request& member) {
    member.epoch = number;
    ++commits_;
  });
}

}  // namespace sheaf::inline v0
