/// \file
/// Keyed sources against `std::map`: rows stay with their keys, snapshots keep theirs, and
/// transactions that concern one key meet whatever slots they touch.
#include <atomic>
#include <thread>

#include "engine/keyed_support.hpp"

namespace engine_test {
namespace {

template <class Key>
class Keyed : public testing::Test {};
TYPED_TEST_SUITE(Keyed, key_types);

TYPED_TEST(Keyed, IsAMapThatTransactionsAndSnapshotsAgreeOn) {
  constexpr std::uint64_t rows = 150;  // fewer than there would be
  dice random(5);
  keyed_desk<TypeParam> d(rows);
  std::vector<held_rows> held;
  rows_by_key mirror;
  bool was_full = false;
  for (int step = 0; step < 600; ++step) {
    auto txn = d.desk.begin();
    rows_by_key after = mirror;
    ASSERT_NO_FATAL_FAILURE(churn(txn, d.names, rows, after, random)) << "step " << step;
    if (random.chance(12)) continue;  // aborted
    ASSERT_TRUE(std::move(txn).commit());
    mirror = std::move(after);
    was_full |= mirror.size() == rows;
    if (random.chance(2)) held.push_back({d.desk.snapshot(), mirror});
  }
  held.push_back({d.desk.snapshot(), mirror});
  EXPECT_TRUE(was_full);
  for (const held_rows& then : held) {
    ASSERT_NO_FATAL_FAILURE(expect_mirrored<TypeParam>(then.now, d.names, then.mirror));
    std::uint64_t used = 0;
    for (const std::uint8_t flag : values_of(then.now, d.names.used())) used += flag;
    EXPECT_EQ(used, then.mirror.size());
  }
}

TYPED_TEST(Keyed, ChurnAtFullLoadFillsNoBucketAndErasingEverythingLeavesNothing) {
  keyed_desk<TypeParam> d(64);
  for (std::uint64_t i = 0; i < 64; ++i) ASSERT_TRUE(d.insert_one(key_of<TypeParam>(i)));
  expect_status(d.insert_one(key_of<TypeParam>(64)), status_code::too_many, {"64"});
  for (int round = 0; round < 20; ++round) {
    for (std::uint64_t i = 0; i < 64; ++i) {
      const auto at = static_cast<std::uint64_t>(round) * 64 + i;
      ASSERT_TRUE(*d.erase_one(key_of<TypeParam>(at)));
      ASSERT_TRUE(d.insert_one(key_of<TypeParam>(at + 64)));
    }
  }
  for (std::uint64_t i = 0; i < 64; ++i) ASSERT_TRUE(*d.erase_one(key_of<TypeParam>(20 * 64 + i)));
  for (const std::uint64_t slot : values_of(d.desk.snapshot(), d.names.arrays().slots)) {
    EXPECT_EQ(slot, 0u);
  }
}

TYPED_TEST(Keyed, TwoTransactionsThatInsertOneKeyConflictAtEitherIsolationLevel) {
  for (const isolation level : {isolation::serializable, isolation::snapshot}) {
    keyed_desk<TypeParam> d(100);
    ASSERT_TRUE(d.insert_one(key_of<TypeParam>(5)));
    auto slow = d.desk.begin({.level = level});
    ASSERT_TRUE(slow.read(d.amount, 0));  // its snapshot is from here
    // Other slots are free now than it sees.
    ASSERT_TRUE(d.erase_one(key_of<TypeParam>(5)));
    ASSERT_TRUE(d.insert_one(key_of<TypeParam>(7)));
    ASSERT_TRUE(insert(slow, d.names, key_of<TypeParam>(7)));
    expect_status(std::move(slow).commit(), status_code::conflict, {});
    EXPECT_TRUE(find(d.desk.snapshot(), d.names, key_of<TypeParam>(7))->has_value());
  }
}

TYPED_TEST(Keyed, WhoFoundNoKeyIsRefusedWhereItWasInsertedMeanwhile) {
  keyed_desk<TypeParam> d(100);
  auto txn = d.desk.begin();
  ASSERT_FALSE(find(txn, d.names, key_of<TypeParam>(3))->has_value());
  txn.set(d.amount, {.index = 50}, 1.0);
  ASSERT_TRUE(d.insert_one(key_of<TypeParam>(3)));
  expect_status(std::move(txn).commit(), status_code::conflict, {"names.guards"});
}

TYPED_TEST(Keyed, ThreadsInsertAndEraseWithoutLosingOrDoublingAKey) {
  constexpr std::uint64_t rows = 4096;
  keyed_desk<TypeParam> d(rows);
  std::vector<std::thread> threads;
  std::atomic<std::uint64_t> inserted{0}, erased{0}, conflicts{0};
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::uint64_t state = 88172645463325252u + t;
      for (int i = 0; i < 400; ++i) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        const std::uint64_t number = state % 700;
        if (state % 3 != 0) {
          const auto row = d.insert_one(key_of<TypeParam>(number));
          inserted += row ? 1u : 0u;
          conflicts += !row && row.error().code() == status_code::conflict;
        } else {
          const auto row = d.erase_one(key_of<TypeParam>(number));
          erased += row && *row ? 1u : 0u;
          conflicts += !row;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto now = d.desk.snapshot();
  std::uint64_t used = 0;
  for (const std::uint8_t flag : values_of(now, d.names.used())) used += flag;
  EXPECT_EQ(used, inserted - erased);
  std::map<std::uint32_t, std::uint64_t> row_of;
  for (std::uint64_t number = 0; number < 700; ++number) {
    const auto found = find(now, d.names, key_of<TypeParam>(number));
    ASSERT_TRUE(found);
    if (*found) {
      EXPECT_TRUE(row_of.emplace(**found, number).second);
    }
  }
  EXPECT_EQ(row_of.size(), used);
}

TEST(KeyedBuckets, HoldEveryRowOfALargeTable) {
  constexpr std::uint64_t rows = 60'000;
  keyed_desk<std::uint64_t> d(rows);
  const auto& arrays = d.names.arrays();
  std::vector<std::uint64_t> slots(arrays.slots.size());
  const auto get = [&](const auto& target, std::uint64_t index) {
    using T = typename std::remove_cvref_t<decltype(target)>::value_type;
    if (target.id() == arrays.slots.id()) return result<T>(static_cast<T>(slots[index]));
    return result<T>(T{});
  };
  for (std::uint64_t i = 0; i < rows; ++i) {
    const detail::key_words key(i * 8 + 1);
    const auto place = detail::place_of(arrays, key, get);
    ASSERT_TRUE(place);
    ASSERT_TRUE(place->has_slot) << i;
    slots[place->slot] = detail::slot_of(static_cast<std::uint32_t>(i), key.hash());
  }
}

TEST(KeyedMistakes, AreNamed) {
  model declared;
  (void)declared.keyed_source<std::uint64_t>("none", 0);
  expect_status(engine::open(declared), status_code::invalid_argument, {"none"});
  keyed_desk<std::string_view> d(10);
  expect_status(d.insert_one(std::string(33, 'x')), status_code::invalid_argument, {"33", "32"});
  EXPECT_TRUE(d.insert_one(std::string(32, 'x')));
  EXPECT_TRUE(d.insert_one(std::string()));
  EXPECT_TRUE(find(d.desk.snapshot(), d.names, std::string_view())->has_value());
  EXPECT_FALSE(find(d.desk.snapshot(), d.names, std::string(33, 'x'))->has_value());
}

}  // namespace
}  // namespace engine_test
