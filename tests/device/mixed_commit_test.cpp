/// \file
/// Plans of which a device computes a part and the host the rest, in one commit: equal bits,
/// whatever fails and whoever goes on.
#include <gtest/gtest.h>

#include <sheaf/engine/pending_commit.hpp>

#include "device/host_device.hpp"
#include "device/mixed_graph.hpp"
#include "device/watched_device.hpp"
#include "engine/open_device.hpp"

namespace {

using namespace sheaf;
using namespace sheaf_test;

class MixedCommit : public testing::Test {
 protected:
  void SetUp() override {
    faults_of_host_devices() = {};
    ASSERT_EQ(both_.add(reference_way()), "");
    ASSERT_EQ(both_.add(device_way("device", watched(*host_device_ops()))), "");
  }
  void TearDown() override { faults_of_host_devices() = {}; }

  /// Changes three elements of `a` and `b`, other ones every time.
  [[nodiscard]] std::string commit(std::uint64_t number) {
    return both_.commit([&](transaction& txn) {
      for (std::uint64_t i = 0; i < 3; ++i) {
        const std::uint64_t at = (number * 611 + i * 997) % mixed_graph::length;
        txn.set(i == 1 ? graph_.b : graph_.a, {.index = at}, static_cast<float>(number + i) / 3);
      }
    });
  }
  [[nodiscard]] work_counters last() { return both_[1].last_commit(); }

  mixed_graph graph_;
  engine_group both_{graph_.declared, graph_.derived};
};

TEST_F(MixedCommit, RunsBothSidesInOneCommitAndSaysSo) {
  for (std::uint64_t i = 0; i < 30; ++i) {
    ASSERT_EQ(commit(i), "") << i;
    EXPECT_EQ(last().device_commits, 1u);
    EXPECT_EQ(last().mixed_commits, 1u);
    EXPECT_EQ(last().host_calls, 1u);
  }
  EXPECT_EQ(both_[1].audit()->lines_different, 0u);
  const std::string words = both_[1].stats().device;
  EXPECT_EQ(words.find("loops of the host; "), 0u) << words;
  EXPECT_NE(words.find("nodes run on the host, the first of them: "), std::string::npos) << words;
  EXPECT_EQ(calls_watched().loads, 1u);
}

/// All lines of all sources, then some again: a first stage that runs full, later ones compare.
TEST_F(MixedCommit, TakesEverythingAtOnce) {
  for (std::uint64_t round = 0; round < 3; ++round) {
    const auto all = [&](transaction& txn) {
      std::vector<float> values(mixed_graph::length);
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>((i * 7919 + round) % 1000) / 8;
      }
      for (const auto& source : {graph_.a, graph_.b, graph_.c, graph_.d}) {
        txn.range(source, {}, values);
      }
    };
    ASSERT_EQ(both_.commit(all), "");
    EXPECT_EQ(last().mixed_commits, 1u);
    ASSERT_EQ(commit(round), "");
    EXPECT_EQ(last().mixed_commits, 1u);
  }
}

TEST_F(MixedCommit, LeavesOutStagesThatNothingReaches) {
  ASSERT_EQ(commit(1), "");
  ASSERT_EQ(commit(2), "");  // the delay has moved on
  const auto write_c = [&](float value) {
    return both_.commit([&](transaction& txn) { txn.set(graph_.c, {.index = 7}, value); });
  };
  ASSERT_EQ(write_c(1.0f), "");
  const std::uint64_t before = calls_watched().commits;
  ASSERT_EQ(write_c(2.0f), "");
  EXPECT_EQ(calls_watched().commits, before + 2);  // top_k ends in a gather
  EXPECT_EQ(last().mixed_commits, 1u);
  EXPECT_EQ(last().host_calls, 0u);
  // Stages 0 and 2: what the host computed in the first waits over the one that is left out.
  ASSERT_EQ(both_.commit([&](transaction& txn) { txn.set(graph_.d, {.index = 9}, 50.0f); }), "");
  EXPECT_EQ(calls_watched().commits, before + 2 + 2);
  ASSERT_EQ(commit(3), "");
  EXPECT_EQ(calls_watched().commits, before + 2 + 2 + 4);
  EXPECT_EQ(calls_watched().loads, 1u);
}

