#include "graph/support.hpp"

namespace {

using namespace graph_test;
using ::testing::HasSubstr;

TEST(Model, PicksTheSmallestPageThatHoldsAnArrayUpTo4KiB) {
  using sheaf::default_page;
  EXPECT_EQ(default_page(1, sheaf::dtype::f32), sheaf::page_class::b64);
  EXPECT_EQ(default_page(16, sheaf::dtype::f32), sheaf::page_class::b64);
  EXPECT_EQ(default_page(17, sheaf::dtype::f32), sheaf::page_class::b128);
  EXPECT_EQ(default_page(512, sheaf::dtype::f64), sheaf::page_class::b4k);
  EXPECT_EQ(default_page(1'000'000, sheaf::dtype::u8), sheaf::page_class::b4k);
}

TEST(Model, GivesADerivedArrayThePageOfItsLargestAlignedOperand) {
  model m;
  const auto a = m.source<float>("a", 5000, {.page = sheaf::page_class::b256});
  const auto b = m.source<float>("b", 5000, {.page = sheaf::page_class::b1k});
  const auto x = m.derive("x", sheaf::combine(semiring_id::sum_product, {a, b}));
  const auto y = m.derive("y", a + b, {.page = sheaf::page_class::b128});
  const auto z = m.derive("z", sheaf::gather(a, {1, 2}));
  const auto data = m.data();
  EXPECT_EQ(data->record(x.id()).page, sheaf::page_class::b1k);
  EXPECT_EQ(data->record(y.id()).page, sheaf::page_class::b128);
  EXPECT_EQ(data->record(z.id()).page, sheaf::page_class::b64);
}

TEST(Model, FindsEveryArrayByTheNameItShows) {
  model m;
  const auto a = m.source<float>("price", 5000);
  m.source<float>("", 10);
  m.derive("total", sheaf::sum(a));
  for (int i = 0; i < 500; ++i) m.source<float>("s" + std::to_string(i), 1);
  const auto data = m.data();
  for (std::uint32_t i = 0; i < data->array_count(); ++i) {
    const sheaf::array_id id{i};
    EXPECT_EQ(data->find(data->name_of(id)), id) << data->name_of(id);
  }
  EXPECT_EQ(data->name_of(sheaf::array_id{1}), "#1");
  for (const char* none : {"", "nothing", "#0", "#9999", "#", "price#0", "total#9", "#x"}) {
    EXPECT_EQ(data->find(none), sheaf::no_array) << none;
  }
  EXPECT_EQ(model().data()->find("price"), sheaf::no_array);
}

TEST(Model, SharedDataStayAsTheyAreWhenTheModelIsEdited) {
  model m;
  const auto a = m.source<float>("a", 10);
  const auto before = m.data();
  EXPECT_EQ(before, m.data());
  m.derive("b", a + 1.0f);
  m.source<float>("a", 10);
  EXPECT_EQ(before->array_count(), 1u);
  EXPECT_EQ(before->find("b"), sheaf::no_array);
  EXPECT_TRUE(before->names.duplicates.empty());
  const auto after = m.data();
  EXPECT_NE(before, after);
  EXPECT_EQ(after->array_count(), 3u);
  EXPECT_EQ(after->tag, before->tag);
}

TEST(Model, WithoutSharedDataIsEditedInPlace) {
  model m;
  const auto a = m.source<float>("a", 10);
  const auto* shared = m.data().get();
  m.derive("b", a + 1.0f);
  const auto* copy = m.data().get();
  EXPECT_NE(shared, copy);
}

TEST(Model, TagsAreUniqueAndNotZero) {
  model m;
  model n;
  EXPECT_NE(m.tag(), 0u);
  EXPECT_NE(m.tag(), n.tag());
  EXPECT_FALSE(array<float>());
  EXPECT_TRUE(m.source<float>("a", 1));
}

TEST(Model, MovesWithItsArrays) {
  model m;
  const auto a = m.source<float>("a", 10);
  const auto tag = m.tag();
  model moved = std::move(m);
  EXPECT_EQ(moved.tag(), tag);
  moved.derive("b", a + 1.0f);
  EXPECT_TRUE(moved.mistakes().empty());
}

TEST(Model, DrawsItselfInDot) {
  model m;
  const auto a = m.source<float>("say \"hi\"", 5000);
  const auto total = m.derive("total", sheaf::sum(a));
  m.derive("later", total * 2.0f, {.when = evaluation::lazy});
  const std::string dot = m.to_dot();
  EXPECT_EQ(dot.rfind("digraph sheaf {\n", 0), 0u);
  EXPECT_EQ(dot.substr(dot.size() - 2), "}\n");
  EXPECT_THAT(dot, HasSubstr("a0 [label=\"say \\\"hi\\\"\\nf32[5000]\", shape=box];"));
  EXPECT_THAT(dot, HasSubstr("label=\"total#0\\nf32[313]\\nfold lines sum_product\""));
  EXPECT_THAT(dot, HasSubstr("shape=ellipse, style=dashed"));
  EXPECT_THAT(dot, HasSubstr("shape=ellipse, style=dotted"));
  EXPECT_THAT(dot, HasSubstr("  a1 -> a4;\n"));
  EXPECT_EQ(std::ranges::count(dot, '{'), std::ranges::count(dot, '}'));
  std::size_t arrows = 0;
  for (auto at = dot.find(" -> "); at != std::string::npos; at = dot.find(" -> ", at + 1)) {
    ++arrows;
  }
  EXPECT_EQ(arrows, 4u);  // a, 313 lines, 5 blocks, total, later
}

TEST(HostCall, HandsOutWholeArraysAndRemembersTheFirstMisuse) {
  const float input[] = {1, 2, 3};
  std::int32_t output[] = {7, 8};
  const sheaf::host_operand operands[] = {
      {reinterpret_cast<const std::byte*>(input), 3, sheaf::dtype::f32}};
  const sheaf::host_result result{reinterpret_cast<std::byte*>(output), 2, sheaf::dtype::i32};
  sheaf::host_call call("mine", operands, result);
  EXPECT_EQ(call.operand<float>(0).data(), input);
  EXPECT_EQ(call.operand<float>(0).size(), 3u);
  EXPECT_EQ(call.result<std::int32_t>().data(), output);
  EXPECT_TRUE(call.mistake().is_ok());
  EXPECT_TRUE(call.operand<double>(0).empty());
  EXPECT_EQ(call.mistake().code(), status_code::type_mismatch);
  EXPECT_THAT(call.mistake().message(), HasSubstr("operand 0 of 'mine' is f32, asked for as f64"));
  EXPECT_TRUE(call.operand<float>(1).empty());
  EXPECT_TRUE(call.result<float>().empty());
  EXPECT_EQ(call.mistake().code(), status_code::type_mismatch);
}

TEST(HostCall, NamesAMissingOperand) {
  sheaf::host_call call("mine", {}, {nullptr, 0, sheaf::dtype::i32});
  EXPECT_TRUE(call.operand<float>(0).empty());
  EXPECT_EQ(call.mistake().code(), status_code::out_of_range);
}

}  // namespace
