/// \file
/// Expressions over arrays: `price * quantity + 1.0f` builds a short postfix program, which a
/// `model` turns into one node with one line program. Nothing is evaluated here.
///
/// Values: arrays, `element_of(array, index)`, constants and other expressions, all of one element
/// type; `cast` changes it. An array of length 1 beside longer ones meets every element. A constant
/// must not lose its kind: a float array takes any number, an integer array only integers.
/// Comparisons give 1 or 0 of the same element type; `select` takes its second value where the
/// first is not zero.
///
/// Cost: building is linear in the size of the expression when temporaries are moved.
/// Thread safety: values.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include <sheaf/graph/array.hpp>
#include <sheaf/graph/line_program.hpp>
#include <sheaf/graph/operator_registry.hpp>
#include <sheaf/graph/plan.hpp>

namespace sheaf::inline v0 {

/// One step of a postfix program: pushes a value, or replaces the topmost ones by their result.
struct expression_step {
  enum class form : std::uint8_t { operand, constant, operation };
  form kind;
  opcode op = opcode::copy;        ///< operation
  dtype type;                      ///< of what is pushed; of the result of an operation
  dtype from = dtype::f32;         ///< cast: element type of its operand
  std::uint32_t arity = 0;         ///< operation: values it takes
  std::uint64_t bits = 0;          ///< constant: bit pattern; call: operator number;
                                   ///< operand: index of the broadcast element
  bool broadcast = false;          ///< operand: one element instead of the array
  array_handle array = {};         ///< operand
};

/// The bit pattern of a constant, low bytes first.
template <element T>
[[nodiscard]] constexpr std::uint64_t constant_bits(T value) noexcept {
  if constexpr (std::same_as<T, float>) return std::bit_cast<std::uint32_t>(value);
  else if constexpr (std::same_as<T, double>) return std::bit_cast<std::uint64_t>(value);
  else return static_cast<std::uint64_t>(static_cast<std::make_unsigned_t<T>>(value));
}

/// A number that may stand beside arrays of `T`.
template <class Number, class T>
concept constant_for = std::is_arithmetic_v<Number> && !std::same_as<Number, bool> &&
                       (std::floating_point<T> || std::integral<Number>);

/// An expression of element type `T`.
template <element T>
class expression {
 public:
  using value_type = T;

  expression(array<T> operand)
      : steps_{{.kind = expression_step::form::operand,
                .type = dtype_of<T>,
                .array = operand.handle()}} {}
  expression(element_ref<T> operand)
      : steps_{{.kind = expression_step::form::operand,
                .type = dtype_of<T>,
                .bits = operand.index,
                .broadcast = true,
                .array = operand.from.handle()}} {}
  template <constant_for<T> Number>
  expression(Number value)
      : steps_{{.kind = expression_step::form::constant,
                .type = dtype_of<T>,
                .bits = constant_bits(static_cast<T>(value))}} {}
  /// For the library: `steps` must leave one value of type `T`.
  explicit expression(std::vector<expression_step> steps) noexcept : steps_(std::move(steps)) {}

  [[nodiscard]] const std::vector<expression_step>& steps() const& noexcept { return steps_; }
  [[nodiscard]] std::vector<expression_step> steps() && noexcept { return std::move(steps_); }

