#include "graph/support.hpp"

namespace {

using namespace graph_test;
using sheaf::element_of;
using sheaf::term;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Mistake : public ::testing::Test {
 protected:
  model m;
  array<float> a = m.source<float>("a", 100);
  array<float> b = m.source<float>("b", 99);
};

TEST_F(Mistake, ZeroLengthArray) {
  m.source<float>("nothing", 0);
  EXPECT_THAT(only_mistake(m, status_code::invalid_argument), HasSubstr("'nothing'"));
}

TEST_F(Mistake, DuplicateName) {
  m.source<float>("a", 5);
  EXPECT_THAT(only_mistake(m, status_code::duplicate_name),
              AllOf(HasSubstr("'a'"), HasSubstr("#0")));
}

TEST_F(Mistake, ReservedName) {
  m.source<float>("a#0", 5);
  EXPECT_THAT(only_mistake(m, status_code::invalid_argument), HasSubstr("'a#0'"));
}

TEST_F(Mistake, OperandOfAnotherModel) {
  model other;
  const auto x = other.source<float>("x", 100);
  m.derive("sum", a + x);
  EXPECT_THAT(only_mistake(m, status_code::foreign_handle),
              AllOf(HasSubstr("array #0 of model " + std::to_string(other.tag())),
                    HasSubstr("'sum' of model " + std::to_string(m.tag()))));
}

TEST_F(Mistake, OperandThatNamesNoArray) {
  m.derive("sum", sheaf::combine(semiring_id::sum_product, {a, array<float>()}));
  EXPECT_THAT(only_mistake(m, status_code::unknown_array), HasSubstr("'sum'"));
}

TEST_F(Mistake, OperandPastTheModel) {
  m.derive("sum", a + array<float>({sheaf::array_id{77}, m.tag(), 100}));
  EXPECT_THAT(only_mistake(m, status_code::unknown_array), HasSubstr("#77"));
}

TEST_F(Mistake, LengthMismatch) {
  m.derive("product", a * b);
  EXPECT_THAT(only_mistake(m, status_code::length_mismatch),
              AllOf(HasSubstr("'a' has 100"), HasSubstr("'b' has 99"), HasSubstr("'product'")));
}

TEST_F(Mistake, LengthMismatchInCombineAndInWeights) {
  m.derive("x", sheaf::combine(semiring_id::sum_product, {a, b}));
  m.derive("y", sheaf::combine(semiring_id::sum_product, {term{a, b}}));
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::length_mismatch, status_code::length_mismatch));
}

TEST_F(Mistake, LengthOfDefinitionDiffersFromDeclaration) {
  const auto x = m.declare<float>("x", 50);
  m.define(x, a + 1.0f);
  EXPECT_THAT(only_mistake(m, status_code::length_mismatch),
              AllOf(HasSubstr("'x' has 50"), HasSubstr("100")));
}

TEST_F(Mistake, TypeMismatchOfAForgedHandle) {
  m.derive("x", array<double>({a.id(), m.tag(), 100}) + 1.0);
  EXPECT_THAT(only_mistake(m, status_code::type_mismatch), HasSubstr("'a' is f32"));
}

TEST_F(Mistake, SemiringNotDefinedForFloats) {
  m.derive("x", sheaf::combine(semiring_id::or_and, {a, a}));
  m.derive("y", sheaf::reduce(semiring_id::xor_and, a));
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::type_mismatch, status_code::type_mismatch));
}

TEST_F(Mistake, EagerOverLazy) {
  const auto slow = m.derive("slow", a + 1.0f, {.when = evaluation::lazy});
  m.derive("fast", slow * 2.0f);
  EXPECT_THAT(only_mistake(m, status_code::eager_over_lazy), HasSubstr("'fast' reads 'slow'"));
}

TEST_F(Mistake, LazyOverLazyIsNone) {
  const auto slow = m.derive("slow", a + 1.0f, {.when = evaluation::lazy});
  m.derive("also", sheaf::sum(slow * 2.0f), {.when = evaluation::lazy});
  EXPECT_THAT(codes_of(m), ElementsAre());
}

TEST_F(Mistake, UndefinedArray) {
  const auto x = m.declare<float>("x", 100);
  m.derive("y", x + a);
  EXPECT_THAT(only_mistake(m, status_code::undefined_array), HasSubstr("'x'"));
}

