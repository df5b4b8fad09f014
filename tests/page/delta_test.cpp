/// The delta as a container: what its calls keep, refuse and cost in memory.
#include <atomic>
#include <cstdlib>
#include <new>
#include <type_traits>

#include <gtest/gtest.h>

#include <sheaf/page/delta.hpp>

#include "page/delta_reference.hpp"

namespace {
std::atomic<std::size_t> allocations{0}, allocated_bytes{0};
}

// Counts every allocation of this program. Inlined, they would make the compiler see mismatched
// pairs.
SHEAF_NOINLINE void* operator new(std::size_t size) {
  ++allocations;
  allocated_bytes += size;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
SHEAF_NOINLINE void* operator new[](std::size_t size) { return operator new(size); }
SHEAF_NOINLINE void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  allocated_bytes += size;
  return std::malloc(size);
}
SHEAF_NOINLINE void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept {
  return operator new(size, tag);
}
SHEAF_NOINLINE void operator delete(void* memory) noexcept { std::free(memory); }
SHEAF_NOINLINE void operator delete[](void* memory) noexcept { std::free(memory); }
SHEAF_NOINLINE void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
SHEAF_NOINLINE void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace sheaf_test {
namespace {

constexpr array_id array{3};

std::vector<single_change> all_changes(const delta& changes) {
  std::vector<single_change> all;
  for (const delta_piece& piece : changes.pieces()) {
    for (const single_change& each : changes_of(piece)) all.push_back(each);
  }
  return all;
}

static_assert(!std::is_copy_constructible_v<delta> && !std::is_copy_assignable_v<delta>);
static_assert(std::is_nothrow_move_constructible_v<delta>);

TEST(Delta, OwnsNoMemoryWhileItIsEmpty) {
  const std::size_t before = allocations;
  delta changes;
  delta moved = std::move(changes);
  EXPECT_TRUE(moved.is_empty());
  EXPECT_EQ(moved.byte_size(), 0u);
  EXPECT_EQ(allocations, before);
}

TEST(Delta, KeepsASeriesOfSetsInFewPiecesAndInOrder) {
  for (const dtype type : all_types) {
    SCOPED_TRACE(name_of(type));
    std::mt19937_64 random(test_seed());
    delta changes;
    std::vector<single_change> expected;
    for (int i = 0; i < 5000; ++i) {
      const std::uint64_t index = random() % (i < 2500 ? 100 : ~0u);
      const std::uint64_t bits = awkward_bits(type, random);
      ASSERT_TRUE(changes.set(array, type, merge_operator::max, index, &bits).is_ok());
      expected.push_back({index, bits});
    }
    EXPECT_LE(changes.pieces().size(), 6u) << "16 + 64 + 256 + 1024 + 4096 >= 5000";
    const auto found = all_changes(changes);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i].index, expected[i].index);
      ASSERT_EQ(found[i].value, expected[i].value);
    }
  }
}

TEST(Delta, OpensAnotherPieceWhereTheArrayOrTheOperatorChanges) {
  delta changes;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(changes.set(array, merge_operator::add, 1, 1.0f).is_ok());
  ASSERT_TRUE(changes.set(array, merge_operator::min, 1, 2.0f).is_ok());
  ASSERT_TRUE(changes.set(array_id{4}, merge_operator::min, 1, 3.0f).is_ok());
  ASSERT_TRUE(changes.set(array, merge_operator::add, 1, 4.0f).is_ok());
  ASSERT_EQ(changes.pieces().size(), 4u);
  EXPECT_EQ(changes.pieces()[0].count, 3u);
  const auto found = all_changes(changes);
  ASSERT_EQ(found.size(), 6u);
  EXPECT_EQ(found[2].value, to_bits(1.0f));
  EXPECT_EQ(found[3].value, to_bits(2.0f));
  EXPECT_EQ(found[4].value, to_bits(3.0f));
  EXPECT_EQ(found[5].value, to_bits(4.0f));
  EXPECT_LE(changes.byte_size(), 4 * sizeof(delta_piece) + 3 * 16 + 16 * (8 + 8))
      << "closed pieces give back what they did not fill";
}

TEST(Delta, ClosedPiecesGiveTheirReserveBack) {
  const std::size_t before = allocated_bytes;
  delta changes;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(changes.set(array_id{i % 2}, merge_operator::add, i, 1.0).is_ok());
  }
  // 16 bytes a piece, in blocks that double, and the records of the pieces, which double too.
  EXPECT_LE(allocated_bytes - before, 10'000 * (2 * 16 + 4 * sizeof(delta_piece)));
  EXPECT_EQ(all_changes(changes)[9999].index, 9999u);
}

