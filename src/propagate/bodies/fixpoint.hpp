/// \file
/// Rows of `fixpoint` (include/sheaf/propagate/fixpoint_kernels.hpp).
///
/// A selective semiring's sum is one of its operands, so what rests on a contribution is what
/// equals it, element by element. In a bitwise one every bit is a semiring of its own: what rests
/// on a contribution are the bits both have.
///
/// Cost: two to four loads and about five operations a register.
#pragma once

#include "propagate/bodies/line.hpp"

#include <sheaf/propagate/fixpoint_kernels.hpp>

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

template <class S>
inline constexpr bool is_bitwise = S::id == semiring_id::or_and || S::id == semiring_id::and_or;

/// `yes` where the bits of `a` and `b` are equal, else `no`.
template <element T>
[[nodiscard]] SHEAF_HD vec<T> where_same(vec<T> a, vec<T> b, vec<T> yes, vec<T> no) noexcept {
#if SHEAF_ARCH_LEVEL == 0
  return to_bits(a.value_) == to_bits(b.value_) ? yes : no;
#else
  return vec<T>::pick(a.bits() == b.bits(), yes, no);
#endif
}

/// A row and the lines to look at.
template <element T, class Visit>
SHEAF_HD void for_each_register(line_mask lines, const Visit& visit) noexcept {
  for (line_mask left = lines; left != 0; left &= left - 1) {
    const std::size_t at = static_cast<std::size_t>(__builtin_ctzll(left)) * line_size;
    for (unsigned i = 0; i < line_registers<T>; ++i) {
      visit(at + i * register_bytes<T>, left & -left);
    }
  }
}

template <class S, element T>
[[nodiscard]] SHEAF_HD vec<T> weighed(vec<T> value, const std::byte* weight,
                                      vec<T> spread) noexcept {
  return weight == nullptr ? value : vec<T>(S::times(value, spread));
}

template <element T>
[[nodiscard]] SHEAF_HD vec<T> spread_weight(const std::byte* weight) noexcept {
  return weight == nullptr ? vec<T>(T{0}) : vec<T>(load_element<T>(weight));
}

/// `to` without what rests on `before * weight` and not on `after * weight`.
template <class S, element T, bool HasAfter>
[[nodiscard]] SHEAF_HD vec<T> without(vec<T> to, vec<T> before, vec<T> after,
                                      const std::byte* weight, vec<T> spread) noexcept {
  if constexpr (S::id == semiring_id::or_and) {
    vec<T> lost = before;
    if constexpr (HasAfter) lost = vec<T>::bit_and(lost, vec<T>::bit_not(after));
    if (weight != nullptr) lost = vec<T>::bit_and(lost, spread);
    return vec<T>::bit_and(to, vec<T>::bit_not(lost));
  } else if constexpr (S::id == semiring_id::and_or) {
    vec<T> lost = vec<T>::bit_not(before);
    if constexpr (HasAfter) lost = vec<T>::bit_and(lost, after);
    if (weight != nullptr) lost = vec<T>::bit_and(lost, vec<T>::bit_not(spread));
    return vec<T>::bit_or(to, lost);
  } else {
    const vec<T> zero(S::template zero<T>());
    const vec<T> gave = vec<T>::canonical(weighed<S, T>(before, weight, spread));
    const vec<T> gone = where_same<T>(gave, to, zero, to);
    if constexpr (!HasAfter) return gone;
    else return where_same<T>(vec<T>::canonical(S::plus(after, before)), after, to, gone);
  }
}

template <class S, element T>
SHEAF_BODY void clear_row(std::byte* to, line_mask lines) {
  const vec<T> zero(S::template zero<T>());
  for_each_register<T>(lines, [&](std::size_t at, line_mask) SHEAF_INLINE_LAMBDA {
    zero.store(reinterpret_cast<T*>(to + at));
  });
}

/// Stores where the bits differ; true there.
template <element T>
[[nodiscard]] SHEAF_HD bool put(std::byte* to, vec<T> before, vec<T> after) noexcept {
  if (vec<T>::same_bits(before, after)) return false;
  after.store(reinterpret_cast<T*>(to));
  return true;
}

template <class S, element T>
SHEAF_BODY line_mask relax_row(std::byte* to, const std::byte* from, const std::byte* weight,
                               line_mask lines) {
  line_mask changed = 0;
  if (weight == nullptr) {
    for_each_register<T>(lines, [&](std::size_t at, line_mask bit) SHEAF_INLINE_LAMBDA {
      const vec<T> old = load_register<T>(to + at);
      const vec<T> sum = vec<T>::canonical(S::plus(old, load_register<T>(from + at)));
      if (put<T>(to + at, old, sum)) changed |= bit;
    });
    return changed;
  }
  const vec<T> spread(load_element<T>(weight));
  for_each_register<T>(lines, [&](std::size_t at, line_mask bit) SHEAF_INLINE_LAMBDA {
    const vec<T> old = load_register<T>(to + at);
    const vec<T> sum =
        vec<T>::canonical(S::plus(old, S::times(load_register<T>(from + at), spread)));
    if (put<T>(to + at, old, sum)) changed |= bit;
  });
  return changed;
}

