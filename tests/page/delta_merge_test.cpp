/// `merge` and `merge_lines`: what they leave, applied, gives the bits the unmerged deltas give.
/// RapidCheck prints the seed of a failing run; RC_PARAMS takes it back.
#include <map>
#include <memory>
#include <tuple>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <sheaf/page/delta_apply.hpp>

#include "page/delta_reference.hpp"

namespace sheaf_test {
namespace {

constexpr std::size_t length = 192;  // elements of every array: 3 lines of u8, 24 of u64
constexpr array_id first_array{0}, second_array{1};

std::mt19937_64 any_random() {
  return std::mt19937_64(*rc::gen::noShrink(rc::gen::arbitrary<std::uint64_t>()));
}

dtype any_type() {
  return *rc::gen::elementOf(std::vector(std::begin(all_types), std::end(all_types)));
}

merge_operator any_operator(dtype type) {
  const auto op =
      *rc::gen::elementOf(std::vector(std::begin(all_operators), std::end(all_operators)));
  return supports(op, type) ? op : merge_operator::add;
}

void add_piece(delta& changes, array_id array, dtype type, merge_operator op,
               std::mt19937_64& random) {
  std::byte values[length * 8];
  fill_awkward(values, length, type, random);
  const std::uint64_t count = 1 + random() % (random() % 2 == 0 ? 5 : 90);
  const auto check = [](const status& done) { RC_ASSERT(done.is_ok()); };
  switch (random() % 5) {
    case 0:
      return check(changes.range(array, type, op, random() % (length - count), values, count));
    case 1: {
      std::vector<std::uint32_t> indices(count);
      for (auto& each : indices) each = static_cast<std::uint32_t>(random() % length);
      return check(
          changes.scatter(array, type, op, std::span<const std::uint32_t>(indices), values));
    }
    case 2: {
      std::vector<std::uint64_t> indices(count);
      for (auto& each : indices) each = random() % 10;
      return check(
          changes.scatter(array, type, op, std::span<const std::uint64_t>(indices), values));
    }
    case 3: {
      const std::uint64_t whole = first_lines(64u >> size_shift(type));
      const std::uint64_t elements[2] = {random() & whole, random() & whole};
      const std::uint64_t first_line = random() % 2 * 2 % (length * size_of(type) / line_size - 1);
      return check(
          changes.lines(array, type, op, page_class::b128, first_line, 3, elements, values));
    }
    default:
      for (std::uint64_t k = 0; k < count; ++k) {
        check(changes.set(array, type, op, random() % length, values + k * size_of(type)));
      }
  }
}

delta any_delta(dtype type, std::mt19937_64& random) {
  delta changes;
  const int count = *rc::gen::inRange(0, 6);
  for (int i = 0; i < count; ++i) {
    const array_id array = *rc::gen::element(first_array, second_array);
    add_piece(changes, array, type, any_operator(type), random);
  }
  return changes;
}

struct two_arrays {
  naive_array first, second;
  two_arrays(dtype type, std::mt19937_64& random) : first(type, length), second(type, length) {
    for (std::size_t i = 0; i < length; ++i) {
      first[i] = awkward_bits(type, random);
      second[i] = awkward_bits(type, random);
    }
  }
  void apply(const delta& changes) {
    first.apply(changes, first_array);
    second.apply(changes, second_array);
  }
  friend bool operator==(const two_arrays&, const two_arrays&) = default;
};

delta copy_of(const delta& changes) {
  delta copy;
  for (const delta_piece& piece : changes.pieces()) RC_ASSERT(copy.append(piece).is_ok());
  return copy;
}

std::uint64_t change_count(const delta& changes) {
  std::uint64_t count = 0;
  for (const delta_piece& piece : changes.pieces()) count += changes_of(piece).size();
  return count;
}

RC_GTEST_PROP(DeltaMerge, AppliedOnceGivesTheBitsOfBothDeltasInTurn, ()) {
  const dtype type = any_type();
  std::mt19937_64 random = any_random();
  const delta a = any_delta(type, random), b = any_delta(type, random);
  two_arrays in_turn(type, random), once = in_turn;
  in_turn.apply(a);
  in_turn.apply(b);
  delta merged = copy_of(a);
  RC_ASSERT(merge(merged, b).is_ok());
  once.apply(merged);
  RC_ASSERT(once == in_turn);
  RC_ASSERT(change_count(merged) <= change_count(a) + change_count(b));
}

RC_GTEST_PROP(DeltaMerge, IsAssociativeInEffect, ()) {
  const dtype type = any_type();
  std::mt19937_64 random = any_random();
  const delta a = any_delta(type, random), b = any_delta(type, random), c = any_delta(type, random);
  delta left = copy_of(a);  // (a b) c
  RC_ASSERT(merge(left, b).is_ok());
  RC_ASSERT(merge(left, c).is_ok());
  delta tail = copy_of(b), right = copy_of(a);  // a (b c)
  RC_ASSERT(merge(tail, c).is_ok());
  RC_ASSERT(merge(right, tail).is_ok());
  two_arrays by_left(type, random), by_right = by_left, in_turn = by_left;
  by_left.apply(left);
  by_right.apply(right);
  for (const delta* each : {&a, &b, &c}) in_turn.apply(*each);
  RC_ASSERT(by_left == in_turn);
  RC_ASSERT(by_right == in_turn);
}

RC_GTEST_PROP(DeltaMerge, LeavesOneChangeAnElementWhereTheOperatorMergesExactly, ()) {
  const dtype type = any_type();
  const merge_operator op = any_operator(type);
  std::mt19937_64 random = any_random();
  delta a, b;
  add_piece(a, first_array, type, op, random);
  add_piece(b, first_array, type, op, random);
  std::map<std::uint64_t, std::uint64_t> elements;
  for (const delta* each : {&a, &b}) {
    for (const single_change& change : changes_of(each->pieces()[0])) ++elements[change.index];
    for (std::size_t p = 1; p < each->pieces().size(); ++p) {
      for (const single_change& change : changes_of(each->pieces()[p])) ++elements[change.index];
    }
  }
  const std::uint64_t before = change_count(a) + change_count(b);
  RC_ASSERT(merge(a, b).is_ok());
  RC_ASSERT(change_count(a) == (merges_exactly(op, type) ? elements.size() : before));
}

TEST(DeltaMerge, NeverAddsFloatsBeforeTheyMeetTheirElement) {
  // 2^24 + 1 rounds back to 2^24, twice; 2^24 + (1 + 1) does not.
  delta a, b;
  ASSERT_TRUE(a.set(first_array, merge_operator::add, 5, 1.0f).is_ok());
  ASSERT_TRUE(b.set(first_array, merge_operator::add, 5, 1.0f).is_ok());
  ASSERT_TRUE(merge(a, b).is_ok());
  EXPECT_EQ(change_count(a), 2u);
  naive_array array(dtype::f32, length);
  array[5] = to_bits(16777216.0f);
  array.apply(a, first_array);
  EXPECT_EQ(array[5], to_bits(16777216.0f));
}

TEST(DeltaMerge, KeepsTheOrderOfFloatAddsWhereARunOfNeighboursBegins) {
  // (2^24 + 1) + 2 is 2^24 + 2, but (2^24 + 2) + 1 is 2^24 + 4.
  const std::vector<float> twos(60, 2.0f);
  delta a, b;
  ASSERT_TRUE(a.set(first_array, merge_operator::add, 40, 1.0f).is_ok());
  ASSERT_TRUE(
      b.range(first_array, dtype::f32, merge_operator::add, 40, twos.data(), twos.size()).is_ok());
  ASSERT_TRUE(merge(a, b).is_ok());
  naive_array array(dtype::f32, length);
  array[40] = to_bits(16777216.0f);
  array.apply(a, first_array);
  EXPECT_EQ(array[40], to_bits(16777218.0f));
}

TEST(DeltaMerge, FoldsAnAddIntoTheAssignmentBeforeIt) {
  delta a, b;
  ASSERT_TRUE(a.set(first_array, merge_operator::assign, 5, 16777216.0f).is_ok());
  ASSERT_TRUE(b.set(first_array, merge_operator::add, 5, 1.0f).is_ok());
  ASSERT_TRUE(b.set(first_array, merge_operator::add, 5, 1.0f).is_ok());
  ASSERT_TRUE(merge(a, b).is_ok());
  ASSERT_EQ(a.pieces().size(), 1u);
  EXPECT_EQ(a.pieces()[0].op, merge_operator::assign);
  EXPECT_EQ(changes_of(a.pieces()[0])[0].value, to_bits(16777216.0f));
}

TEST(DeltaMerge, SwallowsWhatALaterAssignmentOverwrites) {
  std::vector<std::int64_t> values(100, 7);
  delta a, b;
  for (const merge_operator op :
       {merge_operator::add, merge_operator::min, merge_operator::bit_xor}) {
    ASSERT_TRUE(a.range(first_array, dtype::i64, op, 20, values.data(), 50).is_ok());
  }
  ASSERT_TRUE(
      b.range(first_array, dtype::i64, merge_operator::assign, 0, values.data(), 100).is_ok());
  ASSERT_TRUE(merge(a, b).is_ok());
  ASSERT_EQ(a.pieces().size(), 1u);
  EXPECT_EQ(a.pieces()[0].kind, piece_kind::range);
  EXPECT_EQ(a.pieces()[0].op, merge_operator::assign);
  EXPECT_EQ(a.pieces()[0].count, 100u);
}

TEST(DeltaMerge, TakesPiecesOfOtherArraysOverAsTheyAre) {
  const float values[3] = {1, 2, 3};
  const std::uint32_t indices[3] = {9, 9, 1};
  delta a, b;
  ASSERT_TRUE(a.range(first_array, dtype::f32, merge_operator::assign, 0, values, 3).is_ok());
  ASSERT_TRUE(b.scatter_borrowed(second_array, dtype::f32, merge_operator::assign,
                                 std::span<const std::uint32_t>(indices), values)
                  .is_ok());
  const void* kept = a.pieces()[0].values;
  ASSERT_TRUE(merge(a, b).is_ok());
  ASSERT_EQ(a.pieces().size(), 2u);
  EXPECT_EQ(a.pieces()[0].values, kept);
  EXPECT_TRUE(a.pieces()[1].is_borrowed);
  EXPECT_EQ(a.pieces()[1].columns, indices);
  EXPECT_EQ(a.pieces()[1].count, 3u);
}

TEST(DeltaMerge, KeepsIndicesThatNeed64Bits) {
  const std::uint64_t far = std::uint64_t{1} << 40;
  delta a, b;
  ASSERT_TRUE(a.set(first_array, merge_operator::max, far, 3.0).is_ok());
  ASSERT_TRUE(b.set(first_array, merge_operator::max, far, 5.0).is_ok());
  ASSERT_TRUE(b.set(first_array, merge_operator::max, 2, 4.0).is_ok());
  ASSERT_TRUE(merge(a, b).is_ok());
  ASSERT_EQ(a.pieces().size(), 1u);
  const auto changes = changes_of(a.pieces()[0]);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].index, 2u);
  EXPECT_EQ(changes[1].index, far);
  EXPECT_EQ(changes[1].value, to_bits(5.0));
}

