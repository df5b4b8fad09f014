#include "cuda/memory/device_arena.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "fake_device.hpp"

namespace device_test {
namespace {

std::unique_ptr<device_arena> make(fake_device& device, const device_arena_options& options) {
  std::unique_ptr<device_arena> made;
  device_error why;
  EXPECT_EQ(device_arena::create(options, device.memory(), &made, &why), device_code::ok)
      << why.text;
  return made;
}
device_arena_options small(arena_mode mode = arena_mode::plain) {
  device_arena_options options;
  options.range_bytes = 64 * step;
  options.growth_bytes = step;
  options.mode = mode;
  return options;
}
constexpr std::uint32_t frames_in(std::uint64_t bytes, page_class size) {
  return static_cast<std::uint32_t>(bytes >> byte_shift(size));
}

TEST(DeviceArena, TakesNothingBeforeItGrows) {
  fake_device device;
  const auto arena = make(device, small());
  EXPECT_EQ(device.calls(), 0u);
  EXPECT_EQ(arena->frame_limit(page_class::b64), 0u);
  EXPECT_EQ(arena->figures().growths, 0u);
}

TEST(DeviceArena, GrowsInWholeStepsAndNeverMoves) {
  fake_device device;
  const auto arena = make(device, small());
  device_error why;
  ASSERT_EQ(arena->grow_to(page_class::b4k, 1, &why), device_code::ok);
  EXPECT_EQ(arena->frame_limit(page_class::b4k), frames_in(step, page_class::b4k));
  std::byte* const base = arena->view().base[6];
  std::memset(arena->address(page_class::b4k, frame_id{3}), 0x5a, 4096);
  ASSERT_EQ(arena->grow_to(page_class::b4k, frames_in(3 * step, page_class::b4k) + 1, &why),
            device_code::ok);
  EXPECT_EQ(arena->frame_limit(page_class::b4k), frames_in(4 * step, page_class::b4k));
  EXPECT_EQ(arena->view().base[6], base);
  EXPECT_EQ(frame_address(arena->view(), page_class::b4k, 3), base + 3 * 4096);
  EXPECT_EQ(*frame_address(arena->view(), page_class::b4k, 3), std::byte{0x5a});
  EXPECT_EQ(arena->figures().growths, 2u);
  EXPECT_EQ(arena->figures().bytes_held, 4 * step);
  EXPECT_EQ(device.bytes_created(), 4 * step);
}

TEST(DeviceArena, GrowingToWhatIsThereCallsNothing) {
  fake_device device;
  const auto arena = make(device, small());
  device_error why;
  ASSERT_EQ(arena->grow_to(page_class::b64, 1, &why), device_code::ok);
  const std::uint64_t calls = device.calls();
  ASSERT_EQ(arena->grow_to(page_class::b64, frames_in(step, page_class::b64), &why),
            device_code::ok);
  EXPECT_EQ(device.calls(), calls);
}

TEST(DeviceArena, TakesMoreAtOnceWhereAskedAndOnlyWhatIsNeededNearTheLimit) {
  fake_device device;
  device_arena_options options = small();
  options.growth_bytes = 4 * step;
  options.bytes_max = 6 * step;
  const auto arena = make(device, options);
  device_error why;
  ASSERT_EQ(arena->grow_to(page_class::b128, 1, &why), device_code::ok);
  EXPECT_EQ(arena->figures().bytes_held, 4 * step);
  ASSERT_EQ(arena->grow_to(page_class::b256, 1, &why), device_code::ok);
  EXPECT_EQ(arena->figures().bytes_held, 5 * step);
}

TEST(DeviceArena, RefusesPastItsLimitBeforeAnythingIsTaken) {
  fake_device device;
  device_arena_options options = small();
  options.bytes_max = 3 * step;
  const auto arena = make(device, options);
  device_error why;
  ASSERT_EQ(arena->grow_to(page_class::b1k, frames_in(2 * step, page_class::b1k), &why),
            device_code::ok);
  const std::size_t outstanding = device.outstanding();
  EXPECT_EQ(arena->grow_to(page_class::b1k, frames_in(4 * step, page_class::b1k), &why),
            device_code::out_of_memory);
  EXPECT_EQ(why.code, device_code::out_of_memory);
  EXPECT_NE(std::strstr(why.text, "limit"), nullptr) << why.text;
  EXPECT_EQ(device.outstanding(), outstanding);
  EXPECT_EQ(arena->frame_limit(page_class::b1k), frames_in(2 * step, page_class::b1k));
  EXPECT_EQ(arena->figures().bytes_held, 2 * step);
}

TEST(DeviceArena, RefusesMoreThanItsRangeHolds) {
  fake_device device;
  const auto arena = make(device, small());
  device_error why;
  EXPECT_EQ(arena->grow_to(page_class::b4k, frames_in(64 * step, page_class::b4k) + 1, &why),
            device_code::out_of_memory);
  EXPECT_EQ(device.outstanding(), 0u);
}

TEST(DeviceArena, TrimsWholeChunksFromTheEndAlone) {
  fake_device device;
  const auto arena = make(device, small());
  device_error why;
  for (std::uint32_t steps = 1; steps <= 4; ++steps) {
    ASSERT_EQ(arena->grow_to(page_class::b4k, frames_in(steps * step, page_class::b4k), &why),
              device_code::ok);
  }
  const std::byte* const base = arena->view().base[6];
  const std::uint32_t in_step = frames_in(step, page_class::b4k);
  EXPECT_EQ(arena->trim_to(page_class::b4k, 2 * in_step + 1), step);
  EXPECT_EQ(arena->frame_limit(page_class::b4k), 3 * in_step);
  EXPECT_EQ(arena->trim_to(page_class::b4k, 0), 3 * step);
  EXPECT_EQ(arena->figures().bytes_held, 0u);
  EXPECT_EQ(device.bytes_created(), 0u);
  ASSERT_EQ(arena->grow_to(page_class::b4k, 1, &why), device_code::ok);
  EXPECT_EQ(arena->view().base[6], base);
}

/// Every way of making an arena, and a growth of several classes at once in it.
class EveryCallFails : public testing::TestWithParam<arena_mode> {};

TEST_P(EveryCallFails, AndNothingLeaksOrChanges) {
  const bool few = GetParam() != arena_mode::plain;  // there, every frame is several calls
  const std::array<std::uint32_t, page_class_count> first{5, 0, 0, 0, 0, 0, 2};
  const std::array<std::uint32_t, page_class_count> second{few ? 9u : 3000u, 7, 0, 0, 0, 1, 20};
  bool was_refused = true;
  std::uint64_t tried = 0;
  for (; was_refused; ++tried) {
    fake_device device;
    const auto arena = make(device, small(GetParam()));
    device_error why;
    ASSERT_EQ(arena->grow_all_to(first, &why), device_code::ok) << why.text;
    const std::size_t outstanding = device.outstanding();
    const device_arena_figures figures = arena->figures();
    const frame_view view = arena->view();
    device.fail_call(tried);
    const device_code code = arena->grow_all_to(second, &why);
    was_refused = code != device_code::ok;
    if (!was_refused) break;
    EXPECT_EQ(code, device_code::out_of_memory);
    EXPECT_EQ(device.outstanding(), outstanding) << "call " << tried;
    EXPECT_EQ(arena->figures().bytes_held, figures.bytes_held);
    EXPECT_EQ(std::memcmp(arena->view().base, view.base, sizeof view.base), 0) << "call " << tried;
    device.fail_none();
    ASSERT_EQ(arena->grow_all_to(second, &why), device_code::ok) << why.text;
    EXPECT_GE(arena->frame_limit(page_class::b64), second[0]);
    EXPECT_EQ(arena->check_all(nullptr, &why), device_code::ok) << why.text;
  }
  EXPECT_GE(tried, 12u);
}
INSTANTIATE_TEST_SUITE_P(DeviceArena, EveryCallFails,
                         testing::Values(arena_mode::plain, arena_mode::checked,
                                         arena_mode::isolated));

TEST(DeviceArena, GrowsAfterTheLayerBelowRefusedTheLargerAmount) {
  fake_device device;
  device_arena_options options = small();
  options.growth_bytes = 8 * step;
  const auto arena = make(device, options);
  device_error why;
  device.fail_call(1);  // the create after the reserve
  ASSERT_EQ(arena->grow_to(page_class::b64, 1, &why), device_code::ok);
  EXPECT_EQ(arena->figures().bytes_held, step);
}

TEST(DeviceArena, AnAbandonedArenaCallsNothing) {
  fake_device device;
  auto arena = make(device, small());
  device_error why;
  ASSERT_EQ(arena->grow_to(page_class::b64, 1, &why), device_code::ok);
  const physical_memory memory = device.memory();
  std::byte* const base = arena->view().base[0];
  arena->abandon();
  arena.reset();
  EXPECT_EQ(device.outstanding(), 3u);
  memory.unmap(&device, base, step);
  memory.release(&device, 1);
  memory.unreserve(&device, base, 64 * step);
}

TEST(CheckedArena, GivesEachFrameItsOwnAllocationWithACommonAccessor) {
  fake_device device;
  const auto arena = make(device, small(arena_mode::checked));
  device_error why;
  ASSERT_EQ(arena->grow_to(page_class::b128, 10, &why), device_code::ok);
  const frame_view view = arena->view();
  EXPECT_TRUE(view.is_checked);
  for (std::uint32_t frame = 0; frame < 10; ++frame) {
    EXPECT_EQ(frame_address(view, page_class::b128, frame),
              arena->address(page_class::b128, frame_id{frame}));
    std::memset(frame_address(view, page_class::b128, frame), 0, 128);
  }
  EXPECT_EQ(arena->check_all(nullptr, &why), device_code::ok);
}

TEST(CheckedArena, NamesClassFrameAndOffsetOfAnOverrun) {
  fake_device device;
  const auto arena = make(device, small(arena_mode::checked));
  device_error why;
  ASSERT_EQ(arena->grow_to(page_class::b256, 8, &why), device_code::ok);
  ASSERT_EQ(arena->grow_to(page_class::b64, 8, &why), device_code::ok);
  for (const std::int64_t offset : {std::int64_t{-256}, std::int64_t{-1}, std::int64_t{256},
                                    std::int64_t{256 + 77}, std::int64_t{511}}) {
    std::byte* const at = arena->address(page_class::b256, frame_id{5}) + offset;
    const std::byte kept = *at;
    *at ^= std::byte{1};
    zone_damage found{};
    ASSERT_EQ(arena->check_all(&found, &why), device_code::invalid) << offset;
    EXPECT_EQ(found.size, page_class::b256);
    EXPECT_EQ(found.frame, 5u);
    EXPECT_EQ(found.offset, offset);
    EXPECT_NE(std::strstr(why.text, "frame 5"), nullptr) << why.text;
    EXPECT_EQ(arena->check(page_class::b256, frame_id{4}, &found, &why), device_code::ok);
    *at = kept;
    EXPECT_EQ(arena->check_all(&found, &why), device_code::ok);
  }
}

TEST(CheckedArena, CountsRedZonesAgainstTheLimit) {
  fake_device device;
  device_arena_options options = small(arena_mode::checked);
  options.bytes_max = step + 10 * (64 + 512);
  const auto arena = make(device, options);
  device_error why;
  ASSERT_EQ(arena->grow_to(page_class::b64, 10, &why), device_code::ok);
  EXPECT_EQ(arena->grow_to(page_class::b64, 11, &why), device_code::out_of_memory);
  EXPECT_EQ(arena->frame_limit(page_class::b64), 10u);
}

TEST(ArenaMode, ObeysTheEnvironmentBeforeTheSettings) {
  ::unsetenv("SHEAF_ARENA");
  device_settings settings;
  EXPECT_EQ(arena_mode_of(settings), arena_mode::plain);
  settings.is_checked = true;
  EXPECT_EQ(arena_mode_of(settings), arena_mode::checked);
  ::setenv("SHEAF_ARENA", "isolated", 1);
  EXPECT_EQ(arena_mode_of(settings), arena_mode::isolated);
  settings.is_checked = false;
  ::setenv("SHEAF_ARENA", "checked", 1);
  EXPECT_EQ(arena_mode_of(settings), arena_mode::checked);
  ::unsetenv("SHEAF_ARENA");
}

}  // namespace
}  // namespace device_test
