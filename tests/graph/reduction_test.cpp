// Reductions as plans: evaluated node by node with the scalar references, they give what fold_tree
// gives over the elements directly; and the transposes say what a brute-force search says.
#include <random>

#include <sheaf/algebra/fold_tree.hpp>

#include "graph/plan_check.hpp"
#include "graph/support.hpp"

namespace {

using namespace graph_test;
using sheaf::operator_kind;

/// Whole arrays by producer, for plans of folds and gathers over one element type.
template <class S, class T>
class evaluator {
 public:
  explicit evaluator(const sheaf::plan& plan) : plan_(plan) {}

  std::vector<T> run(std::vector<T> source, sheaf::array_id wanted) {
    values_ = {std::move(source)};
    for (const sheaf::plan_node& node : plan_.nodes) {
      const auto& detail = plan_.operand_details[plan_.operands[node.operand_begin]];
      values_.push_back(result_of(plan_.operation_of(node), values_[detail.producer]));
    }
    return values_[plan_.producer_of_array[index_of(wanted)]];
  }

 private:
  std::vector<T> result_of(const sheaf::plan_operation& operation, const std::vector<T>& from) {
    std::vector<T> result;
    for (std::uint64_t i = 0; i < operation.length; ++i) {
      std::vector<T> items;
      const auto take = [&](std::uint64_t begin, std::uint64_t end) {
        for (auto j = begin; j < std::min<std::uint64_t>(end, from.size()); ++j) {
          items.push_back(from[j]);
        }
      };
      switch (operation.kind) {
        case operator_kind::fold_lines: {
          constexpr auto w = sheaf::line_lanes<T>;
          take(i * w, (i + 1) * w);
          break;
        }
        case operator_kind::fold_blocks: take(i * 64, (i + 1) * 64); break;
        case operator_kind::segment_fold: {
          const auto& table = plan_.tables[operation.payload];
          for (auto j = table.offsets[i]; j < table.offsets[i + 1]; ++j) {
            items.push_back(from[table.indices.empty() ? j : table.indices[j]]);
          }
          break;
        }
        case operator_kind::gather:
          items.push_back(from[plan_.tables[operation.payload].indices[i]]);
          break;
        default: ADD_FAILURE() << "unexpected kind";
      }
      result.push_back(items.empty() ? S::template zero<T>()
                                     : sheaf::canonical(sheaf::fold_block<S>(
                                           items.data(), static_cast<unsigned>(items.size()))));
    }
    return result;
  }

