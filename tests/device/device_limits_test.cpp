/// \file
/// What an engine makes of a device with little memory, of one that is lost, and of its deadline:
/// over loops of the host, watched.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "device/host_device.hpp"
#include "device/limits_cases.hpp"
#include "engine/open_device.hpp"

namespace {

using namespace sheaf;
using namespace sheaf_test;

TEST(DeviceMemory, APlanThatDoesNotFitRunsHereAndTheNextGraphIsTriedAgain) {
  faults_of_host_devices() = {};
  EXPECT_EQ(small_memory(host_device_ops(), true), "");
}

TEST(LostDevice, IsSeenInTheFiguresOfItsEngine) {
  faults_of_host_devices() = {};
  const layered_graph graph(layers{.width = 4, .levels = 2});
  auto on = open_by(graph.declared, device_way("device", host_device_ops()));
  ASSERT_TRUE(on);
  for (const std::uint32_t lost : {0u, 1u, 1u}) {
    faults_of_host_devices().calls_until_lost = lost == 1 ? 0 : ~std::uint64_t{0};
    auto txn = on->begin();
    write_some(txn, graph, lost + 1, 5);
    ASSERT_TRUE(std::move(txn).commit());
    EXPECT_EQ(on->stats().degraded, lost);
    EXPECT_EQ(on->last_commit().device_commits, 1 - lost);
    EXPECT_EQ(on->stats().device.find("lost") != std::string::npos, lost == 1);
  }
  faults_of_host_devices() = {};
}

double deadline_seen = 0;
const device_ops* inner = nullptr;
device_code note_deadline(const device_settings* settings, device_context** made,
                          device_error* why) {
  deadline_seen = settings->deadline_seconds;
  return inner->open(settings, made, why);
}

TEST(DeviceDeadline, IsHandedToTheDevice) {
  faults_of_host_devices() = {};
  inner = host_device_ops();
  device_ops noting = *inner;
  noting.open = note_deadline;
  const layered_graph graph(layers{.width = 2, .levels = 1});
  engine_way way = device_way("device", &noting);
  ASSERT_TRUE(open_by(graph.declared, way));
  EXPECT_EQ(deadline_seen, 10.0);
  way.options.device_deadline_seconds = 0.25;
  ASSERT_TRUE(open_by(graph.declared, way));
  EXPECT_EQ(deadline_seen, 0.25);
}

TEST(DeviceDeadline, ThatIsNoTimeIsRefusedByName) {
  const layered_graph graph(layers{.width = 2, .levels = 1});
  for (const double wrong : {0.0, -1.0, std::numeric_limits<double>::infinity(), std::nan("")}) {
    const auto refused = engine::open(graph.declared, {.device_deadline_seconds = wrong});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), status_code::invalid_argument);
    EXPECT_NE(refused.error().message().find("device_deadline_seconds"), std::string::npos);
  }
}

}  // namespace
