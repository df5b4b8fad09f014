/// \file
/// What an engine, its transactions, snapshots and views share. Outlives the `engine` object as
/// long as one of them lives.
///
/// Members by discipline
///  - constant after construction: options, the frame store, tables
///  - of who has the turn (`turn_`): all of the committer's state
///  - atomics: the published epoch, figures for people
///
/// Invariants
///  1. `epochs-rise`: `published_` only grows; an epoch number is used for one commit at most, also
///     when the commit fails.
///  2. Between commits no mask is set, no reservation held, `in_place` is 0.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <sheaf/base/mutex.hpp>
#include <sheaf/engine/explain.hpp>
#include <sheaf/engine/options.hpp>
#include <sheaf/engine/snapshot.hpp>
#include <sheaf/graph/model.hpp>
#include <sheaf/page/delta.hpp>
#include <sheaf/page/delta_apply.hpp>
#include <sheaf/page/frame_store.hpp>
#include <sheaf/page/pin_registry.hpp>
#include <sheaf/propagate/executor.hpp>

#include "engine/commit_queue.hpp"
#include "engine/conflict_window.hpp"
#include "engine/deferred_commit.hpp"
#include "engine/generation.hpp"
#include "engine/lazy_overlay.hpp"
#include "engine/open_device.hpp"
#include "engine/record_ring.hpp"
#include "engine/source_reach.hpp"
#include "engine/writer_slots.hpp"

namespace sheaf::inline v0 {

struct fork_base;
struct graph_change;
class pace;

class engine_core : public std::enable_shared_from_this<engine_core> {
 public:
  [[nodiscard]] static result<std::shared_ptr<engine_core>> open(const model& declared,
                                                                 const engine_options& options);
  ~engine_core();

  // Transactions.
  [[nodiscard]] result<epoch> commit(commit_request& request) SHEAF_EXCLUDES(turn_);
  /// Returns when `commit` is done or `until` has passed; not ok: it was not taken on.
  [[nodiscard]] status commit_deferred(const std::shared_ptr<deferred_commit>& commit,
                                       std::chrono::steady_clock::time_point until)
      SHEAF_NO_THREAD_SAFETY_ANALYSIS;  // the turn may go to another thread
  /// Commits `members` in order, as a leader does that found them waiting. Their outcomes are in
  /// them.
  void commit_batch(std::span<commit_request> members) SHEAF_EXCLUDES(turn_);
  /// Storage for a transaction, and the graph its calls are checked against.
  struct write_lease {
    delta changes;
    std::shared_ptr<const generation> base;
  };
  /// Where a transaction counts as open, and the epoch it begins at.
  struct beginning {
    std::uint32_t slot;
    std::uint64_t epoch;
  };
  [[nodiscard]] beginning begin() noexcept;
  /// `self` for a transaction of the calling thread, counted apart from those of other threads.
  [[nodiscard]] std::shared_ptr<engine_core> share(
      const std::shared_ptr<engine_core>& self) noexcept {
    return writers_.share(self);
  }
  /// Once nobody can begin a transaction any more: the engine object goes.
  void drop_shares() noexcept { writers_.drop_shares(); }
  void end(std::uint32_t slot) noexcept { writers_.leave(slot); }
  [[nodiscard]] write_lease take_lease(std::uint32_t slot) noexcept SHEAF_EXCLUDES(pool_mutex_);
  void give_back(std::uint32_t slot, write_lease&& used) noexcept;
  [[nodiscard]] const apply_table& apply_bodies() const noexcept { return *apply_; }

  // Snapshots.
  [[nodiscard]] result<pin_share> open_snapshot() noexcept;
  void share_pin(std::uint32_t slot) noexcept { pins_.share(slot); }
  void drop_pin(std::uint32_t slot) noexcept;
  [[nodiscard]] result<view_source> find(const array_handle& target, dtype type,
                                         const pin_share& pin);
  [[nodiscard]] const std::byte* visible(const pin_share& pin, std::uint32_t slot,
                                         page_class page) noexcept {
    return frames_->visible(pin.graph().table, slot, page, pin.epoch(), pins_, pin.slot());
  }
  [[nodiscard]] const std::byte* base(page_class page) const noexcept {
    return frames_->base(page);
  }

