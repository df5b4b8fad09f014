/// Threads play a device: what a host may reuse, and what kernels pop, is as on one. The memory is
/// the host's, so a sanitizer sees every access.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "fake_device.hpp"
#include "cuda/memory/frame_credits.hpp"

namespace device_test {
namespace {

/// A grid of `count` threads runs `kernel(index)`; returns when all are done, as a kernel's end.
template <class Kernel>
void run_grid(unsigned count, Kernel&& kernel) {
  std::vector<std::thread> threads;
  std::latch start(count);
  for (unsigned i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      kernel(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(FrameStackThreads, EachFrameIsPoppedOnceAndEachPushedOneIsThere) {
  constexpr std::uint32_t frames = 40'000;
  constexpr unsigned threads = 4;
  std::vector<std::uint32_t> ids(frames);
  for (std::uint32_t i = 0; i < frames; ++i) ids[i] = i;
  frame_stack stack{ids.data(), frames, frames, 0, 0};
  for (int round = 0; round < 3; ++round) {
    std::vector<std::uint32_t> popped[threads];
    run_grid(threads, [&](unsigned index) {
      std::uint32_t some[32];
      for (std::uint32_t turn = 0;; ++turn) {
        const std::uint32_t got = pop_frames(stack, 1 + turn % 32, some);
        popped[index].insert(popped[index].end(), some, some + got);
        if (got == 0) break;
      }
    });
    settle(stack);
    EXPECT_EQ(stack.count, 0);
    std::vector<bool> seen(frames);
    std::uint32_t count = 0;
    for (const auto& mine : popped) {
      for (const std::uint32_t frame : mine) {
        ASSERT_FALSE(seen[frame]) << "popped twice";
        seen[frame] = true;
        ++count;
      }
    }
    EXPECT_EQ(count, frames);
    run_grid(threads, [&](unsigned index) {
      const std::vector<std::uint32_t>& mine = popped[index];
      for (std::size_t at = 0; at < mine.size(); at += 7) {
        const std::size_t some = std::min<std::size_t>(7, mine.size() - at);
        push_frames(stack, static_cast<std::uint32_t>(some), mine.data() + at);
      }
    });
    settle(stack);
    EXPECT_EQ(stack.count, static_cast<std::int32_t>(frames));
    EXPECT_EQ(stack.overflowed, 0u);
  }
}

/// The host submits epochs ahead of a device that works them off. A task names frames the device
/// writes and frames it reads; those of the second kind were given back by the host as it
/// submitted. If one came back to the host too early, two threads would touch it at once, and the
/// device would read another stamp than it wrote.
struct task {
  std::vector<std::byte*> writes, reads;
};

TEST(RetireThreads, AFrameIsReusedOnlyAfterTheDeviceIsDoneWithIt) {
  constexpr std::uint64_t epochs = 3000;
  fake_device fake;
  device_arena_options options;
  options.range_bytes = 8 * step;
  options.growth_bytes = step;
  options.bytes_max = 2 * step;
  std::unique_ptr<device_arena> arena;
  device_error why;
  ASSERT_EQ(device_arena::create(options, fake.memory(), &arena, &why), device_code::ok);
  epoch_word word;
  frame_pool pool(*arena, word);
  std::vector<task> tasks(epochs + 1);
  std::atomic<std::uint64_t> submitted{0};
  std::uint64_t wrong = 0;

  std::thread device([&] {
    for (std::uint64_t epoch = 1; epoch <= epochs; ++epoch) {
      // acquire: pairs with the release of the host's store below, as a launch does.
      while (submitted.load(std::memory_order_acquire) < epoch) std::this_thread::yield();
      for (std::byte* const page : tasks[epoch].reads) {
        wrong += *reinterpret_cast<std::uint64_t*>(page) != epoch - 1;
      }
      for (std::byte* const page : tasks[epoch].writes) {
        *reinterpret_cast<std::uint64_t*>(page) = epoch;
      }
      word.finish(epoch);
    }
  });

  std::vector<frame_id> held;
  const page_class size = page_class::b4k;
  for (std::uint64_t epoch = 1; epoch <= epochs; ++epoch) {
    for (const frame_id old : held) {
      tasks[epoch].reads.push_back(arena->address(size, old));
      pool.retire(size, old, epoch);
    }
    held.clear();
    for (int i = 0; i < 3; ++i) {
      frame_id taken = pool.allocate(size, &why);
      while (taken == no_frame) {
        if (pool.collect() == 0) std::this_thread::yield();
        taken = pool.allocate(size, &why);
      }
      held.push_back(taken);
      // The host touches what it was handed, as a copy into the frame would.
      *reinterpret_cast<std::uint64_t*>(arena->address(size, taken)) = 0;
      tasks[epoch].writes.push_back(arena->address(size, taken));
    }
    submitted.store(epoch, std::memory_order_release);
  }
  device.join();
  EXPECT_EQ(wrong, 0u) << "the device read a page that had been handed out again";
  pool.collect();
  EXPECT_EQ(pool.figures().in_use[6], 3u);
  EXPECT_LE(arena->figures().bytes_held, 2 * step);
  EXPECT_TRUE(pool.is_consistent());
}

/// A device that runs commit after commit on a grid of threads: each takes some frames, the last of
/// them reports and finishes the epoch.
class credit_grid {
 public:
  static constexpr unsigned threads = 3;
  static constexpr unsigned big = 6;
  static constexpr std::uint32_t most = threads * 5;  ///< frames a commit takes

  explicit credit_grid(std::uint64_t commits) : array(1024), stacks(page_class_count) {
    stacks[big] = {array.data(), 1024, 0, 0, 0};
    for (unsigned index = 0; index < threads; ++index) {
      grid_.emplace_back([this, index, commits] {
        for (std::uint64_t epoch = 1; epoch <= commits; ++epoch) run(index, epoch);
      });
    }
  }
  void launch(std::uint64_t epoch) { launched_.store(epoch, std::memory_order_release); }
  void join() {
    for (std::thread& thread : grid_) thread.join();
  }

  epoch_word word;
  credit_report report{};
  std::vector<std::uint32_t> array;
  std::vector<frame_stack> stacks;
  std::vector<std::uint32_t> taken[threads];

 private:
  void run(unsigned index, std::uint64_t epoch) {
    // acquire: pairs with the release in `launch`.
    while (launched_.load(std::memory_order_acquire) < epoch) std::this_thread::yield();
    taken[index].clear();
    for (std::uint64_t n = (epoch * 7 + index * 3) % 6; n > 0; --n) {
      taken[index].push_back(index_of(pop_frame(stacks[big])));
    }
    // acq_rel: the last to arrive sees what the others did, as the last block of a grid does.
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) != threads - 1) return;
    arrived_.store(0, std::memory_order_relaxed);  // ordered by the next launch
    report_credits(stacks.data(), report);
    word.finish(epoch);
  }

  std::atomic<std::uint64_t> launched_{0};
  std::atomic<unsigned> arrived_{0};
  std::vector<std::thread> grid_;
};

TEST(CreditThreads, FramesOfCommitsAreDisjointAndUnusedOnesComeBack) {
  constexpr std::uint64_t commits = 300;
  constexpr unsigned big = credit_grid::big;
  fake_device fake;
  device_arena_options options;
  options.range_bytes = 8 * step;
  options.growth_bytes = step;
  std::unique_ptr<device_arena> arena;
  device_error why;
  ASSERT_EQ(device_arena::create(options, fake.memory(), &arena, &why), device_code::ok);
  credit_grid grid(commits);
  frame_pool pool(*arena, grid.word);
  frame_credits credits(pool);
  std::set<std::uint32_t> live;
  class_counts needed{};
  needed[big] = credit_grid::most;
  std::uint64_t failures = 0;
  for (std::uint64_t epoch = 1; epoch <= commits; ++epoch) {
    std::array<credit_grant, page_class_count> grants;
    failures += credits.begin(needed, &grants, &why) != device_code::ok;
    std::copy(grants[big].ids.begin(), grants[big].ids.end(),
              grid.array.begin() + grants[big].begin);
    grid.stacks[big].count = static_cast<std::int32_t>(credits.held(page_class::b4k));
    grid.launch(epoch);
    while (grid.word.finished() < epoch) std::this_thread::yield();
    failures += credits.finish(grid.report, &why) != device_code::ok;
    std::uint32_t used = 0;
    for (const auto& mine : grid.taken) {
      for (const std::uint32_t frame : mine) failures += !live.insert(frame).second;
      used += static_cast<std::uint32_t>(mine.size());
    }
    failures += used + credits.held(page_class::b4k) != needed[big];
    while (live.size() > 40) {
      pool.retire(page_class::b4k, frame_id{*live.begin()}, epoch);
      live.erase(live.begin());
    }
    pool.collect();
  }
  grid.join();
  EXPECT_EQ(failures, 0u) << "a frame was given twice, or got lost";
  credits.give_back();
  EXPECT_EQ(pool.figures().in_use[big], live.size());
  EXPECT_TRUE(pool.is_consistent());
}

}  // namespace
}  // namespace device_test
