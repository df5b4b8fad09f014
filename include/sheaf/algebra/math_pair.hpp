/// \file
/// Sums and products that keep what a rounding loses: values as unevaluated pairs high + low, for
/// the functions of f64 that need more than 53 bits on the way.
///
/// Source: Dekker (1971), Knuth's two-sum, and the fused residual of a product. `high` is the
/// rounded sum of both parts, or as good as that where a function says so.
///
/// Thread safety: pure functions. Cost: two to seven instructions each.
#pragma once

#include <sheaf/algebra/lane.hpp>

namespace sheaf::inline v0::detail {

template <class V>
struct value_pair {
  V high, low;
};

/// a + b, exactly; any a and b whose sum is finite.
template <class V>
[[nodiscard]] SHEAF_HD constexpr value_pair<V> exact_sum(V a, V b) noexcept {
  const V sum = a + b;
  const V b_taken = sum - a;
  return {sum, (a - (sum - b_taken)) + (b - b_taken)};
}
/// The same where |a| >= |b| or a is 0.
template <class V>
[[nodiscard]] SHEAF_HD constexpr value_pair<V> exact_ordered_sum(V a, V b) noexcept {
  const V sum = a + b;
  return {sum, b - (sum - a)};
}
/// a * b, exactly where nothing underflows.
template <class V>
[[nodiscard]] SHEAF_HD constexpr value_pair<V> exact_product(V a, V b) noexcept {
  const V product = a * b;
  return {product, V::fma(a, b, -product)};
}
/// a * b to about 2^-104.
template <class V>
[[nodiscard]] SHEAF_HD constexpr value_pair<V> pair_product(value_pair<V> a,
                                                            value_pair<V> b) noexcept {
  const value_pair<V> product = exact_product(a.high, b.high);
  return {product.high, V::fma(a.low, b.high, V::fma(a.high, b.low, product.low))};
}

}  // namespace sheaf::inline v0::detail
