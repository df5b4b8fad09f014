/// \file
/// `vec<T>`: the kernel value of this translation unit's instruction set; the one place that knows
/// xsimd.
///
/// The build compiles a kernel file once per instruction set with `SHEAF_ARCH` defined as `scalar`,
/// `avx2` or `avx512`. `vec<T>` is then one element (`lane<T>`), 32 bytes or 64 bytes of elements.
/// Registers, loads, stores and float arithmetic are xsimd's; what xsimd 8.1 lacks (products of u8
/// and i64, division, shifts by a vector, saturating casts) is said in the compiler's vector
/// types.
///
/// Invariants
///  1. `simd-is-scalar`: every operation gives, lane by lane, the bits of scalar.hpp after
///     `canonical`, for every input.
///  2. `one-symbol-one-isa`: all of this lies in `inline namespace SHEAF_ARCH`, or is always
///     inlined, or is a member of a xsimd type whose name holds the instruction set.
///
/// Thread safety: values and pure functions.
/// Cost: a few instructions an operation; 32-bit division goes through doubles, u8 and 64-bit
/// division lane by lane; products of u8 and 64-bit integers and shifts of u8 take about ten on
/// AVX2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <sheaf/algebra/fold_tree.hpp>
#include <sheaf/algebra/lane.hpp>
#include <sheaf/algebra/scalar.hpp>

#if !defined(SHEAF_ARCH)
#define SHEAF_ARCH scalar
#endif

#define SHEAF_ARCH_LEVEL_scalar 0
#define SHEAF_ARCH_LEVEL_avx2 1
#define SHEAF_ARCH_LEVEL_avx512 2
#define SHEAF_ARCH_PASTE_(a, b) a##b
#define SHEAF_ARCH_PASTE(a, b) SHEAF_ARCH_PASTE_(a, b)
/// 0, 1, 2 for scalar, avx2, avx512.
#define SHEAF_ARCH_LEVEL SHEAF_ARCH_PASTE(SHEAF_ARCH_LEVEL_, SHEAF_ARCH)

#if SHEAF_ARCH_LEVEL == 1 && !(defined(__AVX2__) && defined(__FMA__))
#error "SHEAF_ARCH=avx2 needs -mavx2 -mfma"
#endif
#if SHEAF_ARCH_LEVEL == 2 && !(defined(__AVX512F__) && defined(__AVX512DQ__) && \
                               defined(__AVX512BW__) && defined(__AVX512VL__))
#error "SHEAF_ARCH=avx512 needs -mavx512f -mavx512dq -mavx512bw -mavx512vl"
#endif

