/// \file
/// The slots of writing threads: shares counted apart hold the owner as long as one is left, and no
/// longer.
#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "engine/writer_slots.hpp"

namespace engine_test {
namespace {

using namespace sheaf;  // NOLINT: tests of one library

std::atomic<int> alive{0};

struct counted_owner {
  counted_owner() { ++alive; }
  ~counted_owner() { --alive; }
  counted_owner(const counted_owner&) = delete;
  counted_owner& operator=(const counted_owner&) = delete;
  writer_slots<std::vector<int>, counted_owner> slots;
};

TEST(WriterSlots, SharesOfManyThreadsHoldTheOwnerUntilTheLastIsGone) {
  for (int round = 0; round < 20; ++round) {
    auto first = std::make_shared<counted_owner>();
    std::vector<std::vector<std::shared_ptr<counted_owner>>> last(8);
    std::vector<std::thread> writers;
    for (auto& kept : last) {
      writers.emplace_back([&kept, &first] {
        for (int i = 0; i < 100; ++i) kept.push_back(first->slots.share(first));
      });
    }
    for (std::thread& writer : writers) writer.join();
    // Each thread's is counted by itself: the first is shared by the slots, not by the writers.
    EXPECT_LE(first.use_count(), 1 + 8);
    first->slots.drop_shares();
    first.reset();
    EXPECT_EQ(alive, 1);
    while (last.size() > 1) last.pop_back();
    EXPECT_EQ(alive, 1);
    last.clear();
    ASSERT_EQ(alive, 0);
  }
}

TEST(WriterSlots, AreAloneWithOneOpenTransactionOfWhicheverThread) {
  writer_slots<std::vector<int>, counted_owner> slots;
  EXPECT_TRUE(slots.is_alone());
  const auto mine = slots.enter();
  EXPECT_TRUE(slots.is_alone());
  std::thread([&] {
    const auto other = slots.enter();
    EXPECT_FALSE(slots.is_alone());
    slots.leave(mine);
    EXPECT_TRUE(slots.is_alone());
    slots.leave(other);
  }).join();
  const auto again = slots.enter();
  const auto twice = slots.enter();
  EXPECT_FALSE(slots.is_alone());
  slots.leave(again);
  slots.leave(twice);
  EXPECT_TRUE(slots.is_alone());
}

}  // namespace
}  // namespace engine_test
