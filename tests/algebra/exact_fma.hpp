/// \file
/// a * b + c with one rounding, by integers wide enough to hold every sum exactly: the oracle that
/// shares nothing with the CPU's or the C library's.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <sheaf/algebra/scalar.hpp>

namespace sheaf::test {

__extension__ typedef unsigned __int128 uint128;

/// An unsigned integer of 4352 bits: products of two doubles counted in units of 2^-2148 fit.
struct wide {
  std::array<std::uint64_t, 68> limbs{};

  static wide of(std::uint64_t low, std::uint64_t high, unsigned shift) {
    wide result;
    const std::array<std::uint64_t, 2> source = {low, high};
    for (unsigned i = 0; i < 128; ++i) {
      if (((source[i / 64] >> (i % 64)) & 1) != 0) result.set(i + shift);
    }
    return result;
  }
  void set(unsigned index) { limbs[index / 64] |= std::uint64_t{1} << (index % 64); }
  bool test(unsigned index) const { return ((limbs[index / 64] >> (index % 64)) & 1) != 0; }
  int top() const {
    for (int i = 67; i >= 0; --i) {
      if (limbs[static_cast<unsigned>(i)] != 0) {
        return i * 64 + 63 - std::countl_zero(limbs[static_cast<unsigned>(i)]);
      }
    }
    return -1;
  }
  bool less(const wide& other) const {
    for (int i = 67; i >= 0; --i) {
      const auto k = static_cast<unsigned>(i);
      if (limbs[k] != other.limbs[k]) return limbs[k] < other.limbs[k];
    }
    return false;
  }
  void add(const wide& other) {
    std::uint64_t carry = 0;
    for (unsigned i = 0; i < 68; ++i) {
      const uint128 sum = static_cast<uint128>(limbs[i]) + other.limbs[i] + carry;
      limbs[i] = static_cast<std::uint64_t>(sum);
      carry = static_cast<std::uint64_t>(sum >> 64);
    }
  }
  void subtract(const wide& other) {
    std::uint64_t borrow = 0;
    for (unsigned i = 0; i < 68; ++i) {
      const std::uint64_t first = limbs[i] - other.limbs[i];
      const std::uint64_t second = first - borrow;
      borrow = first > limbs[i] || second > first ? 1 : 0;
      limbs[i] = second;
    }
  }
};

/// A finite float as sign and `mantissa` in units of 2^(`exponent` + smallest exponent).
struct parts {
  bool negative;
  std::uint64_t mantissa;
  unsigned exponent;
};
template <float_element T>
parts split(T x) {
  constexpr unsigned fraction_bits = std::numeric_limits<T>::digits - 1;
  const auto bits = static_cast<std::uint64_t>(to_bits(x));
  const bool negative = std::signbit(x);
  const std::uint64_t magnitude = bits & (~std::uint64_t{0} >> (64 - (sizeof(T) * 8 - 1)));
  const auto biased = static_cast<unsigned>(magnitude >> fraction_bits);
  const std::uint64_t fraction = magnitude & ((std::uint64_t{1} << fraction_bits) - 1);
  if (biased == 0) return {negative, fraction, 0};
  return {negative, fraction | (std::uint64_t{1} << fraction_bits), biased - 1};
}

/// The correctly rounded a * b + c of finite operands.
template <float_element T>
T exact_fma(T a, T b, T c) {
  constexpr int digits = std::numeric_limits<T>::digits;
  constexpr int smallest = std::numeric_limits<T>::min_exponent - digits;  // denorm_min = 2^this
  const parts pa = split(a), pb = split(b), pc = split(c);
  const uint128 product = static_cast<uint128>(pa.mantissa) * pb.mantissa;
  wide sum = wide::of(static_cast<std::uint64_t>(product),
                      static_cast<std::uint64_t>(product >> 64), pa.exponent + pb.exponent);
  wide addend = wide::of(pc.mantissa, 0, pc.exponent + static_cast<unsigned>(-smallest));
  bool negative = pa.negative != pb.negative;
  if (negative == pc.negative) {
    sum.add(addend);
  } else if (sum.less(addend)) {
    addend.subtract(sum);
    sum = addend;
    negative = pc.negative;
  } else {
    sum.subtract(addend);
    if (sum.top() < 0) return T{0};  // exact cancellation gives +0
  }
  const int top = sum.top();
  if (top < 0) return negative ? -T{0} : T{0};
  const int least = std::max(top - (digits - 1), -smallest);  // index of the last bit kept
  std::uint64_t kept = 0;
  for (int i = top; i >= least; --i) {
    kept = kept * 2 + static_cast<std::uint64_t>(sum.test(static_cast<unsigned>(i)));
  }
  bool below = false;
  for (int i = 0; i < least - 1; ++i) below |= sum.test(static_cast<unsigned>(i));
  const bool half = sum.test(static_cast<unsigned>(least - 1));
  if (half && (below || (kept & 1) != 0)) ++kept;
  const T magnitude = std::ldexp(static_cast<T>(kept), least + 2 * smallest);
  return negative ? -magnitude : magnitude;
}

}  // namespace sheaf::test
