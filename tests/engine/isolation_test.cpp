/// \file
/// The anomalies by name, at both isolation levels: docs/transactions.md has the same table. Each
/// test interleaves transactions by hand, so that the anomaly would show if it could.
#include "engine/support.hpp"

namespace engine_test {
namespace {

constexpr isolation both_levels[] = {isolation::serializable, isolation::snapshot};

/// Two elements on lines of their own, an array derived from each, and their sum.
struct cells {
  cells() : desk(opened(build())) {
    auto txn = desk.begin();
    txn.set(value, {.index = x}, 10);
    txn.set(value, {.index = y}, 20);
    committed(std::move(txn));
  }
  const model& build() {
    value = declared.source<std::int64_t>("value", 512);
    doubled = declared.derive("doubled", value * std::int64_t{2});
    total = declared.derive("total", sum(value));
    return declared;
  }
  transaction begin(isolation level) { return desk.begin({.level = level}); }
  std::int64_t now(std::uint64_t index) { return desk.snapshot().get(value, index).value(); }

  static constexpr std::uint64_t x = 0, y = 100;
  model declared;
  array<std::int64_t> value, doubled, total;
  engine desk;
};

std::int64_t read(transaction& txn, const array<std::int64_t>& from, std::uint64_t index) {
  const auto got = txn.read(from, index);
  EXPECT_TRUE(got) << got.error().message();
  return got.value_or(-1);
}

void expect_conflict(transaction&& txn) {
  const auto done = std::move(txn).commit();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), status_code::conflict) << done.error().message();
}

/// Dirty write: two transactions that write two elements each, crosswise.
TEST(Isolation, G0_WritesOfTwoTransactionsNeverInterleave) {
  for (const isolation level : both_levels) {
    cells c;
    auto one = c.begin(level), two = c.begin(level);
    one.set(c.value, {.index = c.x}, 11);
    two.set(c.value, {.index = c.x}, 12);
    two.set(c.value, {.index = c.y}, 22);
    one.set(c.value, {.index = c.y}, 21);
    committed(std::move(two));
    expect_conflict(std::move(one));
    EXPECT_EQ(c.now(c.x), 12);
    EXPECT_EQ(c.now(c.y), 22);
  }
}

/// Aborted read: what an aborted transaction wrote is never seen.
TEST(Isolation, G1a_WritesOfAnAbortedTransactionAreNeverRead) {
  for (const isolation level : both_levels) {
    cells c;
    auto one = c.begin(level), two = c.begin(level);
    one.set(c.value, {.index = c.x}, 101);
    EXPECT_EQ(read(two, c.value, c.x), 10);
    one.abort();
    EXPECT_EQ(read(two, c.value, c.x), 10);
    EXPECT_EQ(read(two, c.doubled, c.x), 20);
    EXPECT_TRUE(std::move(two).commit());
  }
}

/// Intermediate read: of a transaction that writes an element twice only the last value is seen.
TEST(Isolation, G1b_IntermediateWritesAreNeverRead) {
  for (const isolation level : both_levels) {
    cells c;
    auto one = c.begin(level), two = c.begin(level);
    one.set(c.value, {.index = c.x}, 101);
    EXPECT_EQ(read(two, c.value, c.x), 10);
    one.set(c.value, {.index = c.x}, 11);
    committed(std::move(one));
    EXPECT_EQ(read(two, c.value, c.x), 10);
    auto three = c.begin(level);
    EXPECT_EQ(read(three, c.value, c.x), 11);
  }
}

/// Circular information flow: two transactions that each read what the other wrote.
TEST(Isolation, G1c_TwoTransactionsNeverReadEachOthersWrites) {
  for (const isolation level : both_levels) {
    cells c;
    auto one = c.begin(level), two = c.begin(level);
    one.set(c.value, {.index = c.x}, 11);
    two.set(c.value, {.index = c.y}, 22);
    EXPECT_EQ(read(one, c.value, c.y), 20);
    EXPECT_EQ(read(two, c.value, c.x), 10);
    committed(std::move(one));
    if (level == isolation::serializable) {
      expect_conflict(std::move(two));
    } else {
      committed(std::move(two));  // neither saw the other: write skew, see G2-item
    }
  }
}

