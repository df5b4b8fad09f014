#include <sheaf/memory/page_allocator.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <latch>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

namespace sheaf {
namespace {

std::unique_ptr<page_allocator> make(const page_allocator_options& options = {}) {
  result<std::unique_ptr<page_allocator>> made = page_allocator::create(options);
  EXPECT_TRUE(made.has_value()) << made.error().message();
  return std::move(*made);
}

/// Writes `stamp` over the page, word by word; `is_stamped` checks that nobody else has written.
void write_stamp(page_allocator& pages, page_class size, frame_id frame, std::uint64_t stamp) {
  auto* const words = reinterpret_cast<std::uint64_t*>(pages.address(size, frame));
  for (std::size_t i = 0; i < bytes_of(size) / 8; ++i) words[i] = stamp + i;
}
bool is_stamped(page_allocator& pages, page_class size, frame_id frame, std::uint64_t stamp) {
  const auto* const words = reinterpret_cast<const std::uint64_t*>(pages.address(size, frame));
  for (std::size_t i = 0; i < bytes_of(size) / 8; ++i) {
    if (words[i] != stamp + i) return false;
  }
  return true;
}

struct churn_result {
  std::uint64_t damaged = 0;
  std::uint64_t refused = 0;
  std::uint64_t held = 0;
};

/// Allocates and frees at random; each page held carries a stamp of its own. Frees all at the end.
churn_result churn(page_allocator& pages, std::uint32_t seed, int steps, std::size_t most) {
  struct page {
    page_class size;
    frame_id frame;
    std::uint64_t stamp;
  };
  std::mt19937 random(seed);
  std::vector<page> held;
  churn_result result;
  const auto drop = [&](std::size_t place) {
    const page one = held[place];
    held[place] = held.back();
    held.pop_back();
    if (!is_stamped(pages, one.size, one.frame, one.stamp)) ++result.damaged;
    pages.deallocate(one.size, one.frame);
  };
  for (int i = 0; i < steps; ++i) {
    if (held.size() < most && random() % 2 == 0) {
      const page one{static_cast<page_class>(random() % page_class_count), no_frame,
                     (std::uint64_t{seed} << 40) + (static_cast<std::uint64_t>(i) << 8)};
      const frame_id frame = pages.allocate(one.size);
      if (frame == no_frame) {
        ++result.refused;
        continue;
      }
      held.push_back({one.size, frame, one.stamp});
      write_stamp(pages, one.size, frame, one.stamp);
    } else if (!held.empty()) {
      drop(random() % held.size());
    }
  }
  result.held = held.size();
  while (!held.empty()) drop(held.size() - 1);
  return result;
}

TEST(PageAllocatorThreads, RandomChurnOnFourThreadsKeepsEachPageItsOwners) {
  const std::uint32_t seed = 4'711;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  const auto pages = make();
  std::vector<churn_result> results(4);
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] { results[t] = churn(*pages, seed + t, 60'000, 2'000); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const churn_result& one : results) {
    EXPECT_EQ(one.damaged, 0u);
    EXPECT_EQ(one.refused, 0u);
    EXPECT_GT(one.held, 0u);
  }
  const page_allocator_stats stats = pages->stats();
  EXPECT_EQ(stats.total.frames_in_use, 0u);
  EXPECT_EQ(stats.total.frames_cached, 0u) << "threads that ended keep nothing";
  EXPECT_EQ(stats.bytes_claimed, 0u);
}

TEST(PageAllocatorThreads, ChurnAtTheLimitNeverPassesItAndLosesNothing) {
  const std::uint32_t seed = 99;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  constexpr std::size_t bytes_max = std::size_t{1} << 17;
  const auto pages = make({.bytes_max = bytes_max});
  std::atomic<bool> is_over{false};
  std::atomic<bool> is_done{false};
  std::thread watcher([&] {
    while (!is_done) {
      const page_allocator_stats stats = pages->stats();
      if (stats.bytes_claimed > bytes_max) is_over = true;
      std::this_thread::yield();
    }
  });
  std::vector<churn_result> results(4);
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] { results[t] = churn(*pages, seed + t, 40'000, 2'000); });
  }
  for (std::thread& thread : threads) thread.join();
  is_done = true;
  watcher.join();
  EXPECT_FALSE(is_over);
  std::uint64_t refused = 0;
  for (const churn_result& one : results) {
    EXPECT_EQ(one.damaged, 0u);
    refused += one.refused;
  }
  EXPECT_GT(refused, 100u);
  EXPECT_EQ(pages->stats().bytes_claimed, 0u);
  std::size_t served = 0;
  while (pages->allocate(page_class::b64) != no_frame) ++served;
  EXPECT_EQ(served, bytes_max / 64);
}

