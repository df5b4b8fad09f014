/// \file
/// The functions of math.hpp as elementwise operations; see elementwise.hpp.
///
/// Thread safety: no state. Cost: that of the function.
#pragma once

#include <sheaf/algebra/elementwise.hpp>
#include <sheaf/algebra/math.hpp>

namespace sheaf::inline v0 {

#define SHEAF_MATH_OP(NAME)                               \
  struct op_##NAME : detail::floats_only<1> {             \
    static constexpr std::string_view name = #NAME;       \
    template <kernel_value V>                             \
    [[nodiscard]] SHEAF_HD static V apply(V x) noexcept { \
      return sheaf::NAME(x);                              \
    }                                                     \
  };
SHEAF_MATH_OP(exp)
SHEAF_MATH_OP(log)
SHEAF_MATH_OP(tanh)
SHEAF_MATH_OP(erf)
SHEAF_MATH_OP(sin)
SHEAF_MATH_OP(cos)
#undef SHEAF_MATH_OP

struct op_pow : detail::floats_only<2> {
  static constexpr std::string_view name = "pow";
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static V apply(V x, V y) noexcept {
    return sheaf::pow(x, y);
  }
};

using math_ops = op_list<op_exp, op_log, op_tanh, op_erf, op_sin, op_cos, op_pow>;

namespace detail {

template <class... A, class... B>
op_list<A..., B...> joined(op_list<A...>, op_list<B...>);

}  // namespace detail

/// All operations there are.
using all_ops = decltype(detail::joined(scalar_ops{}, math_ops{}));

}  // namespace sheaf::inline v0
