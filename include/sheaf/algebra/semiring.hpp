/// \file
/// Semirings: how contributions combine (plus) and how an edge weighs them (times).
///
/// A semiring here is a type with `name`, `id`, `supports(dtype)`, `exact_group<T>`, `zero<T>()`,
/// `one<T>()` and, over any kernel value, `plus(a, b)`, `times(a, b)` and
/// `plus_times(accumulator, a, b)`.
///
/// How a fold of k weighted operands is computed, everywhere and in this order: it starts from the
/// first one, `r = times(a0, b0)`, then `r = plus_times(r, ai, bi)` for i = 1 .. k-1. Without
/// weights `r = a0`, then `r = plus(r, ai)`. `zero` is never added in. `fold_left` below is that
/// text.
///
/// Which laws hold bit for bit (after `canonical`, and over all values of the type unless a column
/// says otherwise). Where a law does not, the results still agree on every backend, because the
/// order above and the tree of fold_tree.hpp are fixed. "ints" are all five integer types.
///
/// | law | sum_product | min_plus | max_plus | max_times | max_min | bitwise | log_sum_exp |
/// |---|---|---|---|---|---|---|---|
/// | plus associates | ints | all | all | all | all | ints | none |
/// | plus commutes | all | all | all | all | all | ints | all |
/// | zero + x = x | all but float -0 (1) | all | all | x >= +0 (2) | all | ints | all |
/// | times associates | ints | ints (3) | ints (3) | ints | all | ints | none |
/// | times commutes | all | all | all | all | all | ints | all |
/// | one * x = x | all | all | all | all | all | ints | all |
/// | times distributes | ints | all (4) | all (4) | (5) (6) | all | ints | none |
/// | zero annihilates | all (7) | all (4) | all (4) (8) | all (7) | all (9) | ints | all (4) |
///
/// counting, on unsigned integers: every law, over all values. log_sum_exp is on floats.
///
///  1. +0 + -0 = +0. A missing operand is therefore absent, never zero.
///  2. zero is 0: max_times is meant for values that are not negative.
///  3. Signed: where no intermediate sum leaves the range of the type.
///  4. Except where infinities of opposite sign, or a NaN, meet.
///  5. For factors >= +0, and no infinity times zero.
///  6. For factors and values >= 0 whose products do not wrap.
///  7. For finite x >= +0 (0 * -1 = -0, 0 * inf = NaN).
///  8. Unsigned types have no minus infinity: zero<u32>() of max_plus is 0, which does not
///     annihilate.
///  9. All types but NaN.
///
/// Integer `times` of min_plus and max_plus: the type's extreme value is the infinity (`zero`). It
/// annihilates, and a sum that leaves the range saturates; a wrapped sum would turn "unreachable"
/// into the best path. (The elementwise `add` wraps.) counting saturates in both operations.
///
/// Thread safety: no state. Cost: one or two instructions; integer `times` of min_plus and max_plus
/// two (unsigned) to about ten (signed), of counting about fifteen; `plus` of log_sum_exp about
/// sixty (an exponential and a logarithm).
#pragma once

#include <span>
#include <string_view>

#include <sheaf/algebra/math_log.hpp>
#include <sheaf/algebra/scalar.hpp>
#include <sheaf/base/assert.hpp>

