/// \file
/// What spmv, stencil, gemv and matmul refuse, and what their structures hold.
#include <sheaf/graph/dense.hpp>
#include <sheaf/graph/sparse.hpp>
#include <sheaf/graph/stencil.hpp>

#include "graph/support.hpp"

namespace {

using namespace graph_test;
using sheaf::sparse_matrix;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Sparse : public ::testing::Test {
 protected:
  std::string mistake_of(const sparse_matrix& matrix, status_code code) {
    m.derive("y", sheaf::spmv(semiring_id::sum_product, matrix, values, x));
    return only_mistake(m, code);
  }
  model m;
  array<float> values = m.source<float>("values", 3);
  array<float> x = m.source<float>("x", 4);
};

TEST_F(Sparse, CoordinatesBecomeRowsInTheOrderOfTheItems) {
  const std::vector<std::uint32_t> rows{2, 0, 2, 2};
  const std::vector<std::uint32_t> columns{3, 1, 0, 3};
  const auto matrix = sparse_matrix::from_coo(3, 4, rows, columns);
  EXPECT_TRUE(matrix.mistake().is_ok());
  EXPECT_EQ(matrix.rows(), 3u);
  EXPECT_EQ(matrix.entries(), 4u);
  EXPECT_THAT(matrix.structure()->offsets, ElementsAre(0, 1, 1, 4));
  EXPECT_THAT(matrix.structure()->indices, ElementsAre(1, 3, 0, 3));
  EXPECT_THAT(matrix.item_of_entry(), ElementsAre(1, 0, 2, 3));
  EXPECT_THAT(matrix.structure()->reach_offsets, ElementsAre(0, 1, 2, 2, 3));
  EXPECT_THAT(matrix.structure()->reach_rows, ElementsAre(2, 0, 2)) << "a row once per column";
}

TEST_F(Sparse, CompilesToOneOperationThatSharesTheStructure) {
  const auto matrix = sparse_matrix::from_csr(4, {0, 2, 3}, {0, 1, 3});
  const auto y = m.derive("y", sheaf::spmv(semiring_id::sum_product, matrix, values, x));
  const auto z = m.derive("z", sheaf::spmv(semiring_id::sum_product, matrix, values, x));
  const auto plan = plan_of(m);
  EXPECT_EQ(operation_of(*plan, y.id()).kind, sheaf::operator_kind::spmv);
  EXPECT_EQ(y.size(), 2u);
  EXPECT_EQ(node_of(*plan, y.id()).operation, node_of(*plan, z.id()).operation);
  ASSERT_EQ(plan->matrices.size(), 1u);
  EXPECT_EQ(plan->matrices[0], matrix.structure()) << "not a copy";
  EXPECT_THAT(m.to_dot(), HasSubstr("spmv sum_product"));
}

TEST_F(Sparse, OffsetsThatDoNotRise) {
  EXPECT_THAT(mistake_of(sparse_matrix::from_csr(4, {0, 2, 1, 3}, {0, 1, 3}),
                         status_code::invalid_argument),
              AllOf(HasSubstr("offset 2 is 1 after 2"), HasSubstr("'y'")));
}
TEST_F(Sparse, OffsetsThatDoNotCoverTheEntries) {
  EXPECT_THAT(mistake_of(sparse_matrix::from_csr(4, {0, 2}, {0, 1, 3}),
                         status_code::invalid_argument),
              HasSubstr("from 0 to 2, with 3 entries"));
}
TEST_F(Sparse, NoRows) {
  EXPECT_THAT(mistake_of(sparse_matrix::from_csr(4, {0}, {}), status_code::invalid_argument),
              HasSubstr("'y'"));
}
TEST_F(Sparse, ColumnPastTheEnd) {
  EXPECT_THAT(
      mistake_of(sparse_matrix::from_csr(4, {0, 3}, {0, 4, 3}), status_code::out_of_range),
      HasSubstr("entry 1 is in column 4 of 4"));
}
TEST_F(Sparse, ItemPastTheRows) {
  const std::vector<std::uint32_t> rows{0, 2, 1};
  const std::vector<std::uint32_t> columns{0, 1, 2};
  EXPECT_THAT(
      mistake_of(sparse_matrix::from_coo(2, 4, rows, columns), status_code::out_of_range),
      HasSubstr("item 1 is in row 2 of 2"));
}
TEST_F(Sparse, ItemsOfDifferentLengths) {
  const std::vector<std::uint32_t> rows{0, 1, 1};
  const std::vector<std::uint32_t> columns{0, 1};
  EXPECT_THAT(
      mistake_of(sparse_matrix::from_coo(2, 4, rows, columns), status_code::length_mismatch),
      HasSubstr("3 rows and 2 columns"));
}
TEST_F(Sparse, ValuesOfAnotherLength) {
  EXPECT_THAT(mistake_of(sparse_matrix::from_csr(4, {0, 2}, {0, 1}), status_code::length_mismatch),
              AllOf(HasSubstr("'values' has 3"), HasSubstr("entry of its matrix: 2")));
}
TEST_F(Sparse, VectorOfAnotherLength) {
  EXPECT_THAT(
      mistake_of(sparse_matrix::from_csr(5, {0, 3}, {0, 1, 4}), status_code::length_mismatch),
      AllOf(HasSubstr("'x' has 4"), HasSubstr("column of its matrix: 5")));
}
TEST_F(Sparse, BitwiseSemiringOnFloats) {
  m.derive("y", sheaf::spmv(semiring_id::or_and,
                            sparse_matrix::from_csr(4, {0, 3}, {0, 1, 3}), values, x));
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::type_mismatch));
}

