/// \file
/// Small cases of what the model test found.
#include <sheaf/engine/engine.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace sheaf {
namespace {

TEST(Found, ACommitCallsNoHostFunctionThatItDoesNotReach) {
  model declared;
  const auto a = declared.source<float>("a", 64);
  const auto b = declared.source<float>("b", 64);
  const auto doubled = declared.derive("doubled", a + a);
  int calls = 0;
  bool fails = false;
  const auto hosted = declared.derive_host<float>("hosted", 64, {b}, [&](host_call& call) {
    ++calls;
    (void)call.result<float>();
    return fails ? status(status_code::invalid_argument, subsystem::engine, "on command")
                 : status();
  });
  auto opened = engine::open(declared);
  ASSERT_TRUE(opened) << opened.error().message();
  calls = 0;
  fails = true;
  auto txn = opened->begin();
  txn.range(a, {}, std::vector<float>(64, 2.0f));
  const auto done = std::move(txn).commit();
  ASSERT_TRUE(done) << done.error().message();
  ASSERT_EQ(opened->last_commit().levels_full, 1u) << "the level of both derived arrays runs full";
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(opened->snapshot().get(doubled, 63).value(), 4.0f);
  auto reaching = opened->begin();
  reaching.set(b, {.index = 1}, 1.0f);
  EXPECT_EQ(std::move(reaching).commit().error().code(), status_code::operator_failed);
  EXPECT_EQ(opened->snapshot().get(hosted, 1).value(), 0.0f);
}

/// Where the budget does not hold a version of every page, the pages a commit may reach are
/// counted.
TEST(Found, CountingReachedPagesCountsNoLinePastTheEndOfAnArray) {
  model declared;
  const auto a = declared.source<std::uint32_t>("a", 17, {.page = page_class::b4k});
  const auto total = declared.derive("total", sum(a), {.page = page_class::b64});
  const auto far = declared.source<std::uint32_t>("far", 100'000);
  const auto twice = declared.derive("twice", combine(semiring_id::sum_product, {far, far}));
  // A page of `a`, one of its line sums and one of `total`; nothing of `twice`.
  auto opened = engine::open(declared, {.history_bytes_max = 4096 + 64 + 64});
  ASSERT_TRUE(opened) << opened.error().message();
  const auto before = opened->snapshot();
  auto txn = opened->begin();
  txn.set(a, {.index = 16}, 5);
  const auto done = std::move(txn).commit();
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(opened->snapshot().get(total).value(), 5u);
  EXPECT_EQ(before.get(total).value(), 0u);
  EXPECT_EQ(before.get(twice).value(), 0u);
}

/// The count comes before the bodies: what they will note as changed elements is not known yet.
TEST(Found, CountingReachedPagesCountsWhatIndexesADerivedArray) {
  model declared;
  const auto a = declared.source<std::uint32_t>("a", 64, {.page = page_class::b64});
  const auto doubled = declared.derive("doubled", a + a);
  const auto picked = declared.derive("picked", gather(doubled, {5, 17, 40}));
  const auto far = declared.source<std::uint32_t>("far", 100'000);
  // A page each of `a`, `doubled` and `picked`; far less than one version of everything.
  auto opened = engine::open(declared, {.history_bytes_max = 3 * 64});
  ASSERT_TRUE(opened) << opened.error().message();
  const auto before = opened->snapshot();
  auto txn = opened->begin();
  txn.set(a, {.index = 17}, 21);
  const auto done = std::move(txn).commit();
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(opened->snapshot().get(picked, 1).value(), 42u);
  EXPECT_EQ(before.get(picked, 1).value(), 0u);
  EXPECT_EQ(before.get(far).value(), 0u);
}

}  // namespace
}  // namespace sheaf
