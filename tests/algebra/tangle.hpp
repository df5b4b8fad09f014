/// \file
/// An operation to fold with in tests.
#pragma once

#include <sheaf/algebra/scalar.hpp>

namespace sheaf::test {

/// Not commutative, not associative: any other order or shape of a fold gives other bits.
struct tangle {
  template <kernel_value V>
  SHEAF_HD static V apply(V a, V b) {
    if constexpr (float_element<lane_of<V>>) return subtract(a, multiply(b, V(0.75f)));
    else return add(multiply(a, V(31)), bit_xor(b, shl(b, V(3))));
  }
};

}  // namespace sheaf::test
