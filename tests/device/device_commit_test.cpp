/// \file
/// An engine over a device: what runs there, what does not, and what happens when it fails.
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include <sheaf/engine/engine.hpp>
#include <sheaf/engine/pending_commit.hpp>

#include "device/host_device.hpp"
#include "engine/open_device.hpp"

namespace {

using namespace sheaf;

class DeviceCommit : public testing::Test {
 protected:
  void SetUp() override {
    sheaf_test::faults_of_host_devices() = {};
    use_device_ops(sheaf_test::host_device_ops(), false);
  }
  void TearDown() override { use_device_ops(nullptr, false); }
};

/// A chain of two sums over two sources, and their total.
struct chain {
  model declared;
  array<float> a = declared.source<float>("a", 5000);
  array<float> b = declared.source<float>("b", 5000);
  array<float> sum = declared.derive("sum", a + b);
  array<float> twice = declared.derive("twice", sum + sum);
  array<float> total = declared.derive("total", sheaf::sum(twice));

  [[nodiscard]] engine open(device on) const {
    auto opened = engine::open(declared, {.device = on});
    EXPECT_TRUE(opened) << opened.error().message();
    return std::move(*opened);
  }
};

void set(engine& on, array<float> target, std::uint64_t index, float value) {
  auto txn = on.begin();
  txn.set(target, {.index = index}, value);
  const auto done = std::move(txn).commit();
  ASSERT_TRUE(done) << done.error().message();
}
float get(engine& on, array<float> from, std::uint64_t index) {
  return on.snapshot().get(from, index).value();
}

TEST_F(DeviceCommit, RunsOnADeviceThatIsAskedFor) {
  chain graph;
  engine on = graph.open(device::cuda);
  set(on, graph.a, 17, 2.5f);
  EXPECT_EQ(get(on, graph.twice, 17), 5.0f);
  EXPECT_EQ(get(on, graph.total, 0), 5.0f);
  EXPECT_EQ(on.last_commit().device_commits, 1u);
  EXPECT_EQ(on.stats().device, "loops of the host");
}

TEST_F(DeviceCommit, IsNotAskedForByDefault) {
  chain graph;
  engine on = graph.open(device::cpu);
  set(on, graph.a, 17, 2.5f);
  EXPECT_EQ(on.last_commit().device_commits, 0u);
  EXPECT_EQ(on.stats().device, "");
}

TEST_F(DeviceCommit, FindsNoneAndSaysSo) {
  sheaf_test::faults_of_host_devices().device_count = 0;
  chain graph;
  engine on = graph.open(device::cuda);
  set(on, graph.a, 17, 2.5f);
  EXPECT_EQ(get(on, graph.total, 0), 5.0f);
  EXPECT_EQ(on.last_commit().device_commits, 0u);
  EXPECT_NE(on.stats().device.find("no device, as asked"), std::string::npos);
}

/// At every call a device can be lost or out of memory; no commit is lost, no bit differs.
TEST_F(DeviceCommit, GoesOnHereWhereverTheDeviceFails) {
  for (const bool is_lost : {true, false}) {
    for (std::uint64_t call = 0; call < 12; ++call) {
      sheaf_test::host_device_faults& faults = sheaf_test::faults_of_host_devices();
      faults = {};
      (is_lost ? faults.calls_until_lost : faults.calls_until_out_of_memory) = call;
      chain graph;
      engine on = graph.open(device::cuda);
      engine here = graph.open(device::cpu);
      std::uint64_t on_device = 0;
      for (std::uint64_t i = 0; i < 8; ++i) {
        for (engine* each : {&on, &here}) {
          set(*each, i % 2 == 0 ? graph.a : graph.b, i * 611, static_cast<float>(i) / 3);
        }
        on_device += on.last_commit().device_commits;
        ASSERT_EQ(get(on, graph.total, 0), get(here, graph.total, 0)) << call << ", commit " << i;
        ASSERT_EQ(get(on, graph.twice, i * 611), get(here, graph.twice, i * 611));
      }
      if (call < 6) EXPECT_LT(on_device, 8u);
      ASSERT_EQ(on.audit()->lines_different, 0u);
      if (call < 6) EXPECT_NE(on.stats().device.find("as asked"), std::string::npos);
    }
  }
}

/// Snapshots, forks and records see a commit of a device as any other.
TEST_F(DeviceCommit, LeavesOpenSnapshotsAsTheyAre) {
  chain graph;
  engine on = graph.open(device::cuda);
  set(on, graph.a, 1, 1.0f);
  const snapshot before = on.snapshot();
  set(on, graph.a, 1, 4.0f);
  EXPECT_EQ(before.get(graph.twice, 1).value(), 2.0f);
  EXPECT_EQ(before.get(graph.total, 0).value(), 2.0f);
  EXPECT_EQ(get(on, graph.total, 0), 8.0f);
  EXPECT_EQ(on.last_commit().device_commits, 1u);
}

/// A commit with a budget and a change of the graph run here; what they changed is not missed.
TEST_F(DeviceCommit, HearsOfWhatCommitsHereChanged) {
  chain graph;
  engine on = graph.open(device::cuda);
  set(on, graph.a, 1, 1.0f);
  auto txn = on.begin();
  txn.set(graph.b, {.index = 1}, 10.0f);
  ASSERT_TRUE(std::move(txn).commit_for(std::chrono::seconds(10)).wait());
  EXPECT_EQ(on.last_commit().device_commits, 0u);
  set(on, graph.a, 2, 100.0f);
  EXPECT_EQ(on.last_commit().device_commits, 1u);
  EXPECT_EQ(get(on, graph.total, 0), 222.0f);
  auto change = on.begin();
  const auto more = change.graph().derive("more", graph.sum * graph.sum);
  ASSERT_TRUE(std::move(change).commit());
  set(on, graph.a, 3, 1.0f);
  EXPECT_EQ(on.last_commit().device_commits, 1u);
  EXPECT_EQ(get(on, more, 2), 10000.0f);
  EXPECT_EQ(get(on, more, 3), 1.0f);
}

TEST_F(DeviceCommit, SaysWhatRunsBesideIt) {
  chain graph;
  const auto order = graph.declared.derive("order", sort_index(graph.sum));
  engine on = graph.open(device::cuda);
  set(on, graph.a, 4999, -1.0f);
  EXPECT_EQ(on.snapshot().get(order, 0).value(), 4999u);
  EXPECT_EQ(on.last_commit().mixed_commits, 1u);
  EXPECT_NE(on.stats().device.find("run on the host, the first of them: sort_index"),
            std::string::npos);
  auto change = on.begin();
  change.graph().drop(order);
  ASSERT_TRUE(std::move(change).commit());
  set(on, graph.a, 3, -1.0f);
  EXPECT_EQ(on.last_commit().device_commits, 1u);
  EXPECT_EQ(on.last_commit().mixed_commits, 0u);
  EXPECT_EQ(on.stats().device, "loops of the host");
}

}  // namespace
