/// \file
/// The meaning of every operation, one element at a time: the reference of all backends.
///
/// Each function takes a *kernel value*: an element type, or a type that stands for several
/// elements at once (it names its element as `lane_type` and has the same operations as static
/// members). So a functor written once, `sheaf::max(a, b)`, serves the scalar reference, SIMD and
/// the GPU.
///
/// Invariants (promise P1 rests on them)
///  1. `bits-one-rounding`: each float operation rounds once, to nearest even; `fma` rounds once,
///     also where the CPU has no such instruction (the C library's is exact there). Subnormals are
///     kept. Nothing is contracted: files that include this are compiled with `-ffp-contract=off`.
///  2. `bits-integers-wrap`: signed and unsigned integers wrap at their own width after each
///     operation, u8 too (C++ promotes it to int, so each result is cut back). x / 0 = 0,
///     MIN / -1 = MIN, shift counts are taken modulo the width, `>>` on signed is arithmetic.
///  3. `bits-canonical-nan`: which NaN an operation gives is unspecified until `canonical`, which
///     kernels apply at the store. Nothing here lets a NaN's payload reach a result that is no NaN.
///  4. `bits-min-max`: `min` and `max` are IEEE 754-2019 minimum and maximum: a NaN operand gives
///     NaN, and -0 < +0.
///  5. `bits-saturating-cast`: float to integer truncates and saturates, NaN gives 0.
///  6. Branch-free and `SHEAF_HD`: always inlined, so a file compiled for one instruction set
///     leaves no symbol of these behind.
///
/// Thread safety: pure functions. Cost: one to six instructions, division of integers aside.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include <sheaf/base/bits.hpp>
#include <sheaf/base/dtype.hpp>
#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

/// What functors and kernels compute with: an `element`, or several of them side by side.
template <class V>
concept kernel_value = element<V> || requires {
  requires element<typename V::lane_type>;
};

namespace detail {

template <class V>
struct lane_type_of {
  using type = typename V::lane_type;
};
template <element T>
struct lane_type_of<T> {
  using type = T;
};

}  // namespace detail

/// The element type of a kernel value.
template <kernel_value V>
using lane_of = typename detail::lane_type_of<V>::type;

/// Any NaN becomes `canonical_nan`; all else, and every integer, stays as it is. For the store
/// only.
template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V canonical(V x) noexcept {
  if constexpr (!element<V>) {
    return V::canonical(x);
  } else if constexpr (float_element<V>) {
    return x != x ? canonical_nan<V> : x;
  } else {
    return x;
  }
}

template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V add(V a, V b) noexcept {
  if constexpr (!element<V>) {
    return V::add(a, b);
  } else if constexpr (float_element<V>) {
    return a + b;
  } else {
    return static_cast<V>(static_cast<bits_of<V>>(to_bits(a) + to_bits(b)));
  }
}

template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V subtract(V a, V b) noexcept {
  if constexpr (!element<V>) {
    return V::subtract(a, b);
  } else if constexpr (float_element<V>) {
    return a - b;
  } else {
    return static_cast<V>(static_cast<bits_of<V>>(to_bits(a) - to_bits(b)));
  }
}

template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V multiply(V a, V b) noexcept {
  if constexpr (!element<V>) {
    return V::multiply(a, b);
  } else if constexpr (float_element<V>) {
    return a * b;
  } else {
    return static_cast<V>(static_cast<bits_of<V>>(to_bits(a) * to_bits(b)));
  }
}

/// -x. Floats: the sign bit is flipped, of zeros too. Integers wrap: -MIN = MIN.
template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V negate(V x) noexcept {
  if constexpr (!element<V>) {
    return V::negate(x);
  } else if constexpr (float_element<V>) {
    return -x;
  } else {
    return static_cast<V>(static_cast<bits_of<V>>(0u - to_bits(x)));
  }
}