TEST(Delta, TakesIndicesPast32BitsIntoA64BitPiece) {
  delta changes;
  const std::uint64_t indices[] = {1, 0xffff'ffffu, 0x1'0000'0000u, 2, ~std::uint64_t{0}};
  for (const std::uint64_t index : indices) {
    ASSERT_TRUE(changes.set(array, merge_operator::assign, index, std::uint8_t{9}).is_ok());
  }
  ASSERT_EQ(changes.pieces().size(), 2u);
  EXPECT_EQ(changes.pieces()[0].kind, piece_kind::scatter32);
  EXPECT_EQ(changes.pieces()[1].kind, piece_kind::scatter64);
  const auto found = all_changes(changes);
  ASSERT_EQ(found.size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(found[i].index, indices[i]);
}

TEST(Delta, CopiesWhatItIsGivenAndBorrowsOnlyWhereAsked) {
  double values[4] = {1, 2, 3, 4};
  std::uint32_t indices[4] = {4, 4, 2, 0};
  delta changes;
  ASSERT_TRUE(changes.range(array, dtype::f64, merge_operator::add, 7, values, 4).is_ok());
  ASSERT_TRUE(changes
                  .scatter(array, dtype::f64, merge_operator::add,
                           std::span<const std::uint32_t>(indices), values)
                  .is_ok());
  const std::size_t owned = changes.byte_size();
  ASSERT_TRUE(changes.range_borrowed(array, dtype::f64, merge_operator::add, 7, values, 4).is_ok());
  ASSERT_TRUE(changes
                  .scatter_borrowed(array, dtype::f64, merge_operator::add,
                                    std::span<const std::uint32_t>(indices), values)
                  .is_ok());
  EXPECT_EQ(changes.byte_size(), owned + 2 * sizeof(delta_piece));
  values[0] = 50;
  indices[0] = 60;
  const auto pieces = changes.pieces();
  EXPECT_EQ(changes_of(pieces[0])[0].value, to_bits(1.0));
  EXPECT_EQ(changes_of(pieces[1])[0].index, 4u);
  EXPECT_EQ(pieces[2].values, values);
  EXPECT_EQ(pieces[3].values, values);
  EXPECT_EQ(pieces[3].columns, indices);
  EXPECT_FALSE(pieces[0].is_borrowed || pieces[1].is_borrowed);
  EXPECT_TRUE(pieces[2].is_borrowed && pieces[3].is_borrowed);
}

TEST(Delta, ColumnsStayWhereTheyAreWhenItGrowsAndWhenItMoves) {
  delta changes;
  std::vector<std::uint64_t> values(300, 5);
  ASSERT_TRUE(changes.range(array, dtype::u64, merge_operator::add, 0, values.data(), 300).is_ok());
  const void* kept = changes.pieces()[0].values;
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(
        changes.range(array, dtype::u64, merge_operator::add, 0, values.data(), 300).is_ok());
  }
  delta moved = std::move(changes);
  EXPECT_EQ(moved.pieces()[0].values, kept);
  EXPECT_EQ(std::memcmp(kept, values.data(), 2400), 0);
  EXPECT_TRUE(changes.is_empty());  // NOLINT(bugprone-use-after-move): it is empty and usable
  EXPECT_TRUE(changes.set(array, merge_operator::add, 1, 1.0).is_ok());
}

TEST(Delta, AMovedOpenPieceGoesOn) {
  delta changes;
  ASSERT_TRUE(changes.set(array, merge_operator::add, 1, 1.0).is_ok());
  delta moved;
  moved = std::move(changes);
  ASSERT_TRUE(moved.set(array, merge_operator::add, 2, 2.0).is_ok());
  ASSERT_TRUE(changes.set(array, merge_operator::add, 3, 3.0).is_ok());
  ASSERT_EQ(moved.pieces().size(), 1u);
  EXPECT_EQ(moved.pieces()[0].count, 2u);
  EXPECT_EQ(all_changes(changes)[0].index, 3u);
}

TEST(Delta, AllocatesNothingTheSecondTime) {
  const std::vector<float> values(5000, 1.0f);
  delta changes;
  std::size_t before = 0;
  for (int round = 0; round < 3; ++round) {
    before = allocations;
    for (std::uint64_t i = 0; i < 3000; ++i) {
      ASSERT_TRUE(
          changes
              .set(array_id{static_cast<std::uint32_t>(i % 7 == 0)}, merge_operator::add, i, 1.0f)
              .is_ok());
    }
    ASSERT_TRUE(
        changes.range(array, dtype::f32, merge_operator::add, 0, values.data(), 5000).is_ok());
    EXPECT_EQ(all_changes(changes).size(), 8000u);
    before = allocations;
    changes.clear();
    EXPECT_TRUE(changes.is_empty());
    EXPECT_EQ(changes.byte_size(), 0u);
    for (std::uint64_t i = 0; i < 3000; ++i) {
      ASSERT_TRUE(
          changes
              .set(array_id{static_cast<std::uint32_t>(i % 7 == 0)}, merge_operator::add, i, 1.0f)
              .is_ok());
    }
    ASSERT_TRUE(
        changes.range(array, dtype::f32, merge_operator::add, 0, values.data(), 5000).is_ok());
    EXPECT_EQ(allocations, before);
    changes.clear();
  }
}

TEST(Delta, RefusesToGrowPastItsLimitAndStaysAsItWas) {
  for (const std::size_t limit : {std::size_t{0}, sizeof(delta_piece), std::size_t{1000}}) {
    delta changes(limit);
    std::uint64_t taken = 0;
    while (changes.set(array, merge_operator::add, taken, 1.0).is_ok()) {
      ASSERT_LT(++taken, 1000u);
      ASSERT_LE(changes.byte_size(), limit);
    }
    EXPECT_EQ(changes.set(array, merge_operator::add, 0, 1.0).code(), status_code::too_many);
    EXPECT_EQ(all_changes(changes).size(), taken);
    EXPECT_GE(taken, limit < 1000 ? 0u : 40u) << "of at most 56 that 12 bytes each leave room for";
    const std::size_t size = changes.byte_size(), count = changes.pieces().size();
    const std::vector<double> values(1000);
    const std::vector<std::uint32_t> indices(1000);
    EXPECT_EQ(changes.range(array, dtype::f64, merge_operator::add, 0, values.data(), 1000).code(),
              status_code::too_many);
    EXPECT_EQ(changes
                  .scatter(array, dtype::f64, merge_operator::add,
                           std::span<const std::uint32_t>(indices), values.data())
                  .code(),
              status_code::too_many);
    EXPECT_EQ(changes
                  .range(array, dtype::f64, merge_operator::add, 0, values.data(),
                         ~std::uint64_t{0} / 8 + 2)
                  .code(),
              status_code::too_many)
        << "a product that overflows is no small one";
    EXPECT_LE(changes.byte_size(), size);
    EXPECT_EQ(changes.pieces().size(), count);
    EXPECT_EQ(all_changes(changes).size(), taken);
  }
}

TEST(Delta, RefusesAnOperatorTheTypeLacks) {
  const double value = 1;
  for (const merge_operator op :
       {merge_operator::bit_and, merge_operator::bit_or, merge_operator::bit_xor}) {
    delta changes;
    EXPECT_EQ(changes.set(array, dtype::f64, op, 0, &value).code(), status_code::invalid_argument);
    EXPECT_EQ(changes.range(array, dtype::f64, op, 0, &value, 1).code(),
              status_code::invalid_argument);
    EXPECT_NE(changes.set(array, dtype::f64, op, 0, &value).detail().find("f64"),
              std::string_view::npos);
    EXPECT_TRUE(changes.is_empty());
  }
}

TEST(Delta, RefusesARangePastTheGreatestIndex) {
  const std::uint8_t values[2] = {};
  delta changes;
  const std::uint64_t last = ~std::uint64_t{0};
  EXPECT_TRUE(changes.range(array, dtype::u8, merge_operator::assign, last, values, 1).is_ok());
  EXPECT_EQ(changes.range(array, dtype::u8, merge_operator::assign, last, values, 2).code(),
            status_code::out_of_range);
  EXPECT_EQ(changes.pieces().size(), 1u);
}

TEST(Delta, RefusesLinesThatLeaveTheirPageOrTheirLine) {
  const std::byte payload[128] = {};
  const std::uint64_t whole[2] = {0xffff, 0xffff}, too_wide[2] = {1, 0x1'0000};
  delta changes;
  const auto add = [&](std::uint64_t first, line_mask mask, const std::uint64_t* elements) {
    return changes
        .lines(array, dtype::f32, merge_operator::assign, page_class::b128, first, mask, elements,
               payload)
        .code();
  };
  EXPECT_EQ(add(3, 1, whole), status_code::invalid_argument);
  EXPECT_EQ(add(2, 4, whole), status_code::invalid_argument);
  EXPECT_EQ(add(2, 3, too_wide), status_code::invalid_argument);
  EXPECT_EQ(add(~std::uint64_t{0} - 1, 3, whole), status_code::invalid_argument);
  EXPECT_TRUE(changes.is_empty());
  EXPECT_EQ(add(2, 3, whole), status_code::ok);
  EXPECT_EQ(all_changes(changes).size(), 32u);
}

TEST(Delta, AddsNoPieceForNothing) {
  delta changes;
  EXPECT_TRUE(changes.range(array, dtype::f32, merge_operator::add, 0, nullptr, 0).is_ok());
  EXPECT_TRUE(changes
                  .scatter(array, dtype::f32, merge_operator::add, std::span<const std::uint64_t>(),
                           nullptr)
                  .is_ok());
  EXPECT_TRUE(
      changes.lines(array, dtype::f32, merge_operator::add, page_class::b64, 0, 0, nullptr, nullptr)
          .is_ok());
  EXPECT_TRUE(changes.is_empty());
}

}  // namespace
}  // namespace sheaf_test
