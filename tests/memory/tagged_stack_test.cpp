/// \file
/// Runs every interleaving of a few threads on a small stack, at the granularity of the atomic
/// accesses: a thread stops before it reads a link, and between its last access and its exchange.
/// The same search finds the ABA fault of a stack without tags, so it would find it in ours.

#include <sheaf/memory/tagged_stack.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace sheaf {
namespace {

/// `tagged_stack` with the tag left out.
class untagged_stack {
 public:
  static constexpr std::uint32_t nothing = tagged_stack::nothing;

  template <class SetNext>
  void push(std::uint32_t index, SetNext&& set_next) {
    std::uint32_t head = head_.load();
    do set_next(index, head);
    while (!head_.compare_exchange_strong(head, index + 1));
  }
  template <class GetNext>
  std::uint32_t pop(GetNext&& get_next) {
    std::uint32_t head = head_.load();
    while (head != 0) {
      const std::uint32_t next = get_next(head - 1);
      if (head_.compare_exchange_strong(head, next)) return head - 1;
    }
    return nothing;
  }

 private:
  std::atomic<std::uint32_t> head_{0};
};

/// Lets exactly one of its threads run at a time and follows a given list of choices.
class schedule {
 public:
  struct choice {
    std::size_t taken;
    std::size_t options;
  };

  /// Follows `prefix`, then asks `pick(options)`.
  explicit schedule(
      std::vector<choice> prefix,
      std::function<std::size_t(std::size_t)> pick = [](std::size_t) { return 0u; })
      : choices_(std::move(prefix)), pick_(std::move(pick)) {}

  /// Runs `bodies` on threads of their own to their ends.
  void run(const std::vector<std::function<void()>>& bodies) {
    std::vector<std::thread> threads;
    std::vector<std::size_t> runnable;
    is_done_ = std::vector<std::atomic<bool>>(bodies.size());
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      runnable.push_back(i);
      threads.emplace_back([this, i, &bodies] {
        current_thread = i;
        wait_for(i + 1);
        bodies[i]();
        is_done_[i] = true;
        give_to(0);
      });
    }
    for (std::size_t step = 0; !runnable.empty(); ++step) {
      if (step == choices_.size()) choices_.push_back({pick_(runnable.size()), 0});
      choices_[step].options = runnable.size();
      const std::size_t next = runnable[choices_[step].taken];
      give_to(next + 1);
      wait_for(0);
      if (is_done_[next]) std::erase(runnable, next);
    }
    for (std::thread& thread : threads) thread.join();
  }

  /// The calling thread lets the schedule choose who goes on.
  void pause() {
    const std::size_t self = current_thread + 1;
    give_to(0);
    wait_for(self);
  }

  /// The choices of the next schedule in depth-first order; empty after the last.
  std::vector<choice> successor() const {
    std::vector<choice> next = choices_;
    while (!next.empty() && next.back().taken + 1 == next.back().options) next.pop_back();
    if (!next.empty()) ++next.back().taken;
    return next;
  }

 private:
  void give_to(std::size_t who) {
    turn_.store(who);
    turn_.notify_all();
  }
  void wait_for(std::size_t who) {
    for (std::size_t now = turn_.load(); now != who; now = turn_.load()) turn_.wait(now);
  }

  static thread_local std::size_t current_thread;
  std::vector<choice> choices_;
  std::function<std::size_t(std::size_t)> pick_;
  std::vector<std::atomic<bool>> is_done_;
  std::atomic<std::size_t> turn_{0};
};
thread_local std::size_t schedule::current_thread = 0;

constexpr std::uint32_t node_count = 4;
enum class step : std::uint8_t { pop, push_first, push_last };
using script = std::vector<step>;

