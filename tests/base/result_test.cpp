/// \file
/// A result holds exactly one side, owns it, and refuses to be read on the other.
#include <gtest/gtest.h>

#include <memory>
#include <sheaf/base/result.hpp>
#include <string>
#include <type_traits>

namespace sheaf {
namespace {

status some_error() { return {status_code::io_error, subsystem::base, "read failed", "file a"}; }

result<int> half(int value) {
  if (value % 2 != 0) {
    return make_status(status_code::invalid_argument, subsystem::base, "odd", "%d", value);
  }
  return value / 2;
}

TEST(Result, HoldsAValueOrAnErrorAndSaysWhich) {
  const result<int> good = half(8);
  ASSERT_TRUE(good.has_value());
  EXPECT_TRUE(static_cast<bool>(good));
  EXPECT_EQ(*good, 4);
  EXPECT_EQ(good.value(), 4);
  const result<int> bad = half(7);
  ASSERT_FALSE(bad.has_value());
  EXPECT_FALSE(static_cast<bool>(bad));
  EXPECT_EQ(bad.error().message(), "base: odd: 7 (invalid_argument)");
  EXPECT_EQ(bad.value_or(9), 9);
  EXPECT_EQ(good.value_or(9), 4);
}

TEST(Result, MovesAValueThatCannotBeCopied) {
  result<std::unique_ptr<int>> owner(std::make_unique<int>(5));
  result<std::unique_ptr<int>> moved(std::move(owner));
  ASSERT_TRUE(moved.has_value());
  EXPECT_EQ(**moved, 5);
  const std::unique_ptr<int> taken = std::move(moved).value();
  EXPECT_EQ(*taken, 5);
  static_assert(!std::is_copy_constructible_v<result<std::unique_ptr<int>>>);
  static_assert(std::is_copy_constructible_v<result<std::string>>);
}

TEST(Result, AssignmentReplacesEitherSideByEither) {
  result<std::string> slot(std::string(100, 'a'));
  slot = some_error();
  ASSERT_FALSE(slot.has_value());
  EXPECT_EQ(slot.error().detail(), "file a");
  slot = std::string(200, 'b');
  ASSERT_TRUE(slot.has_value());
  EXPECT_EQ(slot->size(), 200U);
  slot = std::string("c");
  EXPECT_EQ(*slot, "c");
}

TEST(Result, DestroysItsValueExactlyOnce) {
  const auto counted = std::make_shared<int>(0);
  {
    result<std::shared_ptr<int>> first(counted);
    result<std::shared_ptr<int>> second(first);
    EXPECT_EQ(counted.use_count(), 3);
    second = some_error();
    EXPECT_EQ(counted.use_count(), 2);
    first = second;
    EXPECT_EQ(counted.use_count(), 1);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(Result, ChainsStopAtTheFirstErrorAndKeepIt) {
  EXPECT_EQ(*half(12).and_then(half).transform([](int value) { return value * 10; }), 30);
  int calls = 0;
  const result<int> stopped = half(6).and_then(half).transform([&](int value) {
    ++calls;
    return value;
  });
  EXPECT_EQ(stopped.error().detail(), "3");
  EXPECT_EQ(calls, 0);
}

TEST(Result, TryReturnsTheFirstBadStatusAndOtherwiseGoesOn) {
  int passed = 0;
  const auto run = [&](const status& first) -> status {
    SHEAF_TRY(status{});
    ++passed;
    SHEAF_TRY(first);
    ++passed;
    return {};
  };
  EXPECT_TRUE(run({}).is_ok());
  EXPECT_EQ(passed, 2);
  EXPECT_EQ(run(some_error()).code(), status_code::io_error);
  EXPECT_EQ(passed, 3);
}

TEST(ResultDeathTest, ReadingTheWrongSideAbortsWithTheInvariant) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const result<int> bad = half(7);
  const result<int> good = half(8);
  EXPECT_DEATH(static_cast<void>(bad.value()), "'result-side'");
  EXPECT_DEATH(static_cast<void>(*bad), "'result-side'");
  EXPECT_DEATH(static_cast<void>(good.error()), "'result-side'");
  EXPECT_DEATH(static_cast<void>(result<int>(status{})), "'result-error-is-not-ok'");
}

}  // namespace
}  // namespace sheaf