  // Forks.
  /// A base for forks of the newest epoch: the one of an earlier fork where no epoch was published
  /// since, so that many forks hold one pin.
  [[nodiscard]] result<std::shared_ptr<const fork_base>> newest_fork_base()
      SHEAF_EXCLUDES(fork_mutex_);
  /// Counts a fork in; `too_many` past `forks_max`.
  [[nodiscard]] status open_fork() noexcept;
  void close_fork() noexcept;
  /// `out_of_memory` where `more` bytes would take the frames of all forks past `fork_bytes_max`.
  [[nodiscard]] status check_fork_bytes(std::uint64_t more) const noexcept;
  void count_fork_bytes(std::uint64_t more) noexcept;
  void forget_fork_bytes(std::uint64_t bytes) noexcept;
  [[nodiscard]] page_allocator& allocator() const noexcept { return frames_->allocator(); }
  [[nodiscard]] std::size_t transaction_bytes_max() const noexcept {
    return options_.transaction_bytes_max;
  }

  // Records of commits.
  [[nodiscard]] const record_ring& records() const noexcept { return records_; }
  /// Waits for a record at or after `serial`, or the end of the engine, at most so long.
  void wait_for_record(std::uint64_t serial, std::chrono::nanoseconds at_most) const {
    records_.wait(serial, at_most, closed_);
  }
  [[nodiscard]] result<std::vector<array_id>> ids_of(std::span<const any_array> arrays);
  [[nodiscard]] result<explanation> explain(const array_handle& target, dtype type,
                                            std::uint64_t element);

