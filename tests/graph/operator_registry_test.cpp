#include <thread>

#include "graph/support.hpp"

namespace {

using namespace graph_test;
using sheaf::operator_description;

void body(std::byte*, const std::byte* const*, std::uint32_t) {}
void other_body(std::byte*, const std::byte* const*, std::uint32_t) {}
double two_roundings(double a, double b, double c) {
  const volatile double product = a * b;
  return product + c;
}
double one_rounding(double a, double b, double c) { return __builtin_fma(a, b, c); }

const sheaf::operator_kernels on_f32[] = {{sheaf::dtype::f32, {body, nullptr, nullptr}}};
const sheaf::operator_kernels on_f32_other[] = {
    {sheaf::dtype::f32, {other_body, nullptr, nullptr}}};

operator_description describe(const char* name, unsigned arity = 2) {
  return {{name, 1}, arity, on_f32, {two_roundings, nullptr, nullptr}};
}

struct unknown_op {
  static constexpr sheaf::operator_id id{"test.unknown", 1};
};
struct late_op {
  static constexpr sheaf::operator_id id{"test.late", 1};
};
struct contracted_op {
  static constexpr sheaf::operator_id id{"test.contracted", 1};
};

TEST(OperatorRegistry, FindsWhatWasRegistered) {
  ASSERT_TRUE(register_operator(describe("test.found")).is_ok());
  const auto index = sheaf::find_operator("test.found", 1);
  ASSERT_TRUE(index.has_value());
  EXPECT_EQ(sheaf::operator_at(*index).arity, 2u);
  EXPECT_EQ(sheaf::operator_body(*index, sheaf::dtype::f32, sheaf::isa::scalar), body);
  EXPECT_EQ(sheaf::operator_body(*index, sheaf::dtype::f64, sheaf::isa::scalar), nullptr);
  EXPECT_EQ(sheaf::find_operator("test.found", 2).error().code(), status_code::operator_missing);
}

TEST(OperatorRegistry, TakesTheSameContentTwiceAndNoOtherContent) {
  ASSERT_TRUE(register_operator(describe("test.twice")).is_ok());
  EXPECT_TRUE(register_operator(describe("test.twice")).is_ok());
  EXPECT_EQ(register_operator(describe("test.twice", 3)).code(), status_code::duplicate_name);
  auto other = describe("test.twice");
  other.kernels = on_f32_other;
  EXPECT_EQ(register_operator(other).code(), status_code::duplicate_name);
}

TEST(OperatorRegistry, RefusesContractionAndNamesOperatorAndSet) {
  auto fused = describe("test.fused");
  fused.probes[0] = one_rounding;
  const auto refusal = register_operator(fused);
  EXPECT_EQ(refusal.code(), status_code::contraction);
  EXPECT_THAT(refusal.message(), ::testing::HasSubstr("'test.fused' version 1 on scalar"));
}

TEST(OperatorRegistry, ProbesEveryAvailableSet) {
  const unsigned widest = static_cast<unsigned>(sheaf::widest_isa());
  if (widest == 0) GTEST_SKIP() << "only the scalar set is available";
  auto fused = describe("test.fused_wide");
  fused.probes[widest] = one_rounding;
  EXPECT_EQ(register_operator(fused).code(), status_code::contraction);
}

TEST(OperatorRegistry, RefusesIncompleteDescriptions) {
  const auto refused = [](operator_description d) {
    return register_operator(d).code() == status_code::invalid_argument;
  };
  EXPECT_TRUE(refused(describe("")));
  EXPECT_TRUE(refused(describe("test.arity0", 0)));
  EXPECT_TRUE(refused(describe("test.arity4", 4)));
  auto no_probe = describe("test.no_probe");
  no_probe.probes[0] = nullptr;
  EXPECT_TRUE(refused(no_probe));
  auto no_body = describe("test.no_body");
  no_body.kernels = {};
  EXPECT_TRUE(refused(no_body));
}

TEST(OperatorRegistry, GivesOneNumberPerNameFromManyThreads) {
  std::vector<std::uint32_t> numbers(4);
  std::vector<std::thread> threads;
  for (auto& number : numbers) {
    threads.emplace_back([&number] {
      for (int i = 0; i < 100; ++i) number = sheaf::intern_operator({"test.threads", 9});
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto number : numbers) EXPECT_EQ(number, numbers[0]);
}

TEST(CustomOperator, IsReportedMissingUntilItIsRegistered) {
  model m;
  const auto a = m.source<float>("a", 10);
  m.derive("x", sheaf::apply<late_op>(a, a + 1.0f));
  EXPECT_THAT(only_mistake(m, status_code::operator_missing),
              ::testing::AllOf(::testing::HasSubstr("'test.late' version 1"),
                               ::testing::HasSubstr("'x'")));
  ASSERT_TRUE(register_operator(describe("test.late")).is_ok());
  const auto plan = plan_of(m);
  ASSERT_EQ(plan->programs.size(), 1u);
  EXPECT_EQ(plan->programs[0].calls,
            std::vector<std::uint32_t>{*sheaf::find_operator("test.late", 1)});
  m.derive("y", sheaf::apply<late_op>(a));
  EXPECT_THAT(only_mistake(m, status_code::invalid_argument),
              ::testing::HasSubstr("takes 2, 'y' gives 1"));
}

TEST(CustomOperator, OfATypeWithoutBodyIsMissing) {
  ASSERT_TRUE(register_operator(describe("test.late")).is_ok());
  model m;
  const auto a = m.source<double>("a", 10);
  m.derive("x", sheaf::apply<late_op>(a, a));
  EXPECT_THAT(only_mistake(m, status_code::operator_missing), ::testing::HasSubstr("on f64"));
}

TEST(CustomOperator, RefusedForContractionRefusesTheModel) {
  auto fused = describe("test.contracted");
  fused.probes[0] = one_rounding;
  EXPECT_FALSE(register_operator(fused).is_ok());
  model m;
  const auto a = m.source<float>("a", 10);
  m.derive("x", sheaf::apply<contracted_op>(a, a));
  EXPECT_THAT(only_mistake(m, status_code::contraction), ::testing::HasSubstr("test.contracted"));
}

TEST(CustomOperator, NeverRegisteredIsNamed) {
  model m;
  const auto a = m.source<float>("a", 10);
  m.derive("x", sheaf::apply<unknown_op>(a));
  EXPECT_THAT(only_mistake(m, status_code::operator_missing),
              ::testing::HasSubstr("'test.unknown' version 1"));
}

}  // namespace
