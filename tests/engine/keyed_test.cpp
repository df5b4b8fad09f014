/// \file
/// Keyed sources against `std::map`: rows stay with their keys, snapshots keep theirs, and
/// transactions that concern one key meet whatever slots they touch.
#include <atomic>
#include <map>
#include <string>
#include <thread>

#include <sheaf/engine/keyed.hpp>

#include "engine/support.hpp"

namespace engine_test {
namespace {

template <class Key>
struct keyed_desk {
  explicit keyed_desk(std::uint64_t rows) : desk(opened(build(rows))) {}
  const model& build(std::uint64_t rows) {
    names = declared.keyed_source<Key>("names", rows);
    amount = declared.source<double>("amount", rows);
    total = declared.derive("total", sum(amount));
    return declared;
  }
  /// Inserts in a transaction of its own.
  result<std::uint32_t> insert_one(Key key) {
    auto txn = desk.begin();
    const auto row = insert(txn, names, key);
    if (!row) return row;
    const auto done = std::move(txn).commit();
    if (!done) return done.error();
    return row;
  }
  result<std::optional<std::uint32_t>> erase_one(Key key) {
    auto txn = desk.begin();
    const auto row = erase(txn, names, key);
    if (!row) return row;
    const auto done = std::move(txn).commit();
    if (!done) return done.error();
    return row;
  }