class Stencil : public ::testing::Test {
 protected:
  model m;
  array<float> in = m.source<float>("in", 60);
};

TEST_F(Stencil, NeighbouringTapsBecomeSpans) {
  const auto out = m.derive(
      "out", sheaf::stencil(semiring_id::sum_product, in, sheaf::grid{6, 10},
                            {{1, 0, 1.0f}, {0, 1, 1.0f}, {0, -1, 1.0f}, {0, 0, 1.0f},
                             {0, 4, 1.0f}, {0, 0, 2.0f}, {-1, 0, 1.0f}}));
  const auto plan = plan_of(m);
  EXPECT_EQ(operation_of(*plan, out.id()).kind, sheaf::operator_kind::stencil);
  std::vector<std::vector<std::int32_t>> spans;
  for (const auto& span : plan->stencils[0]->spans) {
    spans.push_back({span.row, span.first, span.last});
  }
  EXPECT_THAT(spans, ElementsAre(ElementsAre(-1, 0, 0), ElementsAre(0, -1, 1),
                                 ElementsAre(0, 4, 4), ElementsAre(1, 0, 0)));
  EXPECT_THAT(m.to_dot(), HasSubstr("stencil sum_product"));
}

TEST_F(Stencil, GridOfAnotherSize) {
  m.derive("out", sheaf::stencil(semiring_id::sum_product, in, sheaf::grid{6, 11},
                                 {{0, 0, 1.0f}}));
  EXPECT_THAT(only_mistake(m, status_code::length_mismatch),
              AllOf(HasSubstr("6 x 11"), HasSubstr("'in', which has 60"), HasSubstr("'out'")));
}
TEST_F(Stencil, GridWithoutRows) {
  m.derive("out", sheaf::stencil(semiring_id::sum_product, in, sheaf::grid{0, 10},
                                 {{0, 0, 1.0f}}));
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::length_mismatch));
}
TEST_F(Stencil, NoTaps) {
  m.derive("out", sheaf::stencil(semiring_id::sum_product, in,
                                 std::vector<sheaf::tap<float>>()));
  EXPECT_THAT(only_mistake(m, status_code::invalid_argument), HasSubstr("'out'"));
}
TEST_F(Stencil, TooManyTaps) {
  m.derive("out", sheaf::stencil(semiring_id::sum_product, in,
                                 std::vector<sheaf::tap<float>>(257)));
  EXPECT_THAT(only_mistake(m, status_code::too_many), HasSubstr("257"));
}
TEST_F(Stencil, ATapTooFarAway) {
  m.derive("out", sheaf::stencil(semiring_id::sum_product, in,
                                 {{0, 1.0f}, {(1 << 24) + 1, 1.0f}}));
  EXPECT_THAT(only_mistake(m, status_code::out_of_range), HasSubstr("tap 1 at (0, 16777217)"));
}

class Dense : public ::testing::Test {
 protected:
  model m;
  array<float> a = m.source<float>("a", 60);
  array<float> b = m.source<float>("b", 45);
};

TEST_F(Dense, ShapesFollowFromTheLengths) {
  const auto x = m.source<float>("x", 12);
  const auto y = m.derive("y", sheaf::gemv(semiring_id::sum_product, a, x));
  const auto c = m.derive("c", sheaf::matmul(semiring_id::max_plus, a, b, 15));
  EXPECT_EQ(y.size(), 5u);
  EXPECT_EQ(c.size(), 12u);
  const auto plan = plan_of(m);
  EXPECT_EQ(operation_of(*plan, y.id()).kind, sheaf::operator_kind::gemv);
  EXPECT_EQ(operation_of(*plan, c.id()).kind, sheaf::operator_kind::matmul);
  EXPECT_EQ(plan->dense[operation_of(*plan, c.id()).payload],
            (sheaf::dense_shape{.rows = 4, .inner = 15, .columns = 3}));
  EXPECT_THAT(m.to_dot(), AllOf(HasSubstr("gemv sum_product"), HasSubstr("matmul max_plus")));
}

TEST_F(Dense, AMatrixThatIsNoMultipleOfTheVector) {
  m.derive("y", sheaf::gemv(semiring_id::sum_product, a, b));
  EXPECT_THAT(only_mistake(m, status_code::length_mismatch),
              AllOf(HasSubstr("'a' has 60"), HasSubstr("45"), HasSubstr("'y'")));
}
TEST_F(Dense, AnInnerLengthThatDividesOneMatrixOnly) {
  m.derive("c", sheaf::matmul(semiring_id::sum_product, a, b, 12));
  EXPECT_THAT(only_mistake(m, status_code::length_mismatch),
              AllOf(HasSubstr("'b' has 45"), HasSubstr("12"), HasSubstr("'c'")));
}
TEST_F(Dense, NoInnerLength) {
  m.derive("c", sheaf::matmul(semiring_id::sum_product, a, b, 0));
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::length_mismatch));
}
TEST_F(Dense, AVectorOfAnotherModel) {
  model other;
  m.derive("y", sheaf::gemv(semiring_id::sum_product, a, other.source<float>("x", 12)));
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::foreign_handle));
}
TEST_F(Dense, BitwiseSemiringOnFloats) {
  m.derive("c", sheaf::matmul(semiring_id::or_and, a, b, 15));
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::type_mismatch));
}

}  // namespace
