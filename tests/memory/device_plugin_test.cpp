/// \file
/// The plugin on a machine with a device: opened and closed, from any thread, beside a host that
/// uses the driver itself, and across `fork()`. Without a device every test is skipped.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sheaf/memory/device_library.hpp>
#include <string>
#include <thread>

namespace sheaf {
namespace {

class DevicePlugin : public ::testing::Test {
 protected:
  void SetUp() override {
    const result<device_library> library = device_library::open();
    if (!library) GTEST_SKIP() << library.error().message();
    const result<std::uint32_t> count = library->count();
    if (!count) GTEST_SKIP() << count.error().message();
    ops_ = &library->ops();
    count_ = *count;
  }

  device_context* opened(std::uint32_t index = 0) {
    device_settings settings;
    settings.index = index;
    device_context* made = nullptr;
    const device_code code = ops_->open(&settings, &made, &why_);
    EXPECT_EQ(code, device_code::ok) << why_.text;
    return made;
  }

  /// Any call that reaches the device: no plan is refused, not run.
  device_code touch(device_context* device) {
    return ops_->load_plan(device, nullptr, 0, &why_);
  }

  const device_ops* ops_ = nullptr;
  std::uint32_t count_ = 0;
  device_error why_;
};

TEST_F(DevicePlugin, EveryDeviceIsDescribedOpenedAndClosedAndOpenedAgain) {
  for (std::uint32_t index = 0; index < count_; ++index) {
    device_info about{};
    ASSERT_EQ(ops_->describe(index, &about, &why_), device_code::ok) << why_.text;
    EXPECT_NE(about.name[0], '\0');
    EXPECT_GT(about.memory_bytes, 0U);
    EXPECT_GE(about.compute_capability, 80U);
    EXPECT_GE(about.driver_version, 13000U);
    for (int round = 0; round < 2; ++round) {
      device_context* const device = opened(index);
      ASSERT_NE(device, nullptr);
      device_figures figures{};
      figures.commits = 7;
      ops_->figures(device, &figures);
      EXPECT_EQ(figures.commits, 0U);
      ops_->close(device);
    }
  }
}

TEST_F(DevicePlugin, ADeviceThatIsNotThereIsAbsentAndNamed) {
  device_settings settings;
  settings.index = count_;
  device_context* made = nullptr;
  EXPECT_EQ(ops_->open(&settings, &made, &why_), device_code::absent);
  EXPECT_EQ(made, nullptr);
  EXPECT_NE(std::string(why_.text).find("device " + std::to_string(count_)), std::string::npos);
}

TEST_F(DevicePlugin, CallsLeaveTheContextOfTheCallingThreadAsItWas) {
  void* const driver = ::dlopen("libcuda.so.1", RTLD_NOW);
  ASSERT_NE(driver, nullptr);
  const auto current = reinterpret_cast<int (*)(void**)>(::dlsym(driver, "cuCtxGetCurrent"));
  ASSERT_NE(current, nullptr);
  device_context* const device = opened();
  ASSERT_NE(device, nullptr);
  // A thread that never used the driver has no context, and still has none after calls.
  std::thread([&] {
    void* before = this;
    void* after = this;
    EXPECT_EQ(current(&before), 0);
    EXPECT_NE(touch(device), device_code::lost) << why_.text;
    EXPECT_EQ(current(&after), 0);
    EXPECT_EQ(before, nullptr);
    EXPECT_EQ(after, nullptr);
  }).join();
  ops_->close(device);
}

TEST_F(DevicePlugin, ThreadsMayTakeTurns) {
  device_context* const device = opened();
  ASSERT_NE(device, nullptr);
  const device_code first = touch(device);
  for (int turn = 0; turn < 8; ++turn) {
    std::thread([&] { EXPECT_EQ(touch(device), first) << why_.text; }).join();
  }
  EXPECT_NE(first, device_code::lost);
  ops_->close(device);
}

TEST_F(DevicePlugin, InAForkedChildADeviceIsLostAndInTheParentItGoesOn) {
  device_context* const device = opened();
  ASSERT_NE(device, nullptr);
  const device_code before = touch(device);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool is_lost = touch(device) == device_code::lost && touch(device) == device_code::lost;
    ops_->close(device);
    ::_exit(is_lost ? 0 : 1);
  }
  int ended = 0;
  ASSERT_EQ(::waitpid(child, &ended, 0), child);
  EXPECT_TRUE(WIFEXITED(ended));
  EXPECT_EQ(WEXITSTATUS(ended), 0);
  EXPECT_EQ(touch(device), before);
  EXPECT_NE(before, device_code::lost);
  ops_->close(device);
}

}  // namespace
}  // namespace sheaf
