/// \file
/// What the tests of spmv, stencil, gemv and matmul share: random arrays in a rig, every semiring
/// on every type, every instruction set.
#pragma once

#include <iostream>
#include <string>

#include <sheaf/propagate/kernels.hpp>

#include "model/dice.hpp"
#include "model/naive_products.hpp"
#include "propagate/rig.hpp"

namespace propagate_test {

using model_test::dice;

inline std::uint64_t seed_of_run() {
  const char* said = std::getenv("SHEAF_SEED");
  return said == nullptr ? 1 : std::strtoull(said, nullptr, 10);
}

template <element T>
std::vector<T> random_values(dice& random, std::size_t count) {
  std::vector<T> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(random.value<T>());
  return out;
}

inline page_class random_page(dice& random) {
  return static_cast<page_class>(random.below(page_class_count));
}

template <element T>
void fill(rig& in, const array<T>& target, const std::vector<T>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) in.set(target, i, values[i]);
}

/// Calls `visitor(semiring, type)` for every semiring and type it is defined on.
template <class Visitor>
void for_each_ring(Visitor&& visitor) {
  for (unsigned s = 0; s < semiring_count; ++s) {
    const auto semiring = static_cast<semiring_id>(s);
    for (unsigned t = 0; t < dtype_count; ++t) {
      const auto type = static_cast<dtype>(t);
      if (!supports(semiring, type)) continue;
      SCOPED_TRACE(std::string(name_of(semiring)) + " on " + std::string(name_of(type)));
      visit_dtype(type, [&]<element T>(std::type_identity<T> of) { visitor(semiring, of); });
    }
  }
}

/// The instruction sets of this build and machine.
inline std::vector<isa> all_isas() {
  std::vector<isa> out;
  for (const isa set : {isa::scalar, isa::avx2, isa::avx512}) {
    if (kernels_of(set) != nullptr) out.push_back(set);
  }
  return out;
}

/// Expects equal bits.
template <element T>
void expect_bits(const std::vector<T>& found, const std::vector<T>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_TRUE(same_bits(found[i], wanted[i]))
        << "element " << i << " of " << found.size() << " is " << +found[i] << ", not "
        << +wanted[i];
  }
}

}  // namespace propagate_test