namespace sheaf::inline v0 {

enum class semiring_id : std::uint8_t {
  sum_product,
  min_plus,
  max_plus,
  max_times,
  max_min,
  or_and,
  and_or,
  xor_and,
  counting,
  log_sum_exp,
};
inline constexpr unsigned semiring_count = 10;

/// What a type needs to weigh and combine elements of type `T`. The laws are not of the syntax:
/// the tests check them.
template <class S, class T = std::uint32_t>
concept semiring = element<T> && requires(T a, T b, T c, dtype type) {
  { S::template zero<T>() } -> std::same_as<T>;
  { S::template one<T>() } -> std::same_as<T>;
  { S::plus(a, b) } -> std::same_as<T>;
  { S::times(a, b) } -> std::same_as<T>;
  { S::plus_times(a, b, c) } -> std::same_as<T>;
  { S::supports(type) } -> std::same_as<bool>;
  { S::template exact_group<T> } -> std::convertible_to<bool>;
  { S::id } -> std::convertible_to<semiring_id>;
  {std::string_view(S::name)};
};

namespace detail {

/// The greatest and the least value of `T`: infinities where it has them.
template <element T>
[[nodiscard]] SHEAF_HD constexpr T greatest() noexcept {
  constexpr T value = std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity()
                                                           : std::numeric_limits<T>::max();
  return value;
}
template <element T>
[[nodiscard]] SHEAF_HD constexpr T least() noexcept {
  constexpr T value = std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                                           : std::numeric_limits<T>::lowest();
  return value;
}

/// Sum that saturates at the type's extremes; floats: the IEEE sum.
template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V saturating_add(V a, V b) noexcept {
  using T = lane_of<V>;
  const V sum = add(a, b);
  if constexpr (float_element<T>) {
    return sum;
  } else if constexpr (std::is_signed_v<T>) {
    constexpr T width_less_one = sizeof(T) * 8 - 1;
    const V overflow = bit_and(bit_xor(a, sum), bit_xor(b, sum));  // its sign bit
    const V bound = bit_xor(shr(a, V(width_less_one)), V(greatest<T>()));
    return select(lt(overflow, V(T{0})), bound, sum);
  } else {
    return select(lt(sum, a), V(greatest<T>()), sum);
  }
}

/// Product that saturates at the greatest value, of unsigned integers. By halves of the width: the
/// product fits if and only if one high half is 0 and what the other adds does not carry out.
template <kernel_value V>
requires std::is_unsigned_v<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V saturating_multiply(V a, V b) noexcept {
  using T = lane_of<V>;
  const V half(static_cast<T>(sizeof(T) * 4));
  const V low(static_cast<T>(greatest<T>() >> (sizeof(T) * 4)));
  const V a_high = shr(a, half), b_high = shr(b, half);
  const V cross = add(multiply(a_high, bit_and(b, low)), multiply(bit_and(a, low), b_high));
  const V product = multiply(a, b);
  const V excess = bit_or(multiply(a_high, b_high), shr(cross, half));
  // With no excess only the sum below can carry: of the product of the low halves and the rest.
  const V over = bit_or(ne(excess, V(T{0})), lt(product, shl(cross, half)));
  return select(over, V(greatest<T>()), product);
}

/// `sum`, or `infinity` where either operand is it.
template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V absorb(V infinity, V a, V b, V sum) noexcept {
  return select(bit_or(eq(a, infinity), eq(b, infinity)), infinity, sum);
}

/// The neutral element of saturating_add: -0 for floats, since -0 + x = x for every x.
template <element T>
[[nodiscard]] SHEAF_HD constexpr T neutral_sum() noexcept {
  if constexpr (float_element<T>) return -T{0};
  else return T{0};
}

/// What a semiring has when nothing fuses its two operations.
template <class S>
struct unfused {
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V plus_times(V accumulator, V a, V b) noexcept {
    return S::plus(accumulator, S::times(a, b));
  }
};

struct on_every_type {
  [[nodiscard]] static constexpr bool supports(dtype) noexcept { return true; }
};
struct on_integers {
  [[nodiscard]] static constexpr bool supports(dtype type) noexcept { return !is_float(type); }
};
struct on_unsigned_integers {
  [[nodiscard]] static constexpr bool supports(dtype type) noexcept {
    return type == dtype::u8 || type == dtype::u32 || type == dtype::u64;
  }
};
struct on_floats {
  [[nodiscard]] static constexpr bool supports(dtype type) noexcept { return is_float(type); }
};

}  // namespace detail

/// Ordinary arithmetic. `plus_times` is `fma`: one rounding, by definition.
struct sum_product : detail::on_every_type {
  static constexpr std::string_view name = "sum_product";
  static constexpr semiring_id id = semiring_id::sum_product;
  /// plus is exact and has an inverse: differences may be propagated instead of values.
  template <element T>
  static constexpr bool exact_group = integer_element<T>;

