#include "cuda/memory/hooked_memory.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "cuda/memory/device_arena.hpp"
#include "fake_device.hpp"
#include "host_allocator.hpp"

namespace device_test {
namespace {

struct rig {
  explicit rig(std::uint64_t bytes_max = ~std::uint64_t{0},
               arena_mode mode = arena_mode::plain)
      : hooked(allocator.hook(), device.memory()) {
    device_arena_options options;
    options.range_bytes = 4 * step;
    options.bytes_max = bytes_max;
    options.mode = mode;
    EXPECT_EQ(device_arena::create(options, hooked.memory(), &arena, &why), device_code::ok);
  }
  fake_device device;
  host_allocator allocator;
  hooked_memory hooked;
  device_error why;
  std::unique_ptr<device_arena> arena;
};

TEST(HookedMemory, AClassIsOneAllocationMadeWhenItIsFirstUsed) {
  rig at;
  EXPECT_EQ(at.allocator.calls, 0u);
  ASSERT_EQ(at.arena->grow_to(page_class::b4k, 1, &at.why), device_code::ok);
  EXPECT_EQ(at.allocator.bytes, 4 * step);
  EXPECT_EQ(at.arena->figures().bytes_held, 4 * step);
  ASSERT_EQ(at.arena->grow_to(page_class::b4k, 4 * step / 4096, &at.why), device_code::ok);
  std::memset(at.arena->address(page_class::b4k, frame_id{0}), 1, 4 * step);
  EXPECT_EQ(at.allocator.calls, 1u);
  EXPECT_EQ(at.arena->grow_to(page_class::b4k, 4 * step / 4096 + 1, &at.why),
            device_code::out_of_memory);
  EXPECT_EQ(at.arena->trim_to(page_class::b4k, 0), 0u);
  at.arena.reset();
  EXPECT_EQ(at.allocator.bytes, 0u);
}

TEST(HookedMemory, ARefusalOrTheLimitChangesNothing) {
  rig at(6 * step);
  at.allocator.refuses = true;
  EXPECT_EQ(at.arena->grow_to(page_class::b64, 1, &at.why), device_code::out_of_memory);
  EXPECT_EQ(at.arena->figures().bytes_held, 0u);
  at.allocator.refuses = false;
  EXPECT_EQ(at.arena->grow_all_to({1, 1, 0, 0, 0, 0, 0}, &at.why), device_code::out_of_memory);
  EXPECT_EQ(at.allocator.bytes, 0u) << "the first class was given back";
  EXPECT_EQ(at.arena->frame_limit(page_class::b64), 0u);
  EXPECT_EQ(at.arena->grow_to(page_class::b128, 1, &at.why), device_code::ok);
}

TEST(HookedMemory, ServesTheCheckedArenaToo) {
  rig at(~std::uint64_t{0}, arena_mode::checked);
  ASSERT_EQ(at.arena->grow_to(page_class::b64, 5, &at.why), device_code::ok);
  EXPECT_EQ(at.arena->check_all(nullptr, &at.why), device_code::ok);
  at.arena->address(page_class::b64, frame_id{2})[64] ^= std::byte{4};
  zone_damage found{};
  EXPECT_EQ(at.arena->check_all(&found, &at.why), device_code::invalid);
  EXPECT_EQ(found.frame, 2u);
  at.arena.reset();
  EXPECT_EQ(at.allocator.bytes, 0u);
}

}  // namespace
}  // namespace device_test
