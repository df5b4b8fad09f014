/// \file
/// stencil against a naive fold, bit for bit: every boundary rule, rows of any length, taps inside
/// and far outside; and what a changed element recomputes.
#include "propagate/products_support.hpp"

#include <sheaf/graph/stencil.hpp>

namespace propagate_test {
namespace {

constexpr boundary edges[] = {boundary::clamp, boundary::wrap, boundary::constant,
                              boundary::skip};

template <element T>
struct recipe {
  std::uint64_t rows;
  std::uint64_t columns;
  boundary edge;
  T outside;
  std::vector<model_test::naive_tap<T>> taps;
};

template <element T>
recipe<T> random_recipe(dice& random, std::uint64_t rows, std::uint64_t columns, boundary edge) {
  recipe<T> made{rows, columns, edge, random.value<T>(), {}};
  const std::uint64_t count = random.chance(50) ? 5 : random.between(1, 12);
  const auto reach = static_cast<std::int64_t>(random.chance(20) ? 40 : random.between(0, 3));
  const auto offset = [&] {
    return static_cast<std::int32_t>(
        static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(2 * reach + 1))) -
        reach);
  };
  for (std::uint64_t i = 0; i < count; ++i) {
    made.taps.push_back({rows == 1 ? 0 : offset(), offset(), random.value<T>()});
  }
  return made;
}

template <element T>
void check(dice& random, semiring_id semiring, const recipe<T>& said, isa set) {
  SCOPED_TRACE(testing::Message() << said.rows << " x " << said.columns << ", edge "
                                  << static_cast<int>(said.edge) << " on " << name_of(set));
  model m;
  const auto in = m.source<T>("in", said.rows * said.columns, {.page = random_page(random)});
  const stencil_options<T> options{.edge = said.edge, .outside = said.outside};
  std::vector<tap<T>> line_taps;
  std::vector<grid_tap<T>> taps;
  for (const auto& one : said.taps) {
    line_taps.push_back({one.column, one.weight});
    taps.push_back({one.row, one.column, one.weight});
  }
  const auto out =
      said.rows == 1
          ? m.derive("out", stencil(semiring, in, line_taps, options),
                     {.page = random_page(random)})
          : m.derive("out", stencil(semiring, in, grid{said.rows, said.columns}, taps, options),
                     {.page = random_page(random)});
  rig run(m, 1, set);
  std::vector<T> values(said.rows * said.columns);
  for (int round = 0; round < 4; ++round) {
    const std::uint64_t changes = round == 0 ? 2 * values.size() : random.between(1, 4);
    for (std::uint64_t i = 0; i < changes; ++i) {
      const std::uint64_t at = random.below(values.size());
      values[at] = random.value<T>();
      run.set(in, at, values[at]);
    }
    run.propagate();
    ASSERT_NO_FATAL_FAILURE(expect_bits(
        run.values(out),
        model_test::naive_stencil(semiring, static_cast<std::int64_t>(said.rows),
                                  static_cast<std::int64_t>(said.columns), values, said.taps,
                                  said.edge, said.outside)))
        << "round " << round;
    ASSERT_NO_FATAL_FAILURE(run.expect_quiet());
  }
  ASSERT_NO_FATAL_FAILURE(run.expect_glued());
}

TEST(Stencil, GivesTheBitsOfTheNaiveFoldForEverySemiringTypeRuleAndInstructionSet) {
  dice random(seed_of_run());
  std::cout << "seed " << seed_of_run() << std::endl;
  for_each_ring([&]<element T>(semiring_id semiring, std::type_identity<T>) {
    for (const isa set : all_isas()) {
      for (const boundary edge : edges) {
        const std::uint64_t rows = random.chance(30) ? 1 : random.between(2, 12);
        const std::uint64_t columns = random.between(1, 120);
        ASSERT_NO_FATAL_FAILURE(
            check(random, semiring, random_recipe<T>(random, rows, columns, edge), set));
      }
    }
  });
}

TEST(Stencil, RowsShorterThanALineAndArraysSmallerThanOne) {
  dice random(seed_of_run() + 1);
  for (const boundary edge : edges) {
    for (const std::uint64_t columns : {1, 2, 3, 5, 7, 15, 16, 17, 31, 33}) {
      for (const std::uint64_t rows : {1, 2, 3, 9, 40}) {
        for (const isa set : all_isas()) {
          ASSERT_NO_FATAL_FAILURE(check(random, semiring_id::sum_product,
                                        random_recipe<float>(random, rows, columns, edge), set));
        }
      }
    }
  }
}

