/// \file
/// Changes of the graph of an open engine: what they do, what they refuse, what they recompute.
#include <numeric>

#include "engine/support.hpp"

namespace {

using namespace engine_test;

std::vector<float> counting(std::uint64_t count, float first = 1) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

/// Two sources of 1000, their sum, and the sum of that.
struct desk {
  explicit desk(const engine_options& options = {})
      : a(declared.source<float>("a", 1000)),
        b(declared.source<float>("b", 1000)),
        both(declared.derive("both", a + b)),
        total(declared.derive("total", sum(both))),
        run(opened(declared, options)) {
    auto txn = run.begin();
    txn.range(a, {}, counting(1000));
    txn.range(b, {}, counting(1000, 5));
    committed(std::move(txn));
  }
  model declared;
  array<float> a, b, both, total;
  engine run;
};

float at_of(engine& in, const array<float>& target, std::uint64_t index) {
  const auto value = in.snapshot().get(target, index);
  EXPECT_TRUE(value) << value.error().message();
  return value.value_or(-1);
}

/// What a snapshot of now says of `target`: its length.
result<std::uint64_t> length_now(engine& in, const array<float>& target) {
  const auto now = in.snapshot();
  const auto found = now.fetch(target);
  if (!found) return found.error();
  return found->size();
}

class GraphChange : public testing::TestWithParam<readers> {};
INSTANTIATE_TEST_SUITE_P(Mode, GraphChange, testing::ValuesIn(both_modes));

TEST_P(GraphChange, AnArrayAddedAndWrittenInOneTransactionIsThereWithWhatIsDerivedFromIt) {
  desk d({.mode = GetParam()});
  auto txn = d.run.begin();
  const auto weight = txn.graph().source<float>("weight", 1000);
  const auto weighted = txn.graph().derive("weighted", d.both * weight);
  txn.range(weight, {}, counting(1000));
  txn.set(d.a, {2}, 10);
  committed(std::move(txn));
  EXPECT_EQ(at_of(d.run, weighted, 2), (10 + 7) * 3);
  EXPECT_EQ(at_of(d.run, weighted, 999), (1000 + 1004) * 1000.0f);
  set_one(d.run, weight, 5, 2);
  EXPECT_EQ(at_of(d.run, weighted, 5), (6 + 10) * 2);
  EXPECT_EQ(d.run.find<float>("weighted").value(), weighted);
  EXPECT_EQ(d.run.declared()->array_count(), d.declared.array_count() + 2);
  expect_glued(d.run);
}

TEST_P(GraphChange, ARedefinedArrayAndWhatReadsItGetTheirNewBits) {
  desk d({.mode = GetParam()});
  auto txn = d.run.begin();
  txn.graph().redefine(d.both, d.a * 2.0f);
  committed(std::move(txn));
  EXPECT_EQ(at_of(d.run, d.both, 999), 2000);
  EXPECT_EQ(at_of(d.run, d.total, 0), 1000 * 1001);
  set_one(d.run, d.b, 0, 77);
  EXPECT_EQ(d.run.last_commit().pages_recomputed, 0u) << "nothing reads b any more";
  expect_glued(d.run);
}

TEST_P(GraphChange, ADroppedArrayIsGoneAndItsNameIsFree) {
  desk d({.mode = GetParam()});
  const auto before = d.run.snapshot();
  auto txn = d.run.begin();
  txn.graph().redefine(d.both, d.a + 1.0f);
  txn.graph().drop(d.b);
  const auto fresh = txn.graph().source<float>("b", 3);
  committed(std::move(txn));
  expect_status(length_now(d.run, d.b), status_code::unknown_array, {"'b'", "dropped"});
  auto writing = d.run.begin();
  writing.set(d.b, {0}, 1);
  expect_status(writing.error(), status_code::unknown_array, {"'b'", "dropped"});
  EXPECT_EQ(d.run.find<float>("b").value(), fresh);
  EXPECT_EQ(before.get(d.b, 3).value(), 8) << "a snapshot before it keeps the array";
  expect_status(before.fetch(fresh), status_code::foreign_handle, {"declared later"});
  expect_glued(d.run);
}

TEST_P(GraphChange, ARenamedArrayIsFoundByItsNewName) {
  desk d({.mode = GetParam()});
  auto txn = d.run.begin();
  txn.graph().rename(d.a, "alpha");
  txn.graph().rename(d.b, "a");
  committed(std::move(txn));
  EXPECT_EQ(d.run.find<float>("alpha").value().id(), d.a.id());
  EXPECT_EQ(d.run.find<float>("a").value().id(), d.b.id());
  expect_status(d.run.find<float>("b"), status_code::unknown_array, {"'b'"});
  expect_status(d.run.find<double>("a"), status_code::type_mismatch, {"'a'", "f32"});
  EXPECT_EQ(d.run.last_commit().pages_recomputed, 0u);
}

TEST_P(GraphChange, DerivedArraysGrowWithWhatTheyFollow) {
  desk d({.mode = GetParam()});
  auto txn = d.run.begin();
  const auto a = txn.append(d.a, std::vector<float>{1, 2, 3});
  const auto b = txn.resize(d.b, 1003);
  EXPECT_EQ(a.size(), 1003u);
  committed(std::move(txn));
  EXPECT_EQ(length_now(d.run, d.both).value(), 1003u);
  EXPECT_EQ(at_of(d.run, d.both, 1001), 2);
  EXPECT_EQ(at_of(d.run, b, 1002), 0);
  EXPECT_EQ(at_of(d.run, d.total, 0), 500500 + 504500 + 6);
  expect_glued(d.run);
}

TEST_P(GraphChange, AShrunkArrayForgetsItsEndForGood) {
  desk d({.mode = GetParam()});
  const auto before = d.run.snapshot();
  for (const std::uint64_t length : {501u, 3u, 64u, 1000u}) {
    auto txn = d.run.begin();
    txn.resize(d.a, length);
    txn.resize(d.b, length);
    committed(std::move(txn));
    expect_glued(d.run);
  }
  const auto a = d.run.find<float>("a").value();
  auto expected = counting(3);
  expected.resize(1000);
  EXPECT_EQ(values_of(d.run.snapshot(), a), expected);
  EXPECT_EQ(at_of(d.run, d.total, 0), 1 + 2 + 3 + 5 + 6 + 7);
  EXPECT_EQ(values_of(before, d.a), counting(1000));
  EXPECT_EQ(before.get(d.total).value(), 500500 + 504500);
}

TEST(GraphChangeCost, OnlyWhatDependsOnTheChangeIsRecomputed) {
  model declared;
  const auto x = declared.source<float>("x", 4096);
  std::vector<array<float>> doubled;
  for (int i = 0; i < 50; ++i) doubled.push_back(declared.derive("", x * float(i)));
  engine run = opened(declared);
  set_all(run, x, 1);
  auto txn = run.begin();
  const auto one = txn.graph().derive("one", doubled[7] + 1.0f);
  committed(std::move(txn));
  EXPECT_EQ(run.last_commit().pages_recomputed, 4u) << "four pages of 1024 elements";
  EXPECT_EQ(run.last_commit().lines_recomputed, 256u);
  auto second = run.begin();
  second.graph().redefine(doubled[7], x * 7.0f);
  committed(std::move(second));
  EXPECT_EQ(run.last_commit().pages_recomputed, 4u) << "equal bits: what reads it is cut off";
  auto third = run.begin();
  third.graph().redefine(doubled[7], x * 70.0f);
  committed(std::move(third));
  EXPECT_EQ(run.last_commit().pages_recomputed, 8u);
  EXPECT_EQ(at_of(run, one, 0), 71);
  expect_glued(run);
}

TEST(GraphChangeCost, AppendingRecomputesTheEndAlone) {
  model declared;
  const auto x = declared.source<float>("x", 100'000);
  const auto y = declared.derive("y", x * 2.0f);
  const auto total = declared.derive("total", sum(y));
  engine run = opened(declared);
  set_all(run, x, 1);
  auto txn = run.begin();
  txn.append(x, std::vector<float>{3, 4});
  committed(std::move(txn));
  EXPECT_EQ(at_of(run, total, 0), 200'014);
  EXPECT_LE(run.last_commit().pages_recomputed, 6u) << "a page of y and one of each level";
  EXPECT_LE(run.last_commit().lines_recomputed, 8u);
  expect_glued(run);
}

TEST(GraphChangeRefused, MistakesNameTheArrayAndChangeNothing) {
  desk d;
  const auto image = image_of(d.run, d.a, d.b, d.both, d.total);
  const auto epoch = d.run.epoch();
  const auto graph = d.run.declared();
  const auto refuse = [&](auto&& edit, status_code code,
                          std::initializer_list<std::string_view> words) {
    auto txn = d.run.begin();
    txn.set(d.a, {0}, 99);
    edit(txn);
    const auto done = std::move(txn).commit();
    expect_status(done, code, words);
    EXPECT_EQ(image_of(d.run, d.a, d.b, d.both, d.total), image);
    EXPECT_EQ(d.run.epoch(), epoch);
    EXPECT_EQ(d.run.declared(), graph);
  };
  refuse([&](transaction& txn) { txn.graph().drop(d.a); }, status_code::invalid_argument,
         {"'a' is read by 'both'"});
  refuse([&](transaction& txn) { txn.graph().redefine(d.both, d.total + d.a); },
         status_code::cycle, {"both", "total"});
  refuse([&](transaction& txn) { txn.graph().redefine(d.a, d.b + 1.0f); },
         status_code::invalid_argument, {"'a'"});
  refuse([&](transaction& txn) { txn.resize(d.a, 1001); }, status_code::length_mismatch,
         {"'a' has 1001", "'b' has 1000", "'both'"});
  refuse([&](transaction& txn) { txn.resize(d.both, 7); }, status_code::not_a_source,
         {"'both'"});
  refuse([&](transaction& txn) { txn.resize(d.a, 0); }, status_code::invalid_argument, {"'a'"});
  refuse([&](transaction& txn) { txn.graph().rename(d.a, "b"); }, status_code::duplicate_name,
         {"'b'"});
  refuse([&](transaction& txn) { txn.graph().source<float>("total", 1); },
         status_code::duplicate_name, {"'total'"});
  refuse([&](transaction& txn) { txn.graph().declare<float>("later", 1); },
         status_code::undefined_array, {"'later'"});
  refuse(
      [&](transaction& txn) {
        txn.graph().redefine(array<double>(d.both.handle()), array<double>(d.a.handle()) * 2.0);
      },
      status_code::type_mismatch, {"'both'"});
  refuse([&](transaction& txn) { txn.graph().drop(array<float>()); }, status_code::unknown_array,
         {"drop"});
  refuse(
      [&](transaction& txn) {
        txn.graph().drop(d.total);
        txn.graph().derive("more", sum(d.total));
      },
      status_code::unknown_array, {"'total'", "dropped", "'more'"});
  refuse(
      [&](transaction& txn) {
        txn.set(d.a, {700}, 1);
        txn.resize(d.a, 10);
        txn.resize(d.b, 10);
      },
      status_code::out_of_range, {"element 700 of 'a', which has 10"});
}

TEST(GraphChangeRefused, AnIndexPastAShrunkOperandUnlessItIsMendedInTheSameTransaction) {
  desk d;
  const auto picked = [&] {
    auto txn = d.run.begin();
    auto made = txn.graph().derive("picked", gather(d.a, {1, 998}));
    committed(std::move(txn));
    return made;
  }();
  auto txn = d.run.begin();
  txn.resize(d.a, 998);
  txn.resize(d.b, 998);
  expect_status(std::move(txn).commit(), status_code::out_of_range,
                {"element 998 of 'a', which has 998", "'picked'"});
  auto mended = d.run.begin();
  mended.resize(d.a, 998);
  mended.resize(d.b, 998);
  mended.graph().redefine(picked, gather(d.a, {1, 2, 997}));
  committed(std::move(mended));
  EXPECT_EQ(d.run.find<float>("picked").value().size(), 3u);
  expect_glued(d.run);
}

TEST(GraphChangeRefused, OfTwoChangesThatOverlapTheLaterConflicts) {
  desk d;
  auto first = d.run.begin();
  auto second = d.run.begin();
  auto writer = d.run.begin();
  auto distant = d.run.begin();
  first.resize(d.a, 500);
  first.resize(d.b, 500);
  second.graph().source<float>("new", 10);
  writer.set(d.a, {600}, 1);
  distant.set(d.a, {400}, 1);
  committed(std::move(first));
  expect_status(std::move(second).commit(), status_code::conflict, {"graph"});
  expect_status(std::move(writer).commit(), status_code::conflict, {"600", "'a'"});
  EXPECT_TRUE(std::move(distant).commit()) << "its element is still there";
  expect_glued(d.run);
}

TEST(GraphChangeRefused, AHandleOfATransactionThatFailedNamesNothing) {
  desk d;
  auto failing = d.run.begin();
  const auto never = failing.graph().source<float>("never", 10);
  failing.abort();
  auto txn = d.run.begin();
  const auto other = txn.graph().source<float>("other", 10);
  committed(std::move(txn));
  ASSERT_EQ(never.id(), other.id());
  expect_status(length_now(d.run, never), status_code::foreign_handle, {});
  EXPECT_TRUE(length_now(d.run, other));
}

TEST_P(GraphChange, SnapshotsOfThreeGenerationsReadTheirOwnGraphs) {
  desk d({.mode = GetParam()});
  const auto lazy_of = [&](float factor) {
    auto txn = d.run.begin();
    const auto made = txn.graph().derive("lazy", d.both * factor, {.when = evaluation::lazy});
    committed(std::move(txn));
    return made;
  };
  const auto drop = [&](const any_array& target) {
    auto txn = d.run.begin();
    txn.graph().drop(target);
    committed(std::move(txn));
  };
  auto first = std::optional(d.run.snapshot());
  const auto twice = lazy_of(2);
  auto second = std::optional(d.run.snapshot());
  drop(twice);
  set_all(d.run, d.a, 0);
  const auto thrice = lazy_of(3);
  auto third = std::optional(d.run.snapshot());
  drop(thrice);
  set_all(d.run, d.b, 0);
  EXPECT_FALSE(first->fetch(twice));
  EXPECT_EQ(second->get(twice, 0).value(), 12);
  EXPECT_FALSE(second->fetch(thrice));
  EXPECT_EQ(third->get(thrice, 0).value(), 15);
  EXPECT_FALSE(third->fetch(twice));
  EXPECT_EQ(first->get(d.total).value(), 500500 + 504500);
  EXPECT_EQ(second->get(d.total).value(), 500500 + 504500);
  EXPECT_EQ(third->get(d.total).value(), 504500);
  EXPECT_EQ(at_of(d.run, d.total, 0), 0);
  third.reset();
  first.reset();
  EXPECT_EQ(second->get(twice, 999).value(), 2.0f * 2004);
  second.reset();
  set_one(d.run, d.a, 0, 1);
  const auto figures = d.run.stats();
  EXPECT_EQ(figures.history_bytes, 0u);
  expect_glued(d.run);
}

TEST_P(GraphChange, AFailingHostFunctionTakesTheWholeChangeBack) {
  bool fails = false;
  model declared;
  const auto x = declared.source<float>("x", 300);
  const auto checked = declared.derive_host<float>(
      "checked", 1, {x}, [&](host_call& call) -> status {
        if (fails) return status(status_code::operator_failed, subsystem::engine, "said no");
        const auto values = call.operand<float>(0);
        call.result<float>()[0] = values[0] + float(values.size());
        return {};
      });
  engine run = opened(declared, {.mode = GetParam()});
  set_all(run, x, 1);
  const auto image = image_of(run, x, checked);
  const auto graph = run.declared();
  const auto bytes = run.stats().frame_bytes - run.stats().spare_bytes;
  for (int attempt = 0; attempt < 3; ++attempt) {
    fails = true;
    auto txn = run.begin();
    txn.append(x, counting(5000));
    const auto wide = txn.graph().derive("wide", x * 3.0f);
    txn.set(x, {1}, 9);
    expect_status(std::move(txn).commit(), status_code::operator_failed, {"'checked'"});
    EXPECT_EQ(image_of(run, x, checked), image);
    EXPECT_EQ(run.declared(), graph);
    EXPECT_FALSE(length_now(run, wide));
    EXPECT_EQ(run.stats().frame_bytes - run.stats().spare_bytes, bytes);
    fails = false;
    expect_glued(run);
  }
  auto txn = run.begin();
  txn.append(x, counting(5000));
  committed(std::move(txn));
  EXPECT_EQ(run.snapshot().get(checked).value(), 5301);
  expect_glued(run);
}

TEST(GraphChangeRefused, WithoutMemoryNothingChanges) {
  desk d({.memory_bytes_max = 64 << 10});
  const auto image = image_of(d.run, d.a, d.b, d.both, d.total);
  auto txn = d.run.begin();
  txn.graph().source<float>("large", 1 << 20);
  expect_status(std::move(txn).commit(), status_code::out_of_memory, {});
  EXPECT_EQ(image_of(d.run, d.a, d.b, d.both, d.total), image);
  auto small = d.run.begin();
  small.graph().source<float>("small", 16);
  committed(std::move(small));
  expect_glued(d.run);
}

TEST(GraphChangeRefused, GoneTransactionsAndModelsEditNothing) {
  transaction none;
  none.graph().source<float>("x", 1);
  expect_status(std::move(none).commit(), status_code::closed, {});
  desk d;
  auto txn = d.run.begin();
  txn.set(d.a, {1'000'000}, 1);
  txn.graph().drop(d.total);
  expect_status(std::move(txn).commit(), status_code::out_of_range, {"'a'"});
  EXPECT_TRUE(length_now(d.run, d.total));
}

/// The fold tree gains and loses levels on top.
TEST_P(GraphChange, AReductionFollowsAcrossTheNumbersOfItsLevels) {
  model declared;
  auto x = declared.source<float>("x", 10);
  const auto total = declared.derive("total", sum(x * 1.0f));
  const auto least = declared.derive("least", minimum_of(x));
  engine run = opened(declared, {.mode = GetParam()});
  for (const std::uint64_t length : {16u, 17u, 20'000u, 1u, 70'000u, 1024u, 1025u, 15u}) {
    auto txn = run.begin();
    x = txn.resize(x, length);
    txn.range(x, {}, counting(length, 3));
    committed(std::move(txn));
    EXPECT_EQ(run.snapshot().get(least).value(), 3);
    expect_glued(run);
  }
  EXPECT_EQ(run.snapshot().get(total).value(), 15 * 10.0f);
}

}  // namespace
