/// \file
/// Every bit rule of scalar.hpp, on values where breaking it shows.
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <cmath>
#include <cstring>
#include <sheaf/algebra/elementwise_math.hpp>
#include <sheaf/algebra/lane.hpp>

#include "algebra/exact_fma.hpp"
#include "algebra/values.hpp"

namespace sheaf {
namespace {

using test::any_value;
using test::exact_fma;
using test::stored;

constexpr std::int32_t min32 = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t max32 = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t min64 = std::numeric_limits<std::int64_t>::min();
constexpr float infinity = std::numeric_limits<float>::infinity();

template <class T>
T hidden(T x) {  // from the optimiser, so that the operation happens at run time
  volatile T copy = x;
  return copy;
}

TEST(BitRules, FmaRoundsOnceWhereMultiplyThenAddRoundsTwice) {
  const float a = hidden(1.0f + 0x1p-12f), c = hidden(-(1.0f + 0x1p-11f));
  EXPECT_EQ(to_bits(fma(a, a, c)), to_bits(0x1p-24f));
  EXPECT_EQ(to_bits(add(multiply(a, a), c)), to_bits(0.0f)) << "contracted";
  const double x = hidden(1.0 + 0x1p-27), z = hidden(-(1.0 + 0x1p-26));
  EXPECT_EQ(to_bits(fma(x, x, z)), to_bits(0x1p-54));
  EXPECT_EQ(to_bits(add(multiply(x, x), z)), to_bits(0.0)) << "contracted";
}

TEST(BitRules, FmaOfFloatsDoesNotRoundTwiceThroughDouble) {
  // 24929 * 673 = 2^24 + 1 lies half-way between two floats; a crumb decides, which double loses.
  const float a = hidden(24929.0f), b = hidden(673.0f);
  EXPECT_EQ(fma(a, b, hidden(0x1p-60f)), 16777218.0f);
  EXPECT_EQ(fma(a, b, hidden(-0x1p-60f)), 16777216.0f);
  EXPECT_EQ(fma(a, b, hidden(0.0f)), 16777216.0f);
}

TEST(BitRules, FmaIsRightAtTheEdgesOfTheRange) {
  const double tiny = std::numeric_limits<double>::denorm_min();
  EXPECT_EQ(to_bits(fma(hidden(tiny), hidden(0.5), hidden(tiny))), to_bits(2 * tiny));
  EXPECT_EQ(to_bits(fma(hidden(tiny), hidden(0.5), hidden(0.0))), to_bits(0.0));
  EXPECT_EQ(to_bits(fma(hidden(-tiny), hidden(0.25), hidden(-0.0))), to_bits(-0.0));
  const float huge = std::numeric_limits<float>::max();
  EXPECT_EQ(fma(hidden(huge), hidden(2.0f), hidden(-huge)), huge) << "overflowed in between";
  EXPECT_TRUE(std::isnan(fma(hidden(infinity), hidden(0.0f), hidden(1.0f))));
}

template <class T>
void check_fma_against_oracle() {
  const auto values = test::special_values<T>();
  for (const T a : values) {
    for (const T b : values) {
      for (const T c : values) {
        if (!std::isfinite(a) || !std::isfinite(b) || !std::isfinite(c)) continue;
        ASSERT_EQ(to_bits(fma(a, b, c)), to_bits(exact_fma(a, b, c))) << a << ' ' << b << ' ' << c;
      }
    }
  }
}
TEST(BitRules, FmaEqualsTheExactOracleOnSpecialValues) {
  check_fma_against_oracle<float>();
  check_fma_against_oracle<double>();
}

template <class T>
void fma_property() {
  const T a = *any_value<T>(), b = *any_value<T>();
  RC_PRE(std::isfinite(a) && std::isfinite(b));
  // Near -a * b the rounding of the product matters; elsewhere the addend alone.
  const T near = static_cast<T>(-(a * b)) * static_cast<T>(*rc::gen::inRange(1, 4));
  const T c = *rc::gen::arbitrary<bool>() ? near : *any_value<T>();
  RC_PRE(std::isfinite(c));
  RC_ASSERT(to_bits(fma(a, b, c)) == to_bits(exact_fma(a, b, c)));
}
RC_GTEST_PROP(BitRules, FmaOfFloatsEqualsTheExactOracle, ()) { fma_property<float>(); }
RC_GTEST_PROP(BitRules, FmaOfDoublesEqualsTheExactOracle, ()) { fma_property<double>(); }

TEST(BitRules, TheStoreMakesEveryNanTheCanonicalOne) {
  for (const std::uint32_t bits :
       {0x7fc00000u, 0xffc00000u, 0x7f800001u, 0xff812345u, 0x7fffffffu}) {
    EXPECT_EQ(to_bits(canonical(from_bits<float>(bits))), 0x7fc00000u);
  }
  for (const std::uint64_t bits : {0xfff8000000000000u, 0x7ff0000000000001u, 0xffffffffffffffffu}) {
    EXPECT_EQ(to_bits(canonical(from_bits<double>(bits))), 0x7ff8000000000000u);
  }
  EXPECT_EQ(to_bits(canonical(-0.0f)), to_bits(-0.0f));
  EXPECT_EQ(canonical(infinity), infinity);
  EXPECT_EQ(canonical(-5), -5);
}

TEST(BitRules, MinimumAndMaximumOrderZerosAndPropagateNan) {
  const float plus = hidden(0.0f), minus = hidden(-0.0f);
  EXPECT_EQ(to_bits(min(plus, minus)), to_bits(-0.0f));
  EXPECT_EQ(to_bits(min(minus, plus)), to_bits(-0.0f));
  EXPECT_EQ(to_bits(max(plus, minus)), to_bits(0.0f));
  EXPECT_EQ(to_bits(max(minus, plus)), to_bits(0.0f));
  EXPECT_EQ(to_bits(max(minus, minus)), to_bits(-0.0f));
  const float nan = from_bits<float>(0xff812345u);
  for (const float other : {1.0f, -1.0f, infinity, -infinity, nan}) {
    EXPECT_EQ(to_bits(min(nan, other)), 0x7fc00000u);
    EXPECT_EQ(to_bits(min(other, nan)), 0x7fc00000u);
    EXPECT_EQ(to_bits(max(nan, other)), 0x7fc00000u);
    EXPECT_EQ(to_bits(max(other, nan)), 0x7fc00000u);
  }
  EXPECT_EQ(min(hidden(-3), hidden(2)), -3);
  EXPECT_EQ(max(hidden(std::uint8_t{200}), hidden(std::uint8_t{100})), 200);
}

TEST(BitRules, IntegersWrapAtTheirOwnWidthAfterEachOperation) {
  EXPECT_EQ(add(hidden(max32), 1), min32);
  EXPECT_EQ(subtract(hidden(min32), 1), max32);
  EXPECT_EQ(multiply(hidden(min32), -1), min32);
  EXPECT_EQ(multiply(hidden(std::int32_t{65536}), std::int32_t{65536}), 0);
  EXPECT_EQ(negate(hidden(min32)), min32);
  EXPECT_EQ(abs(hidden(min32)), min32);
  EXPECT_EQ(add(hidden(~std::uint64_t{0}), std::uint64_t{2}), 1u);
  EXPECT_EQ(negate(hidden(std::uint32_t{1})), 0xffffffffu);
  const std::uint8_t a = hidden(std::uint8_t{200}), b = hidden(std::uint8_t{100});
  // 200 + 100 promotes to 300 in C++; halved it would be 150, not 22.
  EXPECT_EQ(divide(add(a, b), std::uint8_t{2}), 22);
  EXPECT_EQ(divide(lane(a) + lane(b), lane(std::uint8_t{2})).first(), 22);
  EXPECT_EQ(((lane(a) + lane(b)) >> lane(std::uint8_t{1})).first(), 22);
  EXPECT_EQ(bit_not(std::uint8_t{0}), 255);
  EXPECT_EQ(fma(a, b, a), static_cast<std::uint8_t>(200 * 100 + 200));
}

TEST(BitRules, IntegerDivisionHasAnAnswerForEveryOperand) {
  EXPECT_EQ(divide(hidden(7), hidden(0)), 0);
  EXPECT_EQ(divide(hidden(std::uint8_t{7}), hidden(std::uint8_t{0})), 0);
  EXPECT_EQ(divide(hidden(min32), hidden(-1)), min32);
  EXPECT_EQ(divide(hidden(min64), hidden(std::int64_t{-1})), min64);
  EXPECT_EQ(divide(hidden(-7), hidden(2)), -3);
  EXPECT_EQ(divide(hidden(5), hidden(-1)), -5);
  EXPECT_EQ(divide(hidden(5.0f), hidden(-0.0f)), -infinity);
}

TEST(BitRules, ShiftCountsAreMaskedAndSignedShiftsKeepTheSign) {
  EXPECT_EQ(shl(hidden(1), hidden(33)), 2);
  EXPECT_EQ(shl(hidden(1), hidden(-1)), min32);
  EXPECT_EQ(shl(hidden(std::uint8_t{1}), hidden(std::uint8_t{9})), 2);
  EXPECT_EQ(shl(hidden(std::uint8_t{255}), hidden(std::uint8_t{1})), 254);
  EXPECT_EQ(shl(hidden(std::uint64_t{1}), hidden(std::uint64_t{64})), 1u);
  EXPECT_EQ(shr(hidden(-8), hidden(1)), -4);
  EXPECT_EQ(shr(hidden(-1), hidden(63)), -1);
  EXPECT_EQ(shr(hidden(0x80000000u), hidden(31u)), 1u);
  EXPECT_EQ(shr(hidden(std::uint8_t{255}), hidden(std::uint8_t{12})), 15);
}

TEST(BitRules, FloatToIntegerSaturatesTruncatesAndMakesNanZero) {
  EXPECT_EQ(cast<std::int32_t>(hidden(3e9f)), max32);
  EXPECT_EQ(cast<std::int32_t>(hidden(-3e9f)), min32);
  EXPECT_EQ(cast<std::int32_t>(hidden(2147483648.0f)), max32);
  EXPECT_EQ(cast<std::int32_t>(hidden(-2147483648.0f)), min32);
  EXPECT_EQ(cast<std::int32_t>(hidden(2147483520.0f)), 2147483520);
  EXPECT_EQ(cast<std::int32_t>(hidden(-2147483648.5)), min32);
  EXPECT_EQ(cast<std::int32_t>(hidden(-1.75f)), -1);
  EXPECT_EQ(cast<std::int32_t>(hidden(std::nanf(""))), 0);
  EXPECT_EQ(cast<std::int32_t>(hidden(-infinity)), min32);
  EXPECT_EQ(cast<std::uint8_t>(hidden(255.9f)), 255);
  EXPECT_EQ(cast<std::uint8_t>(hidden(256.0)), 255);
  EXPECT_EQ(cast<std::uint8_t>(hidden(-0.5f)), 0);
  EXPECT_EQ(cast<std::uint8_t>(hidden(-7.0f)), 0);
  EXPECT_EQ(cast<std::uint64_t>(hidden(1e30f)), ~std::uint64_t{0});
  EXPECT_EQ(cast<std::uint64_t>(hidden(9223372036854775808.0)), std::uint64_t{1} << 63);
  EXPECT_EQ(cast<std::int64_t>(hidden(9223372036854775808.0)), ~min64);
}

TEST(BitRules, OtherCastsWrapOrRoundToNearestEven) {
  EXPECT_EQ(cast<std::uint8_t>(hidden(-1)), 255);
  EXPECT_EQ(cast<std::int32_t>(hidden(std::int64_t{0x1'8000'0000})), min32);
  EXPECT_EQ(cast<std::uint64_t>(hidden(-1)), ~std::uint64_t{0});
  EXPECT_EQ(cast<float>(hidden(16777217)), 16777216.0f);
  EXPECT_EQ(cast<float>(hidden(16777219)), 16777220.0f);
  // 2^63 + 2^39 + 1 is just above half-way: rounding through double would lose the one.
  EXPECT_EQ(cast<float>(hidden(0x8000'0080'0000'0001u)), 0x1.000002p63f);
  EXPECT_EQ(cast<float>(hidden(0x8000'0080'0000'0000u)), 0x1p63f);
  EXPECT_EQ(cast<float>(hidden(1.0 + 0x1p-24)), 1.0f);
  EXPECT_EQ(cast<float>(hidden(1e300)), infinity);
  EXPECT_EQ(to_bits(cast<float>(hidden(-0x1p-149))), 0x80000001u);
  EXPECT_EQ(stored(cast<double>(from_bits<float>(0xff812345u))), 0x7ff8000000000000u);
}

TEST(BitRules, SubnormalsAreNeitherFlushedNorReadAsZero) {
  const float smallest = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(to_bits(add(hidden(smallest), hidden(smallest))), 2u);
  EXPECT_EQ(to_bits(multiply(hidden(std::numeric_limits<float>::min()), hidden(0.5f))), 0x400000u);
  EXPECT_EQ(lt(hidden(0.0f), hidden(smallest)), 1.0f);
  EXPECT_EQ(sqrt(hidden(smallest)), 0x1.6a09e6p-75f);
}

TEST(BitRules, ComparisonsGiveOneOrZeroInTheOperandsType) {
  const double nan = std::nan("");
  EXPECT_EQ(lt(1.0, 2.0), 1.0);
  EXPECT_EQ(le(2.0, 2.0), 1.0);
  EXPECT_EQ(lt(nan, 1.0), 0.0);
  EXPECT_EQ(le(nan, nan), 0.0);
  EXPECT_EQ(eq(nan, nan), 0.0);
  EXPECT_EQ(ne(nan, nan), 1.0);
  EXPECT_EQ(eq(0.0, -0.0), 1.0);
  EXPECT_EQ(lt(std::uint8_t{1}, std::uint8_t{255}), 1);
  EXPECT_EQ(lt(std::int32_t{1}, std::int32_t{-1}), 0);
  EXPECT_EQ(select(nan, 1.0, 2.0), 1.0) << "a NaN condition is not zero";
  EXPECT_EQ(select(-0.0, 1.0, 2.0), 2.0);
}

TEST(BitRules, NegationAndAbsoluteValueTouchOnlyTheSign) {
  EXPECT_EQ(to_bits(negate(hidden(0.0f))), to_bits(-0.0f));
  EXPECT_EQ(to_bits(abs(hidden(-0.0f))), to_bits(0.0f));
  EXPECT_EQ(to_bits(abs(hidden(-infinity))), to_bits(infinity));
  EXPECT_EQ(to_bits(sqrt(hidden(-0.0f))), to_bits(-0.0f));
  EXPECT_EQ(stored(sqrt(hidden(-1.0f))), 0x7fc00000u);
  EXPECT_EQ(abs(hidden(-7)), 7);
  EXPECT_EQ(abs(hidden(0x80000001u)), 0x80000001u);
}

template <class T>
concept has_bit_and = requires(T x) {
  bit_and(x, x);
};
template <class T>
concept has_square_root = requires(T x) {
  sqrt(x);
};
static_assert(has_bit_and<std::uint8_t> && !has_bit_and<float> && !has_bit_and<lane<double>>);
static_assert(has_square_root<float> && !has_square_root<std::int32_t>);
static_assert(!op_and_::supports(dtype::f32) && op_and_::supports(dtype::u8));
static_assert(!op_sqrt::supports(dtype::i64) && op_sqrt::supports(dtype::f64));
static_assert(op_select::arity == 3 && op_neg::arity == 1 && scalar_ops::count == 21 &&
              all_ops::count == 28);

}  // namespace
}  // namespace sheaf
