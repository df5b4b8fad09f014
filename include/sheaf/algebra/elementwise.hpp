/// \file
/// The elementwise operations of scalar.hpp as types, for kernels and line programs to be
/// instantiated with; those of math.hpp are in elementwise_math.hpp.
///
/// Each has `name`, `arity`, `supports(dtype)` and `apply` over any kernel value; the meaning is
/// that of the function in scalar.hpp that `apply` calls. `apply` never makes a NaN canonical: the
/// store does.
///
/// Thread safety: no state. Cost: that of the function.
#pragma once

#include <string_view>

#include <sheaf/algebra/scalar.hpp>

namespace sheaf::inline v0 {

namespace detail {

template <unsigned Arity>
struct any_type {
  static constexpr unsigned arity = Arity;
  [[nodiscard]] static constexpr bool supports(dtype) noexcept { return true; }
};
template <unsigned Arity>
struct integers_only {
  static constexpr unsigned arity = Arity;
  [[nodiscard]] static constexpr bool supports(dtype type) noexcept { return !is_float(type); }
};
template <unsigned Arity>
struct floats_only {
  static constexpr unsigned arity = Arity;
  [[nodiscard]] static constexpr bool supports(dtype type) noexcept { return is_float(type); }
};

}  // namespace detail

/// An operation as a type. `Op::apply` takes `Op::arity` kernel values of one type and returns one.
template <class Op>
concept elementwise_op = requires(dtype type) {
  { Op::arity + 0u } -> std::same_as<unsigned>;
  { Op::supports(type) } -> std::same_as<bool>;
  {std::string_view(Op::name)};
};

#define SHEAF_UNARY_OP(NAME, FUNCTION, TYPES)             \
  struct op_##NAME : detail::TYPES<1> {                   \
    static constexpr std::string_view name = #NAME;       \
    template <kernel_value V>                             \
    [[nodiscard]] SHEAF_HD static V apply(V x) noexcept { \
      return sheaf::FUNCTION(x);                          \
    }                                                     \
  };
#define SHEAF_BINARY_OP(NAME, FUNCTION, TYPES)                 \
  struct op_##NAME : detail::TYPES<2> {                        \
    static constexpr std::string_view name = #NAME;            \
    template <kernel_value V>                                  \
    [[nodiscard]] SHEAF_HD static V apply(V a, V b) noexcept { \
      return sheaf::FUNCTION(a, b);                            \
    }                                                          \
  };
#define SHEAF_TERNARY_OP(NAME, FUNCTION, TYPES)                     \
  struct op_##NAME : detail::TYPES<3> {                             \
    static constexpr std::string_view name = #NAME;                 \
    template <kernel_value V>                                       \
    [[nodiscard]] SHEAF_HD static V apply(V a, V b, V c) noexcept { \
      return sheaf::FUNCTION(a, b, c);                              \
    }                                                               \
  };

SHEAF_BINARY_OP(add, add, any_type)
SHEAF_BINARY_OP(sub, subtract, any_type)
SHEAF_BINARY_OP(mul, multiply, any_type)
SHEAF_BINARY_OP(div, divide, any_type)
SHEAF_UNARY_OP(neg, negate, any_type)
SHEAF_UNARY_OP(abs, abs, any_type)
SHEAF_BINARY_OP(min, min, any_type)
SHEAF_BINARY_OP(max, max, any_type)
SHEAF_TERNARY_OP(fma, fma, any_type)
SHEAF_UNARY_OP(sqrt, sqrt, floats_only)
SHEAF_BINARY_OP(and_, bit_and, integers_only)
SHEAF_BINARY_OP(or_, bit_or, integers_only)
SHEAF_BINARY_OP(xor_, bit_xor, integers_only)
SHEAF_UNARY_OP(not_, bit_not, integers_only)
SHEAF_BINARY_OP(shl, shl, integers_only)
SHEAF_BINARY_OP(shr, shr, integers_only)
SHEAF_BINARY_OP(eq, eq, any_type)
SHEAF_BINARY_OP(ne, ne, any_type)
SHEAF_BINARY_OP(lt, lt, any_type)
SHEAF_BINARY_OP(le, le, any_type)
SHEAF_TERNARY_OP(select, select, any_type)

#undef SHEAF_UNARY_OP
#undef SHEAF_BINARY_OP
#undef SHEAF_TERNARY_OP

/// The types of operations, for tests and tables that go through each of them.
template <class... Ops>
struct op_list {
  static constexpr unsigned count = sizeof...(Ops);
};
using scalar_ops =
    op_list<op_add, op_sub, op_mul, op_div, op_neg, op_abs, op_min, op_max, op_fma, op_sqrt,
            op_and_, op_or_, op_xor_, op_not_, op_shl, op_shr, op_eq, op_ne, op_lt, op_le,
            op_select>;

}  // namespace sheaf::inline v0