TEST(DeltaMerge, ThatFailsLeavesTheDeltaUnchanged) {
  std::vector<double> values(1000, 1.5);
  delta shared, apart;
  ASSERT_TRUE(
      shared.range(first_array, dtype::f64, merge_operator::add, 0, values.data(), 1000).is_ok());
  ASSERT_TRUE(apart.set(second_array, merge_operator::add, 0, 1.0).is_ok());
  ASSERT_TRUE(
      apart.range(array_id{7}, dtype::f64, merge_operator::add, 0, values.data(), 1000).is_ok());
  for (const delta* next : {&shared, &apart}) {
    delta into(9000);
    ASSERT_TRUE(
        into.range(first_array, dtype::f64, merge_operator::add, 8, values.data(), 1000).is_ok());
    const std::size_t size = into.byte_size();
    EXPECT_EQ(merge(into, *next).code(), status_code::too_many);
    EXPECT_EQ(into.byte_size(), size);
    ASSERT_EQ(into.pieces().size(), 1u);
    EXPECT_EQ(into.pieces()[0].first, 8u);
    EXPECT_EQ(std::memcmp(into.pieces()[0].values, values.data(), 8000), 0);
  }
  delta into, other_type;
  ASSERT_TRUE(into.set(first_array, merge_operator::add, 0, 1.0).is_ok());
  ASSERT_TRUE(other_type.set(first_array, merge_operator::add, 0, 1.0f).is_ok());
  EXPECT_EQ(merge(into, other_type).code(), status_code::type_mismatch);
  EXPECT_EQ(change_count(into), 1u);
}

