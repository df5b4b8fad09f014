// The merge operators of deltas have their own scalar text, because the page room comes before the
// algebra room. Both must mean the same.
#include <gtest/gtest.h>

#include <sheaf/algebra/scalar.hpp>
#include <sheaf/page/delta_operator.hpp>

#include "algebra/values.hpp"

namespace sheaf {
namespace {

template <class T>
class MergeAgreement : public ::testing::Test {};
using element_types = ::testing::Types<float, double, std::int32_t, std::int64_t, std::uint8_t,
                                       std::uint32_t, std::uint64_t>;
TYPED_TEST_SUITE(MergeAgreement, element_types);

TYPED_TEST(MergeAgreement, AddMinAndMaxAreThoseOfTheAlgebraBitForBit) {
  using T = TypeParam;
  for (const T a : test::special_values<T>()) {
    for (const T b : test::special_values<T>()) {
      EXPECT_EQ(to_bits(merge_element<merge_operator::add>(a, b)), to_bits(canonical(add(a, b))));
      EXPECT_EQ(to_bits(merge_element<merge_operator::min>(a, b)), to_bits(canonical(min(a, b))));
      EXPECT_EQ(to_bits(merge_element<merge_operator::max>(a, b)), to_bits(canonical(max(a, b))));
    }
  }
}

}  // namespace
}  // namespace sheaf
