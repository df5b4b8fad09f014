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

/// What the change before it cut off is not cut off again.
TEST(Found, ALookAtTheGraphIsNoChangeOfIt) {
  model declared;
  const auto a = declared.source<double>("a", 300);
  auto opened = engine::open(declared);
  ASSERT_TRUE(opened) << opened.error().message();
  auto shrinking = opened->begin();
  (void)shrinking.resize(a, 100);
  const auto longer = shrinking.resize(a, 300);
  ASSERT_TRUE(std::move(shrinking).commit());
  auto writing = opened->begin();
  writing.set(longer, {.index = 200}, 7.0);
  ASSERT_TRUE(std::move(writing).commit());
  auto looking = opened->begin();
  auto reading = opened->begin();
  ASSERT_EQ(reading.read(longer, 200).value(), 7.0);
  reading.set(longer, {.index = 2}, 1.0);
  ASSERT_TRUE(looking.graph().find<double>("a"));
  looking.set(longer, {.index = 1}, 1.0);
  ASSERT_TRUE(std::move(looking).commit());
  EXPECT_EQ(opened->snapshot().get(longer, 200).value(), 7.0);
  EXPECT_TRUE(std::move(reading).commit()) << "nothing it read has changed, the graph neither";
}

/// A group of a fixpoint is one node; it stays while one member does, whichever that is.
TEST(Found, AGroupOfAFixpointGoesWithItsLastMember) {
  for (const int order : {0, 1}) {
    model declared;
    const auto from = declared.source<std::uint32_t>("from", 40);
    const auto edge = declared.source<std::uint32_t>("edge", 40);
    const auto x = declared.declare<std::uint32_t>("x", 40);
    const auto y = declared.declare<std::uint32_t>("y", 40);
    const std::vector<fixpoint_term<std::uint32_t>> of_x{{from}, {y}};
    const std::vector<fixpoint_term<std::uint32_t>> of_y{{edge}, {x}};
    declared.fixpoint<std::uint32_t>(semiring_id::or_and, {{x, of_x}, {y, of_y}});
    auto opened = engine::open(declared);
    ASSERT_TRUE(opened) << opened.error().message();
    const auto first = order == 0 ? x : y;
    const auto second = order == 0 ? y : x;
    auto one = opened->begin();
    one.graph().drop(first);
    one.set(from, {.index = 3}, 5);
    const auto dropped = std::move(one).commit();
    ASSERT_TRUE(dropped) << dropped.error().message();
    EXPECT_EQ(opened->snapshot().get(second, 3).value(), 5u);
    auto rest = opened->begin();
    rest.graph().drop(second);
    rest.graph().drop(edge);
    const auto done = std::move(rest).commit();
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(opened->stats().page_nodes, 1u) << "one source is left";
  }
}

}  // namespace
}  // namespace sheaf
