/// \file
/// Conformance, memory limits, graphs that are captured once, and the column way, on a GPU. Without
/// a device every test is skipped. Environment: SHEAF_SEED.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "device/conformance.hpp"
#include "device/layered_graph.hpp"
#include "device/limits_cases.hpp"
#include "device/watched_device.hpp"

namespace {

using namespace sheaf;
using namespace sheaf_test;

constexpr const char* executors[] = {"cuda-graph", "cuda-stream"};

class OnAGpu : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    ops_ = find_gpu(why);
    if (ops_ == nullptr) GTEST_SKIP() << why;
  }
  const device_ops* ops_ = nullptr;
};

std::uint64_t seed_of_run() {
  const char* said = std::getenv("SHEAF_SEED");
  return said == nullptr ? 1 : std::strtoull(said, nullptr, 10);
}

TEST_F(OnAGpu, EveryOperatorTypeAndPageSizeHasTheBitsOfTheScalarCpu) {
  std::vector<conformance_backend> backends;
  for (const char* executor : executors) {
    backends.push_back({device_way(executor, ops_, executor), true});
  }
  const conformance_report report = run_conformance(backends, seed_of_run());
  std::cout << report.combinations << " combinations on " << backends.size() << " backends, "
            << report.commits << " commits, seed " << seed_of_run() << std::endl;
  for (const std::string& each : report.wrong) ADD_FAILURE() << each;
  EXPECT_EQ(report.device_commits, report.commits);
}

TEST_F(OnAGpu, APlanPastTheMemoryLimitRunsHereAndTheNextGraphIsTriedAgain) {
  for (const char* executor : executors) EXPECT_EQ(small_memory(ops_, false, executor), "");
}

/// A frontier of another size or place asks for no other graph, and for no memory.
TEST_F(OnAGpu, AThousandCommitsOfChangingSizesCaptureAndAllocateNothing) {
  for (const char* executor : executors) {
    const layered_graph graph(layers{.width = 60, .levels = 6});
    engine_group engines(graph.declared, graph.derived);
    ASSERT_EQ(engines.add(reference_way()), "");
    ASSERT_EQ(engines.add(device_way("device", watched(*ops_), executor)), "");
    const auto commit = [&](std::uint64_t number) {
      return engines.commit([&](transaction& txn) {
        if (number % 97 == 13) write_all(txn, graph, number);
        else write_some(txn, graph, number, 1 + number * number % 300);
      });
    };
    ASSERT_EQ(commit(0), "");
    const device_figures before = figures_watched();
    for (std::uint64_t i = 1; i <= 1000; ++i) {
      ASSERT_EQ(commit(i), "") << executor << ", commit " << i;
      ASSERT_EQ(engines[1].last_commit().device_commits, 1u) << engines[1].stats().device;
    }
    const device_figures after = figures_watched();
    EXPECT_EQ(after.commits - before.commits, 1000u);
    EXPECT_EQ(after.graph_captures, before.graph_captures) << executor;
    EXPECT_EQ(after.allocations_on_commit, before.allocations_on_commit) << executor;
    EXPECT_EQ(calls_watched().loads_done, 1u);
    std::cout << executor << ": " << after.graph_captures << " captures before, none after"
              << std::endl;
  }
}

/// Launches that `count` whole commits of `graph` took on the stream executor; bits compared.
void run_whole(const device_ops* ops, const layered_graph& graph, std::uint64_t count,
               std::uint64_t& launches) {
  engine_group engines(graph.declared, graph.derived);
  ASSERT_EQ(engines.add(reference_way()), "");
  ASSERT_EQ(engines.add(device_way("stream", watched(*ops), "cuda-stream")), "");
  const auto commit = [&](std::uint64_t seed) {
    return engines.commit([&](transaction& txn) { write_all(txn, graph, seed); });
  };
  ASSERT_EQ(commit(1), "");
  const std::uint64_t before = figures_watched().launches;
  for (std::uint64_t i = 0; i < count; ++i) ASSERT_EQ(commit(2 + i), "");
  launches = figures_watched().launches - before;
  EXPECT_EQ(engines[1].last_commit().device_commits, 1u) << engines[1].stats().device;
}

/// By columns a commit of everything is one launch; level by level it is one a level, and one more.
TEST_F(OnAGpu, PlainCombinesCommittedWholeRunByColumnsAndOthersLevelByLevel) {
  constexpr std::uint64_t commits = 10;
  for (const std::uint32_t width : {64u, 100u, 1000u}) {  // fewer pages are marked one by one
    std::uint64_t columns = 0, mixed = 0;
    const layers plain{.width = width, .levels = 8, .has_total = false};
    run_whole(ops_, layered_graph(plain), commits, columns);
    EXPECT_EQ(columns, commits) << width;
    layers summed = plain;
    summed.has_total = true;
    run_whole(ops_, layered_graph(summed), commits, mixed);
    EXPECT_GT(mixed, commits * summed.levels) << width;
  }
  // Wider than what shared memory holds of two levels.
  std::uint64_t wide = 0;
  const layers shape{.width = 4000, .levels = 3, .has_total = false};
  run_whole(ops_, layered_graph(shape), 2, wide);
  EXPECT_GT(wide, 2u * shape.levels);
}

/// Whatever way the device chooses, whole commits and small ones may follow on one another.
TEST_F(OnAGpu, ColumnsAndSparseCommitsTakeTurnsWithEqualBits) {
  for (const char* executor : executors) {
    const layered_graph graph(layers{.width = 200, .levels = 10, .has_total = false});
    engine_group engines(graph.declared, graph.derived);
    ASSERT_EQ(engines.add(reference_way()), "");
    ASSERT_EQ(engines.add(device_way("device", ops_, executor)), "");
    for (std::uint64_t i = 0; i < 30; ++i) {
      ASSERT_EQ(engines.commit([&](transaction& txn) {
        if (i % 2 == 0) write_all(txn, graph, i);
        else write_some(txn, graph, i, 1 + i * 20);
      }), "") << executor << ", commit " << i;
      ASSERT_EQ(engines[1].last_commit().device_commits, 1u);
    }
  }
}

/// `automatic` may run a commit on either side; the bits are the same.
TEST_F(OnAGpu, AutomaticUsesBothSidesWithEqualBits) {
  const layered_graph graph(layers{.width = 300, .levels = 6});
  engine_group engines(graph.declared, graph.derived);
  ASSERT_EQ(engines.add(reference_way()), "");
  engine_way way = device_way("automatic", ops_);
  way.options.device = device::automatic;
  ASSERT_EQ(engines.add(way), "");
  for (std::uint64_t i = 0; i < 60; ++i) {
    ASSERT_EQ(engines.commit([&](transaction& txn) {
      if (i % 3 == 0) write_all(txn, graph, i);
      else write_some(txn, graph, i, 3);
    }), "") << "commit " << i;
  }
  const std::uint64_t there = engines[1].stats().work.device_commits;
  std::cout << there << " of 60 commits on the device" << std::endl;
  EXPECT_GT(there, 0u);
  EXPECT_LT(there, 60u);
}

}  // namespace