/// Observed transaction vanishes: part of a transaction is seen and then overwritten from under it.
TEST(Isolation, OTV_ATransactionIsSeenWholeOrNotAtAll) {
  for (const isolation level : both_levels) {
    cells c;
    auto reader = c.begin(level);
    auto one = c.begin(level);
    one.set(c.value, {.index = c.x}, 11);
    one.set(c.value, {.index = c.y}, 19);
    EXPECT_EQ(read(reader, c.value, c.x), 10);
    committed(std::move(one));
    auto two = c.begin(level);
    two.set(c.value, {.index = c.x}, 12);
    two.set(c.value, {.index = c.y}, 18);
    committed(std::move(two));
    EXPECT_EQ(read(reader, c.value, c.y), 20);
    EXPECT_EQ(read(reader, c.total, 0), 30);
    EXPECT_TRUE(std::move(reader).commit());
  }
}

/// Predicate-many-preceders: the same question asked twice gets the same answer.
TEST(Isolation, PMP_ARangeReadTwiceIsTheSame) {
  for (const isolation level : both_levels) {
    cells c;
    auto reader = c.begin(level);
    std::vector<std::int64_t> first(512), second(512);
    ASSERT_TRUE(reader.read_range(c.value, {}, std::span(first)).is_ok());
    auto writer = c.begin(level);
    writer.set(c.value, {.index = 300}, 30);
    committed(std::move(writer));
    ASSERT_TRUE(reader.read_range(c.value, {}, std::span(second)).is_ok());
    EXPECT_EQ(first, second);
    EXPECT_EQ(read(reader, c.total, 0), 30);
    // What it does with the answer is refused where it has to be.
    reader.set(c.value, {.index = 400}, read(reader, c.total, 0));
    if (level == isolation::serializable) {
      expect_conflict(std::move(reader));
    } else {
      committed(std::move(reader));
    }
  }
}

/// Lost update: two transactions read an element and write it from what they read.
TEST(Isolation, P4_NoUpdateIsLost) {
  for (const isolation level : both_levels) {
    cells c;
    auto one = c.begin(level), two = c.begin(level);
    one.set(c.value, {.index = c.x}, read(one, c.value, c.x) + 1);
    two.set(c.value, {.index = c.x}, read(two, c.value, c.x) + 1);
    committed(std::move(one));
    expect_conflict(std::move(two));
    EXPECT_EQ(c.now(c.x), 11);
  }
}

/// Read skew: two elements read on either side of a commit that changed both.
TEST(Isolation, GSingle_ReadsAreOfOneEpoch) {
  for (const isolation level : both_levels) {
    cells c;
    auto reader = c.begin(level);
    EXPECT_EQ(read(reader, c.value, c.x), 10);
    auto writer = c.begin(level);
    writer.set(c.value, {.index = c.x}, 12);
    writer.set(c.value, {.index = c.y}, 18);
    committed(std::move(writer));
    EXPECT_EQ(read(reader, c.value, c.y), 20);
    EXPECT_EQ(read(reader, c.doubled, c.y), 40);
  }
}

/// Write skew: each reads both elements and writes another one.
TEST(Isolation, G2Item_WriteSkewIsRefusedIfSerializable) {
  for (const isolation level : both_levels) {
    cells c;
    auto one = c.begin(level), two = c.begin(level);
    const std::int64_t seen_by_one = read(one, c.value, c.x) + read(one, c.value, c.y);
    const std::int64_t seen_by_two = read(two, c.value, c.x) + read(two, c.value, c.y);
    one.set(c.value, {.index = c.x}, 10 - seen_by_one);
    two.set(c.value, {.index = c.y}, 10 - seen_by_two);
    committed(std::move(one));
    if (level == isolation::serializable) {
      expect_status(std::move(two).commit(), status_code::conflict,
                    {"changed what this one read", "value", "epoch 3", "read at 2"});
    } else {
      committed(std::move(two));
      EXPECT_EQ(c.now(c.x) + c.now(c.y), -40) << "the anomaly snapshot isolation allows";
    }
  }
}

