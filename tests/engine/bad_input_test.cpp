/// \file
/// Bad input to transactions, commits and snapshots: each is a status that names the thing, changes
/// nothing and spends no epoch.
#include <array>
#include <functional>
#include <limits>
#include <optional>

#include "engine/support.hpp"

namespace engine_test {
namespace {

class BadInput : public testing::Test {
 protected:
  BadInput() {
    desk_.emplace(opened(declared_));
    std::vector<float> prices(1000);
    for (std::size_t i = 0; i < prices.size(); ++i) prices[i] = static_cast<float>(i) * 0.25f;
    auto txn = desk_->begin();
    txn.range(price_, {}, prices);
    committed(std::move(txn));
    image_ = image_of(*desk_, price_, stock_, flags_, value_, total_);
    epoch_ = desk_->epoch();
  }

  /// The engine is as it was, and takes a good commit.
  void expect_untouched() {
    EXPECT_EQ(desk_->epoch(), epoch_);
    EXPECT_EQ(image_of(*desk_, price_, stock_, flags_, value_, total_), image_);
    EXPECT_EQ(set_one(*desk_, price_, 3, 7.5f).value, epoch_.value + 1);
    EXPECT_EQ(desk_->snapshot().get(value_, 3).value(), 15.0f);
    expect_glued(*desk_);
  }

  /// `write` is refused at once, poisons its transaction, and good writes beside it do not come
  /// through.
  void expect_refused(const std::function<void(transaction&)>& write, status_code code,
                      std::initializer_list<std::string_view> words) {
    auto txn = desk_->begin();
    txn.set(price_, {.index = 1}, 99.0f);
    ASSERT_TRUE(txn.error().is_ok());
    write(txn);
    expect_status(txn.error(), code, words);
    txn.set(price_, {.index = 2}, 99.0f);
    const auto done = std::move(txn).commit();
    ASSERT_FALSE(done);
    expect_status(done.error(), code, words);
    expect_untouched();
  }