// A page of 64 lines, and a line delta applied to it through a table.
struct one_page {
  alignas(line_size) std::byte bytes[4096];

  void apply(const apply_table& table, const line_delta& changes) {
    const auto body =
        table.lines[static_cast<unsigned>(changes.op)][static_cast<unsigned>(changes.type)];
    body(bytes, changes.mask, changes.element_masks, changes.payload);
  }
};

std::unique_ptr<line_delta> any_line_delta(dtype type, merge_operator op, std::mt19937_64& random) {
  auto changes = std::make_unique<line_delta>();
  changes->type = type;
  changes->op = op;
  changes->mask = random() & (random() % 2 == 0 ? random() : ~std::uint64_t{0});
  for (std::uint64_t& each : changes->element_masks) {
    each = random() & first_lines(64u >> size_shift(type));
  }
  fill_awkward(changes->payload, sizeof changes->payload >> size_shift(type), type, random);
  return changes;
}

RC_GTEST_PROP(LineMerge, LeavesTheBitsOfBothInTurn, ()) {
  const dtype type = any_type();
  std::mt19937_64 random = any_random();
  const merge_operator op = any_operator(type);
  const merge_operator other = *rc::gen::arbitrary<bool>() ? op : any_operator(type);
  const isa set = *rc::gen::element(isa::scalar, isa::avx2, isa::avx512);
  const apply_table* table = apply_of(is_available(set) ? set : isa::scalar);
  auto earlier = any_line_delta(type, op, random);
  const auto later = any_line_delta(type, other, random);
  one_page in_turn, once;
  fill_awkward(in_turn.bytes, 4096 >> size_shift(type), type, random);
  once = in_turn;
  in_turn.apply(*table, *earlier);
  in_turn.apply(*table, *later);

  const line_mask earlier_mask = earlier->mask;
  const line_merge outcome = merge_lines(*table, *earlier, *later);
  once.apply(*table, *earlier);
  if (outcome == line_merge::apart) once.apply(*table, *later);
  RC_ASSERT(std::memcmp(once.bytes, in_turn.bytes, 4096) == 0);
  RC_ASSERT((outcome == line_merge::merged) == (op == other && merges_exactly(op, type)));
  if (outcome == line_merge::merged) RC_ASSERT(earlier->mask == (earlier_mask | later->mask));
}

TEST(LineMerge, AnAssignmentOfWholeLinesLeavesNothingOfTheEarlierChanges) {
  std::mt19937_64 random(test_seed());
  const apply_table* table = apply_of(isa::scalar);
  auto earlier = any_line_delta(dtype::f32, merge_operator::add, random);
  auto later = any_line_delta(dtype::f32, merge_operator::assign, random);
  earlier->mask |= 3;
  later->mask = earlier->mask & ~line_mask{2};
  for (std::uint64_t& each : later->element_masks) each = 0xffff;
  earlier->element_masks[1] = 0x10;
  EXPECT_EQ(merge_lines(*table, *earlier, *later), line_merge::apart);
  EXPECT_EQ(earlier->mask, 2u);
  EXPECT_EQ(earlier->element_masks[0], 0x10u);
}

}  // namespace
}  // namespace sheaf_test
