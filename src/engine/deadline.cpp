/// \file
/// Commits with a time budget: begun by the thread that asked, stopped between two pages when the
/// budget has passed, and brought to their end by a finisher (deferred_commit.hpp).
///
/// A commit that finds others ahead of it goes through the queue like any other, on another
/// finisher's thread; so does one that changes the graph, which is not stopped half way. The asking
/// thread waits for it as long as the budget lasts.
#include <new>

#include <sheaf/propagate/operator_scope.hpp>

#include "engine/deferred_commit.hpp"
#include "engine/engine_core.hpp"

namespace sheaf::inline v0 {

status engine_core::commit_deferred(const std::shared_ptr<deferred_commit>& commit,
                                    deferred_commit::clock::time_point until) {
  if (is_inside_operator()) return inside_operator();
  SHEAF_TRY(suspended_finisher_.start());
  SHEAF_TRY(queued_finisher_.start());
  if (commit->request.edit == nullptr && turn_.try_lock()) {
    if (turn_.has_waiting()) {
      turn_.unlock();
    } else if (begin_deferred(*commit, until) == progress::done) {
      return {};
    } else {
      suspended_finisher_.hand_over(resume_deferred, this, commit);
      return {};
    }
  }
  queued_finisher_.hand_over(run_deferred, this, commit);
  (void)commit->wait_until(until);
  return {};
}

/// With the turn, which ends here unless the commit is suspended.
progress engine_core::begin_deferred(deferred_commit& commit,
                                     deferred_commit::clock::time_point until) {
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
    if (const status begun = start_epoch(group, true); !begun.is_ok()) {
      refuse(commit.request, begun);
    } else {
      // relaxed: a number, see pending_commit.
      commit.number.store(epoch_.number, std::memory_order_relaxed);
      const result<progress> ran = now_->runner->propagate_until(until);
      if (ran && *ran == progress::suspended) {
        ++suspended_commits_;
        return progress::suspended;
      }
      conclude_deferred(commit, ran ? status() : ran.error());
    }
  }
  turn_.unlock();
  commit.finish();
  return progress::done;
}

/// The end of the epoch that `commit` began.
void engine_core::conclude_deferred(deferred_commit& commit, const status& ran) {
  accepted_group group;
  group.add(commit.request);
  if (!ran.is_ok()) {
    undo_epoch();
    return refuse(commit.request, ran);
  }
  end_epoch(group);
  remember_writes(commit.request, commit.request.epoch);
}

/// On a finisher's thread. The turn is the one `begin_deferred` left taken.
void engine_core::resume_deferred(void* context, std::shared_ptr<deferred_commit> commit) {
  engine_core& core = *static_cast<engine_core*>(context);
  const result<progress> ran =
      core.now_->runner->propagate_until(deferred_commit::clock::time_point::max());
  core.conclude_deferred(*commit, ran ? status() : ran.error());
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
