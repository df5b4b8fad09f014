/// \file
/// Values that break arithmetic: the special ones of each element type, and random ones that favour
/// them. Shared by the tests of this room and of kernels.
#pragma once

#include <rapidcheck.h>
#include <cstdint>
#include <limits>
#include <random>
#include <sheaf/algebra/scalar.hpp>
#include <vector>

namespace sheaf::test {

/// Zeros, ones, extremes, neighbours of extremes; for floats infinities, subnormals, NaNs quiet and
/// signalling with payloads and signs, and the borders of every saturating cast.
template <element T>
std::vector<T> special_values() {
  using limits = std::numeric_limits<T>;
  std::vector<T> values = {T{0},
                           T{1},
                           T{2},
                           T{3},
                           T{7},
                           T{100},
                           limits::max(),
                           limits::lowest(),
                           static_cast<T>(limits::max() / 2)};
  if constexpr (float_element<T>) {
    const T two_to_31 = T{2147483648.0}, two_to_63 = two_to_31 * two_to_31 * T{2};
    const std::vector<T> magnitudes = {T{0},
                                       T{0.5},
                                       T{1} + limits::epsilon(),
                                       T{255},
                                       T{255.75},
                                       T{256},
                                       T{16777216} + T{2},
                                       two_to_31,
                                       two_to_31 - T{129},
                                       two_to_31 * T{2},
                                       two_to_63,
                                       two_to_63 * T{2},
                                       limits::infinity(),
                                       limits::min(),
                                       limits::denorm_min(),
                                       limits::min() / T{2},
                                       static_cast<T>(1e20),
                                       static_cast<T>(1e-20)};
    for (const T magnitude : magnitudes) {
      values.push_back(magnitude);
      values.push_back(-magnitude);
    }
    using bits = bits_of<T>;
    const bits quiet = to_bits(canonical_nan<T>);
    const bits exponent = to_bits(limits::infinity());
    const bits sign = static_cast<bits>(bits{1} << (sizeof(T) * 8 - 1));
    for (const bits nan : {quiet, quiet | 5, exponent | 1, exponent | 0x1234}) {
      values.push_back(from_bits<T>(nan));
      values.push_back(from_bits<T>(nan | sign));
    }
  } else {
    values.push_back(static_cast<T>(limits::max() - 1));
    values.push_back(static_cast<T>(limits::min() + 1));
    values.push_back(static_cast<T>(~T{0}));
    values.push_back(static_cast<T>(~T{1}));
    values.push_back(static_cast<T>(limits::max() / 2 + 1));
    for (const unsigned count : {4u, 8u, 15u, 31u, 32u, 33u, 63u, 64u}) {
      values.push_back(static_cast<T>(count));
    }
  }
  return values;
}

/// A quarter special values, a quarter small whole numbers, else any bits.
template <element T>
T random_value(std::mt19937_64& random) {
  static const std::vector<T> specials = special_values<T>();
  const std::uint64_t draw = random();
  switch (draw % 4) {
    case 0: return specials[(draw >> 8) % specials.size()];
    case 1: {
      const auto small = static_cast<std::int32_t>((draw >> 8) % 33) - 16;
      return static_cast<T>(small);
    }
    default: return from_bits<T>(static_cast<bits_of<T>>(random()));
  }
}

/// The same distribution as a RapidCheck generator.
template <element T>
rc::Gen<T> any_value() {
  return rc::gen::map(rc::gen::arbitrary<std::uint64_t>(), [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    return random_value<T>(random);
  });
}

/// Bits after the store, for comparisons.
template <element T>
bits_of<T> stored(T x) {
  return to_bits(canonical(x));
}

/// Calls `visitor(std::type_identity<T>{})` for each element type.
template <class Visitor>
void for_each_element_type(Visitor&& visitor) {
  for (unsigned type = 0; type < dtype_count; ++type) {
    visit_dtype(static_cast<dtype>(type), visitor);
  }
}

}  // namespace sheaf::test
