#include "cuda/memory/frame_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "arena_rig.hpp"

namespace device_test {
namespace {

using rig = arena_rig;
constexpr page_class big = page_class::b4k;
constexpr std::uint32_t in_step = step / 4096;

TEST(FramePool, HandsOutTheFrameFreedLast) {
  rig at;
  const frame_id a = at.pool->allocate(big, &at.why);
  const frame_id b = at.pool->allocate(big, &at.why);
  EXPECT_NE(a, b);
  at.pool->deallocate(big, a);
  at.pool->deallocate(big, b);
  EXPECT_EQ(at.pool->allocate(big, &at.why), b);
  EXPECT_EQ(at.pool->allocate(big, &at.why), a);
}

TEST(FramePool, RefusesAtTheLimitAndGoesOnAfterAFree) {
  rig at(2 * step);
  std::vector<frame_id> held;
  for (std::uint32_t i = 0; i < 2 * in_step; ++i) {
    held.push_back(at.pool->allocate(big, &at.why));
    ASSERT_NE(held.back(), no_frame);
  }
  EXPECT_EQ(at.pool->allocate(big, &at.why), no_frame);
  EXPECT_EQ(at.why.code, device_code::out_of_memory);
  EXPECT_EQ(at.pool->allocate(page_class::b64, &at.why), no_frame);
  at.pool->deallocate(big, held[7]);
  EXPECT_EQ(at.pool->allocate(big, &at.why), held[7]);
}

TEST(FramePool, ReservesForAllClassesOrForNone) {
  rig at(4 * step);
  class_counts counts{};
  counts[0] = 1;
  counts[3] = 1;
  counts[6] = 3 * in_step;
  const std::size_t outstanding = at.device.outstanding();
  EXPECT_EQ(at.pool->reserve(counts, &at.why), device_code::out_of_memory);
  EXPECT_EQ(at.device.outstanding(), outstanding);
  EXPECT_EQ(at.arena->figures().bytes_held, 0u);
  counts[6] = 2 * in_step;
  ASSERT_EQ(at.pool->reserve(counts, &at.why), device_code::ok);
  const std::uint64_t growths = at.arena->figures().growths;
  for (unsigned i = 0; i < page_class_count; ++i) {
    for (std::uint32_t n = 0; n < counts[i]; ++n) {
      ASSERT_NE(at.pool->allocate(static_cast<page_class>(i), &at.why), no_frame);
    }
  }
  EXPECT_EQ(at.arena->figures().growths, growths) << "a reserved allocation took memory";
}

TEST(FramePool, ReusesARetiredFrameOnlyWhenTheDeviceHasFinishedItsEpoch) {
  rig at(step);
  std::vector<frame_id> held;
  for (std::uint32_t i = 0; i < in_step; ++i) held.push_back(at.pool->allocate(big, &at.why));
  at.pool->retire(big, held[0], 5);
  at.pool->retire(big, held[1], 5);
  at.pool->retire(big, held[2], 6);
  EXPECT_EQ(at.pool->collect(), 0u);
  EXPECT_EQ(at.pool->allocate(big, &at.why), no_frame);
  at.word.finish(4);
  EXPECT_EQ(at.pool->collect(), 0u);
  at.word.finish(5);
  EXPECT_EQ(at.pool->collect(), 2u);
  EXPECT_EQ(at.pool->figures().retired[6], 1u);
  EXPECT_EQ(at.pool->allocate(big, &at.why), held[1]);
  EXPECT_EQ(at.pool->allocate(big, &at.why), held[0]);
  EXPECT_EQ(at.pool->allocate(big, &at.why), no_frame);
  at.word.finish(900);
  EXPECT_EQ(at.pool->collect(), 1u);
  EXPECT_TRUE(at.pool->is_consistent());
}

TEST(FramePool, WaitsForMoreEpochsThanItMarksAndGivesNothingBackEarly) {
  rig at;
  constexpr std::uint32_t epochs = 3 * retire_queue::epochs_max;
  std::vector<frame_id> held(epochs);
  for (frame_id& frame : held) frame = at.pool->allocate(page_class::b64, &at.why);
  for (std::uint32_t i = 0; i < epochs; ++i) at.pool->retire(page_class::b64, held[i], i + 1);
  std::uint32_t back = 0;
  for (std::uint64_t finished = 1; finished <= epochs; ++finished) {
    at.word.finish(finished);
    back += at.pool->collect();
    ASSERT_LE(back, finished) << "given back before the device was done with it";
  }
  EXPECT_EQ(back, epochs);
}

TEST(FramePool, TrimGivesBackEverythingAboveTheHighestFrameInUse) {
  rig at;
  std::vector<frame_id> held;
  for (std::uint32_t i = 0; i < 4 * in_step; ++i) held.push_back(at.pool->allocate(big, &at.why));
  std::mt19937 random(1);
  std::shuffle(held.begin(), held.end(), random);
  const frame_id kept{in_step + 3};
  for (const frame_id frame : held) {
    if (frame != kept) at.pool->deallocate(big, frame);
  }
  EXPECT_EQ(at.pool->trim(), 2 * step);
  EXPECT_TRUE(at.pool->is_consistent());
  EXPECT_EQ(at.pool->allocate(big, &at.why), frame_id{0}) << "low ids first after a trim";
  std::set<frame_id> again{kept, frame_id{0}};
  for (std::uint32_t i = 2; i < 5 * in_step; ++i) {
    EXPECT_TRUE(again.insert(at.pool->allocate(big, &at.why)).second) << "handed out twice";
  }
  EXPECT_TRUE(at.pool->is_consistent());
}

TEST(FramePool, TrimKeepsWhatIsRetired) {
  rig at;
  std::vector<frame_id> held;
  for (std::uint32_t i = 0; i < 2 * in_step; ++i) held.push_back(at.pool->allocate(big, &at.why));
  for (const frame_id frame : held) {
    if (index_of(frame) == 2 * in_step - 1) {
      at.pool->retire(big, frame, 1);
    } else {
      at.pool->deallocate(big, frame);
    }
  }
  EXPECT_EQ(at.pool->trim(), 0u);
  at.word.finish(1);
  EXPECT_EQ(at.pool->collect(), 1u);
  EXPECT_EQ(at.pool->trim(), 2 * step);
}

TEST(FramePool, ARunHasConsecutiveIdsAndNeighbouringAddresses) {
  rig at;
  ASSERT_NE(at.pool->allocate(big, &at.why), no_frame);
  frame_id first = no_frame;
  ASSERT_EQ(at.pool->allocate_run(big, 3 * in_step, &first, &at.why), device_code::ok);
  EXPECT_EQ(first, frame_id{1});
  EXPECT_EQ(at.arena->address(big, frame_id{3 * in_step}) - at.arena->address(big, first),
            std::ptrdiff_t{(3 * in_step - 1) * 4096});
  EXPECT_EQ(at.pool->allocate_run(big, 1u << 30, &first, &at.why), device_code::out_of_memory);
  EXPECT_EQ(at.pool->allocate(big, &at.why), frame_id{3 * in_step + 1});
}

TEST(FramePool, ResetMakesAllFramesFresh) {
  rig at;
  for (int i = 0; i < 5; ++i) static_cast<void>(at.pool->allocate(big, &at.why));
  at.pool->deallocate(big, frame_id{2});
  at.pool->retire(big, frame_id{3}, 9);
  const std::uint64_t growths = at.arena->figures().growths;
  at.pool->reset();
  EXPECT_EQ(at.pool->figures().in_use[6], 0u);
  EXPECT_EQ(at.pool->figures().retired[6], 0u);
  for (std::uint32_t i = 0; i < in_step; ++i) {
    EXPECT_EQ(at.pool->allocate(big, &at.why), frame_id{i});
  }
  EXPECT_EQ(at.arena->figures().growths, growths);
}

TEST(FramePool, EveryRefusedCallLeavesItAsItWas) {
  for (std::uint64_t call = 0;; ++call) {
    rig at;
    for (int i = 0; i < 3; ++i) static_cast<void>(at.pool->allocate(big, &at.why));
    class_counts counts{};
    counts[1] = 2000;
    counts[6] = 2 * in_step;
    const std::size_t outstanding = at.device.outstanding();
    const frame_pool_figures before = at.pool->figures();
    at.device.fail_call(call);
    if (at.pool->reserve(counts, &at.why) == device_code::ok) {
      EXPECT_GE(call, 4u);
      break;
    }
    EXPECT_EQ(at.device.outstanding(), outstanding) << "call " << call;
    EXPECT_EQ(at.pool->figures().free, before.free);
    EXPECT_EQ(at.pool->figures().in_use, before.in_use);
    EXPECT_TRUE(at.pool->is_consistent());
    at.device.fail_none();
    EXPECT_EQ(at.pool->reserve(counts, &at.why), device_code::ok);
  }
}

std::uint64_t seed() {
  const char* const given = std::getenv("SHEAF_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

/// Random calls beside a plain set of what is handed out.
TEST(FramePool, NeverHandsAFrameOutTwice) {
  const std::uint64_t chosen = seed();
  SCOPED_TRACE("SHEAF_SEED=" + std::to_string(chosen));
  std::mt19937_64 random(chosen);
  rig at(24 * step);
  std::set<std::pair<page_class, frame_id>> held, retired;
  std::vector<std::pair<std::uint64_t, std::pair<page_class, frame_id>>> waiting;
  std::uint64_t epoch = 1;
  for (int i = 0; i < 20'000; ++i) {
    const auto size = static_cast<page_class>(random() % page_class_count);
    const std::uint64_t what = random() % 100;
    if (what < 55 || held.empty()) {
      const frame_id frame = at.pool->allocate(size, &at.why);
      if (frame == no_frame) continue;
      ASSERT_TRUE(held.emplace(size, frame).second) << "handed out twice";
      ASSERT_FALSE(retired.contains({size, frame})) << "handed out while the device reads it";
    } else if (what < 98) {
      auto one = held.lower_bound({size, frame_id{static_cast<std::uint32_t>(random() % 4096)}});
      if (one == held.end()) one = held.begin();
      if (what < 75) {
        at.pool->deallocate(one->first, one->second);
      } else {
        at.pool->retire(one->first, one->second, epoch);
        retired.insert(*one);
        waiting.emplace_back(epoch, *one);
      }
      held.erase(one);
      epoch += random() % 8 == 0;
    } else if (what == 98) {
      const std::uint64_t finished = epoch - std::min<std::uint64_t>(epoch, random() % 10);
      if (finished > at.word.finished()) at.word.finish(finished);
      at.pool->collect();
      std::erase_if(waiting, [&](const auto& one) {
        if (one.first > at.word.finished()) return false;
        retired.erase(one.second);
        return true;
      });
    } else {
      static_cast<void>(at.pool->trim());
    }
  }
  EXPECT_TRUE(at.pool->is_consistent());
}

}  // namespace
}  // namespace device_test
