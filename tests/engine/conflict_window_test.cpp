/// \file
/// The conflict window by itself: exact element by element, bounded, and what it forgets it says.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "engine/conflict_window.hpp"
#include "page/random.hpp"

namespace engine_test {
namespace {

using namespace sheaf;  // NOLINT: tests of one library

constexpr array_id first_array{3}, second_array{4};
constexpr std::size_t roomy = 1 << 20;

delta one(array_id array, std::uint64_t index, merge_operator op = merge_operator::assign) {
  delta made;
  EXPECT_TRUE(made.set<float>(array, op, index, 1.0f).is_ok());
  return made;
}

delta run(array_id array, std::uint64_t first, std::uint64_t count,
          merge_operator op = merge_operator::assign) {
  delta made;
  const std::vector<float> values(count, 2.0f);
  EXPECT_TRUE(made.range(array, dtype::f32, op, first, values.data(), count).is_ok());
  return made;
}

TEST(ConflictWindow, NamesTheElementTheEpochAndTheWriterItCollidesWith) {
  conflict_window window(roomy);
  window.record(one(first_array, 40), 7, 2);
  const write_conflict found = window.find(one(first_array, 40), 6);
  EXPECT_EQ(found.epoch, 7u);
  EXPECT_EQ(found.array, first_array);
  EXPECT_EQ(found.first, 40u);
  EXPECT_EQ(found.count, 1u);
  EXPECT_EQ(found.writer, 2u);
  EXPECT_EQ(window.find(one(first_array, 40), 7).epoch, 0u) << "it began after";
  EXPECT_EQ(window.find(one(first_array, 41), 6).epoch, 0u) << "another element of the line";
  EXPECT_EQ(window.find(one(second_array, 40), 6).epoch, 0u) << "another array";
}

TEST(ConflictWindow, TheSameCommutingOperatorNeverConflictsAnyOtherPairDoes) {
  constexpr merge_operator ops[] = {merge_operator::assign, merge_operator::add,
                                    merge_operator::min, merge_operator::max};
  for (const merge_operator mine : ops) {
    for (const merge_operator other : ops) {
      conflict_window window(roomy);
      window.record(one(first_array, 5, other), 2, 0);
      window.record(run(second_array, 0, 1024, other), 2, 0);
      const bool commutes = mine == other && mine != merge_operator::assign;
      EXPECT_EQ(window.find(one(first_array, 5, mine), 1).epoch == 0, commutes);
      EXPECT_EQ(window.find(one(second_array, 500, mine), 1).epoch == 0, commutes);
      EXPECT_EQ(window.find(run(first_array, 0, 1024, mine), 1).epoch == 0, commutes);
    }
  }
}

TEST(ConflictWindow, AgreesWithAMapOfElementsForEveryFormOfAChange) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    sheaf_test::random_numbers random(seed);
    conflict_window window(roomy);
    struct write {
      std::uint64_t epoch;
      merge_operator op;
    };
    std::map<std::uint64_t, std::vector<write>> written;  // by element
    const auto draw = [&](delta& into, std::vector<std::uint64_t>& elements, merge_operator op) {
      switch (random() % 3) {
        case 0: {
          const std::uint64_t first = random() % 2000, count = 1 + random() % 600;
          into = run(first_array, first, count, op);
          for (std::uint64_t i = 0; i < count; ++i) elements.push_back(first + i);
          return;
        }
        case 1: {
          std::vector<std::uint32_t> indices(1 + random() % 40);
          for (auto& index : indices) index = static_cast<std::uint32_t>(random() % 2600);
          const std::vector<float> values(indices.size(), 1.0f);
          ASSERT_TRUE(into.scatter(first_array, dtype::f32, op, indices, values.data()).is_ok());
          elements.assign(indices.begin(), indices.end());
          return;
        }
        default: {
          const std::uint64_t page = random() % 2;
          const line_mask mask = random();
          std::vector<std::uint64_t> masks;
          for_each_line(mask, [&](unsigned line) {
            masks.push_back(random() & 0xffff);
            for_each_line(masks.back(), [&](unsigned element) {
              elements.push_back((page * 64 + line) * 16 + element);
            });
          });
          std::vector<std::byte> payload(masks.size() * line_size);
          ASSERT_TRUE(into.lines(first_array, dtype::f32, op, page_class::b4k, page * 64, mask,
                                 masks.data(), payload.data()).is_ok());
        }
      }
    };
    for (std::uint64_t number = 1; number <= 60; ++number) {
      const auto op = random() % 3 == 0 ? merge_operator::add : merge_operator::assign;
      delta changes;
      std::vector<std::uint64_t> elements;
      draw(changes, elements, op);
      const std::uint64_t begin = number - 1 - random() % std::min<std::uint64_t>(number, 20);
      bool collides = false;
      for (const std::uint64_t element : elements) {
        for (const write& other : written[element]) {
          collides |= other.epoch > begin &&
                      (other.op != op || op == merge_operator::assign);
        }
      }
      const write_conflict found = window.find(changes, begin);
      ASSERT_EQ(found.epoch != 0, collides) << "epoch " << number;
      if (collides) {
        ASSERT_GT(found.epoch, begin);
      }
      window.record(changes, number, 0);
      if (random() % 5 == 0) {
        window.forget(number);
        continue;
      }
      for (const std::uint64_t element : elements) written[element].push_back({number, op});
    }
    EXPECT_EQ(window.complete_since(), 0u);
  }
}

TEST(ConflictWindow, WhatFallsOutRaisesTheEpochItIsCompleteSince) {
  conflict_window window(34 * 64);  // 64 lines
  for (std::uint64_t number = 1; number <= 64; ++number) {
    window.record(one(first_array, number * 16), number, 0);
  }
  EXPECT_EQ(window.complete_since(), 0u);
  EXPECT_EQ(window.find(one(first_array, 16), 0).epoch, 1u);
  for (std::uint64_t number = 65; number <= 1000; ++number) {
    window.record(one(first_array, number * 16), number, 0);
    ASSERT_EQ(window.complete_since(), number - 64);
    ASSERT_EQ(window.find(one(first_array, (number - 63) * 16), number - 64).epoch, number - 63);
    ASSERT_EQ(window.find(one(first_array, (number - 64) * 16), number - 64).epoch, 0u);
  }
}

TEST(ConflictWindow, SpansFallOutToo) {
  conflict_window window(roomy);
  for (std::uint64_t number = 1; number <= 1500; ++number) {
    window.record(run(first_array, number * 512, 512), number, 0);
  }
  EXPECT_EQ(window.complete_since(), 1500u - 1024);
  EXPECT_EQ(window.find(one(first_array, 700 * 512 + 5), 600).epoch, 700u);
}

TEST(ConflictWindow, ForgettingAnEpochBringsBackWhatWasFoundBefore) {
  conflict_window window(roomy);
  window.record(one(first_array, 9), 4, 1);
  window.record(one(first_array, 9), 5, 2);
  window.record(run(first_array, 0, 1024), 5, 2);
  EXPECT_EQ(window.find(one(first_array, 9), 3).epoch, 5u);
  window.forget(5);
  EXPECT_EQ(window.find(one(first_array, 9), 3).epoch, 4u);
  EXPECT_EQ(window.find(one(first_array, 10), 3).epoch, 0u);
  EXPECT_EQ(window.find(one(first_array, 9), 4).epoch, 0u);
}

}  // namespace
}  // namespace engine_test
