/// \file
/// Commits with a time budget: begun by the thread that asked, stopped between two parts of the
/// changes or two pages when the budget has passed, and brought to their end by a finisher
/// (deferred_commit.hpp).
///
/// A commit that finds others ahead of it goes through the queue like any other, on another
/// finisher's thread; so does one that changes the graph, which is not stopped half way. The asking
/// thread waits for it as long as the budget lasts.
///
/// What comes after the last look at the clock is taken off the budget, as long as it took lately:
/// handing over (a system call), and, where all levels ran in time, the end of the epoch (O(pages
/// replaced)), which a finisher does where it does not fit any more.
#include <algorithm>
#include <new>

#include <sheaf/propagate/operator_scope.hpp>

#include "engine/deferred_commit.hpp"
#include "engine/engine_core.hpp"
#include "propagate/pace.hpp"

namespace sheaf::inline v0 {

namespace {

using clock = deferred_commit::clock;

/// What a single slow hand-over may take off the next budgets.
constexpr auto hand_over_max = std::chrono::microseconds(50);
/// Fewer pages tell nothing of what one costs.
constexpr std::int64_t measured_pages_min = 64;

/// A mean that follows the last few values.
std::int64_t moved(std::int64_t mean, std::int64_t value) noexcept {
  return mean + (value - mean) / 4;
}

}  // namespace

status engine_core::commit_deferred(const std::shared_ptr<deferred_commit>& commit,
                                    clock::time_point until) {
  if (is_inside_operator()) return inside_operator();
  SHEAF_TRY(suspended_finisher_.start());
  SHEAF_TRY(queued_finisher_.start());
  if (commit->request.edit == nullptr && turn_.try_lock()) {
    if (turn_.has_waiting()) {
      turn_.unlock();
    } else if (begin_deferred(*commit, until) == progress::done) {
      return {};
    } else {
      const clock::time_point from = clock::now();
      suspended_finisher_.hand_over(resume_deferred, this, commit);
      const auto took = std::min<clock::duration>(clock::now() - from, hand_over_max).count();
      // relaxed, twice: a hint. This thread has no turn any more.
      hand_over_time_.store(moved(hand_over_time_.load(std::memory_order_relaxed), took),
                            std::memory_order_relaxed);
      return {};
    }
  }
  queued_finisher_.hand_over(run_deferred, this, commit);
  (void)commit->wait_until(until);
  return {};
}

/// With the turn, which ends here unless the commit is suspended.
progress engine_core::begin_deferred(deferred_commit& commit, clock::time_point until) {
  accepted_group group;
  if (is_closed()) {
    commit.request.outcome = closed_status();
  } else if (const verdict found = judge(commit.request, group); !found.why.is_ok()) {
    refuse(commit.request, found.why);
  } else if (commit.request.changes->is_empty() && delays_.is_empty()) {
    group.add(commit.request);
    publish_nothing_new(group);
  } else {
    group.add(commit.request);
    if (const status begun = prepare_epoch(group, true); !begun.is_ok()) {
      refuse(commit.request, begun);
    } else {
      // relaxed: a number, see pending_commit.
      commit.number.store(epoch_.number, std::memory_order_relaxed);
      const clock::time_point stop =
          until - clock::duration(hand_over_time_.load(std::memory_order_relaxed));  // a hint
      if (!advance_deferred(commit, stop) || clock::now() + time_to_end() > until) {
        ++suspended_commits_;
        return progress::suspended;
      }
      conclude_deferred(commit);
    }
  }
  turn_.unlock();
  commit.finish();
  return progress::done;
}

/// Applies and propagates until `until`; true once that has ended, well or not: see `ran`.
bool engine_core::advance_deferred(deferred_commit& commit, clock::time_point until) {
  if (!epoch_.is_applied) {
    pace with(until);
    if (!apply_until(*commit.request.changes, with)) return false;
    accepted_group group;
    group.add(commit.request);
    note_applied(group);
  }
  const result<progress> ran = now_->runner->propagate_until(until);
  if (ran && *ran == progress::suspended) return false;
  commit.ran = ran ? status() : ran.error();
  return true;
}

std::uint64_t engine_core::replaced_pages() const noexcept {
  std::uint64_t pages = 0;
  for (const frame_log* log : now_->runner->logs()) pages += log->swaps.size();
  return pages;
}

/// What publishing, or undoing, the epoch in the making takes.
clock::duration engine_core::time_to_end() const noexcept {
  return clock::duration(page_end_time_ * static_cast<std::int64_t>(replaced_pages()));
}

/// The end of the epoch that `commit` began.
void engine_core::conclude_deferred(deferred_commit& commit) {
  const auto pages = static_cast<std::int64_t>(replaced_pages());
  const clock::time_point from = clock::now();
  if (commit.ran->is_ok()) {
    accepted_group group;
    group.add(commit.request);
    end_epoch(group);
    remember_writes(commit.request, commit.request.epoch);
  } else {
    undo_epoch();
    refuse(commit.request, *commit.ran);
  }
  if (pages < measured_pages_min) return;
  page_end_time_ = moved(page_end_time_, (clock::now() - from).count() / pages);
}

/// On a finisher's thread. The turn is the one `begin_deferred` left taken.
void engine_core::resume_deferred(void* context, std::shared_ptr<deferred_commit> commit) {
  engine_core& core = *static_cast<engine_core*>(context);
  if (!commit->ran) (void)core.advance_deferred(*commit, clock::time_point::max());
  core.conclude_deferred(*commit);
  core.turn_.unlock();
  commit->finish();
}

/// On a finisher's thread: a commit like any other.
void engine_core::run_deferred(void* context, std::shared_ptr<deferred_commit> commit) {
  engine_core& core = *static_cast<engine_core*>(context);
  if (const result<epoch> done = core.commit(commit->request); !done) {
    commit->request.outcome = done.error();
  }
  commit->finish();
}

}  // namespace sheaf::inline v0
