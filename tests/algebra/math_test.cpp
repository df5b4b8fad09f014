/// \file
/// The deterministic functions: their errors on samples, their special cases, and the same bits on
/// every instruction set. math_slow_test.cpp goes through every f32.
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "algebra/math_sweep.hpp"
#include "algebra/values.hpp"

namespace sheaf {
namespace {

using test::available_bodies;
using test::error_in_ulp;
using test::math_function;
using test::stored;

template <class... Ops, class Visitor>
void for_each_op(op_list<Ops...>, Visitor&& visitor) {
  (visitor(Ops{}), ...);
}

TEST(MathFunctions, StayWithinTheirErrorOnASampleOfF32WithTheSameBitsOnEverySet) {
  for_each_op(test::unary_math{}, []<class Op>(Op) {
    test::expect_within<Op>(test::sweep<Op>(available_bodies(), 0, std::uint64_t{1} << 32, 2039));
  });
}

/// Doubles that try a function: any bits, its interesting range, and around `border`.
std::vector<double> trying_doubles(std::mt19937_64& random, double reach, double border) {
  std::vector<double> made(3 * 4096);
  const auto unit = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (i % 3 == 0) made[i] = from_bits<double>(random());
    else if (i % 3 == 1) made[i] = (2 * unit() - 1) * reach;
    else made[i] = border * (1 + (2 * unit() - 1) / 16);
  }
  return made;
}

template <class Op>
struct double_trial;
template <>
struct double_trial<op_exp> {
  static constexpr double reach = 750, border = 0.34657359027997264;
};
template <>
struct double_trial<op_log> {
  static constexpr double reach = 4, border = 0.70710678118654757;
};
template <>
struct double_trial<op_tanh> {
  static constexpr double reach = 20, border = 0.625;
};
template <>
struct double_trial<op_erf> {
  static constexpr double reach = 6, border = 0.90625;
};

template <>
struct double_trial<op_sin> {
  static constexpr double reach = 0x1p30, border = 0x1p27;
};
template <>
struct double_trial<op_cos> {
  static constexpr double reach = 100, border = 1.5707963267948966;
};

TEST(MathFunctions, OfF64StayWithinTheirErrorWithTheSameBitsOnEverySet) {
  std::mt19937_64 random(41);
  for (unsigned round = 0; round < 40; ++round) {
    for_each_op(test::unary_math{}, [&]<class Op>(Op) {
      using trial = double_trial<Op>;
      const std::vector<double> from = trying_doubles(random, trial::reach, trial::border);
      struct alignas(64) column {
        std::array<double, 3 * 4096> items;
      };
      const auto in = std::make_unique<column>();
      const auto out = std::make_unique<column>();
      std::copy(from.begin(), from.end(), in->items.begin());
      const test::operands operands{in->items.data(), in->items.data(), in->items.data()};
      for (const test::simd_bodies* set : available_bodies()) {
        ASSERT_TRUE(set->apply(test::place_of_op<Op>(), dtype::f64, operands, out->items.data(),
                               from.size()));
        for (std::size_t i = 0; i < from.size(); ++i) {
          const double result = out->items[i];
          ASSERT_EQ(to_bits(result), stored(Op::apply(from[i])))
              << Op::name << " of " << std::hexfloat << from[i];
          const long double exact = math_function<Op>::exact(static_cast<long double>(from[i]));
          ASSERT_LE(error_in_ulp(result, exact), math_function<Op>::double_error)
              << Op::name << " of " << std::hexfloat << from[i];
        }
      }
    });
  }
}

/// The result of `Op` has exactly these bits.
template <class Op, element T>
void expect_exactly(T x, T wanted) {
  EXPECT_EQ(stored(Op::apply(x)), stored(wanted))
      << Op::name << '(' << x << ") on " << name_of(dtype_of<T>) << " is " << Op::apply(x);
}

template <element T>
void expect_special_cases() {
  using limits = std::numeric_limits<T>;
  constexpr T infinity = limits::infinity(), nan = canonical_nan<T>, tiny = limits::denorm_min();
  constexpr T zero{0}, one{1}, many{800};
  expect_exactly<op_exp>(zero, one);
  expect_exactly<op_exp>(-zero, one);
  expect_exactly<op_exp>(tiny, one);
  expect_exactly<op_exp>(infinity, infinity);
  expect_exactly<op_exp>(-infinity, zero);
  expect_exactly<op_exp>(many, infinity);
  expect_exactly<op_exp>(-many, zero);
  expect_exactly<op_exp>(limits::max(), infinity);
  expect_exactly<op_exp>(limits::lowest(), zero);
  expect_exactly<op_log>(one, zero);
  expect_exactly<op_log>(zero, -infinity);
  expect_exactly<op_log>(-zero, -infinity);
  expect_exactly<op_log>(-tiny, nan);
  expect_exactly<op_log>(-infinity, nan);
  expect_exactly<op_log>(infinity, infinity);
  const auto odd = []<class Op>(Op, T x, T wanted) {
    expect_exactly<Op>(x, wanted);
    expect_exactly<Op>(-x, -wanted);
  };
  odd(op_tanh{}, zero, zero);
  odd(op_tanh{}, tiny, tiny);
  odd(op_tanh{}, many, one);
  odd(op_tanh{}, infinity, one);
  odd(op_erf{}, zero, zero);
  odd(op_erf{}, many, one);
  odd(op_erf{}, infinity, one);
  odd(op_sin{}, zero, zero);
  odd(op_sin{}, tiny, tiny);
  expect_exactly<op_cos>(-zero, one);
  for (const T x : {infinity, -infinity}) {
    expect_exactly<op_sin>(x, nan);
    expect_exactly<op_cos>(x, nan);
  }
  for (const T x : {nan, -nan, from_bits<T>(to_bits(infinity) | 1)}) {
    expect_exactly<op_exp>(x, nan);
    expect_exactly<op_log>(x, nan);
    expect_exactly<op_tanh>(x, nan);
    expect_exactly<op_erf>(x, nan);
    expect_exactly<op_sin>(x, nan);
    expect_exactly<op_cos>(x, nan);
  }
}

TEST(MathFunctions, KeepZerosInfinitiesSubnormalsAndNaNs) {
  expect_special_cases<float>();
  expect_special_cases<double>();
}

TEST(MathFunctions, ReduceTheWorstArgumentsInFull) {
  // Those that come nearest to a multiple of pi / 2 (for f64 after Muller's book), and the largest.
  const float single = 16367173.0f * 0x1p72f;
  expect_exactly<op_cos>(single, static_cast<float>(std::cos(double{single})));
  expect_exactly<op_sin>(0x1.fffffep127f, static_cast<float>(std::sin(0x1.fffffep127)));
  const double nearest = 6381956970095103.0 * 0x1p797;
  EXPECT_EQ(sheaf::cos(nearest), -4.68716592425462761112e-19);
  // The second line: nearest of those below 2^27, by the continued fractions of pi / 2 times 2^k.
  for (const double x : {nearest, 0x1.fffffffffffffp1023, 0x1p27, 0x1.0000000000001p27, 1e22,
                         0x1.6c6cbc45dc8dep+5, 0x1.b951f1572eba5p+23, 0x1.b951f1572eba5p+26}) {
    for (const double side : {x, -x}) {
      EXPECT_LE(error_in_ulp(sheaf::sin(side), std::sin(static_cast<long double>(side))), 0.8);
      EXPECT_LE(error_in_ulp(sheaf::cos(side), std::cos(static_cast<long double>(side))), 0.8);
    }
  }
}

/// All of C, Annex F.10.4.4, is in the C library's pow of double (its long double one errs for
/// -infinity to -2^63); special values meet each other here.
template <element T>
void expect_annex_f() {
  constexpr T all_odd = T{2} / std::numeric_limits<T>::epsilon();  // from there on all are even
  constexpr T step = std::numeric_limits<T>::epsilon();
  std::vector<T> values = test::special_values<T>();
  for (const T more : {T{0.5}, T{1.5}, T{2.5}, T{4}, T{5}, all_odd, all_odd + T{2},
                       all_odd / T{2}, all_odd / T{2} + T{1}, all_odd - T{1}, all_odd / T{4},
                       all_odd / T{4} + T{0.5}, T{1} - step / T{2}, T{1} + step}) {
    values.push_back(more);
    values.push_back(-more);
  }
  for (const T x : values) {
    for (const T y : values) {
      // Whether a NaN signals is no part of the result: quiet ones are raised like any other.
      const double exact = std::pow(double{canonical(x)}, double{canonical(y)});
      // In f64 the reference has an error too, of less than 0.6 ulp.
      const double allowed = test::power_error<T> + (std::same_as<T, double> ? 0.6 : 0.0);
      ASSERT_LE(error_in_ulp(canonical(pow(x, y)), test::wider<T>{exact}), allowed)
          << x << " to " << y << " is " << pow(x, y) << ", not " << exact;
    }
  }
}

TEST(Power, FollowsAnnexFOnEveryPairOfSpecialValues) {
  expect_annex_f<float>();
  expect_annex_f<double>();
}

template <element T>
void expect_power_within_its_error(std::uint64_t seed) {
  constexpr std::size_t count = 4096;
  struct alignas(64) column {
    std::array<T, count> items;
  };
  const auto x = std::make_unique<column>(), y = std::make_unique<column>(),
             out = std::make_unique<column>();
  constexpr double range = std::numeric_limits<T>::max_exponent;
  std::mt19937_64 random(seed);
  const auto unit = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  for (unsigned round = 0; round < 100; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      const int nearer = static_cast<int>(i % (std::numeric_limits<T>::digits + 8));
      const double logarithm = (2 * unit() - 1) * std::ldexp(range, -nearer);
      x->items[i] = static_cast<T>(std::exp2(logarithm));
      // Results over the whole range, subnormals and a little beyond, and any bits.
      y->items[i] = static_cast<T>((2 * unit() - 1) * range * 1.2 / logarithm);
      if (i % 5 == 0) x->items[i] = from_bits<T>(static_cast<bits_of<T>>(random()));
      if (i % 7 == 0) y->items[i] = from_bits<T>(static_cast<bits_of<T>>(random()));
      if (i % 11 == 0) y->items[i] = static_cast<T>(static_cast<int>(random() % 41) - 20);
      if (i % 13 == 0) x->items[i] = -x->items[i];
    }
    const test::operands in{x->items.data(), y->items.data(), x->items.data()};
    for (const test::simd_bodies* set : available_bodies()) {
      set->apply(test::place_of_op<op_pow>(), dtype_of<T>, in, out->items.data(), count);
      for (std::size_t i = 0; i < count; ++i) {
        const T a = x->items[i], b = y->items[i];
        ASSERT_EQ(to_bits(out->items[i]), stored(pow(a, b))) << a << " to " << b;
        const test::wider<T> exact =
            std::pow(test::wider<T>{canonical(a)}, test::wider<T>{canonical(b)});
        ASSERT_LE(error_in_ulp(out->items[i], exact), test::power_error<T>) << a << " to " << b;
      }
    }
  }
}

TEST(Power, StaysWithinItsErrorWithTheSameBitsOnEverySet) {
  expect_power_within_its_error<float>(43);
  expect_power_within_its_error<double>(47);
}

}  // namespace
}  // namespace sheaf
