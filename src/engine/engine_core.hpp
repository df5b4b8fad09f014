/// \file
/// What an engine, its transactions, snapshots and views share. Outlives the `engine` object as
/// long as one of them lives.
///
/// Members by discipline
///  - constant after construction: options, model, plan, tables
///  - protected by `commit_mutex_`: all of the committer's state
///  - atomics: the published epoch, figures for people
///
/// Invariants
///  1. `epochs-rise`: `published_` only grows; an epoch number is used for one commit at most, also
///     when the commit fails.
///  2. Between commits no mask is set, no reservation held, `in_place` is 0.
#pragma once

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include <sheaf/base/mutex.hpp>
#include <sheaf/engine/options.hpp>
#include <sheaf/engine/snapshot.hpp>
#include <sheaf/graph/model.hpp>
#include <sheaf/page/delta.hpp>
#include <sheaf/page/delta_apply.hpp>
#include <sheaf/page/frame_store.hpp>
#include <sheaf/page/pin_registry.hpp>
#include <sheaf/propagate/executor.hpp>

#include "engine/lazy_overlay.hpp"

namespace sheaf::inline v0 {

class engine_core : public std::enable_shared_from_this<engine_core> {
 public:
  [[nodiscard]] static result<std::shared_ptr<engine_core>> open(const model& declared,
                                                                 const engine_options& options);
  ~engine_core();

  // Transactions.
  /// Checks that `target` is a source of this engine with elements of `type`.
  [[nodiscard]] result<const plan_source*> source_of(const array_handle& target,
                                                     dtype type) const noexcept;
  [[nodiscard]] result<epoch> commit(delta& changes) SHEAF_EXCLUDES(commit_mutex_);
  [[nodiscard]] delta take_delta() noexcept SHEAF_EXCLUDES(pool_mutex_);
  void give_back(delta&& used) noexcept SHEAF_EXCLUDES(pool_mutex_);
  [[nodiscard]] const apply_table& apply_bodies() const noexcept { return *apply_; }
  [[nodiscard]] std::string name_of(const array_handle& target) const;

  // Snapshots.
  [[nodiscard]] result<pin_share> open_snapshot() noexcept;
  void share_pin(std::uint32_t slot) noexcept { pins_.share(slot); }
  void drop_pin(std::uint32_t slot) noexcept;
  [[nodiscard]] result<view_source> find(const array_handle& target, dtype type,
                                         const pin_share& pin);
  [[nodiscard]] const std::byte* visible(std::uint32_t slot, page_class page, std::uint64_t epoch,
                                         std::uint32_t pin) noexcept {
    return frames_->visible(slot, page, epoch, pins_, pin);
  }
  [[nodiscard]] const std::byte* base(page_class page) const noexcept {
    return frames_->base(page);
  }

  // The engine.
  [[nodiscard]] std::uint64_t published() const noexcept { return published_.load(); }
  [[nodiscard]] work_counters last_commit() SHEAF_EXCLUDES(commit_mutex_);
  [[nodiscard]] engine_stats stats() SHEAF_EXCLUDES(commit_mutex_);
  [[nodiscard]] result<audit_report> audit() SHEAF_EXCLUDES(commit_mutex_);
  [[nodiscard]] status recompute() SHEAF_EXCLUDES(commit_mutex_);
  std::size_t trim() SHEAF_EXCLUDES(commit_mutex_);
  void close() noexcept SHEAF_EXCLUDES(commit_mutex_);
  [[nodiscard]] bool is_closed() const noexcept { return closed_.load(); }
  [[nodiscard]] const std::shared_ptr<const model_data>& declared() const noexcept {
    return model_;
  }

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

  engine_core(const engine_options& options, std::shared_ptr<const plan> graph,
              std::shared_ptr<const model_data> declared);
  [[nodiscard]] status create_pages() noexcept;
  [[nodiscard]] status check_handle(const array_handle& target, dtype type) const noexcept;

  [[nodiscard]] result<epoch> commit_locked(delta& changes) SHEAF_REQUIRES(commit_mutex_);
  [[nodiscard]] status make_room(const delta& changes) SHEAF_REQUIRES(commit_mutex_);
  [[nodiscard]] bool can_fail(const delta& changes) const noexcept;
  [[nodiscard]] status reserve_frames(const delta& changes) SHEAF_REQUIRES(commit_mutex_);
  void mark_pieces(const delta& changes) SHEAF_REQUIRES(commit_mutex_);
  void apply_pieces(const delta& changes) SHEAF_REQUIRES(commit_mutex_);
  void mark_touched() SHEAF_REQUIRES(commit_mutex_);
  static void touch(void* context, std::uint32_t page);
  [[nodiscard]] status inside_operator() const noexcept;

  // Constant after construction.
  engine_options options_;
  std::shared_ptr<const plan> graph_;
  std::shared_ptr<const model_data> model_;
  const apply_table* apply_ = nullptr;
  isa set_ = isa::scalar;
  bool keep_spares_ = false;
  std::unique_ptr<frame_store> frames_;
  std::unique_ptr<executor> executor_;
  std::vector<std::uint32_t> touched_begin_;  ///< per source: first word in `touched_bits_`

  alignas(interference_size) std::atomic<std::uint64_t> published_{0};
  std::atomic<bool> closed_{false};
  pin_registry pins_;
  std::unique_ptr<std::atomic<lazy_overlay*>[]> overlays_;  ///< by pin slot

  // Protected by commit_mutex_ (frames_ and executor_ too, but for `visible`).
  mutex commit_mutex_;
  std::uint64_t next_epoch_ SHEAF_GUARDED_BY(commit_mutex_) = 1;
  pin_view scanned_ SHEAF_GUARDED_BY(commit_mutex_);
  std::unique_ptr<std::uint64_t[]> touched_bits_;
  std::vector<touched_page> touched_;
  work_counters last_ SHEAF_GUARDED_BY(commit_mutex_);
  work_counters total_ SHEAF_GUARDED_BY(commit_mutex_);
  std::uint64_t commits_ SHEAF_GUARDED_BY(commit_mutex_) = 0;
  std::uint64_t failed_commits_ SHEAF_GUARDED_BY(commit_mutex_) = 0;

  mutex pool_mutex_;
  std::vector<delta> pool_ SHEAF_GUARDED_BY(pool_mutex_);
};

}  // namespace sheaf::inline v0
