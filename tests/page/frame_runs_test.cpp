/// \file
/// The runs of contiguous arrays that come and go.
#include <gtest/gtest.h>

#include <sheaf/page/frame_runs.hpp>

namespace {

using namespace sheaf;  // NOLINT: tests of one library

TEST(FrameRuns, APlaceOfARunThatIsGoneIsUsedAgain) {
  page_allocator_options options;
  const auto allocator = page_allocator::create(options).value();
  frame_runs runs;
  for (std::uint32_t round = 0; round < 100; ++round) {
    const std::uint32_t count = 1 + round % 7;
    const frame_id first = allocator->allocate_run(page_class::b256, count);
    ASSERT_NE(first, no_frame);
    runs.add(40, count, page_class::b256, index_of(first));
    ASSERT_NE(runs.find(40), nullptr);
    EXPECT_EQ(runs.find(40)->count, count);
    // Its array goes: the last version is freed frame by frame, some time later.
    runs.move(*runs.find(40), frame_runs::none, *allocator);
    runs.reorder();
    EXPECT_EQ(runs.find(40), nullptr);
    for (std::uint32_t i = 0; i < count; ++i) {
      EXPECT_TRUE(runs.free_frame(page_class::b256, index_of(first) + i, *allocator));
    }
  }
  EXPECT_EQ(runs.all().size(), 1u);
  EXPECT_TRUE(runs.is_empty());
  EXPECT_EQ(allocator->stats().total.bytes_in_use, 0u);
}

TEST(FrameRuns, APlaceWithAnExtentSomebodySeesIsNotGivenAway) {
  page_allocator_options options;
  const auto allocator = page_allocator::create(options).value();
  frame_runs runs;
  const frame_id seen = allocator->allocate_run(page_class::b64, 2);
  runs.add(0, 2, page_class::b64, index_of(seen));
  runs.move(*runs.find(0), frame_runs::none, *allocator);
  runs.reorder();
  const frame_id other = allocator->allocate_run(page_class::b64, 3);
  runs.add(0, 3, page_class::b64, index_of(other));
  EXPECT_EQ(runs.all().size(), 2u);
  EXPECT_TRUE(runs.free_frame(page_class::b64, index_of(seen), *allocator));
  EXPECT_TRUE(runs.free_frame(page_class::b64, index_of(seen) + 1, *allocator));
  EXPECT_FALSE(runs.free_frame(page_class::b64, index_of(seen), *allocator)) << "of none";
  EXPECT_EQ(runs.find(0)->count, 3u);
}

}  // namespace
