#include "engine/fork_workspace.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace sheaf::inline v0 {

result<std::unique_ptr<fork_workspace>> fork_workspaces::take() {
  {
    const mutex_lock lock(mutex_);
    if (!idle_.empty()) {
      auto taken = std::move(idle_.back());
      idle_.pop_back();
      return taken;
    }
  }
  auto runner = executor::create_for_branches(seed_);
  if (!runner) return runner.error();
  try {
    auto made = std::make_unique<fork_workspace>();
    made->runner = std::move(*runner);
    made->touched_bits = std::make_unique<std::uint64_t[]>(std::max(touched_words_, 1u));
    return made;
  } catch (const std::bad_alloc&) {
    return status(status_code::out_of_memory, subsystem::engine,
                  "no memory for the workspace of a fork's commit");
  }
}

void fork_workspaces::give_back(std::unique_ptr<fork_workspace> used) noexcept {
  const mutex_lock lock(mutex_);
  try {
    idle_.push_back(std::move(used));
  } catch (const std::bad_alloc&) {
    // Then it goes, and the next commit makes another.
  }
}

}  // namespace sheaf::inline v0
