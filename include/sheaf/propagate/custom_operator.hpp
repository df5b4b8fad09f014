/// \file
/// Custom operators: functors of the host that line programs call. What an operators header
/// includes.
///
/// An operators header holds functors and ends with one list of them:
/// ```cpp
/// #pragma once
/// #include <sheaf/propagate/custom_operator.hpp>
///
/// struct blend {
///   static constexpr sheaf::operator_id id{"desk.blend", 1};
///   template <class V>
///   SHEAF_HD V operator()(V a, V b, V t) const { return a + (b - a) * t; }
/// };
///
/// SHEAF_OPERATORS(sheaf::custom_operator<blend, float, double>)
/// ```
/// and its build says `sheaf_add_operators(target blend.hpp)`, which compiles the functors once per
/// instruction set with Sheaf's flags and registers them before `main`. Expressions then use
/// `sheaf::apply<blend>(a, b, t)`.
///
/// Rules for a functor: no state; branch-free over the value type `V`, which has `+ - * /`, unary
/// `-` and, on integers, `& | ^ ~ << >>`, with the meaning of scalar.hpp; `sheaf::select`, `min`,
/// `max`, `fma`, `sqrt`, the comparisons of scalar.hpp and the functions of math.hpp (`exp`, ...)
/// work on it, `?:` and `<` do not. A constant is `V(0.5f)`. The result depends on the arguments
/// alone. One to three arguments, all `V`, result `V`. An operators header includes no other
/// operators header.
///
/// Thread safety: nothing here has state.
#pragma once

#include <type_traits>

#include <sheaf/algebra/lane.hpp>
#include <sheaf/algebra/math.hpp>
#include <sheaf/base/dtype.hpp>
#include <sheaf/base/macros.hpp>
#include <sheaf/graph/operator_registry.hpp>

namespace sheaf::inline v0 {

namespace detail {

template <class Functor, class V>
inline constexpr unsigned arity_of_functor = std::is_invocable_r_v<V, Functor, V>         ? 1
                                             : std::is_invocable_r_v<V, Functor, V, V>    ? 2
                                             : std::is_invocable_r_v<V, Functor, V, V, V> ? 3
                                                                                          : 0;

}  // namespace detail

/// An entry of `SHEAF_OPERATORS`: a functor and the element types it is compiled for.
template <class Functor, element First, element... Rest>
struct custom_operator {
  using functor = Functor;
  static constexpr unsigned arity = detail::arity_of_functor<Functor, lane<First>>;
  static_assert(std::is_empty_v<Functor>, "sheaf: a custom operator has no state");
  static_assert(arity != 0, "sheaf: a custom operator takes 1 to 3 values and returns one");
};

template <class... Operators>
struct operator_list {
  static constexpr unsigned count = sizeof...(Operators);
};

}  // namespace sheaf::inline v0

/// The list at the end of an operators header. Only the files `sheaf_add_operators` generates do
/// something with it.
#if defined(SHEAF_EXPORT_OPERATORS)
#define SHEAF_OPERATORS(...) using sheaf_exported_operators = ::sheaf::operator_list<__VA_ARGS__>;
#else
#define SHEAF_OPERATORS(...) static_assert(::sheaf::operator_list<__VA_ARGS__>::count != 0);
#endif
