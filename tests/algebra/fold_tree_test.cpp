/// \file
/// The fixed reduction tree against its definition, written a second time and differently.
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <sheaf/algebra/elementwise.hpp>
#include <sheaf/algebra/fold_tree.hpp>
#include <sheaf/algebra/semiring.hpp>

#include "algebra/tangle.hpp"
#include "algebra/values.hpp"

namespace sheaf {
namespace {

using test::tangle;

/// item[index] after all strides from 32 down to `stride` are done, by the definition.
template <class F, class T>
T item_after(std::span<const T> items, unsigned index, unsigned stride) {
  if (stride > 32) return items[index];
  const T own = item_after<F>(items, index, stride * 2);
  if (index + stride >= items.size()) return own;
  return detail::fold_pair<F>(own, item_after<F>(items, index + stride, stride * 2));
}

template <class F, class T>
T naive_tree(std::vector<T> level) {
  std::size_t width = 64 / sizeof(T);
  do {
    std::vector<T> above;
    for (std::size_t begin = 0; begin < level.size(); begin += width) {
      const std::size_t count = std::min(width, level.size() - begin);
      above.push_back(
          canonical(item_after<F>(std::span<const T>(level).subspan(begin, count), 0, 1)));
    }
    level = std::move(above);
    width = 64;
  } while (level.size() > 1);
  return level[0];
}

template <class T>
std::vector<T> random_values(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<T> values(count);
  for (T& value : values) value = test::random_value<T>(random);
  return values;
}

template <class F, class T>
bool matches_definition(const std::vector<T>& values) {
  return to_bits(fold_tree<F>(std::span<const T>(values))) == to_bits(naive_tree<F>(values));
}

TEST(FoldTree, EqualsItsDefinitionAtEverySizeUpToThreeHundred) {
  for (std::size_t count = 1; count <= 300; ++count) {
    ASSERT_TRUE(matches_definition<tangle>(random_values<std::uint8_t>(count, count))) << count;
    ASSERT_TRUE(matches_definition<tangle>(random_values<std::uint64_t>(count, count))) << count;
    ASSERT_TRUE(matches_definition<tangle>(random_values<float>(count, count))) << count;
    ASSERT_TRUE(matches_definition<sum_product>(random_values<double>(count, count))) << count;
  }
}

TEST(FoldTree, EqualsItsDefinitionAroundTheBordersOfLevels) {
  for (const std::size_t count : {511u, 512u, 513u, 1023u, 1024u, 1025u, 8191u, 8193u, 32768u,
                                  32769u, 65535u, 65536u, 65537u, 70000u}) {
    ASSERT_TRUE(matches_definition<tangle>(random_values<std::uint64_t>(count, 1))) << count;
    ASSERT_TRUE(matches_definition<tangle>(random_values<float>(count, 2))) << count;
    ASSERT_TRUE(matches_definition<max_min>(random_values<std::int32_t>(count, 3))) << count;
  }
}

RC_GTEST_PROP(FoldTree, EqualsItsDefinitionOnAnyValues, ()) {
  const auto count = *rc::gen::inRange<std::size_t>(1, 6000);
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  test::for_each_element_type([&]<class T>(std::type_identity<T>) {
    const std::vector<T> values = random_values<T>(count, seed);
    RC_ASSERT(matches_definition<tangle>(values));
    RC_ASSERT(matches_definition<sum_product>(values));
    RC_ASSERT(matches_definition<op_min>(values));
  });
}

TEST(FoldTree, VersionOneGivesTheBitsItAlwaysGave) {
  ASSERT_EQ(fold_tree_version, 1u);
  std::vector<std::uint64_t> words(5000);
  std::vector<float> floats(5000);
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = i * 0x9e3779b97f4a7c15u;
    floats[i] = static_cast<float>(static_cast<std::int32_t>(i * 2654435761u)) * 0x1p-20f;
  }
  EXPECT_EQ(fold_tree<tangle>(std::span<const std::uint64_t>(words)), 9986996893674292848u);
  EXPECT_EQ(to_bits(fold_tree<sum_product>(std::span<const float>(floats))), 0xc4802a4cu);
}

TEST(FoldTree, MissingElementsAreAbsentNotZero) {
  for (const std::size_t count : {1u, 15u, 16u, 17u, 1025u}) {
    const std::vector<float> zeros(count, -0.0f);
    EXPECT_EQ(to_bits(fold_tree<sum_product>(std::span<const float>(zeros))), to_bits(-0.0f));
  }
  const std::vector<std::int32_t> negatives(70, -5);
  EXPECT_EQ(fold_tree<op_max>(std::span<const std::int32_t>(negatives)), -5);
}

TEST(FoldTree, ASingleElementIsStoredCanonical) {
  const float nan[] = {from_bits<float>(0xff812345u)};
  EXPECT_EQ(to_bits(fold_tree<sum_product>(std::span<const float>(nan))), 0x7fc00000u);
}

TEST(FoldTree, EveryLevelStoresItsPartialsCanonical) {
  std::vector<double> values(4096, 1.0);
  values[777] = from_bits<double>(0xfff0000000000123u);
  const std::span<const double> all(values);
  for (unsigned level = 0; level < 3; ++level) {
    const std::uint64_t index = level == 0 ? 777 / 8 : (level == 1 ? 777 / 512 : 0);
    EXPECT_EQ(to_bits(fold_tree_partial<op_add>(all, level, index)), 0x7ff8000000000000u) << level;
  }
}

TEST(FoldTree, ShapeCountsThePartialsOfEachLevel) {
  EXPECT_EQ(shape_of_fold_tree(1, dtype::f32).levels, 1u);
  EXPECT_EQ(shape_of_fold_tree(16, dtype::f32).levels, 1u);
  const fold_tree_shape small = shape_of_fold_tree(17, dtype::f32);
  EXPECT_EQ(small.levels, 2u);
  EXPECT_EQ(small.sizes[0], 2u);
  const fold_tree_shape large = shape_of_fold_tree(1'000'000, dtype::f64);
  EXPECT_EQ(large.levels, 4u);
  EXPECT_EQ(large.sizes[0], 125'000u);
  EXPECT_EQ(large.sizes[1], 1954u);
  EXPECT_EQ(large.sizes[2], 31u);
  EXPECT_EQ(large.sizes[3], 1u);
  EXPECT_EQ(shape_of_fold_tree(~std::uint64_t{0}, dtype::u8).levels, fold_tree_levels_max);
}

TEST(FoldTreeDeathTest, AnEmptyArrayHasNoFold) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(static_cast<void>(fold_tree<op_add>(std::span<const float>{})),
               "fold-tree-not-empty");
}

}  // namespace
}  // namespace sheaf
