#include "cuda/memory/frame_credits.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include "arena_rig.hpp"

namespace device_test {
namespace {

/// A device's stacks of frames, and what the host does to fill them.
struct device_stacks {
  device_stacks() {
    for (unsigned i = 0; i < page_class_count; ++i) {
      arrays[i].resize(4096);
      stacks[i] = {arrays[i].data(), static_cast<std::uint32_t>(arrays[i].size()), 0, 0, 0};
    }
  }
  void take(const std::array<credit_grant, page_class_count>& grants) {
    for (unsigned i = 0; i < page_class_count; ++i) {
      EXPECT_EQ(static_cast<std::uint32_t>(stacks[i].count), grants[i].begin);
      std::copy(grants[i].ids.begin(), grants[i].ids.end(), arrays[i].begin() + grants[i].begin);
      stacks[i].count = static_cast<std::int32_t>(grants[i].begin + grants[i].ids.size());
    }
  }
  std::vector<std::uint32_t> arrays[page_class_count];
  frame_stack stacks[page_class_count];
};

struct rig : arena_rig {
  using arena_rig::arena_rig;
  credit_report report{};
  device_stacks gpu;
  std::array<credit_grant, page_class_count> grants;
  std::unique_ptr<frame_credits> credits = std::make_unique<frame_credits>(*pool);
};
constexpr page_class big = page_class::b4k;

TEST(FrameStack, PopsWhatWasPushedFromTheTop) {
  std::uint32_t ids[4];
  frame_stack stack{ids, 4, 0, 0, 0};
  const std::uint32_t pushed[3] = {7, 8, 9};
  push_frames(stack, 3, pushed);
  settle(stack);
  std::uint32_t popped[2];
  ASSERT_EQ(pop_frames(stack, 2, popped), 2u);
  EXPECT_EQ(popped[0], 9u);
  EXPECT_EQ(popped[1], 8u);
  EXPECT_EQ(pop_frame(stack), frame_id{7});
  EXPECT_EQ(pop_frame(stack), no_frame);
}

TEST(FrameStack, GivesWhatThereIsToWhoAsksForMoreAndIsWholeAfterSettling) {
  std::uint32_t ids[8];
  frame_stack stack{ids, 8, 0, 0, 0};
  const std::uint32_t pushed[5] = {1, 2, 3, 4, 5};
  push_frames(stack, 5, pushed);
  std::uint32_t popped[8];
  EXPECT_EQ(pop_frames(stack, 3, popped), 3u);
  EXPECT_EQ(pop_frames(stack, 4, popped), 2u);
  EXPECT_EQ(popped[1], 1u);
  EXPECT_EQ(pop_frames(stack, 4, popped), 0u);
  EXPECT_LT(stack.count, 0);
  settle(stack);
  push_frames(stack, 5, pushed);
  EXPECT_EQ(pop_frames(stack, 8, popped), 5u);
}

TEST(FrameStack, StoresNothingPastItsCapacityAndSaysSo) {
  std::uint32_t ids[3] = {0, 0, 77};
  frame_stack stack{ids, 2, 0, 0, 0};
  const std::uint32_t pushed[4] = {1, 2, 3, 4};
  push_frames(stack, 4, pushed);
  settle(stack);
  EXPECT_EQ(ids[2], 77u);
  EXPECT_EQ(stack.overflowed, 2u);
  EXPECT_EQ(stack.count, 2);
}

TEST(FrameCredits, CoverWhatWasAskedForAndTopUpWhatIsLeft) {
  rig at;
  class_counts needed{};
  needed[6] = 10;
  needed[0] = 3;
  ASSERT_EQ(at.credits->begin(needed, &at.grants, &at.why), device_code::ok);
  at.gpu.take(at.grants);
  std::set<frame_id> used;
  for (int i = 0; i < 4; ++i) used.insert(pop_frame(at.gpu.stacks[6]));
  report_credits(at.gpu.stacks, at.report);
  ASSERT_EQ(at.credits->finish(at.report, &at.why), device_code::ok);
  EXPECT_EQ(used.size(), 4u);
  EXPECT_EQ(at.credits->held(big), 6u);
  EXPECT_EQ(at.pool->figures().in_use[6], 10u);

  needed[6] = 8;
  ASSERT_EQ(at.credits->begin(needed, &at.grants, &at.why), device_code::ok);
  EXPECT_EQ(at.grants[6].begin, 6u);
  EXPECT_EQ(at.grants[6].ids.size(), 2u);
  EXPECT_EQ(at.grants[0].ids.size(), 0u);
  at.gpu.take(at.grants);
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(used.insert(pop_frame(at.gpu.stacks[6])).second);
  EXPECT_EQ(pop_frame(at.gpu.stacks[6]), no_frame);
  report_credits(at.gpu.stacks, at.report);
  ASSERT_EQ(at.credits->finish(at.report, &at.why), device_code::ok);
  EXPECT_EQ(at.credits->held(big), 0u);
}

TEST(FrameCredits, WhatIsLeftGoesBackToThePool) {
  rig at;
  class_counts needed{};
  needed[2] = 20;
  ASSERT_EQ(at.credits->begin(needed, &at.grants, &at.why), device_code::ok);
  at.gpu.take(at.grants);
  const frame_id used = pop_frame(at.gpu.stacks[2]);
  report_credits(at.gpu.stacks, at.report);
  ASSERT_EQ(at.credits->finish(at.report, &at.why), device_code::ok);
  at.credits->give_back();
  EXPECT_EQ(at.pool->figures().in_use[2], 1u);
  EXPECT_TRUE(at.pool->is_consistent());
  for (int i = 0; i < 100; ++i) EXPECT_NE(at.pool->allocate(page_class::b256, &at.why), used);
}

TEST(FrameCredits, ACancelledCommitHoldsWhatItHeldBefore) {
  rig at;
  class_counts needed{};
  needed[6] = 5;
  ASSERT_EQ(at.credits->begin(needed, &at.grants, &at.why), device_code::ok);
  at.gpu.take(at.grants);
  report_credits(at.gpu.stacks, at.report);
  ASSERT_EQ(at.credits->finish(at.report, &at.why), device_code::ok);
  const std::vector<std::uint32_t> before(at.credits->ids(big).begin(), at.credits->ids(big).end());
  needed[6] = 9;
  ASSERT_EQ(at.credits->begin(needed, &at.grants, &at.why), device_code::ok);
  at.credits->cancel();
  EXPECT_EQ(std::vector<std::uint32_t>(at.credits->ids(big).begin(), at.credits->ids(big).end()),
            before);
  EXPECT_EQ(at.pool->figures().in_use[6], 5u);
}

TEST(FrameCredits, TooFewAreOutOfMemoryBeforeAnythingChanges) {
  rig at(2 * step);
  class_counts needed{};
  needed[0] = 10;
  needed[6] = 2 * step / 4096;
  EXPECT_EQ(at.credits->begin(needed, &at.grants, &at.why), device_code::out_of_memory);
  EXPECT_EQ(at.arena->figures().bytes_held, 0u);
  EXPECT_EQ(at.credits->held(page_class::b64), 0u);
  needed[6] = step / 4096;
  EXPECT_EQ(at.credits->begin(needed, &at.grants, &at.why), device_code::ok);
}

TEST(FrameCredits, ReportsThatCannotBeAreRefused) {
  rig at;
  class_counts needed{};
  needed[6] = 5;
  ASSERT_EQ(at.credits->begin(needed, &at.grants, &at.why), device_code::ok);
  at.report.left[6] = 6;
  EXPECT_EQ(at.credits->finish(at.report, &at.why), device_code::invalid);
  at.report.left[6] = -1;
  EXPECT_EQ(at.credits->finish(at.report, &at.why), device_code::invalid);
  at.report.left[6] = 5;
  EXPECT_EQ(at.credits->finish(at.report, &at.why), device_code::ok);
}

TEST(FrameCredits, ACommitOfAWarmEngineTakesNoMemory) {
  rig at;
  class_counts needed{};
  needed[6] = 30;
  std::vector<frame_id> used;
  std::uint64_t growths = 0;
  for (std::uint64_t epoch = 1; epoch < 100; ++epoch) {
    ASSERT_EQ(at.credits->begin(needed, &at.grants, &at.why), device_code::ok);
    at.gpu.take(at.grants);
    // Frames that the commit before took are superseded by those of this one.
    for (const frame_id old : used) at.pool->retire(big, old, epoch);
    used.clear();
    for (int i = 0; i < 20; ++i) used.push_back(pop_frame(at.gpu.stacks[6]));
    report_credits(at.gpu.stacks, at.report);
    at.word.finish(epoch);
    ASSERT_EQ(at.credits->finish(at.report, &at.why), device_code::ok);
    at.pool->collect();
    if (epoch == 3) growths = at.arena->figures().growths;
  }
  EXPECT_EQ(at.arena->figures().growths, growths);
}

}  // namespace
}  // namespace device_test