/// A commit that a host function refuses changes nothing on either side, and the device goes on
/// with what it has: nothing is loaded again.
TEST_F(MixedCommit, IsGivenUpWhereAHostFunctionFails) {
  for (std::uint64_t i = 0; i < 12; ++i) {
    ASSERT_EQ(commit(i), "") << i;
    EXPECT_EQ(last().mixed_commits, 1u);
    graph_.said = status(status_code::failed, subsystem::graph, "as asked");
    for (std::size_t each = 0; each < both_.size(); ++each) {
      auto txn = both_[each].begin();
      for (const std::uint64_t at : {i * 251, i * 251 + 1400}) {
        txn.set(graph_.a, {.index = at % mixed_graph::length}, 77.0f + static_cast<float>(i));
      }
      const auto refused = std::move(txn).commit();
      ASSERT_FALSE(refused);
      EXPECT_NE(refused.error().message().find("called"), std::string::npos);
    }
    graph_.said = {};
    ASSERT_EQ(both_.compare(), "") << i;
  }
  EXPECT_EQ(both_[1].audit()->lines_different, 0u);
  EXPECT_EQ(calls_watched().loads, 1u);
}

/// At every call the device can be lost or refuse, in the middle of a commit, too: no commit is
/// lost, no bit differs, and what ran whole keeps its memory.
TEST(MixedFailure, GoesOnHereWhereverTheDeviceFails) {
  std::uint64_t interrupted = 0;
  for (const bool is_lost : {true, false}) {
    for (std::uint64_t call = 0; call < 30; ++call) {
      host_device_faults& faults = faults_of_host_devices();
      faults = {};
      (is_lost ? faults.calls_until_lost : faults.calls_until_out_of_memory) = call;
      mixed_graph graph;
      engine_group both(graph.declared, graph.derived);
      ASSERT_EQ(both.add(reference_way()), "");
      ASSERT_EQ(both.add(device_way("device", watched(*host_device_ops()))), "");
      for (std::uint64_t i = 0; i < 9; ++i) {
        // One here, which notes another element of the line that the next one changes.
        for (std::size_t each = 0; each < both.size(); ++each) {
          auto txn = both[each].begin();
          txn.set(graph.b, {.index = (i * 311) ^ 1}, static_cast<float>(i) + 0.5f);
          ASSERT_TRUE(std::move(txn).commit_for(std::chrono::seconds(10)).wait());
        }
        const std::uint64_t done = calls_watched().commits_done;
        const bool changes_graph = i == 6;  // a refused device is tried again
        ASSERT_EQ(both.commit([&](transaction& txn) {
          if (changes_graph) {
            txn.graph().derive("more", graph.square * 2.0f);
          }
          txn.set(i % 3 == 0 ? graph.b : graph.a, {.index = i * 311}, static_cast<float>(i) / 3);
          if (i % 4 == 2) txn.set(graph.c, {.index = i}, static_cast<float>(i));
        }), "") << "call " << call << ", commit " << i;
        const bool ran = both[1].last_commit().device_commits != 0;
        interrupted += !ran && calls_watched().commits_done != done;
      }
      ASSERT_EQ(both[1].audit()->lines_different, 0u) << call;
      if (!is_lost && call > 12) continue;  // the graph changed before it refused
      EXPECT_EQ(both[1].stats().device.find("as asked") != std::string::npos, is_lost) << call;
    }
  }
  faults_of_host_devices() = {};
  EXPECT_GT(interrupted, 10u);  // some failed between two stages
}

/// Commits here and there in turns: a budget keeps one here, and the device hears of it.
TEST_F(MixedCommit, HearsOfWhatCommitsHereChanged) {
  for (std::uint64_t i = 0; i < 10; ++i) {
    for (std::size_t each = 0; each < both_.size(); ++each) {
      auto txn = both_[each].begin();
      txn.set(graph_.b, {.index = i * 17}, static_cast<float>(i));
      ASSERT_TRUE(std::move(txn).commit_for(std::chrono::seconds(10)).wait());
    }
    ASSERT_EQ(both_.compare(), "");
    EXPECT_EQ(last().device_commits, 0u);
    ASSERT_EQ(commit(i), "");
    EXPECT_EQ(last().mixed_commits, 1u);
  }
}

TEST(MixedGraphs, OfWhichNothingHasABodyRunHereAndSaySo) {
  faults_of_host_devices() = {};
  model declared;
  const auto a = declared.source<float>("a", 500);
  const auto running = declared.derive("running", scan(semiring_id::sum_product, a));
  auto on = open_by(declared, device_way("device", host_device_ops()));
  ASSERT_TRUE(on);
  auto txn = on->begin();
  txn.set(a, {.index = 3}, 2.0f);
  ASSERT_TRUE(std::move(txn).commit());
  EXPECT_EQ(on->snapshot().get(running, 499).value(), 2.0f);
  EXPECT_EQ(on->last_commit().device_commits, 0u);
  EXPECT_NE(on->stats().device.find("nothing of the graph has a body on a device"),
            std::string::npos);
  EXPECT_NE(on->stats().device.find("scan"), std::string::npos);
}

}  // namespace
