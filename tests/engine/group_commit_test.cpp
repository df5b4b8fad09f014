/// \file
/// Group commit: a group is one epoch and one propagation, and only a culprit fails.
#include <latch>
#include <map>
#include <mutex>
#include <thread>

#include "engine/support.hpp"

namespace engine_test {
namespace {

/// One slow commit, held inside a host function, behind which `count` others gather.
struct gathering {
  explicit gathering(const engine_options& options = {}) : desk(opened(build(), options)) {}
  const model& build() {
    source = declared.source<std::int32_t>("source", 1024);
    doubled = declared.derive("doubled", source * 2);
    const auto check = [this](host_call& call) {
      const auto in = call.operand<std::int32_t>(0);
      const auto out = call.result<std::int32_t>();
      for (std::size_t i = 0; i < out.size(); ++i) {
        if (in[i] < 0) return status(status_code::failed, subsystem::engine, "negative");
        out[i] = in[i] + 1;
      }
      if (gate != nullptr) {
        inside->count_down();
        std::exchange(gate, nullptr)->wait();
      }
      return status();
    };
    checked = declared.derive_host<std::int32_t>("checked", 1024, {doubled}, check);
    total = declared.derive("total", sum(doubled));
    return declared;
  }
  /// Commits `values[i]` to element i, each from a thread of its own, while another commit runs.
  std::vector<result<epoch>> gather(const std::vector<std::int32_t>& values) {
    std::latch entered(1), open(1);
    inside = &entered;
    gate = &open;
    std::thread first([&] { set_one(desk, source, 1023, ++stamp); });
    entered.wait();
    std::vector<std::thread> crew;
    std::vector<result<epoch>> outcomes(values.size(), epoch{});
    for (std::size_t i = 0; i < values.size(); ++i) {
      crew.emplace_back([&, i] {
        auto txn = desk.begin();
        txn.set(source, {.index = i}, values[i]);
        outcomes[i] = std::move(txn).commit();
      });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    open.count_down();
    first.join();
    for (std::thread& member : crew) member.join();
    return outcomes;
  }

  model declared;
  array<std::int32_t> source, doubled, checked, total;
  std::latch* inside = nullptr;
  std::latch* gate = nullptr;
  std::int32_t stamp = 0;
  engine desk;
};

TEST(GroupCommit, TransactionsThatGatheredAreOneEpochAndOnePropagation) {
  gathering g;
  std::uint64_t shared = 0;
  for (std::int32_t round = 1; round <= 20 && shared == 0; ++round) {
    const engine_stats before = g.desk.stats();
    std::map<std::uint64_t, unsigned> members;
    for (const auto& done : g.gather(std::vector<std::int32_t>(6, round))) {
      ASSERT_TRUE(done) << done.error().message();
      ++members[done->value];
    }
    const engine_stats after = g.desk.stats();
    EXPECT_EQ(after.commits - before.commits, 7u);
    EXPECT_EQ(after.groups - before.groups, members.size() + 1);
    EXPECT_EQ(after.work.host_calls - before.work.host_calls, members.size() + 1);
    EXPECT_EQ(after.groups_split, 0u);
    for (const auto& [number, count] : members) shared += count == 6;
    expect_glued(g.desk);
  }
  EXPECT_GT(shared, 0u) << "six transactions never became one group";
}

TEST(GroupCommit, OfAGroupThatFailsOnlyTheCulpritIsRefused) {
  gathering g;
  for (std::int32_t round = 1; round <= 20 && g.desk.stats().groups_split == 0; ++round) {
    const engine_stats before = g.desk.stats();
    const auto outcomes = g.gather({round, round, -round, round});
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (i == 2) {
        expect_status(outcomes[i], status_code::operator_failed, {"checked", "negative"});
      } else {
        EXPECT_TRUE(outcomes[i]) << outcomes[i].error().message();
      }
      EXPECT_EQ(g.desk.snapshot().get(g.checked, i).value(), i == 2 ? 1 : round * 2 + 1);
    }
    const engine_stats after = g.desk.stats();
    EXPECT_EQ(after.failed_commits - before.failed_commits, 1u);
    EXPECT_EQ(after.commits - before.commits, 4u);
    EXPECT_EQ(after.history_bytes, 0u);
    expect_glued(g.desk);
  }
  EXPECT_GT(g.desk.stats().groups_split, 0u) << "the culprit never was in a group";
}

TEST(GroupCommit, FramesForAGroupThatDoNotFitAreAskedForOneByOne) {
  // Two of the group's pages fit beside what the snapshot holds, not all four.
  model m;
  std::vector<array<std::uint64_t>> sources;
  for (int i = 0; i < 4; ++i) {
    sources.push_back(m.source<std::uint64_t>("s" + std::to_string(i), 512));
  }
  engine e = opened(m, {.memory_bytes_max = std::size_t{6} << 12});
  const auto held = e.snapshot();
  std::vector<std::thread> crew;
  std::atomic<unsigned> committed_count{0}, refused{0};
  for (unsigned i = 0; i < 4; ++i) {
    crew.emplace_back([&, i] {
      auto txn = e.begin();
      txn.set(sources[i], {}, 7u);
      const auto done = std::move(txn).commit();
      if (done) {
        ++committed_count;
      } else {
        EXPECT_EQ(done.error().code(), status_code::out_of_memory);
        ++refused;
      }
    });
  }
  for (std::thread& member : crew) member.join();
  EXPECT_EQ(committed_count, 2u);
  EXPECT_EQ(refused, 2u);
  for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(held.get(sources[i]).value(), 0u);
}

TEST(GroupCommit, ManyWritersOfOneCounterLoseNoAddition) {
  for (const readers mode : both_modes) {
    model m;
    const auto counters = m.source<std::uint64_t>("counters", 64);
    const auto total = m.derive("total", sum(counters));
    engine e = opened(m, {.mode = mode, .group_transactions_max = 3});
    std::vector<std::thread> crew;
    for (unsigned i = 0; i < 8; ++i) {
      crew.emplace_back([&, i] {
        for (unsigned round = 0; round < 500; ++round) {
          auto txn = e.begin();
          txn.merge(counters, merge_operator::add, {.index = (i + round) % 4}, 1u);
          committed(std::move(txn));
        }
      });
    }
    std::thread watcher([&] {
      for (int i = 0; i < 200; ++i) {
        (void)e.stats();
        const auto now = e.snapshot();
        EXPECT_LE(now.get(total).value(), 4000u);
      }
    });
    for (std::thread& member : crew) member.join();
    watcher.join();
    EXPECT_EQ(e.snapshot().get(total).value(), 4000u);
    const engine_stats stats = e.stats();
    EXPECT_EQ(stats.commits, 4000u);
    EXPECT_GE(stats.groups, 4000u / 3);
    EXPECT_EQ(stats.epoch, 1 + stats.groups);
    expect_glued(e);
  }
}

}  // namespace
}  // namespace engine_test
