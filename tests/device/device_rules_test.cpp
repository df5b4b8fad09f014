/// \file
/// The rules of threads, and of a device that is lost, where the device is loops of the host. The
/// same cases run on a GPU in device_faults_gpu_test.
#include <gtest/gtest.h>

#include "device/fault_world.hpp"
#include "device/host_device.hpp"

namespace {

using namespace sheaf_test;

class DeviceRules : public testing::Test {
 protected:
  void SetUp() override { faults_of_host_devices() = {}; }
  void TearDown() override { faults_of_host_devices() = {}; }
  const case_arguments with_{host_device_ops(), "", 0};
};

TEST_F(DeviceRules, ThreadsMayHaveAnEngineEach) {
  EXPECT_EQ(threads_with_an_engine_each(with_), "");
}
TEST_F(DeviceRules, ThreadsMayShareAnEngine) { EXPECT_EQ(threads_share_an_engine(with_), ""); }

TEST_F(DeviceRules, NoCommitIsMissingAfterALoss) {
  for (const unsigned commits : {0u, 1u, 9u}) {
    fault_world world(commits + 1);
    faults_of_host_devices() = {};
    ASSERT_EQ(world.open(with_), "");
    ASSERT_EQ(world.commits_on_device(commits), "");
    faults_of_host_devices().calls_until_lost = 0;
    EXPECT_EQ(world.goes_on_here(), "");
  }
}

/// What tells a case that a device is well must not miss one that is not.
TEST_F(DeviceRules, ALossIsNotTakenForADeviceThatRuns) {
  fault_world world;
  ASSERT_EQ(world.open(with_), "");
  EXPECT_NE(world.goes_on_here(), "");
  faults_of_host_devices().calls_until_lost = 0;
  EXPECT_NE(world.commits_on_device(5), "");
}

}  // namespace
