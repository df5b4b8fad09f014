/// Custom operators through `sheaf_add_operators`: registered before main, the same bits on every
/// instruction set, refused where their build contracts.
#include "propagate/kernels_support.hpp"

#include <sheaf/algebra/lane.hpp>
#include <sheaf/graph/operator_registry.hpp>

#include "propagate/operators/contracted_operators.hpp"
#include "propagate/operators/desk_operators.hpp"

namespace {

using namespace kernels_support;

std::uint32_t number_of(operator_id id) {
  const result<std::uint32_t> found = find_operator(id.name, id.version);
  return found ? *found : ~0u;
}

/// Compares the bodies of `Functor` with the functor on one element, on every set, also in place.
template <class Functor, element T>
void check_bodies(unsigned arity) {
  const std::uint32_t number = number_of(Functor::id);
  ASSERT_NE(number, ~0u) << Functor::id.name << " is not registered";
  ASSERT_EQ(operator_at(number).arity, arity);
  for (const isa set : {isa::scalar, isa::avx2, isa::avx512}) {
    if (!is_available(set)) continue;
    const operator_step body = operator_body(number, dtype_of<T>, set);
    ASSERT_NE(body, nullptr) << Functor::id.name << " on " << name_of(set);
    for (const unsigned lines : {1u, 3u, 16u}) {
      generator random(lines);
      guarded_page a(lines);
      guarded_page b(lines);
      guarded_page c(lines);
      for (guarded_page* page : {&a, &b, &c}) fill<T>(random, *page, {lines});
      std::vector<T> expected;
      for (std::size_t i = 0; i < a.size() / sizeof(T); ++i) {
        const lane<T> x(a.as<T>()[i]);
        const lane<T> y(b.as<T>()[i]);
        const lane<T> z(c.as<T>()[i]);
        if constexpr (std::is_invocable_v<Functor, lane<T>>) {
          expected.push_back(Functor{}(x).value_);
        } else if constexpr (std::is_invocable_v<Functor, lane<T>, lane<T>>) {
          expected.push_back(Functor{}(x, y).value_);
        } else {
          expected.push_back(Functor{}(x, y, z).value_);
        }
      }
      const std::byte* arguments[] = {a.data(), b.data(), c.data()};
      body(a.data(), arguments, lines);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(to_bits(canonical(a.as<T>()[i])), to_bits(canonical(expected[i])))
            << Functor::id.name << ' ' << name_of(dtype_of<T>) << " on " << name_of(set)
            << " element " << i << "; seed " << seed();
      }
      ASSERT_TRUE(a.guards_are_intact());
    }
  }
}

TEST(KernelsOperators, GiveTheBitsOfTheirFunctorOnEveryInstructionSet) {
  check_bodies<desk::blend, float>(3);
  check_bodies<desk::blend, double>(3);
  check_bodies<desk::blend, std::int32_t>(3);
  check_bodies<desk::clamp_below, float>(2);
  check_bodies<desk::clamp_below, double>(2);
  check_bodies<desk::clamp_below, std::int64_t>(2);
  check_bodies<desk::flip, std::uint8_t>(1);
  check_bodies<desk::flip, std::int64_t>(1);
  check_bodies<desk::discount, float>(2);
  check_bodies<desk::discount, double>(2);
}

TEST(KernelsOperators, HaveNoBodyForTypesTheListDoesNotName) {
  const std::uint32_t number = number_of(desk::blend::id);
  ASSERT_NE(number, ~0u);
  EXPECT_EQ(operator_body(number, dtype::u8, isa::scalar), nullptr);
  EXPECT_EQ(operator_body(number, dtype::i64, isa::scalar), nullptr);
}

TEST(KernelsOperators, AreRefusedWhenCompiledWithContraction) {
  if (!is_available(isa::avx2)) GTEST_SKIP() << "no instruction set here can contract";
  const std::uint32_t number = number_of(contracted::id);
  ASSERT_NE(number, ~0u);
  const operator_entry entry = operator_at(number);
  EXPECT_EQ(entry.refusal.code(), status_code::contraction) << entry.refusal.message();
  EXPECT_EQ(entry.arity, 0u);
  EXPECT_NE(entry.refusal.detail().find("test.contracted"), std::string_view::npos);
}

}  // namespace