#if SHEAF_ARCH_LEVEL > 0
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push  // g++ 12 warns inside its own AVX-512 header
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <xsimd/xsimd.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {

#if SHEAF_ARCH_LEVEL == 0

template <element T>
using vec = lane<T>;

#else

#if SHEAF_ARCH_LEVEL == 1
using simd_arch = xsimd::fma3<xsimd::avx2>;
inline constexpr unsigned simd_size = 32;
#else
using simd_arch = xsimd::avx512bw;
inline constexpr unsigned simd_size = 64;
#endif

namespace simd_detail {

/// The compiler's vector of `T`, as wide as a register.
template <class T>
struct register_of {
  typedef T type __attribute__((vector_size(simd_size)));
};
template <class T>
struct signed_of : std::make_signed<bits_of<T>> {};

}  // namespace simd_detail

/// `lanes` elements in one register. The surface is that of `lane<T>`.
template <element T>
struct vec {
  using lane_type = T;
  using batch = xsimd::batch<T, simd_arch>;
  static constexpr unsigned lanes = simd_size / sizeof(T);
  /// Bit i stands for element i.
  using mask = std::uint64_t;

  /// The same register as the compiler's own vector types: of elements, of their bits, of the
  /// signed integers that its comparisons give (all ones where true).
  using native = typename simd_detail::register_of<T>::type;
  using native_bits = typename simd_detail::register_of<bits_of<T>>::type;
  using native_mask =
      typename simd_detail::register_of<typename simd_detail::signed_of<T>::type>::type;

  batch value_;

  vec() = default;
  SHEAF_HD vec(T x) noexcept : value_(x) {}
  SHEAF_HD vec(batch x) noexcept : value_(x) {}
  [[nodiscard]] SHEAF_HD static vec from(native x) noexcept {
    return batch((typename batch::register_type)x);
  }
  [[nodiscard]] SHEAF_HD static vec from_bits(native_bits x) noexcept { return from((native)x); }
  [[nodiscard]] SHEAF_HD native raw() const noexcept { return (native)value_.data; }
  [[nodiscard]] SHEAF_HD native_bits bits() const noexcept { return (native_bits)value_.data; }

  [[nodiscard]] SHEAF_HD static vec broadcast(T x) noexcept { return vec(x); }
  /// `from` is aligned to the register's size (a line always is).
  [[nodiscard]] SHEAF_HD static vec load(const T* from) noexcept {
    return batch::load_aligned(from);
  }
  [[nodiscard]] SHEAF_HD static vec load_unaligned(const T* from) noexcept {
    return batch::load_unaligned(from);
  }
  SHEAF_HD void store(T* to) const noexcept { value_.store_aligned(to); }
  SHEAF_HD void store_unaligned(T* to) const noexcept { value_.store_unaligned(to); }
  /// Element 0.
  [[nodiscard]] SHEAF_HD T first() const noexcept { return raw()[0]; }

  [[nodiscard]] SHEAF_HD static vec canonical(vec x) noexcept {
    if constexpr (float_element<T>) {
      return pick(x.raw() != x.raw(), vec(canonical_nan<T>), x);
    } else {
      return x;
    }
  }
  [[nodiscard]] SHEAF_HD static vec add(vec a, vec b) noexcept {
    if constexpr (float_element<T>) return a.value_ + b.value_;
    else return from_bits(a.bits() + b.bits());
  }
  [[nodiscard]] SHEAF_HD static vec subtract(vec a, vec b) noexcept {
    if constexpr (float_element<T>) return a.value_ - b.value_;
    else return from_bits(a.bits() - b.bits());
  }
  [[nodiscard]] SHEAF_HD static vec multiply(vec a, vec b) noexcept {
    if constexpr (float_element<T>) return a.value_ * b.value_;
    else return from_bits(a.bits() * b.bits());
  }
  [[nodiscard]] SHEAF_HD static vec divide(vec a, vec b) noexcept {
    if constexpr (float_element<T>) {
      return a.value_ / b.value_;
    } else if constexpr (sizeof(T) == 4) {
      return divide_by_doubles(a, b);
    } else {
      return per_lane(a, b);
    }
  }
  [[nodiscard]] SHEAF_HD static vec negate(vec x) noexcept {
    if constexpr (float_element<T>) return from_bits(x.bits() ^ sign_bit());
    else return from_bits(native_bits{} - x.bits());
  }
  [[nodiscard]] SHEAF_HD static vec abs(vec x) noexcept {
    if constexpr (float_element<T>) return from_bits(x.bits() & ~sign_bit());
    else if constexpr (std::is_signed_v<T>) return pick(x.raw() < native{}, negate(x), x);
    else return x;
  }
  [[nodiscard]] SHEAF_HD static vec min(vec a, vec b) noexcept {
    if constexpr (float_element<T>) {
      // The CPU's minimum gives its second operand for zeros and NaNs, so the two orders differ
      // exactly there: their union keeps the minus sign of a zero, and a NaN stays a NaN.
      return from_bits(vec(xsimd::min(a.value_, b.value_)).bits() |
                       vec(xsimd::min(b.value_, a.value_)).bits());
    } else {
      return pick(b.raw() < a.raw(), b, a);
    }
  }
  [[nodiscard]] SHEAF_HD static vec max(vec a, vec b) noexcept {
    if constexpr (float_element<T>) {
      // As in min, but the intersection of a NaN with a number need not be a NaN: all ones is one.
      const native_mask unordered = (a.raw() != a.raw()) | (b.raw() != b.raw());
      return from_bits((vec(xsimd::max(a.value_, b.value_)).bits() &
                        vec(xsimd::max(b.value_, a.value_)).bits()) |
                       (native_bits)unordered);
    } else {
      return pick(a.raw() < b.raw(), b, a);
    }
  }
  [[nodiscard]] SHEAF_HD static vec fma(vec a, vec b, vec c) noexcept {
    if constexpr (integer_element<T>) {
      return from_bits(a.bits() * b.bits() + c.bits());
    } else {
#if SHEAF_ARCH_LEVEL == 2
      // xsimd 8.1 has no fma for AVX-512: its generic one multiplies, rounds, and adds.
      if constexpr (sizeof(T) == 4) return batch(_mm512_fmadd_ps(a.value_, b.value_, c.value_));
      else return batch(_mm512_fmadd_pd(a.value_, b.value_, c.value_));
#else
      return xsimd::fma(a.value_, b.value_, c.value_);
#endif
    }
  }
  [[nodiscard]] SHEAF_HD static vec sqrt(vec x) noexcept requires float_element<T> {
    return xsimd::sqrt(x.value_);
  }
  [[nodiscard]] SHEAF_HD static vec bit_and(vec a, vec b) noexcept requires integer_element<T> {
    return from_bits(a.bits() & b.bits());
  }
  [[nodiscard]] SHEAF_HD static vec bit_or(vec a, vec b) noexcept requires integer_element<T> {
    return from_bits(a.bits() | b.bits());
  }
  [[nodiscard]] SHEAF_HD static vec bit_xor(vec a, vec b) noexcept requires integer_element<T> {
    return from_bits(a.bits() ^ b.bits());
  }
  [[nodiscard]] SHEAF_HD static vec bit_not(vec x) noexcept requires integer_element<T> {
    return from_bits(~x.bits());
  }
  [[nodiscard]] SHEAF_HD static vec shl(vec x, vec count) noexcept requires integer_element<T> {
    if constexpr (sizeof(T) == 1 && simd_size == 32) {
      x = pick((count.bits() & 4) != 0, from_bits(x.bits() << 4), x);
      x = pick((count.bits() & 2) != 0, from_bits(x.bits() << 2), x);
      return pick((count.bits() & 1) != 0, from_bits(x.bits() << 1), x);
    } else {
      return from_bits(x.bits() << (count.bits() & width_less_one()));
    }
  }
  [[nodiscard]] SHEAF_HD static vec shr(vec x, vec count) noexcept requires integer_element<T> {
    if constexpr (sizeof(T) == 1 && simd_size == 32) {
      x = pick((count.bits() & 4) != 0, from_bits(x.bits() >> 4), x);
      x = pick((count.bits() & 2) != 0, from_bits(x.bits() >> 2), x);
      return pick((count.bits() & 1) != 0, from_bits(x.bits() >> 1), x);
    } else {
      return from(x.raw() >> (native)(count.bits() & width_less_one()));
    }
  }
  [[nodiscard]] SHEAF_HD static vec eq(vec a, vec b) noexcept {
    return pick(a.raw() == b.raw(), vec(T{1}), vec(T{0}));
  }
  [[nodiscard]] SHEAF_HD static vec ne(vec a, vec b) noexcept {
    return pick(a.raw() != b.raw(), vec(T{1}), vec(T{0}));
  }
  [[nodiscard]] SHEAF_HD static vec lt(vec a, vec b) noexcept {
    return pick(a.raw() < b.raw(), vec(T{1}), vec(T{0}));
  }
  [[nodiscard]] SHEAF_HD static vec le(vec a, vec b) noexcept {
    return pick(a.raw() <= b.raw(), vec(T{1}), vec(T{0}));
  }
  [[nodiscard]] SHEAF_HD static vec select(vec cond, vec a, vec b) noexcept {
    return pick(cond.raw() != native{}, a, b);
  }
  /// To an element type of the same width; other widths go through `cast_elements`.
  template <element To>
  requires(sizeof(To) == sizeof(T)) [[nodiscard]] SHEAF_HD static vec<To> cast(vec x) noexcept {
    using other = vec<To>;
    using other_native = typename other::native;
    if constexpr (float_element<T> && integer_element<To>) {
      constexpr To lowest = std::numeric_limits<To>::min();
      constexpr To highest = std::numeric_limits<To>::max();
      const vec low(static_cast<T>(lowest));
      const vec high(static_cast<T>(To{1} + highest / 2) * T{2});
      const native_mask inside = (x.raw() > low.raw()) & (x.raw() < high.raw());
      const native bounded = pick(inside, x, vec(T{0})).raw();
      const other truncated = other::from(__builtin_convertvector(bounded, other_native));
      const other above = other::pick(x.raw() >= high.raw(), other(highest), truncated);
      return other::pick(x.raw() <= low.raw(), other(lowest), above);
    } else if constexpr (float_element<To>) {
      return other::from(__builtin_convertvector(x.raw(), other_native));
    } else {
      return other::from((other_native)x.raw());
    }
  }
  template <element To>
  requires(sizeof(To) == sizeof(T)) [[nodiscard]] SHEAF_HD static vec<To> reinterpret(
      vec x) noexcept {
    return vec<To>::from((typename vec<To>::native)x.raw());
  }
  using truth = native_mask;
  [[nodiscard]] SHEAF_HD static truth is_less(vec a, vec b) noexcept { return a.raw() < b.raw(); }
  [[nodiscard]] SHEAF_HD static truth is_equal(vec a, vec b) noexcept { return a.raw() == b.raw(); }
  [[nodiscard]] SHEAF_HD static bool any(truth where) noexcept { return mask_of(where) != 0; }
  [[nodiscard]] SHEAF_HD static vec clamp(vec x, T low, T high) noexcept {
    if constexpr (float_element<T>) {
      // Of two that do not compare, the CPU's minimum and maximum give the second.
      return xsimd::min(vec(high).value_, xsimd::max(vec(low).value_, x.value_));
    } else {
      return min(max(x, vec(low)), vec(high));
    }
  }
  [[nodiscard]] SHEAF_HD static vec times_power_of_two(vec x, vec n) noexcept requires
      float_element<T> {
#if SHEAF_ARCH_LEVEL == 2
    if constexpr (sizeof(T) == 4) return batch(_mm512_scalef_ps(x.value_, n.value_));
    else return batch(_mm512_scalef_pd(x.value_, n.value_));
#else
    return detail::times_power_by_halves(x, n);
#endif
  }
  template <class Function>
  [[nodiscard]] SHEAF_HD static vec through_doubles(
      const Function& function, vec x) noexcept requires std::same_as<T, float> {
    return narrowed(function(low_doubles(x)), function(high_doubles(x)));
  }
  template <class Function>
  [[nodiscard]] SHEAF_HD static vec through_doubles(
      const Function& function, vec x, vec y) noexcept requires std::same_as<T, float> {
    return narrowed(function(low_doubles(x), low_doubles(y)),
                    function(high_doubles(x), high_doubles(y)));
  }
  /// Bit i: element i of `a` differs in bits from that of `b`.
  [[nodiscard]] SHEAF_HD static mask differs(vec a, vec b) noexcept {
    return mask_of(a.bits() != b.bits());
  }
  /// Bit i: element i is not zero (a NaN is not, -0 is).
  [[nodiscard]] SHEAF_HD static mask nonzero(vec x) noexcept {
    return mask_of(x.raw() != native{});
  }
  [[nodiscard]] SHEAF_HD static bool same_bits(vec a, vec b) noexcept {
#if SHEAF_ARCH_LEVEL == 1
    const __m256i changed = (__m256i)(a.bits() ^ b.bits());
    return _mm256_testz_si256(changed, changed) != 0;
#else
    return _mm512_cmpneq_epi64_mask((__m512i)a.bits(), (__m512i)b.bits()) == 0;
#endif
  }

  /// Element i becomes element i + Stride; the last Stride elements become anything.
  template <unsigned Stride>
  [[nodiscard]] SHEAF_HD static vec shift_down(vec x) noexcept {
    return rotate<Stride>(x, std::make_integer_sequence<unsigned, lanes>{});
  }

  /// `a` where the comparison holds, else `b`.
  template <class Comparison>
  [[nodiscard]] SHEAF_HD static vec pick(Comparison where, vec a, vec b) noexcept {
    return from((native_mask)where ? a.raw() : b.raw());
  }

  SHEAF_KERNEL_VALUE_OPERATORS(vec, T)

 private:
  [[nodiscard]] SHEAF_HD static vec<double> low_doubles(vec x) noexcept {
#if SHEAF_ARCH_LEVEL == 1
    return vec<double>::batch(_mm256_cvtps_pd(_mm256_castps256_ps128(x.value_)));
#else
    return vec<double>::batch(_mm512_cvtps_pd(_mm512_castps512_ps256(x.value_)));
#endif
  }
  [[nodiscard]] SHEAF_HD static vec<double> high_doubles(vec x) noexcept {
#if SHEAF_ARCH_LEVEL == 1
    return vec<double>::batch(_mm256_cvtps_pd(_mm256_extractf128_ps(x.value_, 1)));
#else
    return vec<double>::batch(_mm512_cvtps_pd(_mm512_extractf32x8_ps(x.value_, 1)));
#endif
  }
  [[nodiscard]] SHEAF_HD static vec narrowed(vec<double> low, vec<double> high) noexcept {
#if SHEAF_ARCH_LEVEL == 1
    return batch(_mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low.value_)),
                                      _mm256_cvtpd_ps(high.value_), 1));