TEST_F(Mistake, DefinedTwice) {
  const auto x = m.declare<float>("x", 100);
  m.define(x, a);
  m.define(x, a);
  EXPECT_THAT(only_mistake(m, status_code::invalid_argument), HasSubstr("'x'"));
}

TEST_F(Mistake, SourceDefined) {
  m.define(a, a + 1.0f);
  EXPECT_THAT(only_mistake(m, status_code::invalid_argument), HasSubstr("source"));
}

TEST_F(Mistake, DefineOfAForeignArray) {
  model other;
  m.define(other.declare<float>("x", 100), a);
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::foreign_handle));
}

TEST_F(Mistake, ElementPastTheEnd) {
  m.derive("x", a + element_of(b, 99));
  EXPECT_THAT(only_mistake(m, status_code::out_of_range),
              AllOf(HasSubstr("element 99 of 'b'"), HasSubstr("99")));
}

TEST_F(Mistake, GatherIndexPastTheEnd) {
  m.derive("x", sheaf::gather(b, {0, 5, 99}));
  EXPECT_THAT(only_mistake(m, status_code::out_of_range),
              HasSubstr("index 2 is element 99 of 'b'"));
}

TEST_F(Mistake, GatherOfNothing) {
  m.derive("x", sheaf::gather(b, std::vector<std::uint32_t>{}));
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::length_mismatch));
}

TEST_F(Mistake, SegmentMemberPastTheEnd) {
  const auto groups = sheaf::segments::from_csr({0, 2}, {3, 100});
  m.derive("x", sheaf::segment_reduce(semiring_id::sum_product, a, groups));
  EXPECT_THAT(only_mistake(m, status_code::out_of_range), HasSubstr("element 100 of 'a'"));
}

TEST_F(Mistake, SegmentOffsetsThatDoNotRise) {
  const auto groups = sheaf::segments::from_csr({0, 2, 1, 3}, {3, 4, 5});
  m.derive("x", sheaf::segment_reduce(semiring_id::sum_product, a, groups));
  EXPECT_THAT(only_mistake(m, status_code::invalid_argument), HasSubstr("offset 2 is 1 after 2"));
}

TEST_F(Mistake, SegmentOffsetsThatDoNotCoverTheMembers) {
  const auto groups = sheaf::segments::from_csr({0, 2}, {3, 4, 5});
  m.derive("x", sheaf::segment_reduce(semiring_id::sum_product, a, groups));
  EXPECT_THAT(only_mistake(m, status_code::invalid_argument), HasSubstr("from 0 to 2, with 3"));
}

TEST_F(Mistake, SegmentIdPastTheCount) {
  const std::vector<std::uint32_t> ids{0, 1, 2};
  m.derive("x", sheaf::segment_reduce(semiring_id::sum_product, a,
                                      sheaf::segments::from_ids(ids, 2)));
  EXPECT_THAT(only_mistake(m, status_code::out_of_range),
              HasSubstr("element 2 has segment 2 of 2"));
}

TEST_F(Mistake, NoSegments) {
  m.derive("x", sheaf::segment_reduce(semiring_id::sum_product, a,
                                      sheaf::segments::from_ids({}, 0)));
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::invalid_argument));
}

TEST_F(Mistake, CastBetweenElementSizesOfAForeignOperand) {
  model other;
  const auto foreign = other.source<float>("foreign", 10);
  m.derive("x", sheaf::cast<double>(foreign * 2.0f) + 1.0);
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::foreign_handle));
}

TEST_F(Mistake, CombineOfNothing) {
  m.derive("x", sheaf::combine(semiring_id::sum_product, std::vector<array<float>>()));
  EXPECT_THAT(only_mistake(m, status_code::invalid_argument), HasSubstr("'x'"));
}

TEST_F(Mistake, ExpressionOfConstantsAlone) {
  m.derive("x", sheaf::expression<float>(2.0f) + 1.0f);
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::invalid_argument));
}

TEST_F(Mistake, MorePagesThan32Bits) {
  m.source<std::uint8_t>("huge", std::uint64_t{1} << 44);
  EXPECT_THAT(only_mistake(m, status_code::too_many), HasSubstr("'huge'"));
}

TEST_F(Mistake, MorePagesThan32BitsInAll) {
  for (int i = 0; i < 3; ++i) m.source<std::uint8_t>("", std::uint64_t{1} << 43);
  EXPECT_THAT(only_mistake(m, status_code::too_many), HasSubstr("pages"));
}