  model declared_;
  array<float> price_ = declared_.source<float>("price", 1000);
  array<std::int64_t> stock_ = declared_.source<std::int64_t>("stock", 100);
  array<std::uint8_t> flags_ = declared_.source<std::uint8_t>("flags", 70);
  array<float> value_ = declared_.derive("value", price_ * 2.0f);
  array<float> total_ = declared_.derive("total", sum(value_));
  std::optional<engine> desk_;
  std::vector<std::byte> image_;
  epoch epoch_;
};

TEST_F(BadInput, SetPastTheEndNamesArrayIndexAndLength) {
  expect_refused([&](transaction& txn) { txn.set(price_, {.index = 1000}, 1.0f); },
                 status_code::out_of_range, {"price", "1000"});
}

TEST_F(BadInput, MergePastTheEndIsRefused) {
  expect_refused(
      [&](transaction& txn) { txn.merge(flags_, merge_operator::bit_or, {.index = 70}, 1); },
      status_code::out_of_range, {"flags", "70"});
}

TEST_F(BadInput, RangeThatRunsPastTheEndIsRefused) {
  const std::vector<float> values(11, 1.0f);
  expect_refused([&](transaction& txn) { txn.range(price_, {.index = 990}, values); },
                 status_code::out_of_range, {"price", "1000"});
}

TEST_F(BadInput, RangeWhoseEndWrapsIsRefused) {
  const std::vector<float> values(11, 1.0f);
  constexpr auto highest = std::numeric_limits<std::uint64_t>::max();
  expect_refused(
      [&](transaction& txn) { txn.range_borrowed(price_, {.index = highest - 5}, values); },
      status_code::out_of_range, {"price"});
}

TEST_F(BadInput, ScatterWithOneIndexPastTheEndIsRefused) {
  const std::vector<std::uint32_t> narrow{0, 5, 1000, 7};
  const std::vector<std::uint64_t> wide{0, 5, std::uint64_t{1} << 40, 7};
  const std::vector<float> values(4, 1.0f);
  expect_refused([&](transaction& txn) { txn.scatter(price_, narrow, values); },
                 status_code::out_of_range, {"price", "1000"});
  epoch_ = desk_->epoch();
  image_ = image_of(*desk_, price_, stock_, flags_, value_, total_);
  expect_refused([&](transaction& txn) { txn.scatter_borrowed(price_, wide, values); },
                 status_code::out_of_range, {"price", "1099511627776"});
}

TEST_F(BadInput, LinesPastTheEndAreRefused) {
  const std::array<std::byte, line_size> payload{};
  // Element 9 of the last line: 1000 = 62 * 16 + 8.
  const std::uint64_t past = std::uint64_t{1} << 8;
  expect_refused([&](transaction& txn) {
    txn.lines(price_, 0, line_mask{1} << 62, {&past, 1}, payload);
  }, status_code::out_of_range, {"price", "1000"});
}

TEST_F(BadInput, LinesOfAPageThatIsNotThereAreRefused) {
  const std::array<std::byte, line_size> payload{};
  const std::uint64_t one = 1;
  expect_refused([&](transaction& txn) { txn.lines(price_, 1, 1, {&one, 1}, payload); },
                 status_code::out_of_range, {"price"});
}

TEST_F(BadInput, LinesWithAMaskOfAnotherLengthAreRefused) {
  const std::array<std::byte, line_size> payload{};
  const std::uint64_t one = 1;
  expect_refused([&](transaction& txn) { txn.lines(price_, 0, 3, {&one, 1}, payload); },
                 status_code::length_mismatch, {"price"});
}

TEST_F(BadInput, SpansOfDifferentLengthsAreRefused) {
  const std::vector<std::uint32_t> indices{1, 2};
  const std::vector<float> values(3, 1.0f);
  expect_refused([&](transaction& txn) { txn.scatter(price_, indices, values); },
                 status_code::length_mismatch, {"2 and 3", "price"});
}

TEST_F(BadInput, AHandleOfAnotherElementTypeIsRefused) {
  const array<double> wrong(price_.handle());
  expect_refused([&](transaction& txn) { txn.set(wrong, {}, 1.0); }, status_code::type_mismatch,
                 {"price", "f32", "f64"});
  const auto now = desk_->snapshot();
  expect_status(now.fetch(wrong), status_code::type_mismatch, {"price", "f64"});
  expect_status(now.get(wrong), status_code::type_mismatch, {"price", "f64"});
}

TEST_F(BadInput, AMergeOperatorTheTypeLacksIsRefused) {
  expect_refused([&](transaction& txn) { txn.merge(price_, merge_operator::bit_xor, {}, 1.0f); },
                 status_code::type_mismatch, {"xor", "price"});
}

TEST_F(BadInput, AWriteToADerivedArrayIsRefused) {
  expect_refused([&](transaction& txn) { txn.set(total_, {}, 1.0f); }, status_code::not_a_source,
                 {"total"});
}

TEST_F(BadInput, AHandleThatNamesNothingIsRefused) {
  expect_refused([&](transaction& txn) { txn.set(array<float>(), {}, 1.0f); },
                 status_code::unknown_array, {"names no array"});
  expect_status(desk_->snapshot().get(array<float>()), status_code::unknown_array, {});
}

TEST_F(BadInput, AnArrayDeclaredAfterOpenIsUnknown) {
  const auto late = declared_.source<float>("late", 10);
  expect_refused([&](transaction& txn) { txn.set(late, {}, 1.0f); }, status_code::unknown_array,
                 {std::to_string(index_of(late.id()))});
  expect_status(desk_->snapshot().get(late), status_code::unknown_array, {});
}

TEST_F(BadInput, AnArrayOfAnotherModelIsForeign) {
  model other;
  const auto strange = other.source<float>("strange", 1000);
  expect_refused([&](transaction& txn) { txn.set(strange, {}, 1.0f); },
                 status_code::foreign_handle, {std::to_string(other.tag())});
  expect_status(desk_->snapshot().get(strange), status_code::foreign_handle, {});
}

TEST_F(BadInput, TwoEnginesOfOneModelShareNothingButHandles) {
  engine other = opened(declared_);
  set_one(other, price_, 5, 1234.0f);
  EXPECT_EQ(image_of(*desk_, price_, stock_, flags_, value_, total_), image_);
  EXPECT_EQ(other.snapshot().get(value_, 5).value(), 2468.0f);
  EXPECT_EQ(other.snapshot().get(value_, 6).value(), 0.0f);
  EXPECT_EQ(desk_->epoch(), epoch_);
}

TEST_F(BadInput, CommitAfterAbortGetsAborted) {
  auto txn = desk_->begin();
  txn.set(price_, {}, 9.0f);
  txn.abort();
  txn.set(price_, {}, 10.0f);
  expect_status(std::move(txn).commit(), status_code::aborted, {"aborted"});
  expect_untouched();
}

TEST_F(BadInput, ATransactionCommitsOnce) {
  auto txn = desk_->begin();
  committed(std::move(txn));
  epoch_ = desk_->epoch();
  expect_status(std::move(txn).commit(), status_code::closed, {"over"});
  expect_untouched();
}

TEST_F(BadInput, AMovedFromTransactionIsClosedAndItsHeirCommits) {
  auto txn = desk_->begin();
  txn.set(price_, {.index = 3}, 50.0f);
  transaction heir = std::move(txn);
  txn.set(price_, {.index = 4}, 60.0f);
  expect_status(txn.error(), status_code::closed, {"moved from"});
  expect_status(std::move(txn).commit(), status_code::closed, {"moved from"});
  EXPECT_EQ(desk_->epoch(), epoch_);
  EXPECT_EQ(committed(std::move(heir)).value, epoch_.value + 1);
  EXPECT_EQ(desk_->snapshot().get(price_, 3).value(), 50.0f);
  EXPECT_EQ(desk_->snapshot().get(price_, 4).value(), 1.0f);
}

TEST_F(BadInput, ADroppedTransactionLeavesNoTrace) {
  {
    auto txn = desk_->begin();
    txn.set(price_, {}, 9.0f);
    auto second = desk_->begin();
    second.set(price_, {.index = 1}, 9.0f);
    txn = std::move(second);  // drops what it held
  }
  transaction nobody;
  nobody.set(price_, {}, 1.0f);
  expect_status(std::move(nobody).commit(), status_code::closed, {"no engine"});
  expect_untouched();
}

TEST_F(BadInput, UseAfterCloseGetsClosedWhileOldSnapshotsStayReadable) {
  auto early = desk_->begin();
  early.set(price_, {}, 9.0f);
  const auto now = desk_->snapshot();
  desk_->close();
  desk_->close();
  auto late = desk_->begin();
  late.set(price_, {}, 9.0f);
  expect_status(late.error(), status_code::closed, {"closed"});
  expect_status(std::move(late).commit(), status_code::closed, {"closed"});
  early.set(price_, {.index = 1}, 9.0f);
  expect_status(std::move(early).commit(), status_code::closed, {"closed"});
  const auto refused = desk_->snapshot();
  EXPECT_FALSE(refused);
  expect_status(refused.error(), status_code::closed, {"closed"});
  expect_status(refused.get(price_), status_code::closed, {"closed"});
  expect_status(desk_->recompute(), status_code::closed, {"closed"});
  EXPECT_EQ(desk_->epoch(), epoch_);
  EXPECT_EQ(image_of(now, price_, stock_, flags_, value_, total_), image_);
  desk_.reset();
  EXPECT_EQ(image_of(now, price_, stock_, flags_, value_, total_), image_);
}

TEST_F(BadInput, AMovedFromEngineIsClosed) {
  engine heir = std::move(*desk_);
  auto txn = desk_->begin();  // NOLINT: what a moved-from engine says is the claim
  expect_status(std::move(txn).commit(), status_code::closed, {"closed"});
  EXPECT_FALSE(desk_->snapshot());
  EXPECT_EQ(desk_->epoch(), epoch{0});
  EXPECT_EQ(desk_->stats().commits, 0u);
  expect_status(desk_->audit(), status_code::closed, {});
  EXPECT_EQ(image_of(heir, price_, stock_, flags_, value_, total_), image_);
}

TEST_F(BadInput, ReadingPastTheEndNamesIndexAndLength) {
  const auto now = desk_->snapshot();
  expect_status(now.get(price_, 1000), status_code::out_of_range, {"1000"});
  expect_status(now.get(total_, 1), status_code::out_of_range, {"1"});
  const auto view = now.fetch(price_);
  ASSERT_TRUE(view);
  expect_status(view->at(1000), status_code::out_of_range, {"1000"});
  EXPECT_EQ(view->at(999).value(), 999 * 0.25f);
  EXPECT_TRUE(view->page(1).empty());
  EXPECT_EQ(view->page(0).size(), 1000u);
}

TEST_F(BadInput, AReleasedOrMovedFromSnapshotIsClosed) {
  auto now = desk_->snapshot();
  auto heir = std::move(now);
  EXPECT_FALSE(now);
  expect_status(now.get(price_), status_code::closed, {"moved from"});
  heir.release();
  expect_status(heir.get(price_), status_code::closed, {});
  expect_status(heir.fetch(price_), status_code::closed, {});
  EXPECT_EQ(desk_->stats().open_snapshots, 0u);
}

}  // namespace
}  // namespace engine_test
