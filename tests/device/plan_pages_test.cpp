/// \file
/// The pages of a plan over a device that is host memory: who gets which frame, what another plan
/// reuses, what is left after a refusal, and that one formula finds checked pages, too.
#include "cuda/propagate/plan_pages.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "cuda/memory/hooked_memory.hpp"
#include "device/plan_of_pages.hpp"
#include "memory/fake_device.hpp"
#include "memory/host_allocator.hpp"

namespace device_test {
namespace {

struct rig {
  explicit rig(arena_mode mode = arena_mode::plain, bool is_hooked = false,
               std::uint64_t bytes_max = ~std::uint64_t{0}) {
    physical_memory below = device.memory();
    if (is_hooked) below = hooked.emplace(allocator.hook(), below).memory();
    device_arena_options options;
    options.range_bytes = 1024 * step;
    options.growth_bytes = step;
    options.bytes_max = bytes_max;
    options.mode = mode;
    EXPECT_EQ(device_arena::create(options, below, &arena, &why), device_code::ok);
    pages.emplace(*arena);
  }
  [[nodiscard]] device_code place(const class_counts& counts) {
    const plan_of plan(counts);
    return pages->place(plan.view(), &why);
  }
  /// Writes all bytes of all pages, each page's its own, and reads them again.
  [[nodiscard]] bool pages_are_apart() {
    const device_pages view = pages->view(pages->numbers().data());
    for (std::uint32_t slot = 0; slot < pages->numbers().size(); ++slot) {
      const page_class size = pages->classes()[slot];
      std::memset(view.page(slot, size), static_cast<int>(slot * 37 + 1) & 0xff, bytes_of(size));
    }
    for (std::uint32_t slot = 0; slot < pages->numbers().size(); ++slot) {
      const page_class size = pages->classes()[slot];
      const std::byte* const at = view.page(slot, size);
      for (std::size_t i = 0; i < bytes_of(size); ++i) {
        if (at[i] != static_cast<std::byte>(slot * 37 + 1)) return false;
      }
    }
    return true;
  }
  [[nodiscard]] std::uint64_t bytes_held() const { return arena->figures().bytes_held; }