  const sheaf::plan& plan_;
  std::vector<std::vector<T>> values_;
};

template <class T>
std::vector<T> draw(std::mt19937& random, std::size_t count) {
  std::vector<T> values(count);
  for (auto& value : values) {
    value = static_cast<T>(static_cast<T>(static_cast<int>(random() % 2001) - 1000) / T(7));
  }
  return values;
}

template <class T>
class Reduction : public ::testing::Test {};
using element_types = ::testing::Types<float, double, std::int32_t, std::uint8_t>;
TYPED_TEST_SUITE(Reduction, element_types);

TYPED_TEST(Reduction, GivesTheBitsOfTheFoldTree) {
  using T = TypeParam;
  std::mt19937 random(7);
  for (const unsigned length : {1u, 5u, 16u, 17u, 64u, 65u, 1000u, 1024u, 1025u, 70'000u}) {
    model m;
    const auto a = m.source<T>("a", length);
    const auto total = m.derive("total", sheaf::sum(a));
    const auto plan = plan_of(m);
    const auto values = draw<T>(random, length);
    const auto got = evaluator<sheaf::sum_product, T>(*plan).run(values, total.id());
    const T wanted = sheaf::fold_tree<sheaf::sum_product>(std::span<const T>(values));
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(sheaf::to_bits(got[0]), sheaf::to_bits(wanted)) << length;
  }
}

TYPED_TEST(Reduction, OfSegmentsGivesTheFoldTreeOfEachGroupsMembers) {
  using T = TypeParam;
  std::mt19937 random(11);
  const std::size_t length = 50'000;
  const std::vector<std::uint32_t> sizes{0, 1, 15, 16, 17, 0, 64, 1023, 1024, 1025, 70'000, 0};
  std::vector<std::uint32_t> offsets{0};
  for (const auto size : sizes) offsets.push_back(offsets.back() + size);
  std::vector<std::uint32_t> members(offsets.back());
  for (auto& member : members) member = static_cast<std::uint32_t>(random() % length);
  model m;
  const auto a = m.source<T>("a", length);
  const auto groups = sheaf::segments::from_csr(offsets, members);
  const auto made = m.derive("made", sheaf::segment_reduce(semiring_id::sum_product, a, groups));
  const auto plan = plan_of(m);
  const auto values = draw<T>(random, length);
  const auto got = evaluator<sheaf::sum_product, T>(*plan).run(values, made.id());
  ASSERT_EQ(got.size(), sizes.size());
  for (std::size_t g = 0; g < sizes.size(); ++g) {
    std::vector<T> own;
    for (auto j = offsets[g]; j < offsets[g + 1]; ++j) own.push_back(values[members[j]]);
    const T wanted =
        own.empty() ? T{0} : sheaf::fold_tree<sheaf::sum_product>(std::span<const T>(own));
    EXPECT_EQ(sheaf::to_bits(got[g]), sheaf::to_bits(wanted)) << g;
  }
}

TEST(SegmentReduce, FoldsAtMostALineOfMembersFirstAndAtMost64PartialsThen) {
  model m;
  const auto a = m.source<double>("a", 10'000);
  std::vector<std::uint32_t> ids(10'000, 1);
  ids[5] = 0;
  m.derive("made", sheaf::segment_reduce(semiring_id::min_plus, a,
                                         sheaf::segments::from_ids(ids, 2)));
  const auto plan = plan_of(m);
  ASSERT_EQ(plan->nodes.size(), 3u);
  for (std::size_t n = 0; n < 3; ++n) {
    const auto& operation = plan->operation_of(plan->nodes[n]);
    const auto& table = plan->tables[operation.payload];
    ASSERT_EQ(table.offsets.size(), operation.length + 1);
    std::uint32_t most = 0;
    for (std::size_t i = 1; i < table.offsets.size(); ++i) {
      most = std::max(most, table.offsets[i] - table.offsets[i - 1]);
    }
    EXPECT_EQ(most, n == 0 ? 8u : n == 1 ? 64u : 20u);
    EXPECT_EQ(table.indices.empty(), n != 0);
  }
}

/// reach lists by brute force.
void expect_transpose(const sheaf::index_table& table, std::size_t operand_length,
                      std::size_t results) {
  std::vector<std::vector<std::uint32_t>> wanted(operand_length);
  for (std::uint32_t i = 0; i < results; ++i) {
    const std::uint32_t begin = table.offsets.empty() ? i : table.offsets[i];
    const std::uint32_t end = table.offsets.empty() ? i + 1 : table.offsets[i + 1];
    for (std::uint32_t j = begin; j < end; ++j) {
      auto& list = wanted[table.indices.empty() ? j : table.indices[j]];
      if (list.empty() || list.back() != i) list.push_back(i);
    }
  }
  ASSERT_EQ(table.reach_offsets.size(), wanted.size() + 1);
  for (std::size_t from = 0; from < wanted.size(); ++from) {
    const std::vector<std::uint32_t> got(
        table.reach_elements.begin() + table.reach_offsets[from],
        table.reach_elements.begin() + table.reach_offsets[from + 1]);
    EXPECT_EQ(got, wanted[from]) << from;
  }
}

TEST(Gather, ReadsTheNamedElementsAndKnowsWhatAnElementReaches) {
  std::mt19937 random(3);
  model m;
  const auto a = m.source<float>("a", 1000);
  std::vector<std::uint32_t> indices(777);
  for (auto& index : indices) index = static_cast<std::uint32_t>(random() % 1000);
  const auto made = m.derive("made", sheaf::gather(a, indices));
  EXPECT_EQ(made.size(), 777u);
  const auto plan = plan_of(m);
  const auto values = draw<float>(random, 1000);
  const auto got = evaluator<sheaf::sum_product, float>(*plan).run(values, made.id());
  for (std::size_t i = 0; i < 777; ++i) EXPECT_EQ(got[i], values[indices[i]]);
  expect_transpose(plan->tables[0], 1000, 777);
}

TEST(SegmentReduce, KnowsWhatAnElementReaches) {
  std::mt19937 random(5);
  model m;
  const auto a = m.source<std::int64_t>("a", 3000);
  std::vector<std::uint32_t> ids(3000);
  for (auto& id : ids) id = static_cast<std::uint32_t>(random() % 4);
  m.derive("made", sheaf::segment_reduce(semiring_id::sum_product, a,
                                         sheaf::segments::from_ids(ids, 4)));
  const auto plan = plan_of(m);
  std::size_t operand_length = 3000;
  for (const auto& node : plan->nodes) {
    const auto& operation = plan->operation_of(node);
    expect_transpose(plan->tables[operation.payload], operand_length, operation.length);
    operand_length = operation.length;
  }
}

TEST(SegmentReduce, SharesTheTablesOfOneSegmentsObject) {
  model m;
  const auto a = m.source<float>("a", 100);
  const auto b = m.source<float>("b", 100);
  const auto groups = sheaf::segments::from_ids(std::vector<std::uint32_t>(100, 0), 1);
  m.derive("x", sheaf::segment_reduce(semiring_id::sum_product, a, groups));
  const auto one = plan_of(m)->tables.size();
  m.derive("y", sheaf::segment_reduce(semiring_id::min_plus, b, groups));
  EXPECT_EQ(plan_of(m)->tables.size(), one);
}

TEST(Reduction, KeepsPartialsInPagesThatABlockNeverSpans) {
  model m;
  const auto a = m.source<double>("a", 1'000'000);
  const auto total = m.derive("total", sheaf::sum(a * 2.0));
  const auto plan = plan_of(m);
  const auto data = m.data();
  ASSERT_EQ(plan->nodes.size(), 5u);  // the expression, 125000 lines, 1954, 31, 1
  EXPECT_EQ(data->name_of(sheaf::array_id{2}), "total#0");
  EXPECT_EQ(data->find("total#1"), sheaf::array_id{3});
  std::vector<std::uint64_t> lengths;
  for (const auto& node : plan->nodes) {
    const auto& operation = plan->operation_of(node);
    lengths.push_back(operation.length);
    if (operation.page_count > 1) {
      EXPECT_EQ(operation.page, sheaf::page_class::b4k);
    }
  }
  EXPECT_EQ(lengths, (std::vector<std::uint64_t>{1'000'000, 125'000, 1'954, 31, 1}));
  EXPECT_EQ(operation_of(*plan, total.id()).kind, operator_kind::fold_blocks);
  EXPECT_TRUE(check_plan(*plan).is_ok()) << check_plan(*plan).message();
}

TEST(Reduction, OfAtMostOneLineIsOneNode) {
  model m;
  const auto a = m.source<float>("a", 16);
  const auto total = m.derive("total", sheaf::maximum_of(a));
  const auto plan = plan_of(m);
  ASSERT_EQ(plan->nodes.size(), 1u);
  EXPECT_EQ(operation_of(*plan, total.id()).kind, operator_kind::fold_lines);
  EXPECT_EQ(operation_of(*plan, total.id()).semiring, semiring_id::max_plus);
}

TEST(Reduction, OfALazyArrayIsLazyInEveryStep) {
  model m;
  const auto a = m.source<float>("a", 5000);
  m.derive("total", sheaf::sum(a + 1.0f), {.when = evaluation::lazy});
  const auto plan = plan_of(m);
  EXPECT_EQ(plan->eager_node_count, 0u);
  EXPECT_EQ(plan->levels.size(), 1u);
  EXPECT_TRUE(plan->children.empty());
}

}  // namespace