/// A ring of frame ids from one thread to one other.
class frame_ring {
 public:
  void push(frame_id frame) {
    std::atomic<std::uint32_t>& slot = slots_[tail_++ % slot_count];
    while (slot.load(std::memory_order_acquire) != 0) std::this_thread::yield();
    slot.store(index_of(frame) + 1, std::memory_order_release);
  }
  frame_id pop() {
    std::atomic<std::uint32_t>& slot = slots_[head_++ % slot_count];
    std::uint32_t value;
    while ((value = slot.load(std::memory_order_acquire)) == 0) std::this_thread::yield();
    slot.store(0, std::memory_order_release);
    return frame_id{value - 1};
  }

 private:
  static constexpr std::size_t slot_count = 1024;
  std::atomic<std::uint32_t> slots_[slot_count] = {};
  std::size_t tail_ = 0;
  std::size_t head_ = 0;
};

TEST(PageAllocatorThreads, WhatOneThreadFreesAnotherAllocates) {
  const auto pages = make();
  constexpr std::uint64_t count = 200'000;
  frame_ring ring;
  std::uint64_t damaged = 0;
  std::thread consumer([&] {
    for (std::uint64_t i = 0; i < count; ++i) {
      const frame_id frame = ring.pop();
      if (!is_stamped(*pages, page_class::b128, frame, i << 8)) ++damaged;
      pages->deallocate(page_class::b128, frame);
    }
  });
  for (std::uint64_t i = 0; i < count; ++i) {
    const frame_id frame = pages->allocate(page_class::b128);
    write_stamp(*pages, page_class::b128, frame, i << 8);
    ring.push(frame);
  }
  consumer.join();
  EXPECT_EQ(damaged, 0u);
  // The ring and four magazines are all that can be under way at once.
  EXPECT_LE(pages->stats().total.frames_created, 1024u + 8 * page_allocator::magazine_size);
  EXPECT_EQ(pages->stats().total.frames_in_use, 0u);
}

TEST(PageAllocatorThreads, AThreadsEndReturnsItsMagazines) {
  constexpr std::size_t count = 128;
  const auto pages = make({.bytes_max = count * 4096});
  std::thread([&] {
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_NE(pages->allocate(page_class::b4k), no_frame);
    }
    for (std::uint32_t i = 0; i < count; ++i) pages->deallocate(page_class::b4k, frame_id{i});
    EXPECT_EQ(pages->stats().total.frames_cached, count);
  }).join();
  EXPECT_EQ(pages->stats().total.frames_cached, 0u);
  std::set<std::uint32_t> ids;
  for (std::size_t i = 0; i < count; ++i) {
    const frame_id frame = pages->allocate(page_class::b4k);
    ASSERT_NE(frame, no_frame);
    ids.insert(index_of(frame));
  }
  EXPECT_EQ(ids.size(), count);
}

TEST(PageAllocatorThreads, ThreadsOneAfterAnotherShareOneCache) {
  const auto pages = make();
  for (int i = 0; i < 20; ++i) {
    std::thread([&] {
      pages->deallocate(page_class::b64, pages->allocate(page_class::b64));
    }).join();
  }
  EXPECT_EQ(pages->stats().thread_caches, 1u);
}

TEST(PageAllocatorThreads, MagazinesOfALivingThreadCountAgainstTheLimitUntilItFlushes) {
  constexpr std::size_t count = 128;
  const auto pages = make({.bytes_max = count * 4096});
  std::latch freed(1), looked(1), flushed(1), finished(1);
  std::thread other([&] {
    for (std::size_t i = 0; i < count; ++i) static_cast<void>(pages->allocate(page_class::b4k));
    for (std::uint32_t i = 0; i < count; ++i) pages->deallocate(page_class::b4k, frame_id{i});
    freed.count_down();
    looked.wait();
    pages->flush_thread();
    flushed.count_down();
    finished.wait();
  });
  freed.wait();
  EXPECT_EQ(pages->allocate(page_class::b4k), no_frame);
  looked.count_down();
  flushed.wait();
  EXPECT_NE(pages->allocate(page_class::b4k), no_frame);
  finished.count_down();
  other.join();
}

