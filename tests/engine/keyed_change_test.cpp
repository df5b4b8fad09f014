/// \file
/// Keyed sources in forks, and with another number of rows.
#include "engine/keyed_support.hpp"

namespace engine_test {
namespace {

template <class Key>
class KeyedChange : public testing::Test {};
TYPED_TEST_SUITE(KeyedChange, key_types);

TYPED_TEST(KeyedChange, ForksInsertAndEraseApartAndMergeWhereKeysDoNotMeet) {
  dice random(7);
  keyed_desk<TypeParam> d(120);
  rows_by_key mirror;
  for (int round = 0; round < 20; ++round) {
    auto branch = d.desk.fork();
    rows_by_key own = mirror;
    for (int step = 0; step < 5; ++step) {
      auto txn = branch.begin();
      rows_by_key after = own;
      ASSERT_NO_FATAL_FAILURE(churn(txn, d.names, 120, after, random));
      if (random.chance(20)) continue;  // aborted
      ASSERT_TRUE(std::move(txn).commit());
      own = after;
    }
    ASSERT_NO_FATAL_FAILURE(expect_mirrored<TypeParam>(branch, d.names, own));
    auto second = branch.fork();
    auto txn = second.begin();
    rows_by_key others = own;
    ASSERT_NO_FATAL_FAILURE(churn(txn, d.names, 120, others, random, 20));
    ASSERT_TRUE(std::move(txn).commit());
    ASSERT_NO_FATAL_FAILURE(expect_mirrored<TypeParam>(second.snapshot(), d.names, others));
    ASSERT_NO_FATAL_FAILURE(expect_mirrored<TypeParam>(branch, d.names, own));
    ASSERT_NO_FATAL_FAILURE(expect_mirrored<TypeParam>(d.desk.snapshot(), d.names, mirror));
    ASSERT_TRUE(second.merge());
    mirror = others;
    ASSERT_NO_FATAL_FAILURE(expect_mirrored<TypeParam>(d.desk.snapshot(), d.names, mirror));
  }
  expect_glued(d.desk);
}

TYPED_TEST(KeyedChange, AForkThatInsertedAKeyTheEngineInsertedMeanwhileConflicts) {
  keyed_desk<TypeParam> d(100);
  auto branch = d.desk.fork();
  auto txn = branch.begin();
  ASSERT_TRUE(insert(txn, d.names, key_of<TypeParam>(5)));
  ASSERT_TRUE(std::move(txn).commit());
  auto other = d.desk.begin();
  ASSERT_TRUE(insert(other, d.names, key_of<TypeParam>(5)));
  committed(std::move(other));
  expect_status(branch.merge(), status_code::conflict, {});
  auto late = branch.begin();
  branch.drop();
  EXPECT_FALSE(insert(late, d.names, key_of<TypeParam>(6)));
}

TYPED_TEST(KeyedChange, KeysKeepTheirRowsOverEveryNumberOfRows) {
  dice random(11);
  keyed_desk<TypeParam> d(40);
  rows_by_key mirror;
  std::vector<held_rows> held;
  std::uint64_t rows = 40;
  std::uint64_t refused = 0;
  const keyed<TypeParam> first = d.names;
  for (int step = 0; step < 150; ++step) {
    if (random.chance(20)) held.push_back({d.desk.snapshot(), mirror});
    auto txn = d.desk.begin();
    if (random.chance(30)) {
      const std::uint64_t length = random.between(1, 400);
      std::uint64_t past = 0;
      for (const auto& [number, row] : mirror) past += row >= length;
      const auto other = resize(txn, random.chance(50) ? first : d.names, length);
      if (past != 0) {
        expect_status(other, status_code::invalid_argument, {"row", std::to_string(length)});
        ++refused;
        continue;
      }
      ASSERT_TRUE(other) << other.error().message();
      txn.resize(d.amount, length);
      committed(std::move(txn));
      d.names = *other;
      rows = length;
      EXPECT_EQ(d.names.rows(), rows);
    } else {
      ASSERT_NO_FATAL_FAILURE(
          churn(txn, random.chance(50) ? first : d.names, rows, mirror, random));
      committed(std::move(txn));
    }
    ASSERT_NO_FATAL_FAILURE(expect_mirrored<TypeParam>(d.desk.snapshot(), first, mirror));
    expect_glued(d.desk);
  }
  EXPECT_GT(refused, 5u);
  for (const held_rows& then : held) {
    ASSERT_NO_FATAL_FAILURE(expect_mirrored<TypeParam>(then.now, d.names, then.mirror));
  }
}

/// At the level `snapshot` nothing that was read is validated: what is written has to meet.
TYPED_TEST(KeyedChange, AKeyInsertedMeanwhileIsNotLostAtEitherIsolationLevel) {
  for (int turn = 0; turn < 8; ++turn) {
    constexpr std::uint64_t lengths[] = {10, 90, 101, 5000};
    const std::uint64_t length = lengths[turn % 4];
    const transaction_options how{.level = turn < 4 ? isolation::serializable
                                                    : isolation::snapshot};
    keyed_desk<TypeParam> d(100);
    auto early = d.desk.begin(how);
    ASSERT_TRUE(insert(early, d.names, key_of<TypeParam>(1)));
    auto growing = d.desk.begin(how);
    const auto other = resize(growing, d.names, length);
    ASSERT_TRUE(other);
    growing.resize(d.amount, length);
    auto late = d.desk.begin(how);
    ASSERT_TRUE(insert(late, d.names, key_of<TypeParam>(2)));
    committed(std::move(early));
    expect_status(std::move(growing).commit(), status_code::conflict, {});
    auto again = d.desk.begin(how);
    const auto longer = resize(again, d.names, std::max<std::uint64_t>(length, 100));
    ASSERT_TRUE(longer);
    again.resize(d.amount, std::max<std::uint64_t>(length, 100));
    committed(std::move(again));
    expect_status(std::move(late).commit(), status_code::conflict, {});
    const auto now = d.desk.snapshot();
    EXPECT_TRUE(find(now, *longer, key_of<TypeParam>(1))->has_value());
    EXPECT_FALSE(find(now, *longer, key_of<TypeParam>(2))->has_value());
  }
}

TEST(KeyedChangeMistakes, NumbersOfRowsThatCannotBeAreRefused) {
  keyed_desk<std::uint64_t> d(10);
  for (const std::uint64_t rows : {std::uint64_t{0}, keyed_rows_max + 1}) {
    auto txn = d.desk.begin();
    expect_status(resize(txn, d.names, rows), status_code::invalid_argument, {"rows"});
    committed(std::move(txn));
  }
}

}  // namespace
}  // namespace engine_test
