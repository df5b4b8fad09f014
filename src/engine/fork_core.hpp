/// \file
/// A fork's insides: its layers, its commits, and versions of it that views and snapshots hold.
///
/// Way of a commit in a fork
///   1. An exclusive top layer: the fork's own where nobody shares it, else a new one on top.
///   2. A workspace is leased; the delta goes to source pages the layer owns, the executor brings
///      the derived pages up to date, each changed page into a frame the layer owns.
///   3. The changes go to the layer's log. A failure anywhere before takes back frames, bytes and
///      log: the fork is as it was.
///
/// Invariants
///  1. P1 `glue` in every fork: each eager array has the bits a full recompute from the fork's
///     sources gives.
///  2. P5 in every fork: a commit that fails leaves every bit as before.
///  3. `shared-layer-is-still` (fork_layer.hpp): what views, snapshots and forks of a fork show
///     never changes.
///
/// Thread safety: a fork_core is used by one thread at a time; a fork_version by many.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <sheaf/base/mutex.hpp>
#include <sheaf/engine/snapshot.hpp>
#include <sheaf/propagate/delay_queue.hpp>
#include <sheaf/propagate/page_branch.hpp>
#include <sheaf/propagate/work_counters.hpp>

#include "engine/fork_layer.hpp"

namespace sheaf::inline v0 {

class executor;

/// One state of a fork, held by views, snapshots and forks made from them.
class fork_version {
 public:
  fork_version(std::shared_ptr<const fork_base> from, layer_ptr newest,
               std::uint64_t number) noexcept
      : base(std::move(from)), top(std::move(newest)), sequence(number) {}
  ~fork_version();
  fork_version(const fork_version&) = delete;
  fork_version& operator=(const fork_version&) = delete;

  /// The whole of `target`; a lazy array is computed on first read. `self` is this object.
  [[nodiscard]] static result<view_source> find(const std::shared_ptr<fork_version>& self,
                                                const array_handle& target, dtype type);
  /// The bytes of the page of `slot`, which is no lazy array's.
  [[nodiscard]] const std::byte* page_bytes(std::uint32_t slot, page_class page) const noexcept;

  const std::shared_ptr<const fork_base> base;
  const layer_ptr top;
  const std::uint64_t sequence;

 private:
  /// A lazy array that was computed: `frames` by page.
  struct lazy_array {
    std::uint32_t node;
    std::vector<std::uint32_t> frames;
  };
  class lazy_branch;
  [[nodiscard]] result<const std::uint32_t*> require(std::uint32_t node) SHEAF_EXCLUDES(mutex_);
  [[nodiscard]] status compute(std::uint32_t node) SHEAF_REQUIRES(mutex_);
  [[nodiscard]] const lazy_array* computed(std::uint32_t node) const SHEAF_REQUIRES(mutex_);
  void free_frames(const lazy_array& held) noexcept;
  [[nodiscard]] std::uint32_t slot_of(std::uint32_t node) const noexcept;
  [[nodiscard]] std::uint32_t eager_frame(std::uint32_t slot, page_class page) const noexcept;
  [[nodiscard]] std::uint32_t lazy_frame(std::uint32_t slot) const noexcept
      SHEAF_REQUIRES(mutex_);

  mutex mutex_;
  /// Few: searched from front to back. Pointers, so that the frames stay put.
  std::vector<std::unique_ptr<lazy_array>> lazy_ SHEAF_GUARDED_BY(mutex_);
};

class fork_core final : public page_branch {
 public:
  /// A fork of `from` and `newest`. The engine counted it (`open_fork`).
  fork_core(std::shared_ptr<const fork_base> from, layer_ptr newest,
            std::uint64_t sequence) noexcept;
  ~fork_core();
  fork_core(const fork_core&) = delete;
  fork_core& operator=(const fork_core&) = delete;

  /// Applies `changes` here and brings everything derived up to date.
  [[nodiscard]] result<std::uint64_t> commit(const delta& changes);
  /// The state of now, to be held. `out_of_memory`.
  [[nodiscard]] result<std::shared_ptr<fork_version>> version();
  /// Everything that makes this fork differ from its base, as few changes as possible.
  [[nodiscard]] status all_changes(delta& into) const;
  /// The same from where its line and that of `other` part; both have one base.
  [[nodiscard]] status changes_since(const fork_core& other, delta& into) const;
  [[nodiscard]] result<audit_report> audit();

  [[nodiscard]] const std::shared_ptr<const fork_base>& base() const noexcept { return base_; }
  [[nodiscard]] const layer_ptr& top() const noexcept { return top_; }
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
  [[nodiscard]] const work_counters& last_commit() const noexcept { return last_; }
  [[nodiscard]] bool is_over() const noexcept { return is_over_; }
  /// Gives everything back; later calls are refused.
  void drop() noexcept;

  // For executors, while a commit runs.
  [[nodiscard]] std::uint32_t find(std::uint32_t slot, page_class page) noexcept override;
  [[nodiscard]] std::uint32_t make_writable(std::uint32_t slot, page_class page,
                                            line_mask changing) noexcept override;
  [[nodiscard]] status failure() const noexcept override { return failure_; }

 private:
  [[nodiscard]] result<bool> take_top() noexcept;
  /// True where time moves a delay on, or might.
  [[nodiscard]] bool has_queued_delays() const noexcept;
  [[nodiscard]] status move_delays(executor& runner);
  [[nodiscard]] status run(const delta& changes, fork_workspace& work);
  [[nodiscard]] status apply_pieces(const delta& changes, fork_workspace& work);
  [[nodiscard]] status touch_pages(const delta_piece& piece, fork_workspace& work);
  [[nodiscard]] bool save(std::uint32_t slot, page_class page, std::uint32_t frame,
                          line_mask lines) noexcept;
  [[nodiscard]] std::uint32_t own_frame(std::uint32_t slot, page_class page,
                                        line_mask changing) noexcept;
  void roll_back() noexcept;

  std::shared_ptr<const fork_base> base_;
  layer_ptr top_;
  std::uint64_t sequence_ = 0;
  std::shared_ptr<fork_version> now_;  ///< the version of now, where somebody asked for it
  work_counters last_;
  delay_queue delays_;          ///< of this fork; known after its first commit
  bool knows_delays_ = false;
  bool is_over_ = false;

  // While a commit runs.
  undo_log* undo_ = nullptr;
  std::uint64_t new_bytes_ = 0;
  status failure_;
};

}  // namespace sheaf::inline v0