TEST(PageAllocatorThreads, AnAllocatorMayEndBeforeTheThreadsThatUsedIt) {
  std::latch used(3), gone(1);
  std::vector<std::thread> threads;
  auto pages = make();
  auto successor = std::unique_ptr<page_allocator>();
  std::atomic<int> wrong{0};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        pages->deallocate(page_class::b1k, pages->allocate(page_class::b1k));
      }
      used.count_down();
      gone.wait();
      // The successor has the slot that this thread still has an entry for.
      const frame_id frame = successor->allocate(page_class::b1k);
      if (frame == no_frame || index_of(frame) >= successor->frame_limit(page_class::b1k)) ++wrong;
      successor->deallocate(page_class::b1k, frame);
    });
  }
  used.wait();
  pages.reset();
  successor = make();
  gone.count_down();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(successor->stats().total.frames_in_use, 0u);
  EXPECT_EQ(successor->stats().total.frames_cached, 0u);
}

TEST(PageAllocatorThreads, AllocatorsAndThreadsThatEndAtTheSameTimeDoNotMeet) {
  for (int round = 0; round < 200; ++round) {
    auto pages = make({.bytes_max = std::size_t{1} << 24});
    std::latch used(1);
    std::thread thread([&] {
      for (std::uint32_t i = 0; i < 10; ++i) {
        const frame_id frame = pages->allocate(page_class::b64);
        pages->deallocate(page_class::b64, frame);
      }
      used.count_down();
    });
    used.wait();
    pages.reset();
    thread.join();
  }
}

/// Frees its frame in the destructor of a thread-local object that is older than the thread's
/// magazines, so it runs after they have been returned.
struct late_user {
  page_allocator* pages = nullptr;
  frame_id frame = no_frame;
  std::atomic<bool>* is_served = nullptr;
  ~late_user() {
    if (pages == nullptr) return;
    pages->deallocate(page_class::b256, frame);
    const frame_id again = pages->allocate(page_class::b256);
    is_served->store(again != no_frame);
    if (again != no_frame) pages->deallocate(page_class::b256, again);
  }
};
thread_local late_user late;

TEST(PageAllocatorThreads, AThreadMayStillAllocateAndFreeWhileItEnds) {
  const auto pages = make();
  std::atomic<bool> is_served{false};
  std::thread([&] {
    late.pages = pages.get();
    late.is_served = &is_served;
    late.frame = pages->allocate(page_class::b256);
  }).join();
  EXPECT_TRUE(is_served);
  EXPECT_EQ(pages->stats().total.frames_in_use, 0u);
  EXPECT_EQ(pages->stats().total.frames_cached, 0u);
  EXPECT_EQ(pages->stats().bytes_claimed, 0u);
}

TEST(PageAllocatorThreads, ReservedFramesAreThereForAllThreadsTogether) {
  constexpr std::size_t count = 4 * 5'000;
  // Beyond the reservation there is room for one magazine only, which other threads fight over.
  const auto pages = make({.bytes_max = (count + page_allocator::magazine_size) * 256});
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(pages->reserve(page_class::b256, count).is_ok());
    std::atomic<bool> is_done{false};
    std::thread rival([&] {
      while (!is_done) {
        const frame_id frame = pages->allocate(page_class::b256);
        if (frame != no_frame) pages->deallocate(page_class::b256, frame);
      }
    });
    std::vector<std::vector<frame_id>> taken(4);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (std::size_t i = 0; i < count / 4; ++i) {
          taken[static_cast<std::size_t>(t)].push_back(pages->allocate_reserved(page_class::b256));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    is_done = true;
    rival.join();
    std::set<std::uint32_t> ids;
    for (const auto& own : taken) {
      for (const frame_id frame : own) ids.insert(index_of(frame));
    }
    ASSERT_EQ(ids.size(), count);
    ASSERT_EQ(ids.count(index_of(no_frame)), 0u);
    for (const auto& own : taken) {
      for (const frame_id frame : own) pages->deallocate(page_class::b256, frame);
    }
    pages->flush_thread();
    ASSERT_EQ(pages->stats().bytes_claimed, 0u);
  }
}

TEST(PageAllocatorThreads, TrimBesideChurnDamagesNoPage) {
  const std::uint32_t seed = 31;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  const auto pages = make();
  std::atomic<bool> is_done{false};
  std::size_t trims = 0;
  std::thread trimmer([&] {
    while (!is_done) {
      static_cast<void>(pages->trim());
      ++trims;
      std::this_thread::yield();
    }
  });
  std::vector<churn_result> results(3);
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] { results[t] = churn(*pages, seed + t, 30'000, 1'000); });
  }
  for (std::thread& thread : threads) thread.join();
  is_done = true;
  trimmer.join();
  for (const churn_result& one : results) {
    EXPECT_EQ(one.damaged, 0u);
    EXPECT_EQ(one.refused, 0u);
  }
  EXPECT_GT(trims, 0u);
  EXPECT_EQ(pages->stats().total.frames_in_use, 0u);
}

}  // namespace
}  // namespace sheaf