/// Anti-dependency cycle over a range: each reads all and writes an element the other read.
TEST(Isolation, G2_ACycleThroughRangesIsRefusedIfSerializable) {
  for (const isolation level : both_levels) {
    cells c;
    auto one = c.begin(level), two = c.begin(level);
    std::vector<std::int64_t> seen(512);
    ASSERT_TRUE(one.read_range(c.value, {}, std::span(seen)).is_ok());
    ASSERT_TRUE(two.read_range(c.value, {}, std::span(seen)).is_ok());
    one.set(c.value, {.index = 200}, 1);
    two.set(c.value, {.index = 300}, 1);
    committed(std::move(one));
    if (level == isolation::serializable) {
      expect_conflict(std::move(two));
    } else {
      committed(std::move(two));
    }
  }
}

/// The same cycle where each reads only an array derived from what the other writes.
TEST(Isolation, G2Derived_ACycleThroughADerivedArrayIsRefusedIfSerializable) {
  for (const isolation level : both_levels) {
    cells c;
    auto one = c.begin(level), two = c.begin(level);
    EXPECT_EQ(read(one, c.total, 0), 30);
    EXPECT_EQ(read(two, c.total, 0), 30);
    one.set(c.value, {.index = 200}, 1);
    two.set(c.value, {.index = 300}, 1);
    committed(std::move(one));
    if (level == isolation::serializable) {
      expect_status(std::move(two).commit(), status_code::conflict,
                    {"changed what this one read", "total"});
    } else {
      committed(std::move(two));
      EXPECT_EQ(c.desk.snapshot().get(c.total).value(), 32);
    }
  }
}

TEST(Isolation, ADerivedLineThatKeptItsBitsIsNoConflict) {
  cells c;
  auto reader = c.begin(isolation::serializable);
  EXPECT_EQ(read(reader, c.total, 0), 30);
  reader.set(c.value, {.index = 400}, 5);
  auto writer = c.desk.begin();  // moves 1 from x to y: the sum keeps its bits
  writer.set(c.value, {.index = c.x}, 9);
  writer.set(c.value, {.index = c.y}, 21);
  committed(std::move(writer));
  committed(std::move(reader));
}

TEST(Isolation, ReadsSeeTheTransactionsOwnWritesInEveryForm) {
  cells c;
  auto txn = c.desk.begin();
  txn.set(c.value, {.index = c.x}, 5);
  txn.merge(c.value, merge_operator::add, {.index = c.x}, 7);
  EXPECT_EQ(read(txn, c.value, c.x), 12);
  EXPECT_EQ(read(txn, c.doubled, c.x), 20) << "a derived array is the snapshot's";
  const std::vector<std::int64_t> run{1, 2, 3};
  txn.range(c.value, {.index = 98}, run, merge_operator::max);
  const std::vector<std::uint32_t> indices{99, 99};
  const std::vector<std::int64_t> values{4, 8};
  txn.scatter(c.value, std::span<const std::uint32_t>(indices), values, merge_operator::bit_xor);
  const std::uint64_t elements = 0b1000'0000;
  std::int64_t line[8] = {0, 0, 0, 0, 0, 0, 0, 77};
  txn.lines(c.value, 0, line_mask{1} << 2, std::span(&elements, 1), std::as_bytes(std::span(line)));
  std::vector<std::int64_t> seen(4);
  ASSERT_TRUE(txn.read_range(c.value, {.index = 98}, std::span(seen)).is_ok());
  EXPECT_EQ(seen, (std::vector<std::int64_t>{1, 2 ^ 4 ^ 8, 20, 0}));
  EXPECT_EQ(read(txn, c.value, 23), 77);
  committed(std::move(txn));
  EXPECT_EQ(c.now(c.x), 12);
  EXPECT_EQ(c.now(99), 2 ^ 4 ^ 8);
  EXPECT_EQ(c.now(23), 77);
}