/// One interleaving: `scripts[i]` runs on thread i over a stack that holds nodes 0 (top) to 3.
/// Says what was wrong afterwards, or nothing.
template <class Stack>
std::string run_once(schedule& order, const std::vector<script>& scripts) {
  Stack stack;
  std::array<std::atomic<std::uint32_t>, node_count> links{};
  const auto plain_set = [&](std::uint32_t i, std::uint32_t next) { links[i] = next; };
  const auto plain_get = [&](std::uint32_t i) { return links[i].load(); };
  for (std::uint32_t i = node_count; i-- > 0;) stack.push(i, plain_set);

  std::vector<std::vector<std::uint32_t>> held(scripts.size());
  std::vector<std::function<void()>> bodies;
  for (std::size_t t = 0; t < scripts.size(); ++t) {
    bodies.emplace_back([&, t] {
      const auto set = [&](std::uint32_t i, std::uint32_t next) {
        links[i] = next;
        order.pause();
      };
      const auto get = [&](std::uint32_t i) {
        order.pause();
        const std::uint32_t next = links[i];
        order.pause();
        return next;
      };
      for (const step what : scripts[t]) {
        if (what == step::pop) {
          if (const std::uint32_t got = stack.pop(get); got != Stack::nothing) {
            held[t].push_back(got);
          }
        } else if (!held[t].empty()) {
          const auto place = what == step::push_first ? held[t].begin() : held[t].end() - 1;
          const std::uint32_t node = *place;
          held[t].erase(place);
          stack.push(node, set);
        }
      }
    });
  }
  order.run(bodies);

  std::array<int, node_count> seen{};
  for (const auto& own : held) {
    for (const std::uint32_t node : own) ++seen[node];
  }
  for (std::uint32_t i = 0; i <= node_count; ++i) {
    const std::uint32_t node = stack.pop(plain_get);
    if (node == Stack::nothing) break;
    if (i == node_count) return "the stack has a cycle";
    ++seen[node];
  }
  for (std::uint32_t i = 0; i < node_count; ++i) {
    if (seen[i] == 0) return "node " + std::to_string(i) + " is lost";
    if (seen[i] > 1) return "node " + std::to_string(i) + " has two owners";
  }
  return {};
}

struct search_result {
  std::size_t schedules = 0;
  std::size_t faults = 0;
  std::string first_fault;
};

template <class Stack>
search_result run_all(const std::vector<script>& scripts) {
  search_result found;
  std::vector<schedule::choice> prefix;
  do {
    schedule order(prefix);
    const std::string fault = run_once<Stack>(order, scripts);
    ++found.schedules;
    if (!fault.empty() && found.faults++ == 0) found.first_fault = fault;
    prefix = order.successor();
  } while (!prefix.empty());
  return found;
}

/// A pops while B pops two and puts the first back: the top is the same again, its link is not.
const std::vector<script> aba = {{step::pop}, {step::pop, step::pop, step::push_first}};

TEST(TaggedStack, EveryInterleavingOfTheAbaCaseKeepsEachNodeOnce) {
  const search_result found = run_all<tagged_stack>(aba);
  EXPECT_GT(found.schedules, 80u);
  EXPECT_EQ(found.faults, 0u) << found.first_fault;
}

TEST(TaggedStack, TheSearchFindsTheFaultOfAStackWithoutTags) {
  const search_result found = run_all<untagged_stack>(aba);
  EXPECT_GT(found.faults, 0u);
}

TEST(TaggedStack, EveryInterleavingOfTwoThreadsThatPopAndPushKeepsEachNodeOnce) {
  const search_result found = run_all<tagged_stack>(
      {{step::pop, step::push_last}, {step::pop, step::pop, step::push_last}});
  EXPECT_GT(found.schedules, 400u);
  EXPECT_EQ(found.faults, 0u) << found.first_fault;
}

TEST(TaggedStack, RandomInterleavingsOfThreeThreadsKeepEachNodeOnce) {
  const std::uint32_t seed = 7'391;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::vector<script> scripts(3);
    for (script& own : scripts) {
      for (int i = 0; i < 4; ++i) own.push_back(static_cast<step>(random() % 3));
    }
    schedule order({}, [&](std::size_t options) { return random() % options; });
    ASSERT_EQ(run_once<tagged_stack>(order, scripts), "");
  }
}

TEST(TaggedStack, ContendedByFourThreadsKeepsEachNodeOnce) {
  tagged_stack stack;
  std::array<std::atomic<std::uint32_t>, node_count> links{};
  std::array<std::atomic<int>, node_count> owners{};
  // relaxed, as the allocator's links: the stack orders them.
  const auto set = [&](std::uint32_t i, std::uint32_t next) {
    links[i].store(next, std::memory_order_relaxed);
  };
  const auto get = [&](std::uint32_t i) { return links[i].load(std::memory_order_relaxed); };
  for (std::uint32_t i = 0; i < node_count; ++i) stack.push(i, set);
  std::atomic<int> faults{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50'000; ++i) {
        const std::uint32_t node = stack.pop(get);
        if (node == tagged_stack::nothing) continue;
        if (owners[node].fetch_add(1) != 0) ++faults;
        owners[node].fetch_sub(1);
        stack.push(node, set);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(faults, 0);
  std::set<std::uint32_t> rest;
  for (std::uint32_t i = 0; i < node_count; ++i) rest.insert(stack.pop(get));
  EXPECT_EQ(rest.size(), node_count);
  EXPECT_TRUE(stack.is_empty());
}

}  // namespace
}  // namespace sheaf
