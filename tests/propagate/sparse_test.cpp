/// \file
/// spmv against a naive fold, bit for bit, and what a change of values or vector recomputes.
#include "propagate/products_support.hpp"

#include <sheaf/graph/sparse.hpp>

namespace propagate_test {
namespace {

struct csr {
  std::uint64_t columns = 0;
  std::vector<std::uint32_t> offsets{0};
  std::vector<std::uint32_t> indices{};
};

/// Rows of 0 to `most` entries, some of them empty, some with a column twice.
csr random_csr(dice& random, std::uint64_t rows, std::uint64_t columns, std::uint64_t most) {
  csr made{.columns = columns};
  for (std::uint64_t row = 0; row < rows; ++row) {
    const std::uint64_t entries = random.chance(20) ? 0 : random.between(0, most);
    for (std::uint64_t e = 0; e < entries; ++e) {
      made.indices.push_back(static_cast<std::uint32_t>(random.below(columns)));
    }
    made.offsets.push_back(static_cast<std::uint32_t>(made.indices.size()));
  }
  if (made.indices.empty()) {
    made.indices.push_back(0);
    made.offsets.back() = 1;
  }
  return made;
}

/// A model of one product, and its naive twin.
template <element T>
class product {
 public:
  product(dice& random, semiring_id semiring, csr structure)
      : semiring_(semiring),
        structure_(std::move(structure)),
        values_(m_.source<T>("values", structure_.indices.size(), {.page = random_page(random)})),
        x_(m_.source<T>("x", structure_.columns, {.page = random_page(random)})),
        y_(m_.derive("y",
                     spmv(semiring, sparse_matrix::from_csr(structure_.columns, structure_.offsets,
                                                         structure_.indices),
                          values_, x_),
                     {.page = random_page(random)})) {}

  void check(dice& random, isa set) {
    rig in(m_, 1, set);
    std::vector<T> values(structure_.indices.size());
    std::vector<T> x(structure_.columns);
    for (int round = 0; round < 4; ++round) {
      const std::uint64_t changes = round == 0 ? values.size() + x.size() : random.between(1, 4);
      for (std::uint64_t i = 0; i < changes; ++i) {
        const bool of_x = random.chance(50);
        std::vector<T>& target = of_x ? x : values;
        const std::uint64_t at = random.below(target.size());
        target[at] = random.value<T>();
        in.set(of_x ? x_ : values_, at, target[at]);
      }
      in.propagate();
      ASSERT_NO_FATAL_FAILURE(expect_bits(
          in.values(y_), model_test::naive_spmv(semiring_, structure_.offsets, structure_.indices,
                                               values, x)))
          << name_of(set) << ", round " << round;
      ASSERT_NO_FATAL_FAILURE(in.expect_quiet());
    }
    in.expect_glued();
  }

