/// \file
/// Group commit: one thread leads, a group of transactions becomes one epoch.
///
/// Invariants
///  1. `group-is-one-epoch`: the members of a group are applied in order, propagated once and
///     published with one store.
///  2. A group of several that fails leaves no trace; its members then commit one by one, so that
///     only the culprit is refused.
#include <utility>

#include <sheaf/propagate/operator_scope.hpp>

#include "engine/engine_core.hpp"

namespace sheaf::inline v0 {

namespace {

/// A leader goes on for others as long as some wait, which is cheaper than waking them, but not for
/// ever: its own transaction is done.
constexpr unsigned led_groups_max = 64;
/// Where another transaction was found open, so many commits take it for granted: looking for it
/// costs a cache line that its thread writes to.
constexpr std::uint32_t others_for = 64;

}  // namespace

result<epoch> engine_core::commit(commit_request& request) {
  if (is_inside_operator()) return inside_operator();
  while (turn_.enter(request)) lead(request);
  if (!request.outcome.is_ok()) return request.outcome;
  return epoch{request.epoch};
}

void engine_core::commit_batch(std::span<commit_request> members) {
  if (members.empty()) return;
  for (std::size_t i = 0; i + 1 < members.size(); ++i) members[i].next = &members[i + 1];
  members.back().next = nullptr;
  const turn_lock lock(turn_);
  commit_all({members.data(), nullptr});
}

void engine_core::lead(const commit_request& mine) {
  // Every commit moves delays on by one epoch: theirs are groups of one.
  const std::uint32_t group_max =
      now_->graph->has_delay() ? 1 : options_.group_transactions_max;
  commit_group group = turn_.take_group(group_max);
  for (unsigned led = 1; !group.is_empty(); ++led) {
    commit_all(group);
    if (led == led_groups_max || !turn_.has_waiting()) break;
    const commit_group next = turn_.take_group(group_max);
    commit_queue::complete(group, &mine);
    group = next;
  }
  turn_.leave();
  // Waking is a system call: nobody waits for the turn meanwhile.
  commit_queue::complete(group, &mine);
}

void engine_core::refuse(commit_request& member, const status& why) noexcept {
  ++failed_commits_;
  conflicts_ += why.code() == status_code::conflict;
  member.outcome = why;
}

void engine_core::commit_all(commit_group group) {
  if (is_closed()) {
    const status closed = closed_status();
    group.for_each([&](commit_request& member) { member.outcome = closed; });
    return;
  }
  while (!group.is_empty()) group = commit_some(group);
}

/// Commits as many members from the front as can be one epoch and returns the others.
commit_group engine_core::commit_some(const commit_group& group) {
  const bool is_single = group.is_single();
  const std::uint64_t number = next_epoch_ + 1;
  accepted_group accepted;
  commit_request* at = group.first;
  for (; at != group.end; at = at->next) {
    const verdict found = judge(*at, accepted);
    if (found.is_cut) break;
    if (!found.why.is_ok()) {
      refuse(*at, found.why);
      continue;
    }
    accepted.add(*at);
    // The members behind it are judged by it, too.
    if (!is_single) window_.record(*at->changes, number, at->place);
  }
  const commit_group rest{at, group.end};
  if (accepted.count == 0) return rest;
  const status together = commit_together(accepted);
  if (together.is_ok()) {
    if (is_single) remember_writes(*accepted.first, number);
  } else if (accepted.count == 1) {
    if (!is_single) window_.forget(number);
    refuse(*accepted.first, together);
  } else {
    window_.forget(number);
    commit_one_by_one(accepted);
  }
  return rest;
}

void engine_core::commit_one_by_one(const accepted_group& group) {
  ++groups_split_;
  for (commit_request& member : group) {
    // Its own link is the group's; alone it has none.
    commit_request* next = std::exchange(member.next, nullptr);
    (void)commit_some({&member, nullptr});
    member.next = next;
  }
}

/// What the one member of a group wrote matters to transactions and forks that are open now: who
/// begins later sees the epoch, which is published. The member counts as one of them.
void engine_core::remember_writes(const commit_request& member, std::uint64_t epoch) {
  if (member.changes->is_empty()) return;
  if (others_expected_ != 0) {
    --others_expected_;
  } else if (open_forks_.load() == 0 && writers_.is_alone()) {
    return window_.skip_to(epoch);
  } else {
    others_expected_ = others_for;
  }
  window_.record(*member.changes, epoch, member.place);
}

status engine_core::commit_together(const accepted_group& group) {
  const status done = commit_once(group);
  if (SHEAF_LIKELY(done.code() != status_code::history_full)) return done;
  return commit_under_pressure(group, done);
}

/// The way of a delta, see the head of engine.hpp.
status engine_core::commit_once(const accepted_group& group) {
  if (group.first->edit != nullptr) return commit_graph(*group.first);
  bool is_empty = true;
  for (const commit_request& member : group) is_empty &= member.changes->is_empty();
  if (is_empty && delays_.is_empty()) {
    publish_nothing_new(group);
    return {};
  }
  SHEAF_TRY(start_epoch(group));
  if (const status ran = now_->runner->propagate(); !ran.is_ok()) {
    undo_epoch();
    return ran;
  }
  end_epoch(group);
  return {};
}

/// Up to the levels: frames reserved, deltas applied. On an error nothing changed.
status engine_core::start_epoch(const accepted_group& group) {
  SHEAF_TRY(prepare_epoch(group, false));
  for (const commit_request& member : group) apply_pieces(*member.changes);
  note_applied(group);
  return {};
}

/// Up to the first change: frames reserved. On an error nothing changed.
status engine_core::prepare_epoch(const accepted_group& group, bool keeps_readers) {
  SHEAF_TRY(make_room(group));
  const std::uint64_t before = published();
  epoch_ = {.number = ++next_epoch_, .can_fail = can_fail(group)};
  const bool never_in_place =
      epoch_.can_fail || keeps_readers || options_.mode == readers::wait_free;
  if (!never_in_place) {
    epoch_.changes_in_place = true;
    pins_.begin_in_place(epoch_.number);
  }
  pins_.scan(scanned_);
  epoch_.newest_pinned = scanned_.epochs.empty() ? 0 : scanned_.epochs.back();
  if (never_in_place || scanned_.open_from != ~std::uint64_t{0}) epoch_.newest_pinned = before;
  frames_->begin_commit(epoch_.number, epoch_.newest_pinned);
  if (epoch_.newest_pinned != 0) {
    if (const status reserved = reserve_frames(group); !reserved.is_ok()) {
      pins_.end_in_place();
      return reserved;
    }
  }
  touched_.clear();
  const status moved = now_->runner->move_delays(delays_);
  SHEAF_ASSERT(moved.is_ok(), "built-in-operators-cannot-fail");
  return {};
}

/// After all of the group is applied: what it changed is marked.
void engine_core::note_applied(const accepted_group& group) {
  mark_touched();
  for (const commit_request& member : group) now_->runner->note_written(*member.changes);
  epoch_.is_applied = true;
}

/// After a level failed: everything as before `start_epoch`, but the number.
void engine_core::undo_epoch() {
  SHEAF_ASSERT(epoch_.can_fail, "built-in-operators-cannot-fail");
  (void)now_->runner->take_counters();
  now_->runner->discard();
  frames_->roll_back(now_->runner->logs(), pins_);
}

/// After the levels: publishes.
void engine_core::end_epoch(const accepted_group& group) {
  const std::uint64_t number = epoch_.number;
  // Frames in which only spares differ must know it, also where no spare was kept so far.
  const bool keeps_spares = keep_spares_ || frames_->has_runs();
  now_->runner->note_delays(delays_);
  records_.changes().clear();
  now_->runner->finish(keeps_spares, &records_.changes());
  // release (seq_cst, as the handshake needs): everything of this epoch is visible to who reads it.
  published_.store(number);
  if (epoch_.changes_in_place) pins_.end_in_place();
  records_.publish(number, group, now_->resolved);
  last_ = now_->runner->take_counters();
  last_.source_pages_touched = touched_.size();
  total_ += last_;
  ++groups_;
  for (commit_request& member : group) {
    member.epoch = number;
    ++commits_;
  }
  if (epoch_.newest_pinned != 0) {
    frames_->end_commit(now_->runner->logs(), pins_, keep_spares_);
  }
  frames_->reclaim(pins_);
  if (SHEAF_UNLIKELY(old_generations_ != 0)) forget_generations();
  for (frame_log* log : now_->runner->logs()) log->clear();
}

void engine_core::publish_nothing_new(const accepted_group& group) {
  last_ = {};
  last_.page_nodes_skipped = now_->runner->derived_page_count();
  const std::uint64_t number = ++next_epoch_;
  // release: pairs with the load of an opener.
  published_.store(number, std::memory_order_release);
  ++groups_;
  for (commit_request& member : group) {
    member.epoch = number;
    ++commits_;
  }
}

}  // namespace sheaf::inline v0