TEST(Stencil, RowsOfSeveralPages) {
  dice random(seed_of_run() + 2);
  for (const boundary edge : edges) {
    for (const std::uint64_t columns : {1024, 1500, 2047, 2049, 3072}) {
      for (const isa set : all_isas()) {
        ASSERT_NO_FATAL_FAILURE(check(random, semiring_id::sum_product,
                                      random_recipe<float>(random, 3, columns, edge), set));
      }
    }
  }
}

TEST(Stencil, TapsFartherAwayThanTheArrayIsWide) {
  dice random(seed_of_run() + 3);
  for (const boundary edge : edges) {
    recipe<float> said{4, 6, edge, 2.5f, {}};
    for (const std::int32_t far : {-100, -7, -6, -5, 5, 6, 7, 100}) {
      said.taps.push_back({far, 0, 0.5f});
      said.taps.push_back({0, far, 0.25f});
      said.taps.push_back({far, -far, 2.0f});
    }
    for (const isa set : all_isas()) {
      ASSERT_NO_FATAL_FAILURE(check(random, semiring_id::sum_product, said, set));
    }
  }
}

TEST(Stencil, AnElementAllOfWhoseTapsAreSkippedIsTheSemiringsZero) {
  model m;
  const auto in = m.source<float>("in", 20);
  const auto out = m.derive("out", stencil(semiring_id::min_plus, in, {{1, 0.0f}},
                                           {.edge = boundary::skip}));
  rig run(m);
  EXPECT_EQ(run.values(out)[18], 0.0f);
  EXPECT_EQ(run.values(out)[19], std::numeric_limits<float>::infinity());
}

class StencilWork : public ::testing::Test {
 protected:
  static constexpr std::uint64_t width = 256;
  model m_;
  array<float> in_ = m_.source<float>("in", width * width);
  array<float> out_ = m_.derive(
      "out", stencil(semiring_id::sum_product, in_, grid{width, width},
                     {{-1, 0, 1.0f}, {0, -1, 2.0f}, {0, 0, 4.0f}, {0, 1, 8.0f}, {1, 0, 16.0f}},
                     {.edge = boundary::constant}));
};

TEST_F(StencilWork, OneCellRecomputesTheLinesThatReadItsLine) {
  rig run(m_);
  run.set(in_, 100 * width + 40, 1.0f);  // in the middle of a line: columns 32 to 47
  const work_counters work = run.propagate();
  // Line masks in, line masks out: the cell's line above, below, and itself with its neighbours.
  EXPECT_EQ(work.lines_recomputed, 5u);
  EXPECT_EQ(work.lines_recomputed - work.lines_cut_off, 3u);
  const auto values = run.values(out_);
  EXPECT_EQ(values[101 * width + 40], 1.0f);
  EXPECT_EQ(values[100 * width + 41], 2.0f);
  EXPECT_EQ(values[100 * width + 40], 4.0f);
  EXPECT_EQ(values[100 * width + 39], 8.0f);
  EXPECT_EQ(values[99 * width + 40], 16.0f);
}

TEST_F(StencilWork, ALevelMostOfWhichIsDirtyRunsWhole) {
  rig run(m_);
  for (std::uint64_t i = 0; i < width * width; ++i) run.set(in_, i, 1.0f);
  const work_counters work = run.propagate();
  EXPECT_EQ(work.levels_full, 1u);
  EXPECT_EQ(work.lines_recomputed, width * width / 16);
  EXPECT_EQ(run.values(out_)[width + 1], 31.0f);
}

TEST(Stencil, AManyThreadedRunGivesTheBitsOfOneThread) {
  dice random(seed_of_run() + 4);
  model m;
  const auto in = m.source<float>("in", 700 * 700);
  const auto out = m.derive("out", stencil(semiring_id::sum_product, in, grid{700, 700},
                                           {{-2, 0, 0.5f}, {0, -3, 2.0f}, {1, 1, -1.0f}},
                                           {.edge = boundary::wrap}));
  rig one(m, 1);
  rig four(m, 4);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < (round == 0 ? 300'000 : 500); ++i) {
      const std::uint64_t at = random.below(700 * 700);
      const float value = random.value<float>();
      one.set(in, at, value);
      four.set(in, at, value);
    }
    one.propagate();
    four.propagate();
    expect_bits(four.values(out), one.values(out));
  }
}

}  // namespace
}  // namespace propagate_test
