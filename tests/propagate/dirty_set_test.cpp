#include <sheaf/propagate/dirty_set.hpp>

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "page/random.hpp"

namespace sheaf {
namespace {

const std::uint32_t sizes[] = {1,    2,    63,   64,   65,    127,    128,    129,
                               4095, 4096, 4097, 8191, 65537, 262143, 262144, 262145};

/// The set bits by `next` alone.
std::vector<std::uint32_t> walked(const dirty_set& set) {
  std::vector<std::uint32_t> found;
  for (std::uint32_t bit = set.next(0); bit != dirty_set::end; bit = set.next(bit + 1)) {
    found.push_back(bit);
  }
  return found;
}
std::vector<std::uint32_t> drained(dirty_set& set) {
  std::vector<std::uint32_t> found;
  set.drain([&](std::uint32_t bit) { found.push_back(bit); });
  return found;
}
std::vector<std::uint32_t> listed(const std::set<std::uint32_t>& bits) {
  return {bits.begin(), bits.end()};
}

TEST(DirtySet, AnEmptyOneHasNoNextAndDrainsNothing) {
  dirty_set none;
  EXPECT_EQ(none.next(0), dirty_set::end);
  for (const std::uint32_t size : sizes) {
    dirty_set set(size);
    EXPECT_EQ(set.next(0), dirty_set::end);
    EXPECT_EQ(set.next(size), dirty_set::end);
    EXPECT_TRUE(drained(set).empty());
  }
}

TEST(DirtySet, FindsALoneBitFromEverywhereBelowItAndNowhereAbove) {
  for (const std::uint32_t size : sizes) {
    for (const std::uint32_t bit : {0u, 1u, 62u, 63u, 64u, 65u, 4095u, 4096u, 4097u, size / 2,
                                    size - 1}) {
      if (bit >= size) continue;
      dirty_set set(size);
      set.insert(bit);
      EXPECT_TRUE(set.contains(bit));
      for (const std::uint32_t from : {0u, bit / 2, bit == 0 ? 0 : bit - 1, bit}) {
        EXPECT_EQ(set.next(from), bit) << "size " << size << " from " << from;
      }
      EXPECT_EQ(set.next(bit + 1), dirty_set::end);
      EXPECT_EQ(drained(set), std::vector<std::uint32_t>{bit});
      EXPECT_EQ(set.next(0), dirty_set::end);
    }
  }
}

TEST(DirtySet, MatchesAnOrderedSetThroughRandomChanges) {
  for (const std::uint32_t size : sizes) {
    sheaf_test::random_numbers random(size);
    dirty_set set(size);
    std::set<std::uint32_t> expected;
    for (int step = 0; step < 400; ++step) {
      const std::uint32_t bit = random() % size;
      switch (random() % 5) {
        case 0:
        case 1:
          set.insert(bit);
          expected.insert(bit);
          break;
        case 2: {  // leaves summaries stale
          const auto at = expected.lower_bound(bit);
          if (at == expected.end()) break;
          set.reset_bit(*at);
          expected.erase(at);
          break;
        }
        case 3: {  // one word replaced within a range, as a level that pulls does
          const std::uint32_t word = bit >> 6;
          const std::uint64_t valid =
              (word + 1) * std::uint64_t{64} <= size ? ~std::uint64_t{0}
                                                     : (std::uint64_t{1} << (size & 63)) - 1;
          const std::uint64_t within = (random() | std::uint64_t{random()} << 32) & valid;
          const std::uint64_t bits =
              random() % 3 == 0 ? 0 : (random() | std::uint64_t{random()} << 32) & within;
          set.assign_word(word, bits, within);
          set.summarize(word, word + 1);
          for (std::uint32_t i = 0; i < 64; ++i) {
            if ((within >> i & 1) == 0) continue;
            expected.erase(word * 64 + i);
            if ((bits >> i & 1) != 0) expected.insert(word * 64 + i);
          }
          break;
        }
        default:
          if (step % 40 == 39) {
            ASSERT_EQ(drained(set), listed(expected));
            expected.clear();
          }
      }
      const auto after = expected.lower_bound(bit);
      ASSERT_EQ(set.next(bit), after == expected.end() ? dirty_set::end : *after) << size;
      ASSERT_EQ(set.contains(bit), expected.count(bit) != 0);
    }
    ASSERT_EQ(walked(set), listed(expected)) << size;
    ASSERT_EQ(drained(set), listed(expected)) << size;
    for (std::uint32_t word = 0; word < (size + 63) / 64; ++word) EXPECT_EQ(set.word(word), 0u);
  }
}

TEST(DirtySet, SearchesUpToALimit) {
  for (const std::uint32_t size : sizes) {
    sheaf_test::random_numbers random(size);
    dirty_set set(size);
    std::set<std::uint32_t> expected;
    for (std::uint32_t i = 0; i < 40; ++i) {
      const std::uint32_t bit = random() % size;
      set.insert(bit);
      expected.insert(bit);
      const std::uint32_t other = random() % size;  // a stale summary
      if (expected.count(other) == 0) set.insert(other), set.reset_bit(other);
    }
    for (int look = 0; look < 200; ++look) {
      const std::uint32_t from = random() % size;
      const std::uint32_t limit = random() % (size + 1);
      const auto after = expected.lower_bound(from);
      const std::uint32_t found = set.next(from, limit);
      if (after != expected.end() && *after < limit) {
        ASSERT_EQ(found, *after) << size;
      } else {
        ASSERT_GE(found, limit) << size;
      }
    }
  }
}

TEST(DirtySet, PassesOverManyStaleSummaries) {
  constexpr std::uint32_t size = 262145;
  dirty_set set(size);
  for (std::uint32_t bit = 0; bit < size; bit += 64) {
    set.insert(bit);
    if (bit != 200'000 / 64 * 64) set.reset_bit(bit);
  }
  EXPECT_EQ(set.next(0), 200'000u / 64 * 64);
  EXPECT_EQ(set.next(200'001), dirty_set::end);
  EXPECT_EQ(drained(set).size(), 1u);
  EXPECT_EQ(set.next(0), dirty_set::end);
  set.insert(7);  // drained summaries do not stand in the way of new ones
  EXPECT_EQ(walked(set), std::vector<std::uint32_t>{7});
}

TEST(DirtySet, SummarizesARangeOfWordsAndNoMore) {
  for (const std::uint32_t size : sizes) {
    const std::uint32_t words = (size + 63) / 64;
    dirty_set set(size);
    std::set<std::uint32_t> expected;
    sheaf_test::random_numbers random(size + 1);
    const std::uint32_t begin = random() % words;
    const std::uint32_t end = begin + 1 + random() % (words - begin);
    for (std::uint32_t word = begin; word < end; word += 1 + random() % 5) {
      set.assign_word(word, 1, 1);
      expected.insert(word * 64);
    }
    set.summarize(begin, end);
    EXPECT_EQ(walked(set), listed(expected)) << size;
    EXPECT_EQ(drained(set), listed(expected)) << size;
  }
}

}  // namespace
}  // namespace sheaf