#else
    return batch(_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low.value_)),
                                    _mm512_cvtpd_ps(high.value_), 1));
#endif
  }
  [[nodiscard]] SHEAF_HD static native_bits sign_bit() noexcept {
    return native_bits{} + static_cast<bits_of<T>>(bits_of<T>{1} << (sizeof(T) * 8 - 1));
  }
  [[nodiscard]] SHEAF_HD static native_bits width_less_one() noexcept {
    return native_bits{} + static_cast<bits_of<T>>(sizeof(T) * 8 - 1);
  }
  template <unsigned Stride, unsigned... Index>
  [[nodiscard]] SHEAF_HD static vec rotate(vec x,
                                           std::integer_sequence<unsigned, Index...>) noexcept {
    return from(__builtin_shufflevector(x.raw(), x.raw(), ((Index + Stride) % lanes)...));
  }
  /// Integer division, for which there is no instruction: one lane after the other.
  [[nodiscard]] SHEAF_HD static vec per_lane(vec a, vec b) noexcept {
    native quotient = a.raw();
    const native divisor = b.raw();
    for (unsigned i = 0; i < lanes; ++i) quotient[i] = sheaf::divide<T>(quotient[i], divisor[i]);
    return from(quotient);
  }
  /// 32-bit division, exact: a quotient that is no whole number lies at least 2^-32 of its size
  /// below the next one, far more than a double's half unit of 2^-53, so rounding never reaches it.
  [[nodiscard]] SHEAF_HD static vec divide_by_doubles(vec a, vec b) noexcept {
    typedef double doubles __attribute__((vector_size(2 * simd_size)));
    const native zero = {};
    const native minus_one = zero - 1;
    native_mask special = b.raw() == zero;
    if constexpr (std::is_signed_v<T>) special |= b.raw() == minus_one;
    const native divisor = pick(special, vec(T{1}), b).raw();
    const doubles quotient =
        __builtin_convertvector(a.raw(), doubles) / __builtin_convertvector(divisor, doubles);
    vec result = from(__builtin_convertvector(quotient, native));
    if constexpr (std::is_signed_v<T>) result = pick(b.raw() == minus_one, negate(a), result);
    return pick(b.raw() == zero, vec(T{0}), result);
  }
  template <class Comparison>
  [[nodiscard]] SHEAF_HD static mask mask_of(Comparison where) noexcept {
#if SHEAF_ARCH_LEVEL == 1
    if constexpr (sizeof(T) == 1) {
      return static_cast<unsigned>(_mm256_movemask_epi8((__m256i)where));
    } else if constexpr (sizeof(T) == 4) {
      return static_cast<unsigned>(_mm256_movemask_ps((__m256)where));
    } else {
      return static_cast<unsigned>(_mm256_movemask_pd((__m256d)where));
    }
#else
    if constexpr (sizeof(T) == 1) return _mm512_movepi8_mask((__m512i)where);
    else if constexpr (sizeof(T) == 4) return _mm512_movepi32_mask((__m512i)where);
    else return _mm512_movepi64_mask((__m512i)where);
#endif
  }
};