 private:
  semiring_id semiring_;
  csr structure_;
  model m_;
  array<T> values_;
  array<T> x_;
  array<T> y_;
};

TEST(Spmv, GivesTheBitsOfTheNaiveFoldForEverySemiringTypeAndInstructionSet) {
  dice random(seed_of_run());
  std::cout << "seed " << seed_of_run() << std::endl;
  for_each_ring([&]<element T>(semiring_id semiring, std::type_identity<T>) {
    for (const isa set : all_isas()) {
      for (int i = 0; i < 3; ++i) {
        product<T> one(random, semiring,
                       random_csr(random, random.between(1, 300), random.between(1, 300),
                                  random.between(1, 12)));
        ASSERT_NO_FATAL_FAILURE(one.check(random, set));
      }
    }
  });
}

TEST(Spmv, RowsLongerThanAPageOfValuesCrossIt) {
  dice random(seed_of_run() + 1);
  for (const isa set : all_isas()) {
    product<float> one(random, semiring_id::sum_product, random_csr(random, 6, 40, 3000));
    ASSERT_NO_FATAL_FAILURE(one.check(random, set));
  }
}

class SpmvWork : public ::testing::Test {
 protected:
  SpmvWork() {
    // Row r reads columns r and (r + 500) % 1000: two rows per column, far apart.
    csr made{.columns = 1000};
    for (std::uint32_t row = 0; row < 1000; ++row) {
      made.indices.push_back(row);
      made.indices.push_back((row + 500) % 1000);
      made.offsets.push_back(2 * (row + 1));
    }
    values_ = m_.source<float>("values", 2000);
    x_ = m_.source<float>("x", 1000);
    y_ = m_.derive("y", spmv(semiring_id::sum_product,
                             sparse_matrix::from_csr(1000, made.offsets, made.indices), values_,
                             x_));
  }
  model m_;
  array<float> values_, x_, y_;
};

TEST_F(SpmvWork, AChangedElementOfXRecomputesTheLinesOfItsRowsOnly) {
  rig in(m_);
  for (std::uint32_t e = 0; e < 2000; ++e) in.set(values_, e, 1.0f);
  in.propagate();
  in.set(x_, 7, 3.0f);
  const work_counters work = in.propagate();
  EXPECT_EQ(work.lines_recomputed, 2u);
  EXPECT_EQ(work.lines_cut_off, 0u);
  EXPECT_EQ(in.values(y_)[7], 3.0f);
  EXPECT_EQ(in.values(y_)[507], 3.0f);
}

TEST_F(SpmvWork, AChangedValueRecomputesTheLineOfItsRowOnly) {
  rig in(m_);
  for (std::uint32_t c = 0; c < 1000; ++c) in.set(x_, c, 2.0f);
  in.propagate();
  in.set(values_, 1999, 5.0f);
  const work_counters work = in.propagate();
  EXPECT_EQ(work.lines_recomputed, 1u);
  EXPECT_EQ(in.values(y_)[999], 10.0f);
}

TEST_F(SpmvWork, AnElementThatKeepsItsBitsGoesNoFurther) {
  const auto total = m_.derive("total", sum(y_));
  rig in(m_);
  in.set(x_, 7, 3.0f);  // all values are zero: y stays +0
  const work_counters work = in.propagate();
  EXPECT_EQ(work.lines_cut_off, work.lines_recomputed);
  EXPECT_EQ(in.values(total)[0], 0.0f);
}

TEST(Spmv, ADerivedVectorMarksOnlyTheElementsThatChanged) {
  model m;
  const auto a = m.source<float>("a", 64);
  const auto x = m.derive("x", a + 1.0f);
  csr made{.columns = 64};  // row r reads column r
  for (std::uint32_t row = 0; row < 64; ++row) {
    made.indices.push_back(row);
    made.offsets.push_back(row + 1);
  }
  const auto values = m.source<float>("values", 64);
  // The rows of one line of x lie in 16 lines of y: element masks inside the line keep it to one.
  csr spread{.columns = 64};
  for (std::uint32_t row = 0; row < 1024; ++row) {
    if (row % 16 == 0) spread.indices.push_back(row / 16);
    spread.offsets.push_back(static_cast<std::uint32_t>(spread.indices.size()));
  }
  const auto y = m.derive("y", spmv(semiring_id::sum_product,
                                    sparse_matrix::from_csr(64, spread.offsets, spread.indices),
                                    values, x));
  rig in(m);
  for (std::uint32_t e = 0; e < 64; ++e) in.set(values, e, 1.0f);
  in.propagate();
  in.set(a, 5, 1.0f);
  const work_counters work = in.propagate();
  EXPECT_EQ(work.lines_recomputed, 2u) << "one of x, one of y";
  EXPECT_EQ(in.values(y)[5 * 16], 2.0f);
}

/// 5000 rows: row r reads column r alone, or, of a `clustered` matrix, the first 50 rows read 100
/// columns each and the others none.
csr wide_csr(bool clustered) {
  csr made{.columns = 5000};
  for (std::uint32_t row = 0; row < 5000; ++row) {
    if (!clustered) made.indices.push_back(row);
    for (std::uint32_t c = 0; clustered && row < 50 && c < 100; ++c) {
      made.indices.push_back(row * 100 + c);
    }
    made.offsets.push_back(static_cast<std::uint32_t>(made.indices.size()));
  }
  return made;
}

/// Lines recomputed after the first `changed` elements of x changed.
std::uint64_t lines_after_change(const csr& made, std::uint32_t changed) {
  model m;
  const auto values = m.source<float>("values", made.indices.size());
  const auto x = m.source<float>("x", made.columns);
  const auto y = m.derive("y", spmv(semiring_id::sum_product,
                                    sparse_matrix::from_csr(made.columns, made.offsets,
                                                            made.indices),
                                    values, x));
  rig in(m);
  std::vector<float> at_values(made.indices.size(), 2.0f), at_x(made.columns);
  fill(in, values, at_values);
  in.propagate();
  for (std::uint32_t c = 0; c < changed; ++c) in.set(x, c, at_x[c] = static_cast<float>(c + 1));
  in.frames().begin_commit(in.epoch() + 1, in.epoch());
  const frame_demand cone = in.run().count_cone();
  in.expect_quiet();
  for (std::uint32_t c = 0; c < changed; ++c) {
    in.set(x, c, 0.0f), in.set(x, c, at_x[c]);  // the marks went with the count
  }
  const work_counters work = in.propagate();
  expect_bits(in.values(y), model_test::naive_spmv(semiring_id::sum_product, made.offsets,
                                                   made.indices, at_values, at_x));
  in.expect_glued();
  std::uint64_t counted = 0;
  for (const std::uint64_t pages : cone.replaced) counted += pages;
  EXPECT_GE(counted, work.pages_recomputed + (changed + 1023) / 1024);
  return work.lines_recomputed;
}

TEST(Spmv, AChangeOfMostOfXRecomputesEveryRow) {
  EXPECT_EQ(lines_after_change(wide_csr(false), 3000), 313u);
}
TEST(Spmv, AChangeOfSomeOfXRecomputesItsRowsOnly) {
  EXPECT_EQ(lines_after_change(wide_csr(false), 2000), 125u);
}
TEST(Spmv, AChangeOfMostOfXThatFewRowsReadRecomputesThoseOnly) {
  EXPECT_EQ(lines_after_change(wide_csr(true), 5000), 4u);
}

TEST(Spmv, AManyThreadedRecomputeGivesTheBitsOfOneThread) {
  dice random(seed_of_run() + 2);
  const csr made = random_csr(random, 60'000, 3000, 6);
  model m;
  const auto values = m.source<float>("values", made.indices.size());
  const auto x = m.source<float>("x", 3000);
  const auto y = m.derive("y", spmv(semiring_id::sum_product,
                                    sparse_matrix::from_csr(3000, made.offsets, made.indices),
                                    values, x));
  rig one(m, 1);
  rig four(m, 4);
  for (int round = 0; round < 3; ++round) {
    const std::size_t changes = round == 0 ? 3000 : 200;
    for (std::size_t i = 0; i < changes; ++i) {
      const std::uint64_t at = random.below(3000);
      const std::uint64_t e = random.below(made.indices.size());
      const float value = random.value<float>();
      for (rig* in : {&one, &four}) in->set(x, at, value), in->set(values, e, value);
    }
    one.propagate();
    four.propagate();
    expect_bits(four.values(y), one.values(y));
  }
}

}  // namespace
}  // namespace propagate_test