  model declared;
  keyed<Key> names;
  array<double> amount, total;
  engine desk;
};

/// Keys of two kinds from one number.
template <class Key>
struct key_maker;
template <>
struct key_maker<std::uint64_t> {
  std::uint64_t operator()(std::uint64_t number) const { return number * 0x100000001b3u; }
};
template <>
struct key_maker<std::string_view> {
  std::string_view operator()(std::uint64_t number) {
    text = std::string(number % 13, static_cast<char>(number)) + std::to_string(number);
    return text;
  }
  std::string text;
};

/// `now` has the rows of `mirror`, and no other.
template <class Key>
void expect_mirrored(const snapshot& now, const keyed<Key>& names,
                     const std::map<std::uint64_t, std::uint32_t>& mirror) {
  key_maker<Key> key;
  std::uint64_t used = 0;
  for (const std::uint8_t flag : values_of(now, names.used())) used += flag;
  EXPECT_EQ(used, mirror.size());
  for (std::uint64_t number = 0; number < 300; ++number) {
    const auto found = find(now, names, key(number));
    ASSERT_TRUE(found);
    const auto expected = mirror.find(number);
    ASSERT_EQ(found->has_value(), expected != mirror.end());
    if (*found) {
      ASSERT_EQ(**found, expected->second);
    }
  }
}

template <class Key>
class Keyed : public testing::Test {};
using key_types = testing::Types<std::uint64_t, std::string_view>;
TYPED_TEST_SUITE(Keyed, key_types);

TYPED_TEST(Keyed, IsAMapThatTransactionsAndSnapshotsAgreeOn) {
  constexpr std::uint64_t rows = 200;
  keyed_desk<TypeParam> d(rows);
  key_maker<TypeParam> key;
  std::map<std::uint64_t, std::uint32_t> mirror;  // number to row
  std::uint64_t state = 88172645463325252u;
  const auto dice = [&](std::uint64_t below) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state % below;
  };
  struct held_state {
    snapshot now;
    std::map<std::uint64_t, std::uint32_t> mirror;
  };
  std::vector<held_state> held;
  for (int step = 0; step < 600; ++step) {
    auto txn = d.desk.begin();
    auto after = mirror;
    for (std::uint64_t i = dice(6); i > 0; --i) {
      const std::uint64_t number = dice(300);
      const auto known = after.find(number);
      if (dice(5) < 2) {
        const auto row = erase(txn, d.names, key(number));
        ASSERT_TRUE(row) << row.error().message();
        ASSERT_EQ(row->has_value(), known != after.end());
        if (known != after.end()) {
          ASSERT_EQ(**row, known->second);
          after.erase(known);
        }
      } else {
        const auto row = insert(txn, d.names, key(number));
        if (known != after.end()) {
          expect_status(row, status_code::already_exists, {std::to_string(known->second)});
        } else if (after.size() == rows) {
          expect_status(row, status_code::too_many, {"200"});
        } else {
          ASSERT_TRUE(row) << row.error().message();
          for (const auto& [other, taken] : after) ASSERT_NE(taken, *row) << other;
          after[number] = *row;
        }
      }
      const std::uint64_t looked = dice(300);
      const auto found = find(txn, d.names, key(looked));
      ASSERT_TRUE(found) << found.error().message();
      const auto expected = after.find(looked);
      ASSERT_EQ(found->has_value(), expected != after.end()) << "step " << step;
      if (*found) {
        ASSERT_EQ(**found, expected->second);
      }
    }
    if (dice(8) == 0) continue;  // aborted
    ASSERT_TRUE(std::move(txn).commit());
    mirror = std::move(after);
    if (dice(50) == 0) held.push_back({d.desk.snapshot(), mirror});
  }
  held.push_back({d.desk.snapshot(), mirror});
  for (const held_state& then : held) {
    ASSERT_NO_FATAL_FAILURE(expect_mirrored<TypeParam>(then.now, d.names, then.mirror));
  }
}

TYPED_TEST(Keyed, ChurnAtFullLoadFillsNoBucketAndErasingEverythingLeavesNothing) {
  keyed_desk<TypeParam> d(64);
  key_maker<TypeParam> key;
  for (std::uint64_t i = 0; i < 64; ++i) ASSERT_TRUE(d.insert_one(key(i)));
  expect_status(d.insert_one(key(64)), status_code::too_many, {"64"});
  for (int round = 0; round < 20; ++round) {
    for (std::uint64_t i = 0; i < 64; ++i) {
      const auto at = static_cast<std::uint64_t>(round) * 64 + i;
      ASSERT_TRUE(*d.erase_one(key(at)));
      ASSERT_TRUE(d.insert_one(key(at + 64)));
    }
  }
  for (std::uint64_t i = 0; i < 64; ++i) ASSERT_TRUE(*d.erase_one(key(20 * 64 + i)));
  for (const std::uint64_t slot : values_of(d.desk.snapshot(), d.names.arrays().slots)) {
    EXPECT_EQ(slot, 0u);
  }
}

TYPED_TEST(Keyed, TwoTransactionsThatInsertOneKeyConflictAtEitherIsolationLevel) {
  for (const isolation level : {isolation::serializable, isolation::snapshot}) {
    keyed_desk<TypeParam> d(100);
    key_maker<TypeParam> key;
    ASSERT_TRUE(d.insert_one(key(5)));
    auto slow = d.desk.begin({.level = level});
    ASSERT_TRUE(slow.read(d.amount, 0));  // its snapshot is from here
    ASSERT_TRUE(d.erase_one(key(5)));     // other slots are free now than it sees
    ASSERT_TRUE(d.insert_one(key(7)));
    ASSERT_TRUE(insert(slow, d.names, key(7)));
    expect_status(std::move(slow).commit(), status_code::conflict, {});
    EXPECT_TRUE(find(d.desk.snapshot(), d.names, key(7))->has_value());
  }
}

TYPED_TEST(Keyed, WhoFoundNoKeyIsRefusedWhereItWasInsertedMeanwhile) {
  keyed_desk<TypeParam> d(100);
  key_maker<TypeParam> key;
  auto txn = d.desk.begin();
  ASSERT_FALSE(find(txn, d.names, key(3))->has_value());
  txn.set(d.amount, {.index = 50}, 1.0);
  ASSERT_TRUE(d.insert_one(key(3)));
  expect_status(std::move(txn).commit(), status_code::conflict, {"names.guards"});
}

TYPED_TEST(Keyed, ThreadsInsertAndEraseWithoutLosingOrDoublingAKey) {
  constexpr std::uint64_t rows = 4096;
  keyed_desk<TypeParam> d(rows);
  std::vector<std::thread> threads;
  std::atomic<std::uint64_t> inserted{0}, erased{0}, conflicts{0};
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      key_maker<TypeParam> key;
      std::uint64_t state = 88172645463325252u + t;
      for (int i = 0; i < 400; ++i) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        const std::uint64_t number = state % 700;
        if (state % 3 != 0) {
          const auto row = d.insert_one(key(number));
          inserted += row ? 1u : 0u;
          conflicts += !row && row.error().code() == status_code::conflict;
        } else {
          const auto row = d.erase_one(key(number));
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
  key_maker<TypeParam> key;
  for (std::uint64_t number = 0; number < 700; ++number) {
    const auto found = find(now, d.names, key(number));
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