/// `cond != 0 ? a : b`, element by element. A NaN condition is not zero; -0 is.
template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V select(V cond, V a, V b) noexcept {
  if constexpr (!element<V>) {
    return V::select(cond, a, b);
  } else {
    return cond != V{0} ? a : b;
  }
}

/// a / b. Floats: IEEE. Integers: truncates, x / 0 = 0, MIN / -1 = MIN.
template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V divide(V a, V b) noexcept {
  if constexpr (!element<V>) {
    return V::divide(a, b);
  } else if constexpr (float_element<V>) {
    return a / b;
  } else if constexpr (std::is_signed_v<V>) {
    const bool plain = (b != V{0}) & (b != V{-1});
    const V quotient = static_cast<V>(a / (plain ? b : V{1}));
    return b == V{0} ? V{0} : (b == V{-1} ? negate(a) : quotient);
  } else {
    const V quotient = static_cast<V>(a / (b == V{0} ? V{1} : b));
    return b == V{0} ? V{0} : quotient;
  }
}

/// |x|. Floats: the sign bit is cleared. Integers wrap: |MIN| = MIN.
template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V abs(V x) noexcept {
  if constexpr (!element<V>) {
    return V::abs(x);
  } else if constexpr (float_element<V>) {
    constexpr bits_of<V> sign = static_cast<bits_of<V>>(bits_of<V>{1} << (sizeof(V) * 8 - 1));
    return from_bits<V>(to_bits(x) & static_cast<bits_of<V>>(~sign));
  } else if constexpr (std::is_signed_v<V>) {
    return x < 0 ? negate(x) : x;
  } else {
    return x;
  }
}

/// IEEE 754-2019 minimum: NaN (canonical) if either is NaN; -0 < +0.
template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V min(V a, V b) noexcept {
  if constexpr (!element<V>) {
    return V::min(a, b);
  } else if constexpr (float_element<V>) {
    // Operands that compare equal have the same bits or are zeros: the union keeps a minus sign.
    const V equal = from_bits<V>(to_bits(a) | to_bits(b));
    const V ordered = a < b ? a : (b < a ? b : equal);
    return ((a != a) | (b != b)) ? canonical_nan<V> : ordered;
  } else {
    return b < a ? b : a;
  }
}

/// IEEE 754-2019 maximum: NaN (canonical) if either is NaN; -0 < +0.
template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V max(V a, V b) noexcept {
  if constexpr (!element<V>) {
    return V::max(a, b);
  } else if constexpr (float_element<V>) {
    const V equal = from_bits<V>(to_bits(a) & to_bits(b));
    const V ordered = b < a ? a : (a < b ? b : equal);
    return ((a != a) | (b != b)) ? canonical_nan<V> : ordered;
  } else {
    return a < b ? b : a;
  }
}

/// a * b + c. Floats: one rounding, by definition. Integers: multiply, then add, both wrapping.
template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V fma(V a, V b, V c) noexcept {
  if constexpr (!element<V>) {
    return V::fma(a, b, c);
  } else if constexpr (std::is_same_v<V, float>) {
#if defined(__CUDA_ARCH__)
    return __fmaf_rn(a, b, c);
#else
    return __builtin_fmaf(a, b, c);
#endif
  } else if constexpr (std::is_same_v<V, double>) {
#if defined(__CUDA_ARCH__)
    return __fma_rn(a, b, c);
#else
    return __builtin_fma(a, b, c);
#endif
  } else {
    return add(multiply(a, b), c);
  }
}

/// The correctly rounded square root; of a negative number NaN, of -0 -0. Floats only.
template <kernel_value V>
requires float_element<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V sqrt(V x) noexcept {
  if constexpr (!element<V>) {
    return V::sqrt(x);
  } else if constexpr (std::is_same_v<V, float>) {
#if defined(__CUDA_ARCH__)
    return __fsqrt_rn(x);
#else
    return __builtin_sqrtf(x);
#endif
  } else {
#if defined(__CUDA_ARCH__)
    return __dsqrt_rn(x);
#else
    return __builtin_sqrt(x);
#endif
  }
}

