/// \file
/// The queue and the turn by themselves, without an engine.
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "engine/commit_queue.hpp"

namespace engine_test {
namespace {

using namespace sheaf;  // NOLINT: tests of one library

/// Commits `request` the way the engine does; `work` runs for each group.
template <class Work>
void commit(commit_queue& queue, commit_request& request, std::uint32_t count_max, Work&& work) {
  while (queue.enter(request)) {
    commit_group group = queue.take_group(count_max);
    for (unsigned led = 1; !group.is_empty(); ++led) {
      work(group);
      if (led == 3 || !queue.has_waiting()) break;
      const commit_group next = queue.take_group(count_max);
      commit_queue::complete(group, &request);
      group = next;
    }
    queue.leave();
    commit_queue::complete(group, &request);
  }
}

TEST(CommitQueue, WhatWaitsWhileTheTurnIsTakenBecomesOneGroupInTheOrderOfItsArrival) {
  commit_queue queue;
  queue.lock();
  std::vector<std::thread> crew;
  commit_request requests[5];
  std::vector<commit_request*> arrived;
  std::atomic<unsigned> groups{0};
  std::vector<commit_request*> order;
  for (commit_request& request : requests) {
    crew.emplace_back([&] {
      commit(queue, request, 100, [&](const commit_group& group) {
        ++groups;
        group.for_each([&](commit_request& member) { order.push_back(&member); });
      });
    });
    // The next one starts after this one is in the queue and sleeps.
    while (request.state != commit_request::asleep) std::this_thread::yield();
    arrived.push_back(&request);
  }
  queue.unlock();
  for (std::thread& member : crew) member.join();
  EXPECT_EQ(groups, 1u);
  EXPECT_EQ(order, arrived);
}

TEST(CommitQueue, AGroupIsAtMostAsLargeAsAskedForAndNobodyIsLost) {
  commit_queue queue;
  queue.lock();
  std::vector<std::thread> crew;
  std::atomic<unsigned> seen{0}, largest{0};
  for (int i = 0; i < 7; ++i) {
    crew.emplace_back([&] {
      commit_request request;
      commit(queue, request, 3, [&](const commit_group& group) {
        unsigned count = 0;
        group.for_each([&](commit_request&) { ++count; });
        seen += count;
        if (count > largest) largest = count;
      });
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  queue.unlock();
  for (std::thread& member : crew) member.join();
  EXPECT_EQ(seen, 7u);
  EXPECT_LE(largest, 3u);
}

TEST(CommitQueue, AnotherThreadMayEndTheTurn) {
  commit_queue queue;
  queue.lock();
  EXPECT_FALSE(queue.try_lock());
  std::thread([&] { queue.unlock(); }).join();
  EXPECT_TRUE(queue.try_lock());
  queue.unlock();
}

TEST(CommitQueue, CommitsAndExclusiveTurnsOfManyThreadsNeverOverlapAndAllEnd) {
  commit_queue queue;
  std::uint64_t inside = 0, committed = 0, exclusive = 0;  // of who has the turn
  constexpr std::uint64_t rounds = 3000;
  constexpr unsigned writers = 6, lockers = 2;
  std::vector<std::thread> crew;
  for (unsigned i = 0; i < writers; ++i) {
    crew.emplace_back([&] {
      for (std::uint64_t round = 0; round < rounds; ++round) {
        commit_request request;
        commit(queue, request, 4, [&](const commit_group& group) {
          EXPECT_EQ(++inside, 1u);
          group.for_each([&](commit_request& member) { member.epoch = ++committed; });
          --inside;
        });
        EXPECT_NE(request.epoch, 0u);
      }
    });
  }
  for (unsigned i = 0; i < lockers; ++i) {
    crew.emplace_back([&] {
      for (std::uint64_t round = 0; round < rounds; ++round) {
        const turn_lock lock(queue);
        EXPECT_EQ(++inside, 1u);
        ++exclusive;
        --inside;
      }
    });
  }
  for (std::thread& member : crew) member.join();
  EXPECT_EQ(committed, writers * rounds);
  EXPECT_EQ(exclusive, lockers * rounds);
  EXPECT_TRUE(queue.try_lock());
  EXPECT_FALSE(queue.has_waiting());
  queue.unlock();
}

}  // namespace
}  // namespace engine_test
