/// \file
/// The deterministic functions of f32 on every one of the 2^32 inputs: the error against double,
/// and the same bits on the two widest instruction sets. The scalar set, whose fused product may be
/// a call, goes through every sixteenth. Prints the largest errors, which docs/operators.md states.
#include <gtest/gtest.h>

#include <cstdio>
#include <thread>

#include "algebra/math_sweep.hpp"

namespace sheaf {
namespace {

/// `Op` over all floats, a share for each thread.
template <class Op>
test::sweep_result sweep_all(const std::vector<const test::simd_bodies*>& sets,
                             std::uint64_t stride) {
  const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  constexpr std::uint64_t all = std::uint64_t{1} << 32;
  constexpr std::uint64_t share = std::uint64_t{1} << 24;
  std::vector<test::sweep_result> found(threads);
  std::vector<std::thread> running;
  for (unsigned t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      for (std::uint64_t begin = t * share; begin < all; begin += threads * share) {
        found[t].join(test::sweep<Op>(sets, begin, begin + share, stride));
      }
    });
  }
  for (std::thread& one : running) one.join();
  for (unsigned t = 1; t < threads; ++t) found[0].join(found[t]);
  return found[0];
}

template <class Op>
void check_all() {
  std::vector<const test::simd_bodies*> sets = test::available_bodies();
  if (sets.size() > 1) {
    test::expect_within<Op>(sweep_all<Op>({sets[1], sets[0]}, 16));
    sets.erase(sets.begin());
  }
  const test::sweep_result found = sweep_all<Op>(sets, 1);
  std::printf("%s: %.4f ulp at %a\n", Op::name.data(), found.error, double{found.worst});
  test::expect_within<Op>(found);
}

TEST(MathExhaustive, ExpStaysWithinItsErrorOnEveryF32) { check_all<op_exp>(); }
TEST(MathExhaustive, LogStaysWithinItsErrorOnEveryF32) { check_all<op_log>(); }
TEST(MathExhaustive, TanhStaysWithinItsErrorOnEveryF32) { check_all<op_tanh>(); }
TEST(MathExhaustive, ErfStaysWithinItsErrorOnEveryF32) { check_all<op_erf>(); }
TEST(MathExhaustive, SinStaysWithinItsErrorOnEveryF32) { check_all<op_sin>(); }
TEST(MathExhaustive, CosStaysWithinItsErrorOnEveryF32) { check_all<op_cos>(); }

}  // namespace
}  // namespace sheaf
