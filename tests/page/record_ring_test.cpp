// The ring between a host and a device: a thread plays the device.
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "cuda/page/record_ring.hpp"
#include "page/device_rig.hpp"

namespace {

using namespace sheaf;
using answer = record_ring::answer;

TEST(RecordRing, IsFullUntilTheOldestPartIsDone) {
  std::uint64_t done = 0;
  record_ring ring(1024, &done);
  ASSERT_EQ(ring.part_bytes_max(), 512u);
  EXPECT_EQ(ring.reserve(513).what, answer::too_large);
  const auto first = ring.reserve(512), second = ring.reserve(500);
  EXPECT_EQ(first.what, answer::ok);
  EXPECT_EQ(first.offset, 0u);
  EXPECT_EQ(second.offset, 512u);
  EXPECT_EQ(ring.reserve(1).what, answer::full);
  EXPECT_EQ(ring.newest(), 2u);
  done = first.number;
  const auto third = ring.reserve(64);
  EXPECT_EQ(third.what, answer::ok);
  EXPECT_EQ(third.offset, 0u);
  EXPECT_EQ(ring.reserve(512).what, answer::full);
}

TEST(RecordRing, SkipsWhatIsLeftBeforeTheEnd) {
  std::uint64_t done = 0;
  record_ring ring(1024, &done);
  EXPECT_EQ(ring.reserve(384).offset, 0u);
  EXPECT_EQ(ring.reserve(384).offset, 384u);
  done = 1;
  EXPECT_EQ(ring.reserve(320).offset, 0u);
  EXPECT_EQ(ring.reserve(128).what, answer::full);
  EXPECT_EQ(ring.reserve(64).offset, 320u);
}

TEST(RecordRing, TakesBackWhatAPartDidNotNeed) {
  std::uint64_t done = 0;
  record_ring ring(1024, &done);
  EXPECT_EQ(ring.reserve(512).offset, 0u);
  ring.shrink(65);
  EXPECT_EQ(ring.reserve(512).offset, 128u);
}

TEST(RecordRing, HoldsNoMorePartsThanItCanName) {
  std::uint64_t done = 0;
  record_ring ring(1 << 20, &done);
  for (std::uint32_t i = 0; i < record_ring::parts_max; ++i) {
    ASSERT_EQ(ring.reserve(64).what, answer::ok);
  }
  EXPECT_EQ(ring.reserve(64).what, answer::full);
  done = 1;
  EXPECT_EQ(ring.reserve(64).what, answer::ok);
}

// Parts of random lengths whose every word tells the part: were one overwritten before its number
// was posted, the reader would see another's words.
TEST(RecordRing, NeverOverwritesWhatTheDeviceHasNotRead) {
  sheaf_test::random_numbers random(page_test::seed_of("RecordRing"));
  struct sent {
    std::uint64_t number;
    std::size_t offset, words;
  };
  constexpr std::uint64_t part_count = 2000;
  std::uint64_t done = 0;
  record_ring ring(4096, &done);
  std::vector<std::uint64_t> memory(4096 / 8);
  std::vector<sent> parts(part_count + 1);
  std::atomic<std::uint64_t> doorbell{0}, wrong{0};
  std::thread device([&] {
    for (std::uint64_t next = 1; next <= part_count; ++next) {
      while (doorbell.load(std::memory_order_acquire) < next) std::this_thread::yield();
      const sent& part = parts[next];
      for (std::size_t i = 0; i < part.words; ++i) {
        if (memory[part.offset / 8 + i] != part.number * 1000 + i) wrong.fetch_add(1);
      }
      std::atomic_ref<std::uint64_t>(done).store(next, std::memory_order_release);
    }
  });
  std::uint64_t full = 0;
  for (std::uint64_t number = 1; number <= part_count; ++number) {
    const std::size_t bytes = 8 + 8 * (random() % 250);
    auto place = ring.reserve(bytes);
    for (; place.what == answer::full; place = ring.reserve(bytes)) {
      ++full;
      std::this_thread::yield();
    }
    ASSERT_EQ(place.what, answer::ok);
    ASSERT_EQ(place.number, number);
    const std::size_t words = random() % 2 == 0 ? bytes / 8 : 1;
    for (std::size_t i = 0; i < words; ++i) memory[place.offset / 8 + i] = number * 1000 + i;
    ring.shrink(words * 8);
    parts[number] = {number, place.offset, words};
    doorbell.store(number, std::memory_order_release);
  }
  device.join();
  EXPECT_EQ(wrong.load(), 0u);
  EXPECT_GT(full, 0u);
  EXPECT_EQ(ring.posted(), part_count);
}

}  // namespace