template <kernel_value V>
requires integer_element<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V bit_and(V a, V b) noexcept {
  if constexpr (!element<V>) return V::bit_and(a, b);
  else return static_cast<V>(a & b);
}
template <kernel_value V>
requires integer_element<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V bit_or(V a, V b) noexcept {
  if constexpr (!element<V>) return V::bit_or(a, b);
  else return static_cast<V>(a | b);
}
template <kernel_value V>
requires integer_element<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V bit_xor(V a, V b) noexcept {
  if constexpr (!element<V>) return V::bit_xor(a, b);
  else return static_cast<V>(a ^ b);
}
template <kernel_value V>
requires integer_element<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V bit_not(V x) noexcept {
  if constexpr (!element<V>) return V::bit_not(x);
  else return static_cast<V>(~x);
}

/// x << (count mod width).
template <kernel_value V>
requires integer_element<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V shl(V x, V count) noexcept {
  if constexpr (!element<V>) {
    return V::shl(x, count);
  } else {
    const auto shifted = to_bits(x) << (to_bits(count) & (sizeof(V) * 8 - 1));
    return static_cast<V>(static_cast<bits_of<V>>(shifted));
  }
}
/// x >> (count mod width); arithmetic on signed elements.
template <kernel_value V>
requires integer_element<lane_of<V>>
[[nodiscard]] SHEAF_HD constexpr V shr(V x, V count) noexcept {
  if constexpr (!element<V>) {
    return V::shr(x, count);
  } else {
    return static_cast<V>(x >> (to_bits(count) & (sizeof(V) * 8 - 1)));
  }
}

/// Comparisons give 1 or 0 in the operands' own type; with a NaN only `ne` gives 1.
template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V eq(V a, V b) noexcept {
  if constexpr (!element<V>) return V::eq(a, b);
  else return static_cast<V>(a == b);
}
template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V ne(V a, V b) noexcept {
  if constexpr (!element<V>) return V::ne(a, b);
  else return static_cast<V>(a != b);
}
template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V lt(V a, V b) noexcept {
  if constexpr (!element<V>) return V::lt(a, b);
  else return static_cast<V>(a < b);
}
template <kernel_value V>
[[nodiscard]] SHEAF_HD constexpr V le(V a, V b) noexcept {
  if constexpr (!element<V>) return V::le(a, b);
  else return static_cast<V>(a <= b);
}

/// The element `x` as a `To`: float to integer truncates, saturates, and gives 0 for NaN; integer
/// to integer wraps; to a float rounds to nearest even. Of a wider kernel value (where the two
/// element types are equally wide): the kernel value of `To`.
template <element To, kernel_value V>
[[nodiscard]] SHEAF_HD constexpr auto cast(V x) noexcept {
  if constexpr (!element<V>) {
    return V::template cast<To>(x);
  } else if constexpr (float_element<V> && integer_element<To>) {
    constexpr To lowest = std::numeric_limits<To>::min();
    constexpr To highest = std::numeric_limits<To>::max();
    constexpr V low = static_cast<V>(lowest);  // 0 or a power of two: exact
    constexpr To half = To{1} + highest / 2;
    constexpr V high = static_cast<V>(half) * V{2};
    const bool inside = (x > low) & (x < high);
    const To truncated = static_cast<To>(inside ? x : V{0});
    return x >= high ? highest : (x <= low ? lowest : truncated);
  } else {
    return static_cast<To>(x);
  }
}

/// True where the two elements have the same bits (so NaN equals itself and -0 differs from +0).
template <element T>
[[nodiscard]] SHEAF_HD constexpr bool same_bits(T a, T b) noexcept {
  return to_bits(a) == to_bits(b);
}

}  // namespace sheaf::inline v0
