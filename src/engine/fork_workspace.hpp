/// \file
/// What a commit in a fork works with, and the pool it is leased from. A fork itself keeps only
/// what changed in it; masks, dirty sets and the page table are a workspace's, needed while a
/// commit runs.
///
/// Invariants
///  1. `workspace-is-clean`: in the pool no mask, mark or touched bit is set and the undo log is
///     empty.
///
/// Thread safety: `take` and `give_back` from any thread; a workspace belongs to who took it.
/// Cost: about 22 B of address space a slot, touched where used; as many workspaces as commits ever
/// ran at once. Making one is O(slots), taking one O(1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <sheaf/base/mutex.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/graph/plan.hpp>
#include <sheaf/propagate/executor.hpp>

namespace sheaf::inline v0 {

/// What a commit in a fork has changed so far, so that it can be taken back.
struct undo_entry {
  std::uint32_t slot;
  page_class page;
  bool is_new;         ///< the layer got its frame in this commit
  line_mask lines;     ///< whose old content is saved, from `at` on
  std::size_t at;
};
struct undo_log {
  std::vector<undo_entry> entries;
  std::vector<std::byte> bytes;
  void clear() noexcept {
    entries.clear();
    bytes.clear();
  }
};

struct fork_workspace {
  std::unique_ptr<executor> runner;
  std::unique_ptr<std::uint64_t[]> touched_bits;  ///< by source page
  struct touched_page {
    std::uint32_t source;
    std::uint32_t page;
  };
  std::vector<touched_page> touched;
  undo_log undo;
};

class fork_workspaces {
 public:
  fork_workspaces(executor::branch_seed seed, std::uint32_t touched_words) noexcept
      : seed_(std::move(seed)), touched_words_(touched_words) {}

  /// `out_of_memory` where one must be made and there is none.
  [[nodiscard]] result<std::unique_ptr<fork_workspace>> take() SHEAF_EXCLUDES(mutex_);
  void give_back(std::unique_ptr<fork_workspace> used) noexcept SHEAF_EXCLUDES(mutex_);
  [[nodiscard]] page_class page_of(std::uint32_t slot) const noexcept {
    return seed_.page_of_slot[slot];
  }

 private:
  // Constant after construction.
  executor::branch_seed seed_;
  std::uint32_t touched_words_;

  mutex mutex_;
  std::vector<std::unique_ptr<fork_workspace>> idle_ SHEAF_GUARDED_BY(mutex_);
};

/// A workspace for the time of one commit.
class workspace_lease {
 public:
  workspace_lease(fork_workspaces& pool, std::unique_ptr<fork_workspace> taken) noexcept
      : pool_(pool), taken_(std::move(taken)) {}
  ~workspace_lease() { pool_.give_back(std::move(taken_)); }
  workspace_lease(const workspace_lease&) = delete;
  workspace_lease& operator=(const workspace_lease&) = delete;
  fork_workspace& operator*() const noexcept { return *taken_; }
  fork_workspace* operator->() const noexcept { return taken_.get(); }

 private:
  fork_workspaces& pool_;
  std::unique_ptr<fork_workspace> taken_;
};

}  // namespace sheaf::inline v0
