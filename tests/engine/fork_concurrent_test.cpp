/// \file
/// Forks on many threads at once, beside an engine that commits.
#include <thread>

#include "engine/fork_support.hpp"

namespace engine_test {
namespace {

constexpr unsigned fork_threads = 3;
constexpr unsigned rounds = 12;

/// One thread's forks: each starts from the engine as it is, goes its way, and ends.
void run_forks(kinds& k, unsigned mine) {
  for (unsigned round = 0; round < rounds; ++round) {
    auto trial = k.desk.fork();
    ASSERT_TRUE(trial) << trial.error().message();
    const auto start = k.image(trial);
    auto child = trial.fork();
    for (std::uint64_t i = 0; i < 4; ++i) {
      write_random(k, trial, (mine * rounds + round) * 10 + i);
      write_random(k, child, (mine * rounds + round) * 10 + i);
      ASSERT_TRUE(k.image(trial) == k.image(child)) << "two forks that got the same deltas";
    }
    expect_glued(trial);
    auto again = k.desk.fork();
    if (again.base() == trial.base()) {
      ASSERT_TRUE(k.image(again) == start);
    }
    if (round % 4 == mine % 4) {
      const auto merged = child.merge();
      if (merged) continue;
      ASSERT_EQ(merged.error().code(), status_code::conflict) << merged.error().message();
      ASSERT_TRUE(k.image(child) == k.image(trial)) << "a merge that came too late";
    }
  }
}

TEST(ForkThreads, ForksOfManyThreadsGoTheirOwnWaysBesideCommits) {
  for (const readers mode : both_modes) {
    kinds k({.mode = mode});
    std::atomic<bool> over = false;
    std::thread committer([&] {
      for (std::uint64_t i = 5000; !over; ++i) {
        auto txn = k.desk.begin();
        write_random(k, txn, i);
        const auto done = std::move(txn).commit();
        // A merge may have written the same elements since the transaction began.
        ASSERT_TRUE(done || done.error().code() == status_code::conflict)
            << done.error().message();
      }
    });
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < fork_threads; ++i) threads.emplace_back([&k, i] { run_forks(k, i); });
    for (std::thread& each : threads) each.join();
    over = true;
    committer.join();
    expect_glued(k.desk);
    const engine_stats after = k.desk.stats();
    EXPECT_EQ(after.open_forks, 0u);
    EXPECT_EQ(after.fork_bytes, 0u);
    EXPECT_EQ(after.open_snapshots, 0u);
  }
}

TEST(ForkThreads, SnapshotsOfAForkAreStillOnOtherThreadsWhileItCommits) {
  kinds k;
  auto trial = k.desk.fork();
  write_random(k, trial, 1);
  for (unsigned round = 0; round < rounds; ++round) {
    const auto held = trial.snapshot();
    const auto bits = k.image(trial);
    std::vector<std::thread> readers_of_it;
    for (unsigned i = 0; i < 2; ++i) {
      readers_of_it.emplace_back([&] {
        for (unsigned turn = 0; turn < 3; ++turn) ASSERT_TRUE(k.image(held) == bits);
        auto branched = held.fork();
        write_random(k, branched, 77);
        ASSERT_TRUE(k.image(held) == bits);
      });
    }
    for (std::uint64_t i = 0; i < 4; ++i) write_random(k, trial, round * 4 + i);
    for (std::thread& each : readers_of_it) each.join();
  }
  expect_glued(trial);
}

TEST(ForkThreads, AForkThatWasHandedToAnotherThreadGoesOnThere) {
  kinds k, twin;
  auto trial = k.desk.fork();
  for (std::uint64_t i = 0; i < 8; ++i) {
    std::thread([&] {
      write_random(k, trial, i);
      trial = trial.fork();
    }).join();
    write_random(twin, twin.desk, i);
  }
  EXPECT_TRUE(k.image(trial) == twin.image(twin.desk));
  EXPECT_EQ(trial.sequence(), 8u);
}

}  // namespace
}  // namespace engine_test