  fake_device device;
  host_allocator allocator;
  std::optional<hooked_memory> hooked;
  device_error why;
  std::unique_ptr<device_arena> arena;
  std::optional<plan_pages> pages;
};
constexpr class_counts some{300, 7, 0, 20, 1, 0, 150};

class PagesOfEachMode : public testing::TestWithParam<std::tuple<arena_mode, bool>> {
 protected:
  rig at{std::get<0>(GetParam()), std::get<1>(GetParam())};
};
INSTANTIATE_TEST_SUITE_P(PlanPages, PagesOfEachMode,
                         testing::Combine(testing::Values(arena_mode::plain, arena_mode::checked,
                                                          arena_mode::isolated),
                                          testing::Bool()));

TEST_P(PagesOfEachMode, AreFoundByOneFormulaAndOverlapNowhere) {
  ASSERT_EQ(at.place(some), device_code::ok) << at.why.text;
  EXPECT_EQ(at.pages->counts(), some);
  EXPECT_TRUE(at.pages_are_apart());
  EXPECT_EQ(at.pages->check(&at.why), device_code::ok) << at.why.text;
  class_counts next{};
  for (std::uint32_t slot = 0; slot < at.pages->numbers().size(); ++slot) {
    const page_class size = at.pages->classes()[slot];
    const frame_id frame{next[static_cast<unsigned>(size)]++};
    ASSERT_EQ(at.pages->address(slot), at.arena->address(size, frame)) << slot;
  }
}

TEST_P(PagesOfEachMode, AreThoseOfThePlanBeforeWhereTheyAreEnough) {
  ASSERT_EQ(at.place(some), device_code::ok);
  const std::uint64_t calls = at.device.calls(), allocations = at.allocator.calls;
  const std::uint64_t growths = at.arena->figures().growths;
  ASSERT_EQ(at.place(some), device_code::ok);
  EXPECT_TRUE(at.pages_are_apart());
  if (std::get<0>(GetParam()) != arena_mode::plain && std::get<1>(GetParam())) return;
  EXPECT_EQ(at.device.calls(), calls);
  EXPECT_EQ(at.allocator.calls, allocations);
  EXPECT_EQ(at.arena->figures().growths, growths);
}

TEST_P(PagesOfEachMode, GrowWithAPlanAndAreAllGivenBack) {
  ASSERT_EQ(at.place({3, 0, 0, 0, 0, 0, 2}), device_code::ok);
  for (std::uint32_t more = 1; more < 200; more += 40) {
    ASSERT_EQ(at.place({3 + 20 * more, more, 0, 0, 0, 0, 2 + more}), device_code::ok);
    ASSERT_TRUE(at.pages_are_apart());
  }
  at.pages->give_back();
  EXPECT_TRUE(at.pages->numbers().empty());
  if (std::get<0>(GetParam()) == arena_mode::plain) EXPECT_EQ(at.bytes_held(), 0u);
  ASSERT_EQ(at.place(some), device_code::ok);
  EXPECT_TRUE(at.pages_are_apart());
}

/// Whichever call below is refused: no plan, no memory, and the next one loads.
TEST_P(PagesOfEachMode, AreWhollyGoneAfterARefusal) {
  const auto [mode, is_hooked] = GetParam();
  const bool is_plain = mode == arena_mode::plain;  // else every frame is several calls
  const class_counts less{is_plain ? 300u : 5u, 7, 0, 2, 1, 0, is_plain ? 150u : 3u};
  const class_counts more{is_plain ? 400u : 9u, 7, 6, 2, 1, 3, is_plain ? 250u : 4u};
  std::uint64_t tried = 0;
  for (bool was_refused = true; was_refused; ++tried) {
    ASSERT_LT(tried, 3000u);
    rig one(mode, is_hooked);
    ASSERT_EQ(one.place(less), device_code::ok);
    one.device.fail_call(tried);
    if (is_hooked) one.allocator.failing = one.allocator.calls + tried;
    was_refused = one.place(more) != device_code::ok;
    if (!was_refused) break;
    EXPECT_EQ(one.why.code, device_code::out_of_memory);
    EXPECT_TRUE(one.pages->numbers().empty());
    EXPECT_EQ(one.pages->counts(), class_counts{});
    if (is_plain) {
      EXPECT_EQ(one.bytes_held(), 0u);
      EXPECT_EQ(one.allocator.bytes, 0u);
    }
    one.device.fail_none();
    one.allocator.failing = ~std::uint64_t{0};
    ASSERT_EQ(one.place(more), device_code::ok) << one.why.text;
    ASSERT_TRUE(one.pages_are_apart());
  }
  EXPECT_GE(tried, is_hooked ? 2u : 4u);
}

TEST(PlanPages, LieOneBehindTheOtherInTheOrderOfTheirSlots) {
  rig at;
  ASSERT_EQ(at.place(some), device_code::ok);
  std::byte* last[page_class_count] = {};
  for (std::uint32_t slot = 0; slot < at.pages->numbers().size(); ++slot) {
    const page_class size = at.pages->classes()[slot];
    std::byte*& before = last[static_cast<unsigned>(size)];
    if (before != nullptr) EXPECT_EQ(at.pages->address(slot), before + bytes_of(size));
    before = at.pages->address(slot);
  }
}

TEST(PlanPages, APlanPastTheLimitIsRefusedAndTheOneBeforeIsGone) {
  rig at(arena_mode::plain, false, 8 * step);
  ASSERT_EQ(at.place({0, 0, 0, 0, 0, 0, 5 * step / 4096}), device_code::ok);
  EXPECT_EQ(at.place({0, 0, 0, 0, 0, 0, 8 * step / 4096 + 1}), device_code::out_of_memory);
  EXPECT_NE(std::strstr(at.why.text, "limit"), nullptr) << at.why.text;
  EXPECT_TRUE(at.pages->numbers().empty());
  EXPECT_EQ(at.bytes_held(), 0u);
  EXPECT_EQ(at.device.bytes_created(), 0u);
  // The limit holds for one plan, not for two at once.
  ASSERT_EQ(at.place({0, 0, 0, 0, 0, 0, 8 * step / 4096}), device_code::ok) << at.why.text;
}

TEST(PlanPages, ASmallPlanDoesNotKeepWhatALargeOneNeeded) {
  rig at;
  constexpr std::uint32_t many = 2 * device_arena::kept_bytes / 4096;
  ASSERT_EQ(at.place({0, 0, 0, 0, 0, 0, many}), device_code::ok);
  ASSERT_EQ(at.place({0, 0, 0, 0, 0, 0, many / 2}), device_code::ok);
  EXPECT_GE(at.bytes_held(), std::uint64_t{many} * 4096) << "half of it is worth keeping";
  ASSERT_EQ(at.place({0, 0, 0, 0, 0, 0, 5}), device_code::ok);
  EXPECT_EQ(at.bytes_held(), step);
}

TEST(PlanPages, AWritePastACheckedPageIsNamed) {
  rig at(arena_mode::checked);
  ASSERT_EQ(at.place({0, 0, 4, 0, 0, 0, 0}), device_code::ok);
  at.pages->address(2)[256] ^= std::byte{1};
  EXPECT_EQ(at.pages->check(&at.why), device_code::invalid);
  EXPECT_NE(std::strstr(at.why.text, "frame 2, offset 256"), nullptr) << at.why.text;
  at.pages->address(2)[256] ^= std::byte{1};
  EXPECT_EQ(at.pages->check(&at.why), device_code::ok);
}

TEST(PlanPages, CheckedPagesThatLieTooFarApartAreRefused) {
  rig at(arena_mode::checked);
  at.device.spread_blocks(std::uint64_t{100} << 30);
  ASSERT_EQ(at.place({0, 3, 0, 0, 0, 0, 2}), device_code::ok) << at.why.text;
  EXPECT_TRUE(at.pages_are_apart());
  EXPECT_EQ(at.place({0, 4, 0, 0, 0, 0, 2}), device_code::unsupported);
  EXPECT_NE(std::strstr(at.why.text, "apart"), nullptr) << at.why.text;
  EXPECT_TRUE(at.pages->numbers().empty());
}

}  // namespace
}  // namespace device_test