 private:
  std::vector<expression_step> steps_;
};

namespace expressions {

template <class X>
struct value_of {};
template <element T>
struct value_of<array<T>> { using type = T; };
template <element T>
struct value_of<element_ref<T>> { using type = T; };
template <element T>
struct value_of<expression<T>> { using type = T; };

/// The element type of the first of `X...` that has one.
template <class... X>
struct first_value {};
template <class First, class... Rest>
struct first_value<First, Rest...>
    : std::conditional_t<requires { typename value_of<First>::type; }, value_of<First>,
                         first_value<Rest...>> {};

template <class X, class T>
concept argument_of = constant_for<X, T> || requires {
  requires std::same_as<typename value_of<X>::type, T>;
};

}  // namespace expressions

/// An array, an element of one, or an expression.
template <class X>
concept expression_operand = requires {
  typename expressions::value_of<std::remove_cvref_t<X>>::type;
};
template <expression_operand X>
using expression_value = typename expressions::value_of<std::remove_cvref_t<X>>::type;

/// Values that may meet in one operation: one element type, at least one that is no constant.
template <class... X>
concept expression_arguments =
    requires { typename expressions::first_value<std::remove_cvref_t<X>...>::type; } &&
    (expressions::argument_of<std::remove_cvref_t<X>,
                              typename expressions::first_value<std::remove_cvref_t<X>...>::type> &&
     ...);
template <class... X>
  requires expression_arguments<X...>
using common_value = typename expressions::first_value<std::remove_cvref_t<X>...>::type;

namespace expressions {

inline void append(std::vector<expression_step>& to, std::vector<expression_step>&& more) {
  to.insert(to.end(), more.begin(), more.end());
}

/// The operation `last` on `first, rest...`, each converted to an expression of `T`.
template <element Result, element T, class First, class... Rest>
[[nodiscard]] expression<Result> operation(expression_step last, First&& first, Rest&&... rest) {
  std::vector<expression_step> steps = expression<T>(std::forward<First>(first)).steps();
  (append(steps, expression<T>(std::forward<Rest>(rest)).steps()), ...);
  last.kind = expression_step::form::operation;
  last.type = dtype_of<Result>;
  last.arity = 1 + sizeof...(Rest);
  steps.push_back(last);
  return expression<Result>(std::move(steps));
}

/// The built-in operation `op`.
template <class... X>
[[nodiscard]] auto built_in(opcode op, X&&... arguments) {
  using T = common_value<X...>;
  return operation<T, T>({.kind = {}, .op = op, .type = {}}, std::forward<X>(arguments)...);
}

}  // namespace expressions

template <class A, class B>
  requires expression_arguments<A, B>
[[nodiscard]] auto operator+(A&& a, B&& b) {
  return expressions::built_in(opcode::add, std::forward<A>(a), std::forward<B>(b));
}
template <class A, class B>
  requires expression_arguments<A, B>
[[nodiscard]] auto operator-(A&& a, B&& b) {
  return expressions::built_in(opcode::sub, std::forward<A>(a), std::forward<B>(b));
}
template <class A, class B>
  requires expression_arguments<A, B>
[[nodiscard]] auto operator*(A&& a, B&& b) {
  return expressions::built_in(opcode::mul, std::forward<A>(a), std::forward<B>(b));
}
/// Integers: x / 0 is 0.
template <class A, class B>
  requires expression_arguments<A, B>
[[nodiscard]] auto operator/(A&& a, B&& b) {
  return expressions::built_in(opcode::div, std::forward<A>(a), std::forward<B>(b));
}
template <expression_operand A>
[[nodiscard]] auto operator-(A&& a) {
  return expressions::built_in(opcode::neg, std::forward<A>(a));
}

/// As `expression_arguments`, of an integer type.
template <class... X>
concept integer_arguments = expression_arguments<X...> && std::integral<common_value<X...>>;

template <class A, class B>
  requires integer_arguments<A, B>
[[nodiscard]] auto operator&(A&& a, B&& b) {
  return expressions::built_in(opcode::bit_and, std::forward<A>(a), std::forward<B>(b));
}
template <class A, class B>
  requires integer_arguments<A, B>
[[nodiscard]] auto operator|(A&& a, B&& b) {
  return expressions::built_in(opcode::bit_or, std::forward<A>(a), std::forward<B>(b));
}
template <class A, class B>
  requires integer_arguments<A, B>
[[nodiscard]] auto operator^(A&& a, B&& b) {
  return expressions::built_in(opcode::bit_xor, std::forward<A>(a), std::forward<B>(b));
}
template <class A>
  requires integer_arguments<A>
[[nodiscard]] auto operator~(A&& a) {
  return expressions::built_in(opcode::bit_not, std::forward<A>(a));
}
/// Shift counts are taken modulo the width of the element type.
template <class A, class B>
  requires integer_arguments<A, B>
[[nodiscard]] auto operator<<(A&& a, B&& b) {
  return expressions::built_in(opcode::shl, std::forward<A>(a), std::forward<B>(b));
}
template <class A, class B>
  requires integer_arguments<A, B>
[[nodiscard]] auto operator>>(A&& a, B&& b) {
  return expressions::built_in(opcode::shr, std::forward<A>(a), std::forward<B>(b));
}

/// IEEE 754-2019 minimum: NaN where either is NaN, -0 below +0.
template <class A, class B>
  requires expression_arguments<A, B>
[[nodiscard]] auto min(A&& a, B&& b) {
  return expressions::built_in(opcode::min, std::forward<A>(a), std::forward<B>(b));
}
template <class A, class B>
  requires expression_arguments<A, B>
[[nodiscard]] auto max(A&& a, B&& b) {
  return expressions::built_in(opcode::max, std::forward<A>(a), std::forward<B>(b));
}
template <expression_operand A>
[[nodiscard]] auto abs(A&& a) {
  return expressions::built_in(opcode::abs, std::forward<A>(a));
}
template <expression_operand A>
  requires std::floating_point<expression_value<A>>
[[nodiscard]] auto sqrt(A&& a) {
  return expressions::built_in(opcode::sqrt, std::forward<A>(a));
}
/// Elementary functions: the same bits on every backend, special cases and errors as in
/// docs/operators.md.
template <expression_operand A>
  requires std::floating_point<expression_value<A>>
[[nodiscard]] auto exp(A&& a) {
  return expressions::built_in(opcode::exp, std::forward<A>(a));
}
template <expression_operand A>
  requires std::floating_point<expression_value<A>>
[[nodiscard]] auto log(A&& a) {
  return expressions::built_in(opcode::log, std::forward<A>(a));
}
template <expression_operand A>
  requires std::floating_point<expression_value<A>>
[[nodiscard]] auto tanh(A&& a) {
  return expressions::built_in(opcode::tanh, std::forward<A>(a));
}
template <expression_operand A>
  requires std::floating_point<expression_value<A>>
[[nodiscard]] auto erf(A&& a) {
  return expressions::built_in(opcode::erf, std::forward<A>(a));
}
/// In radians, as cos.
template <expression_operand A>
  requires std::floating_point<expression_value<A>>
[[nodiscard]] auto sin(A&& a) {
  return expressions::built_in(opcode::sin, std::forward<A>(a));
}
template <expression_operand A>
  requires std::floating_point<expression_value<A>>
[[nodiscard]] auto cos(A&& a) {
  return expressions::built_in(opcode::cos, std::forward<A>(a));
}
template <class A, class B>
  requires expression_arguments<A, B> && std::floating_point<common_value<A, B>>
[[nodiscard]] auto pow(A&& base, B&& exponent) {
  return expressions::built_in(opcode::pow, std::forward<A>(base), std::forward<B>(exponent));
}
/// `a * b + c` with one rounding.
template <class A, class B, class C>
  requires expression_arguments<A, B, C>
[[nodiscard]] auto fma(A&& a, B&& b, C&& c) {
  return expressions::built_in(opcode::fma, std::forward<A>(a), std::forward<B>(b),
                               std::forward<C>(c));
}
template <class A, class B>
  requires expression_arguments<A, B>
[[nodiscard]] auto eq(A&& a, B&& b) {
  return expressions::built_in(opcode::eq, std::forward<A>(a), std::forward<B>(b));
}
template <class A, class B>
  requires expression_arguments<A, B>
[[nodiscard]] auto ne(A&& a, B&& b) {
  return expressions::built_in(opcode::ne, std::forward<A>(a), std::forward<B>(b));
}
template <class A, class B>
  requires expression_arguments<A, B>
[[nodiscard]] auto lt(A&& a, B&& b) {
  return expressions::built_in(opcode::lt, std::forward<A>(a), std::forward<B>(b));
}
template <class A, class B>
  requires expression_arguments<A, B>
[[nodiscard]] auto le(A&& a, B&& b) {
  return expressions::built_in(opcode::le, std::forward<A>(a), std::forward<B>(b));
}
/// `where_true` where `condition` is not zero, else `where_false`.
template <class Condition, class A, class B>
  requires expression_arguments<Condition, A, B>
[[nodiscard]] auto select(Condition&& condition, A&& where_true, B&& where_false) {
  return expressions::built_in(opcode::select, std::forward<Condition>(condition),
                               std::forward<A>(where_true), std::forward<B>(where_false));
}
/// `select` by its other well-known name.
template <class Condition, class A, class B>
  requires expression_arguments<Condition, A, B>
[[nodiscard]] auto where(Condition&& condition, A&& where_true, B&& where_false) {
  return select(std::forward<Condition>(condition), std::forward<A>(where_true),
                std::forward<B>(where_false));
}
/// The value as `To`: float to integer saturates, NaN gives 0. Element types of different sizes do
/// not meet in one line program: such a cast is a mistake of the definition.
template <element To, expression_operand A>
[[nodiscard]] expression<To> cast(A&& a) {
  using From = expression_value<A>;
  return expressions::operation<To, From>(
      {.kind = {}, .op = opcode::cast, .type = {}, .from = dtype_of<From>}, std::forward<A>(a));
}

/// A custom operator: `Functor::id` names it; its bodies come from `register_operator`.
template <class Functor, class... X>
  requires expression_arguments<X...>
[[nodiscard]] auto apply(X&&... arguments) {
  static_assert(sizeof...(X) >= 1 && sizeof...(X) <= operator_arity_max,
                "sheaf: a custom operator takes 1 to 3 arguments (operator_arity_max)");
  using T = common_value<X...>;
  return expressions::operation<T, T>({.kind = {},
                                       .op = opcode::call,
                                       .type = {},
                                       .bits = intern_operator(Functor::id)},
                                      std::forward<X>(arguments)...);
}

}  // namespace sheaf::inline v0