  // The engine.
  [[nodiscard]] std::uint64_t published() const noexcept { return published_.load(); }
  [[nodiscard]] work_counters last_commit() SHEAF_EXCLUDES(turn_);
  [[nodiscard]] engine_stats stats() SHEAF_EXCLUDES(turn_);
  [[nodiscard]] result<audit_report> audit() SHEAF_EXCLUDES(turn_);
  [[nodiscard]] status recompute() SHEAF_EXCLUDES(turn_);
  std::size_t trim() SHEAF_EXCLUDES(turn_);
  void close() noexcept SHEAF_EXCLUDES(turn_);
  [[nodiscard]] bool is_closed() const noexcept { return closed_.load(); }
  [[nodiscard]] bool is_pressed(std::uint64_t epoch) const noexcept {
    // relaxed: a hint to the reader.
    return epoch <= pressed_epoch_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::shared_ptr<const model_data> declared() SHEAF_EXCLUDES(pool_mutex_);

 private:
  /// One source page the running commit wrote to.
  struct touched_page {
    std::uint32_t source;
    std::uint32_t page;
  };
  /// What `touch` gets to see of one piece.
  struct touch_context {
    engine_core* core;
    std::uint32_t source;
  };

  explicit engine_core(const engine_options& options);
  [[nodiscard]] executor_options for_executors() const {
    return {set_, options_.threads, device_.link};
  }
  [[nodiscard]] status judge_graph(const commit_request& member) const SHEAF_REQUIRES(turn_);
  [[nodiscard]] status commit_graph(commit_request& member) SHEAF_REQUIRES(turn_);
  [[nodiscard]] status enter_generation(std::shared_ptr<const plan> graph,
                                        std::shared_ptr<const model_data> declared,
                                        const graph_change& change,
                                        commit_request& member) noexcept SHEAF_REQUIRES(turn_);
  [[nodiscard]] status run_change(const graph_change& change, const std::uint32_t* old_table,
                                  const delta& changes)
      SHEAF_REQUIRES(turn_);
  void reserve_generation() SHEAF_EXCLUDES(pool_mutex_);
  void forget_generations() SHEAF_REQUIRES(turn_) SHEAF_EXCLUDES(pool_mutex_);
  void show_generation() SHEAF_REQUIRES(turn_) SHEAF_EXCLUDES(pool_mutex_);
  /// The generation of `epoch`, which the caller has pinned.
  [[nodiscard]] const generation* generation_of(std::uint64_t epoch) noexcept
      SHEAF_EXCLUDES(pool_mutex_);
  [[nodiscard]] status create_pages(const plan& graph) noexcept;

  void lead(const commit_request& mine) SHEAF_RELEASE(turn_);
  void commit_all(commit_group group) SHEAF_REQUIRES(turn_);
  [[nodiscard]] commit_group commit_some(const commit_group& group) SHEAF_REQUIRES(turn_);
  void commit_one_by_one(const accepted_group& group) SHEAF_REQUIRES(turn_);
  [[nodiscard]] status commit_together(const accepted_group& group) SHEAF_REQUIRES(turn_);
  [[nodiscard]] status commit_once(const accepted_group& group) SHEAF_REQUIRES(turn_);
  [[nodiscard]] status commit_under_pressure(const accepted_group& group, const status& refused)
      SHEAF_REQUIRES(turn_);
  void tell_oldest_reader() noexcept SHEAF_REQUIRES(turn_);
  [[nodiscard]] status start_epoch(const accepted_group& group) SHEAF_REQUIRES(turn_);
  [[nodiscard]] status prepare_epoch(const accepted_group& group, bool keeps_readers)
      SHEAF_REQUIRES(turn_);
  void note_applied(const accepted_group& group) SHEAF_REQUIRES(turn_);
  void undo_epoch() SHEAF_REQUIRES(turn_);
  void end_epoch(const accepted_group& group) SHEAF_REQUIRES(turn_);
  void publish_nothing_new(const accepted_group& group) SHEAF_REQUIRES(turn_);
  [[nodiscard]] progress begin_deferred(deferred_commit& commit,
                                        std::chrono::steady_clock::time_point until)
      SHEAF_NO_THREAD_SAFETY_ANALYSIS;  // the turn may go to another thread
  [[nodiscard]] bool advance_deferred(deferred_commit& commit,
                                      std::chrono::steady_clock::time_point until)
      SHEAF_REQUIRES(turn_);
  void conclude_deferred(deferred_commit& commit) SHEAF_REQUIRES(turn_);
  [[nodiscard]] std::uint64_t replaced_pages() const noexcept SHEAF_REQUIRES(turn_);
  [[nodiscard]] std::chrono::nanoseconds time_to_end() const noexcept SHEAF_REQUIRES(turn_);
  static void resume_deferred(void* context, std::shared_ptr<deferred_commit> commit)
      SHEAF_NO_THREAD_SAFETY_ANALYSIS;  // ends the turn another thread took
  static void run_deferred(void* context, std::shared_ptr<deferred_commit> commit);
  void refuse(commit_request& member, const status& why) noexcept SHEAF_REQUIRES(turn_);
  /// What becomes of a member of a group.
  struct verdict {
    status why;          ///< not ok: refused
    bool is_cut = false;  ///< it has to wait for the next group
  };
  [[nodiscard]] verdict judge(const commit_request& member, const accepted_group& before)
      SHEAF_REQUIRES(turn_);
  [[nodiscard]] status judge_writes(const commit_request& member) const SHEAF_REQUIRES(turn_);
  [[nodiscard]] status judge_reads(const read_set& reads) const SHEAF_REQUIRES(turn_);
  [[nodiscard]] bool reads_what_is_pending(const read_set& reads, const accepted_group& before)
      SHEAF_REQUIRES(turn_);
  [[nodiscard]] status ask(const commit_condition& condition) SHEAF_REQUIRES(turn_);
  void remember_writes(const commit_request& member, std::uint64_t epoch)
      SHEAF_REQUIRES(turn_);
  [[nodiscard]] status make_room(const accepted_group& group) SHEAF_REQUIRES(turn_);
  [[nodiscard]] bool can_fail(const accepted_group& group) const noexcept
      SHEAF_REQUIRES(turn_);
  template <class MarkCone>
  [[nodiscard]] status reserve_for(MarkCone&& mark_cone) SHEAF_REQUIRES(turn_);
  [[nodiscard]] status reserve_frames(const accepted_group& group) SHEAF_REQUIRES(turn_);
  [[nodiscard]] status reserve_frames(const graph_change& change, const delta& changes)
      SHEAF_REQUIRES(turn_);
  void mark_pieces(const delta& changes) SHEAF_REQUIRES(turn_);
  void apply_pieces(const delta& changes) SHEAF_REQUIRES(turn_);
  void apply_piece(const delta_piece& piece) SHEAF_REQUIRES(turn_);
  [[nodiscard]] bool apply_until(const delta& changes, pace& with) SHEAF_REQUIRES(turn_);
  void mark_touched() SHEAF_REQUIRES(turn_);
  static void touch(void* context, std::uint32_t page);
  [[nodiscard]] status inside_operator() const noexcept;
  [[nodiscard]] static status closed_status() noexcept;

  /// What the condition of a `commit_if` on this thread may read through.
  static inline thread_local const pin_share* pin_of_condition_ = nullptr;

  // Constant after construction.
  engine_options options_;
  const apply_table* apply_ = nullptr;
  isa set_ = isa::scalar;
  opened_device device_;
  bool keep_spares_ = false;
  std::unique_ptr<frame_store> frames_;

  alignas(interference_size) std::atomic<std::uint64_t> published_{0};
  /// The newest generation and its first epoch, for openers. Stored before the first epoch of the
  /// generation is published, the epoch before the pointer: see `generation_of`.
  std::atomic<const generation*> newest_shown_{nullptr};
  std::atomic<std::uint64_t> newest_first_{0};
  std::atomic<bool> closed_{false};
  std::atomic<std::uint64_t> pressed_epoch_{0};  ///< readers of it hold commits up; 0: none does
  pin_registry pins_;
  std::unique_ptr<std::atomic<lazy_overlay*>[]> overlays_;  ///< by pin slot

  /// An epoch between its first change and its end.
  struct open_epoch {
    std::uint64_t number = 0;
    std::uint64_t newest_pinned = 0;
    bool can_fail = false;
    bool changes_in_place = false;
    // What of the changes is applied, where that can be stopped.
    std::size_t piece = 0;
    std::uint64_t element = 0;
    bool is_applied = false;
  };

  // Of who has the turn (frames_ too, but for `visible`).
  commit_queue turn_;
  open_epoch epoch_ SHEAF_GUARDED_BY(turn_);
  std::shared_ptr<generation> now_;  ///< the newest generation; replaced by commits only
  std::uint32_t old_generations_ SHEAF_GUARDED_BY(turn_) = 0;  ///< that pins may need
  std::uint64_t next_epoch_ SHEAF_GUARDED_BY(turn_) = 1;
  pin_view scanned_ SHEAF_GUARDED_BY(turn_);
  std::vector<touched_page> touched_;
  delay_queue delays_ SHEAF_GUARDED_BY(turn_);
  work_counters last_ SHEAF_GUARDED_BY(turn_);
  work_counters total_ SHEAF_GUARDED_BY(turn_);
  std::uint32_t others_expected_ SHEAF_GUARDED_BY(turn_) = 0;  ///< see `remember_writes`
  std::uint64_t commits_ SHEAF_GUARDED_BY(turn_) = 0;
  std::uint64_t failed_commits_ SHEAF_GUARDED_BY(turn_) = 0;
  std::uint64_t groups_ SHEAF_GUARDED_BY(turn_) = 0;
  std::uint64_t groups_split_ SHEAF_GUARDED_BY(turn_) = 0;
  std::uint64_t conflicts_ SHEAF_GUARDED_BY(turn_) = 0;
  std::uint64_t groups_cut_ SHEAF_GUARDED_BY(turn_) = 0;
  std::uint64_t suspended_commits_ SHEAF_GUARDED_BY(turn_) = 0;
  std::int64_t page_end_time_ SHEAF_GUARDED_BY(turn_) = 100;  ///< ns, of lately: see deadline.cpp
  std::uint64_t history_waits_ SHEAF_GUARDED_BY(turn_) = 0;
  std::uint64_t callback_failures_ SHEAF_GUARDED_BY(turn_) = 0;
  conflict_window window_ SHEAF_GUARDED_BY(turn_);
  source_reach reach_ SHEAF_GUARDED_BY(turn_);

  record_ring records_;
  writer_slots<write_lease, engine_core> writers_;

  std::atomic<std::int64_t> hand_over_time_{5000};  ///< ns, of lately: see deadline.cpp
  std::atomic<std::uint32_t> open_forks_{0};
  std::atomic<std::uint64_t> fork_bytes_{0};
  mutex fork_mutex_;
  std::weak_ptr<const fork_base> newest_fork_base_ SHEAF_GUARDED_BY(fork_mutex_);

  mutex pool_mutex_;
  /// Those some pin may need, rising by first epoch; the last one is `now_`.
  std::vector<std::shared_ptr<const generation>> generations_ SHEAF_GUARDED_BY(pool_mutex_);

  // The first to go. A commit in the queue waits for the turn, which a suspended one may have: the
  // two must not be behind one another.
  commit_finisher suspended_finisher_;  ///< takes suspended commits up again
  commit_finisher queued_finisher_;     ///< commits those that found others ahead
};

}  // namespace sheaf::inline v0
