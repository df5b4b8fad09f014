#include "propagate/level_pool.hpp"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/info.h>
#include <tbb/task_arena.h>

#include <algorithm>

namespace sheaf::inline v0 {

struct level_pool::arena {
  /// More threads than oneTBB would run at once bring nothing but its warning.
  explicit arena(unsigned threads)
      : tasks(std::min(static_cast<int>(threads), tbb::info::default_concurrency())) {}
  tbb::task_arena tasks;
};

level_pool::level_pool(unsigned threads) : arena_(std::make_unique<arena>(threads)) {}
level_pool::~level_pool() = default;
level_pool::level_pool(level_pool&&) noexcept = default;

void level_pool::run(std::uint32_t first, std::uint32_t last, std::uint32_t grain, void* context,
                     void (*body)(void*, unsigned, std::uint32_t, std::uint32_t)) noexcept {
  arena_->tasks.execute([&] {
    tbb::parallel_for(tbb::blocked_range<std::uint32_t>(first, last, grain),
                      [&](const tbb::blocked_range<std::uint32_t>& range) {
                        const int worker = tbb::this_task_arena::current_thread_index();
                        body(context, static_cast<unsigned>(worker), range.begin(), range.end());
                      });
  });
}

}  // namespace sheaf::inline v0
