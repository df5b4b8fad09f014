/// \file
/// Runs a function over many floats on several instruction sets at once: compares their bits, and
/// the error with what is promised. Shared by the sampled and the exhaustive test.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "algebra/math_reference.hpp"

namespace sheaf::test {

/// What a sweep found: the largest error, where, and the first input on which bits differed.
struct sweep_result {
  double error = 0;
  float worst = 0;
  std::uint64_t differing = 0;
  float differs_at = 0;

  void join(const sweep_result& other) {
    if (other.error > error) {
      error = other.error;
      worst = other.worst;
    }
    if (differing == 0) differs_at = other.differs_at;
    differing += other.differing;
  }
};

/// `Op` of the floats with bits begin, begin + stride, ... below `end`, on `sets`; the error is
/// that of the first of them.
template <class Op>
sweep_result sweep(const std::vector<const simd_bodies*>& sets, std::uint64_t begin,
                   std::uint64_t end, std::uint64_t stride) {
  constexpr std::size_t block = 4096;
  struct alignas(64) column {
    std::array<float, block> items;
  };
  const auto in = std::make_unique<column>();
  const auto first = std::make_unique<column>();
  const auto other = std::make_unique<column>();
  const operands from{in->items.data(), in->items.data(), in->items.data()};
  const unsigned op = place_of_op<Op>();
  sweep_result found;
  for (std::uint64_t at = begin; at < end; at += block * stride) {
    for (std::size_t i = 0; i < block; ++i) {
      in->items[i] = from_bits<float>(static_cast<std::uint32_t>(at + i * stride));
    }
    sets[0]->apply(op, dtype::f32, from, first->items.data(), block);
    for (std::size_t k = 1; k < sets.size(); ++k) {
      sets[k]->apply(op, dtype::f32, from, other->items.data(), block);
      if (std::memcmp(first->items.data(), other->items.data(), block * sizeof(float)) == 0) {
        continue;
      }
      for (std::size_t i = 0; i < block; ++i) {
        if (to_bits(first->items[i]) == to_bits(other->items[i])) continue;
        if (found.differing++ == 0) found.differs_at = in->items[i];
      }
    }
    for (std::size_t i = 0; i < block; ++i) {
      const double exact = math_function<Op>::exact(static_cast<double>(in->items[i]));
      const double error = error_in_ulp(first->items[i], exact);
      if (error <= found.error) continue;
      found.error = error;
      found.worst = in->items[i];
    }
  }
  return found;
}

template <class Op>
void expect_within(const sweep_result& found) {
  EXPECT_EQ(found.differing, 0u) << Op::name << ": bits depend on the instruction set, first at "
                                 << found.differs_at;
  EXPECT_LE(found.error, math_function<Op>::single_error)
      << Op::name << " of " << std::hexfloat << found.worst;
}

}  // namespace sheaf::test