TEST_F(Mistake, PageClassThatIsNone) {
  m.source<float>("x", 10, {.page = static_cast<sheaf::page_class>(9)});
  m.derive("y", a + 1.0f, {.page = static_cast<sheaf::page_class>(9)});
  EXPECT_EQ(codes_of(m).size(), 2u);
}

TEST_F(Mistake, EmptyHostFunction) {
  m.derive_host<float>("x", 10, {a}, nullptr);
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::invalid_argument));
}

TEST_F(Mistake, ReportsAllAndCountsThem) {
  m.source<float>("a", 0);
  m.derive("p", a * b);
  m.derive("q", a + element_of(b, 1000));
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::invalid_argument, status_code::length_mismatch,
                                       status_code::out_of_range, status_code::duplicate_name));
  const auto compiled = m.compile();
  ASSERT_FALSE(compiled.has_value());
  EXPECT_EQ(compiled.error().code(), status_code::invalid_argument);
  EXPECT_THAT(compiled.error().message(), AllOf(HasSubstr("4 mistakes"), HasSubstr("no elements")));
}

TEST_F(Mistake, IsNotReportedAgainByWhatReadsTheRefusedArray) {
  const auto p = m.derive("p", a * element_of(b, 99));
  const auto q = m.derive("q", p + a);
  const auto r = m.derive("r", sheaf::sum(q));
  m.derive("s", r + 1.0f);
  EXPECT_THAT(codes_of(m), ElementsAre(status_code::out_of_range));
}

TEST_F(Mistake, OfALaterDeclarationAppearsAfterAGoodCompile) {
  m.derive("p", a + 1.0f);
  EXPECT_TRUE(m.compile().has_value());
  m.derive("p", a + 2.0f);
  EXPECT_THAT(only_mistake(m, status_code::duplicate_name), HasSubstr("'p'"));
}

TEST(Cycle, IsReportedWithItsPath) {
  model m;
  const auto s = m.source<float>("s", 10);
  const auto a = m.declare<float>("a", 10);
  const auto b = m.derive("b", a + s);
  const auto c = m.derive("c", b * 2.0f);
  m.define(a, c - s);
  m.derive("behind", a + 1.0f);
  EXPECT_THAT(only_mistake(m, status_code::cycle), HasSubstr("a -> c -> b -> a"));
}

TEST(Cycle, OfOneArrayIsFound) {
  model m;
  const auto a = m.declare<float>("self", 10);
  m.define(a, a + 1.0f);
  EXPECT_THAT(only_mistake(m, status_code::cycle), HasSubstr("self -> self"));
}

TEST(Cycle, EachGroupIsReportedOnce) {
  model m;
  for (const char* name : {"p", "q"}) {
    const auto x = m.declare<float>(name, 10);
    const auto y = m.derive(std::string(name) + "2", x + 1.0f);
    m.define(x, y + x);
  }
  const auto found = m.mistakes();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_THAT(found[0].message(), HasSubstr("p -> p"));
  EXPECT_THAT(found[1].message(), HasSubstr("q -> q"));
}

TEST(Cycle, OfGreatLengthIsCutInTheMiddle) {
  model m;
  constexpr int count = 200'000;
  const auto first = m.declare<float>("first", 10);
  auto last = first;
  for (int i = 1; i < count - 1; ++i) last = m.derive("", last + 1.0f);
  last = m.derive("last", last + 1.0f);
  m.define(first, last);
  const std::string message = only_mistake(m, status_code::cycle);
  EXPECT_THAT(message, AllOf(HasSubstr("first -> last -> #"), HasSubstr(" more) -> "),
                             HasSubstr("#1 -> first")));
}

TEST(Cycle, ForwardDeclarationWithoutOneCompiles) {
  model m;
  const auto s = m.source<float>("s", 10);
  const auto late = m.declare<float>("late", 10);
  const auto early = m.derive("early", late + 1.0f);
  const auto middle = m.derive("middle", s * 2.0f);
  m.define(late, middle + s);
  const auto plan = plan_of(m);
  EXPECT_EQ(plan->levels.size(), 4u);
  const auto slot = [&](const array<float>& x) { return node_of(*plan, x.id()).slot; };
  EXPECT_LT(slot(middle), slot(late));
  EXPECT_LT(slot(late), slot(early));
}

}  // namespace