TEST(Isolation, ALazyArrayIsValidatedByWhatItIsComputedFrom) {
  model m;
  const auto a = m.source<float>("a", 64);
  const auto b = m.source<float>("b", 64);
  const auto late = m.derive("late", a + 1.0f, {.when = evaluation::lazy});
  const auto later = m.derive("later", late * 2.0f, {.when = evaluation::lazy});
  engine e = opened(m);
  auto one = e.begin(), two = e.begin();
  EXPECT_EQ(one.read(later, 3).value(), 2.0f);
  EXPECT_EQ(two.read(later, 3).value(), 2.0f);
  one.set(b, {}, 1.0f);
  two.set(b, {.index = 1}, 1.0f);
  committed(std::move(one));
  set_one(e, a, 3, 5.0f);
  expect_status(std::move(two).commit(), status_code::conflict, {"'a'"});
}

TEST(Isolation, ATransactionThatOnlyReadsCommitsAtTheEpochItRead) {
  cells c;
  auto reader = c.desk.begin();
  EXPECT_EQ(read(reader, c.value, c.x), 10);
  const epoch seen = c.desk.epoch();
  set_one(c.desk, c.value, c.x, 11);
  EXPECT_EQ(committed(std::move(reader)), seen);
  EXPECT_EQ(c.desk.stats().open_snapshots, 0u);
}

TEST(Isolation, AFirstReadMovesTheBeginOfATransactionThatWroteNothingYet) {
  cells c;
  auto txn = c.desk.begin();
  set_one(c.desk, c.value, c.x, 11);
  EXPECT_EQ(read(txn, c.value, c.x), 11);
  txn.set(c.value, {.index = c.x}, 12);
  committed(std::move(txn));
}

TEST(Isolation, ReadsPastTheRecordsAreTooOldAndWithoutRecordsTheUnchangedOnesPass) {
  model m;
  const auto a = m.source<std::int64_t>("a", 4096);
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{8192}}) {
    engine e = opened(m, {.record_bytes_max = bytes});
    auto stale = e.begin(), fine = e.begin();
    EXPECT_EQ(stale.read(a, 8).value(), 0);
    EXPECT_EQ(fine.read(a, 4000).value(), 0);
    for (int i = 0; i < 500; ++i) set_one(e, a, 8, i + 1);
    stale.set(a, {.index = 1000}, 1);
    fine.set(a, {.index = 1001}, 1);
    expect_status(std::move(stale).commit(), status_code::snapshot_too_old, {"epoch 1"});
    if (bytes == 0) {
      committed(std::move(fine));
    }
  }
}

TEST(Isolation, ReadsOfBadArgumentsDoNotPoisonTheTransaction) {
  cells c;
  auto txn = c.desk.begin();
  expect_status(txn.read(c.value, 512), status_code::out_of_range, {"512"});
  expect_status(txn.read(array<std::int64_t>()), status_code::unknown_array, {});
  EXPECT_EQ(txn.size(c.value).value(), 512u);
  txn.set(c.value, {.index = 3}, 1);
  committed(std::move(txn));
  auto over = c.desk.begin();
  over.abort();
  expect_status(over.read(c.value, 1), status_code::aborted, {});
}

TEST(CommitIf, CommitsOnlyWhereTheConditionHoldsInTheNewestState) {
  cells c;
  auto txn = c.desk.begin();
  txn.set(c.value, {.index = 7}, 1);
  set_one(c.desk, c.value, c.x, 99);
  auto again = c.desk.begin();
  again.set(c.value, {.index = 7}, 1);
  expect_status(std::move(txn).commit_if([&](const snapshot& now) {
                  return now.get(c.value, c.x).value() == 10;
                }),
                status_code::predicate_failed, {"epoch 3"});
  EXPECT_EQ(c.now(7), 0);
  EXPECT_TRUE(std::move(again).commit_if([&](const snapshot& now) {
    return now.get(c.value, c.x).value() == 99 && now.get(c.total).value() == 119;
  }));
  EXPECT_EQ(c.now(7), 1);
  EXPECT_EQ(c.desk.stats().open_snapshots, 0u);
}

