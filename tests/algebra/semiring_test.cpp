/// \file
/// The laws of every semiring on every element type: where semiring.hpp says a law holds, no values
/// break it; where it says a law does not, values exist that do.
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <cmath>
#include <sheaf/algebra/lane.hpp>
#include <sheaf/algebra/semiring.hpp>

#include "algebra/values.hpp"

namespace sheaf {
namespace {

using test::stored;

enum class law {
  plus_associates,
  plus_commutes,
  zero_is_neutral,
  times_associates,
  times_commutes,
  one_is_neutral,
  times_distributes,
  zero_annihilates,
};
constexpr unsigned law_count = 8;

/// Whether `which` holds, bit for bit, on these three values.
template <class S, class T>
bool holds(law which, T a, T b, T c) {
  const T zero = S::template zero<T>(), one = S::template one<T>();
  switch (which) {
    case law::plus_associates:
      return stored(S::plus(S::plus(a, b), c)) == stored(S::plus(a, S::plus(b, c)));
    case law::plus_commutes: return stored(S::plus(a, b)) == stored(S::plus(b, a));
    case law::zero_is_neutral:
      return stored(S::plus(zero, a)) == stored(a) && stored(S::plus(a, zero)) == stored(a);
    case law::times_associates:
      return stored(S::times(S::times(a, b), c)) == stored(S::times(a, S::times(b, c)));
    case law::times_commutes: return stored(S::times(a, b)) == stored(S::times(b, a));
    case law::one_is_neutral:
      return stored(S::times(one, a)) == stored(a) && stored(S::times(a, one)) == stored(a);
    case law::times_distributes:
      return stored(S::times(a, S::plus(b, c))) == stored(S::plus(S::times(a, b), S::times(a, c)));
    case law::zero_annihilates:
      return stored(S::times(zero, a)) == stored(zero) && stored(S::times(a, zero)) == stored(zero);
  }
  return false;
}

__extension__ typedef __int128 int128;

/// The sum is inside the type and is not the value that stands for infinity.
template <class S, class T>
bool sum_is_finite(std::initializer_list<T> terms) {
  int128 sum = 0;
  for (const T term : terms) sum += static_cast<int128>(term);
  return sum >= std::numeric_limits<T>::min() && sum <= std::numeric_limits<T>::max() &&
         sum != static_cast<int128>(S::template zero<T>());
}
template <class T>
bool product_fits(T a, T b) {
  T product{};
  return !__builtin_mul_overflow(a, b, &product);
}
template <class T>
bool infinities_meet(T a, T b) {
  return std::isinf(a) && std::isinf(b) && std::signbit(a) != std::signbit(b);
}
template <class T>
bool infinity_meets_zero(T a, T b) {
  return (std::isinf(a) && b == 0) || (std::isinf(b) && a == 0);
}

/// How far a law reaches: over every value, over those that `promised` accepts, or over none that
/// could be named.
enum class reach { all, some, none };

template <class S, class T>
constexpr reach reach_of(law which) {
  constexpr bool real = float_element<T>;
  constexpr bool tropical = std::same_as<S, min_plus> || std::same_as<S, max_plus>;
  switch (which) {
    case law::plus_commutes:
    case law::times_commutes:
    case law::one_is_neutral: return reach::all;
    case law::plus_associates:
      if (std::same_as<S, log_sum_exp>) return reach::none;
      return std::same_as<S, sum_product> && real ? reach::none : reach::all;
    case law::zero_is_neutral:
      if (std::same_as<S, sum_product>) return real ? reach::some : reach::all;
      return std::same_as<S, max_times> && !std::is_unsigned_v<T> ? reach::some : reach::all;
    case law::times_associates:
      if (std::same_as<S, max_min>) return reach::all;
      if (real) return reach::none;
      return tropical && std::is_signed_v<T> ? reach::some : reach::all;
    case law::times_distributes:
      if (std::same_as<S, log_sum_exp>) return reach::none;
      if (std::same_as<S, sum_product>) return real ? reach::none : reach::all;
      if (std::same_as<S, max_times>) return reach::some;
      return tropical && real ? reach::some : reach::all;
    case law::zero_annihilates:
      if (real) return reach::some;
      return std::same_as<S, max_plus> && std::is_unsigned_v<T> ? reach::some : reach::all;
  }
  return reach::none;
}

/// The conditions (1) to (9) in the head of semiring.hpp.
template <class S, class T>
bool promised(law which, T a, T b, T c) {
  if (reach_of<S, T>(which) != reach::some) return reach_of<S, T>(which) == reach::all;
  if constexpr (float_element<T>) {
    const bool tropical = std::same_as<S, min_plus> || std::same_as<S, max_plus> ||
                          std::same_as<S, log_sum_exp>;
    const T zero = S::template zero<T>();
    if (which == law::zero_is_neutral) {
      return std::same_as<S, sum_product> ? stored(a) != stored(-T{0}) : !std::signbit(a);
    }
    if (which == law::times_distributes) {
      if (tropical) return !infinities_meet(a, b) && !infinities_meet(a, c);
      return !std::signbit(a) && !infinity_meets_zero(a, b) && !infinity_meets_zero(a, c);
    }
    if (tropical) return !std::isnan(a) && !infinities_meet(a, zero);
    if (std::same_as<S, max_min>) return !std::isnan(a);
    return std::isfinite(a) && !std::signbit(a);
  } else {
    if (which == law::zero_is_neutral) return a >= 0;
    if (which == law::times_distributes) return a >= 0 && product_fits(a, b) && product_fits(a, c);
    if (which == law::zero_annihilates) return a == 0;
    const T zero = S::template zero<T>();
    return a == zero || b == zero || c == zero ||
           (sum_is_finite<S, T>({a, b}) && sum_is_finite<S, T>({b, c}) &&
            sum_is_finite<S, T>({a, b, c}));
  }
}

template <class Visitor>
void for_each_semiring_and_type(Visitor&& visitor) {
  for (unsigned id = 0; id < semiring_count; ++id) {
    visit_semiring(static_cast<semiring_id>(id), [&]<class S>(S) {
      test::for_each_element_type([&]<class T>(std::type_identity<T>) {
        if constexpr (S::supports(dtype_of<T>)) visitor(S{}, std::type_identity<T>{});
      });
    });
  }
}

template <class S, class T>
std::string place(law which) {
  return std::string(S::name) + " on " + std::string(name_of(dtype_of<T>)) + ", law " +
         std::to_string(static_cast<unsigned>(which));
}

TEST(Semiring, LawsHoldOnSpecialValuesWhereTheyArePromised) {
  for_each_semiring_and_type([]<class S, class T>(S, std::type_identity<T>) {
    const std::vector<T> values = test::special_values<T>();
    for (unsigned number = 0; number < law_count; ++number) {
      const law which = static_cast<law>(number);
      unsigned judged = 0, broken = 0;
      for (const T a : values) {
        for (const T b : values) {
          for (const T c : values) {
            if (!promised<S>(which, a, b, c)) continue;
            ++judged;
            broken += holds<S>(which, a, b, c) ? 0 : 1;
          }
        }
      }
      EXPECT_EQ(broken, 0u) << place<S, T>(which);
      EXPECT_EQ(judged == 0, (reach_of<S, T>(which) == reach::none)) << place<S, T>(which);
    }
  });
}

TEST(Semiring, EveryExceptionToALawIsReal) {
  for_each_semiring_and_type([]<class S, class T>(S, std::type_identity<T>) {
    const std::vector<T> values = test::special_values<T>();
    for (unsigned number = 0; number < law_count; ++number) {
      const law which = static_cast<law>(number);
      if (reach_of<S, T>(which) == reach::all) continue;
      bool found = false;
      for (const T a : values) {
        for (const T b : values) {
          for (const T c : values) found = found || !holds<S>(which, a, b, c);
        }
      }
      EXPECT_TRUE(found) << place<S, T>(which) << " holds everywhere: promise it";
    }
  });
}

RC_GTEST_PROP(Semiring, LawsHoldOnAnyValuesWhereTheyArePromised, ()) {
  for_each_semiring_and_type([]<class S, class T>(S, std::type_identity<T>) {
    const T a = *test::any_value<T>(), b = *test::any_value<T>(), c = *test::any_value<T>();
    for (unsigned number = 0; number < law_count; ++number) {
      const law which = static_cast<law>(number);
      if (!promised<S>(which, a, b, c)) continue;
      if (!holds<S>(which, a, b, c)) RC_FAIL((place<S, T>(which)));
    }
  });
}

TEST(Semiring, FloatSumIsNotAssociativeSoTheOrderIsPartOfTheResult) {
  const float values[] = {1e8f, 1.0f, -1e8f, 1.0f};
  const std::span<const float> all(values);
  EXPECT_EQ(fold_left<sum_product>(all), ((1e8f + 1.0f) + -1e8f) + 1.0f);
  EXPECT_NE(fold_left<sum_product>(all), (1e8f + -1e8f) + (1.0f + 1.0f));
}

TEST(Semiring, AWeightedSumStartsFromItsFirstProductAndFusesTheRest) {
  const float a = 1.0f + 0x1p-12f;
  const float values[] = {-1.0f, a}, weights[] = {1.0f + 0x1p-11f, a};
  EXPECT_EQ(fold_left<sum_product>(std::span<const float>(values), std::span<const float>(weights)),
            0x1p-24f);
  const float minus_zero[] = {-0.0f}, one[] = {1.0f};
  EXPECT_EQ(to_bits(fold_left<sum_product>(std::span<const float>(minus_zero),
                                           std::span<const float>(one))),
            to_bits(-0.0f))
      << "a zero was added in";
}

TEST(Semiring, UnreachableStaysUnreachableOnIntegers) {
  constexpr std::uint32_t far = min_plus::zero<std::uint32_t>();
  EXPECT_EQ(min_plus::times(far, 1u), far);
  EXPECT_EQ(min_plus::times(far - 1, 5u), far) << "a sum past the range wrapped to a short path";
  constexpr std::int32_t never = max_plus::zero<std::int32_t>();
  EXPECT_EQ(max_plus::times(never, 1000), never);
  EXPECT_EQ(max_plus::times(never + 5, -10), never);
  EXPECT_EQ(min_plus::times(-5, std::numeric_limits<std::int32_t>::max()),
            std::numeric_limits<std::int32_t>::max());
}

TEST(Semiring, CountsSaturateAtInfinityAndZeroTimesInfinityIsZero) {
  const auto check = []<class T>(std::type_identity<T>) {
    constexpr T infinity = std::numeric_limits<T>::max();
    constexpr T root = static_cast<T>(T{1} << (sizeof(T) * 4));  // its square is one too many
    EXPECT_EQ(counting::plus(infinity, T{1}), infinity);
    EXPECT_EQ(counting::plus(static_cast<T>(infinity - 1), T{1}), infinity);
    EXPECT_EQ(counting::times(infinity, T{0}), T{0});
    EXPECT_EQ(counting::times(infinity, T{1}), infinity);
    EXPECT_EQ(counting::times(infinity, infinity), infinity);
    EXPECT_EQ(counting::times(root, root), infinity);
    EXPECT_EQ(counting::times(root, static_cast<T>(root - 1)), static_cast<T>(root * (root - 1)));
    EXPECT_EQ(counting::times(static_cast<T>(root - 1), static_cast<T>(root + 1)), infinity);
    std::mt19937_64 random(31);
    for (unsigned i = 0; i < 100'000; ++i) {
      const T a = static_cast<T>(random() >> random() % 64);
      const T b = static_cast<T>(random() >> random() % 64);
      T product{};
      const bool over = __builtin_mul_overflow(a, b, &product);
      ASSERT_EQ(counting::times(a, b), over ? infinity : product) << +a << " * " << +b;
    }
  };
  check(std::type_identity<std::uint8_t>{});
  check(std::type_identity<std::uint32_t>{});
  check(std::type_identity<std::uint64_t>{});
}

TEST(Semiring, LogSumExpAddsWhatTheLogarithmsStandFor) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(log_sum_exp::plus(0.0, 0.0), 0x1.62e42fefa39efp-1) << "log 2";
  EXPECT_EQ(log_sum_exp::plus(-infinity, -infinity), -infinity);
  EXPECT_EQ(log_sum_exp::plus(infinity, infinity), infinity);
  EXPECT_EQ(log_sum_exp::plus(infinity, -infinity), infinity);
  EXPECT_EQ(stored(log_sum_exp::plus(-infinity, -0.0)), stored(-0.0)) << "a zero was added in";
  std::mt19937_64 random(37);
  for (unsigned i = 0; i < 100'000; ++i) {
    const double a = static_cast<double>(random() % 4'000'000) * 1e-5 - 20;
    const double b = a + static_cast<double>(random() % 4'000'000) * 1e-5 - 20;
    const long double larger = std::max(a, b);
    const long double exact = larger + log1pl(expl(-fabsl(static_cast<long double>(a) - b)));
    // One ulp of the larger of the operands and the result: their sum may cancel.
    const double size = static_cast<double>(std::max(fabsl(exact), fabsl(larger)));
    const double ulp = std::nextafter(size, infinity) - size;
    ASSERT_LE(std::fabs(static_cast<double>(exact - log_sum_exp::plus(a, b))), 2 * ulp + 1e-16)
        << a << ", " << b;
  }
}

TEST(Semiring, OnlyExactGroupsClaimToBeOnes) {
  for_each_semiring_and_type([]<class S, class T>(S, std::type_identity<T>) {
    const bool expected =
        !float_element<T> && (std::same_as<S, sum_product> || std::same_as<S, xor_and>);
    EXPECT_EQ(S::template exact_group<T>, expected) << S::name;
  });
}

TEST(Semiring, IdNamesAndTypesAgreeWithTheTypeVisited) {
  for (unsigned number = 0; number < semiring_count; ++number) {
    const auto id = static_cast<semiring_id>(number);
    visit_semiring(id, [&]<class S>(S) {
      EXPECT_EQ(S::id, id);
      EXPECT_EQ(name_of(id), S::name);
      for (unsigned type = 0; type < dtype_count; ++type) {
        EXPECT_EQ(supports(id, static_cast<dtype>(type)), S::supports(static_cast<dtype>(type)));
      }
    });
  }
}

TEST(Semiring, LanesAndElementsGiveTheSameBits) {
  for_each_semiring_and_type([]<class S, class T>(S, std::type_identity<T>) {
    for (const T a : test::special_values<T>()) {
      for (const T b : test::special_values<T>()) {
        const lane<T> x(a), y(b);
        ASSERT_EQ(stored(S::plus(x, y).first()), stored(S::plus(a, b)));
        ASSERT_EQ(stored(S::times(x, y).first()), stored(S::times(a, b)));
        ASSERT_EQ(stored(S::plus_times(x, y, x).first()), stored(S::plus_times(a, b, a)));
      }
    }
  });
}

static_assert(semiring<sum_product, float> && semiring<max_times, double> && semiring<or_and>);
static_assert(!semiring<or_and, float> && !semiring<xor_and, double>);
static_assert(semiring<counting, std::uint8_t> && !semiring<counting, std::int32_t>);
static_assert(semiring<log_sum_exp, float> && !semiring<log_sum_exp>);

}  // namespace
}  // namespace sheaf
