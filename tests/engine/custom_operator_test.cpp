// Custom operators through an engine: expressions that call functors compiled by
// `sheaf_add_operators`, on every instruction set.
#include <gtest/gtest.h>

#include <sheaf/algebra/lane.hpp>
#include <sheaf/engine/engine.hpp>

#include <cstdlib>
#include <vector>

#include "propagate/operators/desk_operators.hpp"

namespace sheaf {
namespace {

constexpr std::uint64_t length = 1000;

float blended(float a, float b, float t) {
  return desk::blend{}(lane<float>(a), lane<float>(b), lane<float>(t)).value_;
}
std::int32_t blended(std::int32_t a, std::int32_t b, std::int32_t t) {
  using whole = lane<std::int32_t>;
  return desk::blend{}(whole(a), whole(b), whole(t)).value_;
}

TEST(CustomOperator, OneExpressionMayCallItWithTwoElementTypes) {
  for (const char* set : {"scalar", "avx2", "avx512"}) {
    ::setenv("SHEAF_FORCE_BACKEND", set, 1);
    if (!selected_isa()) continue;
    model declared;
    const auto a = declared.source<float>("a", length);
    const auto n = declared.source<std::int32_t>("n", length);
    const auto whole = apply<desk::blend>(n, n + 3, n - 1);
    const auto made =
        declared.derive("made", apply<desk::blend>(a, a * 2.0f, cast<float>(whole)));
    auto opened = engine::open(declared);
    ASSERT_TRUE(opened) << opened.error().message();
    std::vector<float> floats(length);
    std::vector<std::int32_t> integers(length);
    for (std::uint64_t i = 0; i < length; ++i) {
      floats[i] = 0.25f * static_cast<float>(i) - 7.0f;
      integers[i] = static_cast<std::int32_t>(i) - 500;
    }
    auto txn = opened->begin();
    txn.range(a, {}, floats);
    txn.range(n, {}, integers);
    ASSERT_TRUE(std::move(txn).commit());
    const auto now = opened->snapshot();
    const auto view = now.fetch(made);
    ASSERT_TRUE(view);
    for (std::uint64_t i = 0; i < length; ++i) {
      const auto inner = blended(integers[i], integers[i] + 3, integers[i] - 1);
      const float wanted = blended(floats[i], floats[i] * 2.0f, static_cast<float>(inner));
      ASSERT_EQ(to_bits((*view)[i]), to_bits(wanted)) << set << " " << i;
    }
    EXPECT_EQ(opened->audit()->lines_different, 0u);
  }
  ::unsetenv("SHEAF_FORCE_BACKEND");
}

}  // namespace
}  // namespace sheaf