TEST(CommitIf, AConditionThatCallsTheEngineIsReentrantAndOneThatThrowsFailsTheCommit) {
  cells c;
  status_code inner = status_code::ok;
  auto txn = c.desk.begin();
  txn.set(c.value, {.index = 7}, 1);
  EXPECT_TRUE(std::move(txn).commit_if([&](const snapshot&) {
    inner = c.desk.snapshot().error().code();
    EXPECT_FALSE(c.desk.begin().commit());
    return true;
  }));
  EXPECT_EQ(inner, status_code::reentrant);
  auto thrower = c.desk.begin();
  thrower.set(c.value, {.index = 7}, 2);
  expect_status(std::move(thrower).commit_if([](const snapshot&) -> bool {
                  throw std::runtime_error("as asked");
                }),
                status_code::operator_failed, {"as asked"});
  EXPECT_EQ(c.now(7), 1);
  set_one(c.desk, c.value, 7, 3);
}

TEST(Savepoint, RollingBackDropsExactlyWhatCameAfterIt) {
  cells c;
  auto txn = c.desk.begin();
  const savepoint_id start = txn.savepoint();
  txn.set(c.value, {.index = 1}, 1);
  txn.set(c.value, {.index = 2}, 2);
  const savepoint_id middle = txn.savepoint();
  for (std::uint64_t i = 0; i < 3000; ++i) {
    txn.set(c.value, {.index = i % 512}, 1000 + static_cast<std::int64_t>(i));
  }
  EXPECT_EQ(read(txn, c.value, 1), 3561);
  const savepoint_id late = txn.savepoint();
  txn.set(c.value, {.index = 512}, 0);  // past the end
  EXPECT_FALSE(txn.error().is_ok());
  ASSERT_TRUE(txn.roll_back_to(middle).is_ok());
  EXPECT_TRUE(txn.error().is_ok());
  expect_status(txn.roll_back_to(late), status_code::invalid_argument, {"savepoint"});
  EXPECT_EQ(read(txn, c.value, 1), 1);
  EXPECT_EQ(read(txn, c.value, 3), 0);
  txn.set(c.value, {.index = 3}, 3);
  ASSERT_TRUE(txn.roll_back_to(middle).is_ok());
  txn.set(c.value, {.index = 4}, 4);
  committed(std::move(txn));
  EXPECT_EQ(c.now(1), 1);
  EXPECT_EQ(c.now(2), 2);
  EXPECT_EQ(c.now(3), 0);
  EXPECT_EQ(c.now(4), 4);
  auto next = c.desk.begin();
  next.set(c.value, {.index = 1}, 9);
  expect_status(next.roll_back_to(start), status_code::invalid_argument, {});
  const savepoint_id own = next.savepoint();
  next.abort();
  expect_status(next.roll_back_to(own), status_code::aborted, {});
}

TEST(Tag, TheLoserOfAConflictLearnsWhoWon) {
  cells c;
  auto one = c.desk.begin({.who = "alice", .why = "rebalance"});
  auto two = c.desk.begin({.who = "bob"});
  one.set(c.value, {.index = c.x}, 1);
  two.set(c.value, {.index = c.x}, 2);
  committed(std::move(one));
  expect_status(std::move(two).commit(), status_code::conflict, {"'alice' (rebalance)"});
  auto three = c.desk.begin();
  three.tag(std::string(33, 'a'), "");
  expect_status(std::move(three).commit(), status_code::invalid_argument, {"33", "32"});
}

}  // namespace
}  // namespace engine_test