template <class S, element T, bool HasAfter>
[[nodiscard]] SHEAF_HD line_mask supported_lines(const std::byte* to, const std::byte* before,
                                                 const std::byte* after, const std::byte* weight,
                                                 line_mask lines) noexcept {
  line_mask found = 0;
  const vec<T> spread = spread_weight<T>(weight);
  for_each_register<T>(lines, [&](std::size_t at, line_mask bit) SHEAF_INLINE_LAMBDA {
    const vec<T> old = load_register<T>(to + at);
    const vec<T> was = load_register<T>(before + at);
    const vec<T> now = HasAfter ? load_register<T>(after + at) : was;
    if (!vec<T>::same_bits(old, without<S, T, HasAfter>(old, was, now, weight, spread))) {
      found |= bit;
    }
  });
  return found;
}

template <class S, element T>
SHEAF_BODY line_mask supported_row(const std::byte* to, const std::byte* before,
                                   const std::byte* after, const std::byte* weight,
                                   line_mask lines) {
  return after == nullptr ? supported_lines<S, T, false>(to, before, after, weight, lines)
                          : supported_lines<S, T, true>(to, before, after, weight, lines);
}

template <class S, element T, bool HasAfter>
[[nodiscard]] SHEAF_HD line_mask retract_lines(std::byte* to, const std::byte* before,
                                               const std::byte* after, const std::byte* weight,
                                               const std::byte* kept, line_mask lines) noexcept {
  line_mask changed = 0;
  const vec<T> spread = spread_weight<T>(weight);
  for_each_register<T>(lines, [&](std::size_t at, line_mask bit) SHEAF_INLINE_LAMBDA {
    const vec<T> old = load_register<T>(to + at);
    const vec<T> was = load_register<T>(before + at);
    const vec<T> now = HasAfter ? load_register<T>(after + at) : was;
    vec<T> left = without<S, T, HasAfter>(old, was, now, weight, spread);
    if (kept != nullptr) left = vec<T>::canonical(S::plus(left, load_register<T>(kept + at)));
    if (put<T>(to + at, old, left)) changed |= bit;
  });
  return changed;
}

template <class S, element T>
SHEAF_BODY line_mask retract_row(std::byte* to, const std::byte* before, const std::byte* after,
                                 const std::byte* weight, const std::byte* kept,
                                 line_mask lines) {
  return after == nullptr ? retract_lines<S, T, false>(to, before, after, weight, kept, lines)
                          : retract_lines<S, T, true>(to, before, after, weight, kept, lines);
}

template <class S, element T>
SHEAF_BODY row_difference difference_of_rows(const std::byte* before, const std::byte* after,
                                             line_mask lines) {
  row_difference found;
  for_each_register<T>(lines, [&](std::size_t at, line_mask bit) SHEAF_INLINE_LAMBDA {
    const vec<T> was = vec<T>::canonical(load_register<T>(before + at));
    const vec<T> now = vec<T>::canonical(load_register<T>(after + at));
    if (!vec<T>::same_bits(was, now)) found.changed |= bit;
    const vec<T> both = vec<T>::canonical(S::plus(now, was));
    if (!vec<T>::same_bits(both, now)) found.lost |= bit;
    if (!vec<T>::same_bits(both, was)) found.gained |= bit;
  });
  return found;
}

/// Of the unsigned types max_plus has no minus infinity: its zero is its one as well.
template <class S, element T>
inline constexpr bool zero_annihilates = S::id != semiring_id::max_plus || std::is_signed_v<T>;

template <class S, element T>
SHEAF_BODY bool is_zero_weight(const std::byte* weight) {
  return zero_annihilates<S, T> && load_element<T>(weight) == S::template zero<T>();
}

/// In max_plus +0 can: it turns -0 into +0.
template <class S, element T>
SHEAF_BODY bool can_improve_weight(const std::byte* weight) {
  const T w = load_element<T>(weight);
  if constexpr (S::id == semiring_id::min_plus) {
    return w < T{0};
  } else if constexpr (S::id == semiring_id::max_plus) {
    return w > T{0} || (float_element<T> && to_bits(w) == 0);
  } else if constexpr (S::id == semiring_id::max_times) {
    return w > T{1};
  } else {
    return false;
  }
}

/// Why each: minus infinity makes infinity + w a NaN, the best there is; a negative or infinite
/// factor turns the order round or makes zero * w a NaN.
template <class S, element T>
SHEAF_BODY bool is_monotone_weight(const std::byte* weight) {
  const T w = load_element<T>(weight);
  if constexpr (float_element<T>) {
    constexpr T infinity = std::numeric_limits<T>::infinity();
    if constexpr (S::id == semiring_id::min_plus) return w > -infinity;
    else if constexpr (S::id == semiring_id::max_plus) return w < infinity;
    else if constexpr (S::id == semiring_id::max_times) return w >= T{0} && w < infinity;
    else return w == w;
  } else {
    return true;
  }
}

template <class S, element T>
SHEAF_BODY bool improves_weight(const std::byte* before, const std::byte* after) {
  const lane<T> was(load_element<T>(before));
  const lane<T> now(load_element<T>(after));
  if (to_bits(was.value_) == to_bits(now.value_)) return true;
  return lane<T>::same_bits(S::plus(was, now), now);
}

/// True where plus is idempotent and times monotone: integer products wrap.
template <class S, element T>
inline constexpr bool has_least_fixpoint =
    S::supports(dtype_of<T>) && S::id != semiring_id::sum_product &&
    S::id != semiring_id::xor_and && (S::id != semiring_id::max_times || float_element<T>);

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