  template <element T>
  [[nodiscard]] SHEAF_HD static constexpr T zero() noexcept {
    return T{0};
  }
  template <element T>
  [[nodiscard]] SHEAF_HD static constexpr T one() noexcept {
    return T{1};
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V plus(V a, V b) noexcept {
    return sheaf::add(a, b);
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V times(V a, V b) noexcept {
    return sheaf::multiply(a, b);
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V plus_times(V accumulator, V a, V b) noexcept {
    return sheaf::fma(a, b, accumulator);
  }
};

/// Shortest paths. Integers: the greatest value is infinity, sums saturate.
struct min_plus : detail::on_every_type, detail::unfused<min_plus> {
  static constexpr std::string_view name = "min_plus";
  static constexpr semiring_id id = semiring_id::min_plus;
  template <element T>
  static constexpr bool exact_group = false;

  template <element T>
  [[nodiscard]] SHEAF_HD static constexpr T zero() noexcept {
    return detail::greatest<T>();
  }
  /// 0; for floats -0, the only float that leaves every other unchanged when added.
  template <element T>
  [[nodiscard]] SHEAF_HD static constexpr T one() noexcept {
    return detail::neutral_sum<T>();
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V plus(V a, V b) noexcept {
    return sheaf::min(a, b);
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V times(V a, V b) noexcept {
    using T = lane_of<V>;
    const V sum = detail::saturating_add(a, b);
    if constexpr (integer_element<T> && std::is_signed_v<T>) {
      return detail::absorb(V(zero<T>()), a, b, sum);
    } else {
      return sum;  // unsigned saturation absorbs by itself, IEEE infinity too
    }
  }
};

/// Longest and critical paths. Signed integers: the least value is minus infinity; sums saturate.
struct max_plus : detail::on_every_type, detail::unfused<max_plus> {
  static constexpr std::string_view name = "max_plus";
  static constexpr semiring_id id = semiring_id::max_plus;
  template <element T>
  static constexpr bool exact_group = false;

  template <element T>
  [[nodiscard]] SHEAF_HD static constexpr T zero() noexcept {
    return detail::least<T>();
  }
  /// 0; for floats -0, the only float that leaves every other unchanged when added.
  template <element T>
  [[nodiscard]] SHEAF_HD static constexpr T one() noexcept {
    return detail::neutral_sum<T>();
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V plus(V a, V b) noexcept {
    return sheaf::max(a, b);
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V times(V a, V b) noexcept {
    using T = lane_of<V>;
    const V sum = detail::saturating_add(a, b);
    if constexpr (integer_element<T> && std::is_signed_v<T>) {
      return detail::absorb(V(zero<T>()), a, b, sum);
    } else {
      return sum;
    }
  }
};

/// Most likely paths; values and weights are not negative.
struct max_times : detail::on_every_type, detail::unfused<max_times> {
  static constexpr std::string_view name = "max_times";
  static constexpr semiring_id id = semiring_id::max_times;
  template <element T>
  static constexpr bool exact_group = false;

  template <element T>
  [[nodiscard]] SHEAF_HD static constexpr T zero() noexcept {
    return T{0};
  }
  template <element T>
  [[nodiscard]] SHEAF_HD static constexpr T one() noexcept {
    return T{1};
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V plus(V a, V b) noexcept {
    return sheaf::max(a, b);
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V times(V a, V b) noexcept {
    return sheaf::multiply(a, b);
  }
};

/// Bottlenecks: the widest path.
struct max_min : detail::on_every_type, detail::unfused<max_min> {
  static constexpr std::string_view name = "max_min";
  static constexpr semiring_id id = semiring_id::max_min;
  template <element T>
  static constexpr bool exact_group = false;

  template <element T>
  [[nodiscard]] SHEAF_HD static constexpr T zero() noexcept {
    return detail::least<T>();
  }
  template <element T>
  [[nodiscard]] SHEAF_HD static constexpr T one() noexcept {
    return detail::greatest<T>();
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V plus(V a, V b) noexcept {
    return sheaf::max(a, b);
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V times(V a, V b) noexcept {
    return sheaf::min(a, b);
  }
};

/// Reachability, 8 to 64 of them side by side (bitwise). Integers only.
struct or_and : detail::on_integers, detail::unfused<or_and> {
  static constexpr std::string_view name = "or_and";
  static constexpr semiring_id id = semiring_id::or_and;
  template <element T>
  static constexpr bool exact_group = false;

  template <integer_element T>
  [[nodiscard]] SHEAF_HD static constexpr T zero() noexcept {
    return T{0};
  }
  template <integer_element T>
  [[nodiscard]] SHEAF_HD static constexpr T one() noexcept {
    return static_cast<T>(~T{0});
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V plus(V a, V b) noexcept {
    return sheaf::bit_or(a, b);
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V times(V a, V b) noexcept {
    return sheaf::bit_and(a, b);
  }
};

/// What holds on every path (bitwise); the dual of or_and. Integers only.
struct and_or : detail::on_integers, detail::unfused<and_or> {
  static constexpr std::string_view name = "and_or";
  static constexpr semiring_id id = semiring_id::and_or;
  template <element T>
  static constexpr bool exact_group = false;

  template <integer_element T>
  [[nodiscard]] SHEAF_HD static constexpr T zero() noexcept {
    return static_cast<T>(~T{0});
  }
  template <integer_element T>
  [[nodiscard]] SHEAF_HD static constexpr T one() noexcept {
    return T{0};
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V plus(V a, V b) noexcept {
    return sheaf::bit_and(a, b);
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V times(V a, V b) noexcept {
    return sheaf::bit_or(a, b);
  }
};

/// The field of two elements, 8 to 64 side by side (parity, bitwise). Integers only.
struct xor_and : detail::on_integers, detail::unfused<xor_and> {
  static constexpr std::string_view name = "xor_and";
  static constexpr semiring_id id = semiring_id::xor_and;
  template <element T>
  static constexpr bool exact_group = integer_element<T>;

  template <integer_element T>
  [[nodiscard]] SHEAF_HD static constexpr T zero() noexcept {
    return T{0};
  }
  template <integer_element T>
  [[nodiscard]] SHEAF_HD static constexpr T one() noexcept {
    return static_cast<T>(~T{0});
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V plus(V a, V b) noexcept {
    return sheaf::bit_xor(a, b);
  }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static constexpr V times(V a, V b) noexcept {
    return sheaf::bit_and(a, b);
  }
};

/// Numbers of paths. Unsigned integers; the greatest value is infinity, sums and products saturate,
/// and 0 times infinity is 0: so the number of paths is defined on graphs with cycles too.
struct counting : detail::on_unsigned_integers, detail::unfused<counting> {
  static constexpr std::string_view name = "counting";
  static constexpr semiring_id id = semiring_id::counting;
  template <element T>
  static constexpr bool exact_group = false;

  template <element T>
  requires std::is_unsigned_v<T>
  [[nodiscard]] SHEAF_HD static constexpr T zero() noexcept {
    return T{0};
  }
  template <element T>
  requires std::is_unsigned_v<T>
  [[nodiscard]] SHEAF_HD static constexpr T one() noexcept {
    return T{1};
  }
  template <kernel_value V>
  requires std::is_unsigned_v<lane_of<V>>
  [[nodiscard]] SHEAF_HD static constexpr V plus(V a, V b) noexcept {
    return detail::saturating_add(a, b);
  }
  template <kernel_value V>
  requires std::is_unsigned_v<lane_of<V>>
  [[nodiscard]] SHEAF_HD static constexpr V times(V a, V b) noexcept {
    return detail::saturating_multiply(a, b);
  }
};

/// Probabilities and weights by their logarithms: plus is log(e^a + e^b), times is +. Floats only.
///
/// plus(a, b) is defined as max(a, b) + log(1 + exp(-|a - b|)), each part by math_exp.hpp and
/// math_log.hpp; where the exponential is 0 it is max(a, b) itself. It commutes but does not
/// associate.
struct log_sum_exp : detail::on_floats, detail::unfused<log_sum_exp> {
  static constexpr std::string_view name = "log_sum_exp";
  static constexpr semiring_id id = semiring_id::log_sum_exp;
  template <element T>
  static constexpr bool exact_group = false;

  template <float_element T>
  [[nodiscard]] SHEAF_HD static constexpr T zero() noexcept {
    return detail::least<T>();
  }
  /// -0, the only float that leaves every other unchanged when added.
  template <float_element T>
  [[nodiscard]] SHEAF_HD static constexpr T one() noexcept {
    return detail::neutral_sum<T>();
  }
  template <kernel_value V>
  requires float_element<lane_of<V>>
  [[nodiscard]] SHEAF_HD static constexpr V plus(V a, V b) noexcept {
    if constexpr (element<V>) {
      return plus(lane<V>(a), lane<V>(b)).value_;
    } else {
      const V none(lane_of<V>{0});
      const V larger = sheaf::max(a, b);
      // Equal operands first: the difference of two infinities is no number.
      const V distance = V::pick(V::is_equal(a, b), none, sheaf::abs(a - b));
      const V ratio = sheaf::exp(-distance);
      const V sum = larger + detail::log_one_plus(ratio);
      return V::pick(V::is_equal(ratio, none), larger, sum);
    }
  }
  template <kernel_value V>
  requires float_element<lane_of<V>>
  [[nodiscard]] SHEAF_HD static constexpr V times(V a, V b) noexcept {
    return sheaf::add(a, b);
  }
};

/// Calls `visitor(S{})` with the semiring `id` names.
template <class Visitor>
SHEAF_HD constexpr decltype(auto) visit_semiring(semiring_id id, Visitor&& visitor) {
  switch (id) {
    case semiring_id::sum_product: return visitor(sum_product{});
    case semiring_id::min_plus: return visitor(min_plus{});
    case semiring_id::max_plus: return visitor(max_plus{});
    case semiring_id::max_times: return visitor(max_times{});
    case semiring_id::max_min: return visitor(max_min{});
    case semiring_id::or_and: return visitor(or_and{});
    case semiring_id::and_or: return visitor(and_or{});
    case semiring_id::xor_and: return visitor(xor_and{});
    case semiring_id::counting: return visitor(counting{});
    case semiring_id::log_sum_exp: break;
  }
  return visitor(log_sum_exp{});
}

/// The name of `id`, as logs and the command line write it.
[[nodiscard]] constexpr std::string_view name_of(semiring_id id) noexcept {
  constexpr std::string_view names[semiring_count] = {
      sum_product::name, min_plus::name, max_plus::name, max_times::name, max_min::name,
      or_and::name,      and_or::name,   xor_and::name,  counting::name,  log_sum_exp::name};
  return names[static_cast<unsigned>(id)];
}
/// True where `id` is defined on elements of `type`.
[[nodiscard]] constexpr bool supports(semiring_id id, dtype type) noexcept {
  return visit_semiring(id, [type](auto s) { return s.supports(type); });
}

/// The fold of `values`, each weighed by the `weights` of the same index, in the order the head of
/// this file states; one store, so canonical. Reference of `combine`; O(n). Neither may be empty,
/// and their sizes are equal.
template <class S, element T>
[[nodiscard]] constexpr T fold_left(std::span<const T> values,
                                    std::span<const T> weights) noexcept {
  SHEAF_ASSERT(!values.empty() && values.size() == weights.size(), "fold-has-operands");
  T result = S::times(values[0], weights[0]);
  for (std::size_t i = 1; i < values.size(); ++i) {
    result = S::plus_times(result, values[i], weights[i]);
  }
  return canonical(result);
}
/// The same without weights.
template <class S, element T>
[[nodiscard]] constexpr T fold_left(std::span<const T> values) noexcept {
  SHEAF_ASSERT(!values.empty(), "fold-has-operands");
  T result = values[0];
  for (std::size_t i = 1; i < values.size(); ++i) result = S::plus(result, values[i]);
  return canonical(result);
}

}  // namespace sheaf::inline v0