#endif

/// `count` elements of `from`, each `cast` to `To`, canonical; the two may not overlap. The loop is
/// left to the compiler's vectoriser: its body is branch-free.
template <element To, element From>
SHEAF_HD void cast_elements(To* SHEAF_RESTRICT to, const From* SHEAF_RESTRICT from,
                            std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) to[i] = sheaf::canonical(sheaf::cast<To>(from[i]));
}

namespace simd_detail {

/// Folds the first 2 * Stride lanes of `x` into lane 0, by stride halving.
template <class F, unsigned Stride, class V>
[[nodiscard]] SHEAF_HD V fold_lanes(V x) noexcept {
  if constexpr (Stride == 0) return x;
  else return fold_lanes<F, Stride / 2>(detail::fold_pair<F>(x, V::template shift_down<Stride>(x)));
}

}  // namespace simd_detail

/// The block fold (fold_tree.hpp) of exactly `Count` items, a power of two that fills whole
/// registers; `items` is aligned to a line. Not yet canonical. A whole line: Count =
/// line_lanes<T>; a whole inner block: Count = fold_block_items_max.
template <class F, unsigned Count, element T>
[[nodiscard]] SHEAF_HD T fold_full(const T* items) noexcept {
  using V = vec<T>;
  static_assert((Count & (Count - 1)) == 0 && Count % V::lanes == 0);
  constexpr unsigned registers = Count / V::lanes;
  V parts[registers];
  for (unsigned i = 0; i < registers; ++i) parts[i] = V::load(items + i * V::lanes);
  for (unsigned stride = registers / 2; stride != 0; stride /= 2) {
    for (unsigned i = 0; i < stride; ++i) {
      parts[i] = detail::fold_pair<F>(parts[i], parts[i + stride]);
    }
  }
  return simd_detail::fold_lanes<F, V::lanes / 2>(parts[0]).first();
}

/// partial[0] of a line that has `count` elements, 1 <= count <= line_lanes<T>: canonical.
template <class F, element T>
[[nodiscard]] SHEAF_HD T fold_line(const T* items, unsigned count) noexcept {
  return sheaf::canonical(count == line_lanes<T> ? fold_full<F, line_lanes<T>>(items)
                                                 : fold_block<F>(items, count));
}
/// partial[k] of a block of `count` partials of the level below, 1 <= count <= 64: canonical.
template <class F, element T>
[[nodiscard]] SHEAF_HD T fold_partials(const T* items, unsigned count) noexcept {
  return sheaf::canonical(count == fold_block_items_max ? fold_full<F, fold_block_items_max>(items)
                                                        : fold_block<F>(items, count));
}

}  // namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
