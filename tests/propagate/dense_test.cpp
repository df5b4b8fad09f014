/// \file
/// gemv and matmul against the naive folds, bit for bit, for rows of any length over pages of any
/// size; and what a changed row recomputes.
#include "propagate/products_support.hpp"

#include <sheaf/graph/dense.hpp>

namespace propagate_test {
namespace {

/// Writes random elements to both operands; all of them at first.
template <element T>
void change(dice& random, rig& in, int round, const array<T>& a, std::vector<T>& a_values,
            const array<T>& b, std::vector<T>& b_values) {
  const std::uint64_t changes =
      round == 0 ? 2 * (a_values.size() + b_values.size()) : random.between(1, 3);
  for (std::uint64_t i = 0; i < changes; ++i) {
    const bool of_a = random.chance(round == 0 ? 50 : 80);
    std::vector<T>& values = of_a ? a_values : b_values;
    const std::uint64_t at = random.below(values.size());
    values[at] = random.value<T>();
    in.set(of_a ? a : b, at, values[at]);
  }
  in.propagate();
}

template <element T>
void check_gemv(dice& random, semiring_id semiring, std::uint64_t rows, std::uint64_t columns,
                isa set) {
  SCOPED_TRACE(testing::Message() << rows << " x " << columns << " on " << name_of(set));
  model m;
  const auto a = m.source<T>("a", rows * columns, {.page = random_page(random)});
  const auto x = m.source<T>("x", columns, {.page = random_page(random)});
  const auto y = m.derive("y", gemv(semiring, a, x), {.page = random_page(random)});
  ASSERT_EQ(y.size(), rows);
  rig in(m, 1, set);
  std::vector<T> a_values(rows * columns), x_values(columns);
  for (int round = 0; round < 4; ++round) {
    change(random, in, round, a, a_values, x, x_values);
    ASSERT_NO_FATAL_FAILURE(
        expect_bits(in.values(y), model_test::naive_gemv(semiring, a_values, x_values)))
        << "round " << round;
    ASSERT_NO_FATAL_FAILURE(in.expect_quiet());
  }
  in.expect_glued();
}

template <element T>
void check_matmul(dice& random, semiring_id semiring, std::uint64_t rows, std::uint64_t inner,
                  std::uint64_t columns, isa set) {
  SCOPED_TRACE(testing::Message()
               << rows << " x " << inner << " x " << columns << " on " << name_of(set));
  model m;
  const auto a = m.source<T>("a", rows * inner, {.page = random_page(random)});
  const auto b = m.source<T>("b", inner * columns, {.page = random_page(random)});
  const auto c = m.derive("c", matmul(semiring, a, b, inner), {.page = random_page(random)});
  ASSERT_EQ(c.size(), rows * columns);
  rig in(m, 1, set);
  std::vector<T> a_values(rows * inner), b_values(inner * columns);
  for (int round = 0; round < 4; ++round) {
    change(random, in, round, a, a_values, b, b_values);
    ASSERT_NO_FATAL_FAILURE(
        expect_bits(in.values(c), model_test::naive_matmul(semiring, a_values, b_values, inner)))
        << "round " << round;
    ASSERT_NO_FATAL_FAILURE(in.expect_quiet());
  }
  in.expect_glued();
}

TEST(Gemv, GivesTheBitsOfTheNaiveFoldForEverySemiringTypeAndInstructionSet) {
  dice random(seed_of_run());
  std::cout << "seed " << seed_of_run() << std::endl;
  for_each_ring([&]<element T>(semiring_id semiring, std::type_identity<T>) {
    for (const isa set : all_isas()) {
      for (int i = 0; i < 3; ++i) {
        ASSERT_NO_FATAL_FAILURE(check_gemv<T>(random, semiring, random.between(1, 40),
                                              random.between(1, 300), set));
      }
    }
  });
}

TEST(Gemv, RowsOfAnyLengthOverPagesOfAnySize) {
  dice random(seed_of_run() + 1);
  for (const std::uint64_t columns : {1, 2, 63, 64, 65, 127, 128, 1000, 1024, 1500, 2049}) {
    for (const isa set : all_isas()) {
      ASSERT_NO_FATAL_FAILURE(
          check_gemv<float>(random, semiring_id::sum_product, 5, columns, set));
      ASSERT_NO_FATAL_FAILURE(
          check_gemv<double>(random, semiring_id::sum_product, 3, columns, set));
    }
  }
}

TEST(Gemv, AbsentChainsTakeNoPart) {
  model m;
  const auto a = m.source<float>("a", 6);
  const auto x = m.source<float>("x", 3);
  const auto y = m.derive("y", gemv(semiring_id::sum_product, a, x));
  rig in(m);
  for (std::uint64_t i = 0; i < 3; ++i) in.set(x, i, -1.0f);  // 0 * -1 = -0, three times
  in.propagate();
  EXPECT_TRUE(same_bits(in.values(y)[0], -0.0f)) << "and never +0";
}

TEST(Gemv, AChangedRowRecomputesItsOwnElementOnly) {
  model m;
  const auto a = m.source<float>("a", 1000 * 10);
  const auto x = m.source<float>("x", 10);
  const auto y = m.derive("y", gemv(semiring_id::sum_product, a, x));
  const auto picked = m.derive("picked", gather(y, {44, 45, 46, 44}));
  rig in(m);
  for (std::uint64_t i = 0; i < 10; ++i) in.set(x, i, 1.0f);
  in.propagate();
  in.set(a, 453, 2.0f);
  const work_counters work = in.propagate();
  EXPECT_EQ(work.lines_recomputed, 2u) << "one of y, one of picked";
  EXPECT_EQ(in.values(y)[45], 2.0f);
  EXPECT_EQ(in.values(picked)[1], 2.0f);
}

TEST(Matmul, GivesTheBitsOfTheNaiveFoldForEverySemiringTypeAndInstructionSet) {
  dice random(seed_of_run() + 2);
  for_each_ring([&]<element T>(semiring_id semiring, std::type_identity<T>) {
    for (const isa set : all_isas()) {
      ASSERT_NO_FATAL_FAILURE(check_matmul<T>(random, semiring, random.between(1, 12),
                                              random.between(1, 40), random.between(1, 150),
                                              set));
    }
  });
}

TEST(Matmul, ShapesAroundTilesLinesAndPages) {
  dice random(seed_of_run() + 3);
  for (const std::uint64_t columns : {1, 7, 16, 31, 32, 33, 64, 129, 1100}) {
    for (const std::uint64_t rows : {1, 3, 4, 5, 9}) {
      const std::uint64_t inner = random.pick(std::vector<std::uint64_t>{1, 2, 127, 128, 129});
      for (const isa set : all_isas()) {
        ASSERT_NO_FATAL_FAILURE(
            check_matmul<float>(random, semiring_id::sum_product, rows, inner, columns, set));
      }
    }
  }
}

TEST(Matmul, AChangedRowRecomputesTheLinesOfItsRowOnly) {
  model m;
  const auto a = m.source<float>("a", 50 * 20);
  const auto b = m.source<float>("b", 20 * 64);
  const auto c = m.derive("c", matmul(semiring_id::sum_product, a, b, 20));
  rig in(m);
  for (std::uint64_t i = 0; i < 20 * 64; ++i) in.set(b, i, 1.0f);
  in.propagate();
  in.set(a, 16 * 20 + 7, 3.0f);  // its line lies in row 16 alone
  const work_counters work = in.propagate();
  EXPECT_EQ(work.lines_recomputed, 4u) << "64 elements";
  EXPECT_EQ(work.lines_cut_off, 0u);
  EXPECT_EQ(in.values(c)[16 * 64 + 63], 3.0f);
  EXPECT_EQ(in.values(c)[17 * 64], 0.0f);
}

}  // namespace
}  // namespace propagate_test
