/// \file
/// glibc's vector functions over arrays: loops that the compiler vectorises with `-ffast-math`,
/// once per instruction set (math_peer.cpp). They promise 4 ulp, and give other bits on other
/// instruction sets.
#pragma once

#include <cstddef>

namespace sheaf_bench {

using single_loop = void (*)(float* out, const float* in, std::size_t count);
using double_loop = void (*)(double* out, const double* in, std::size_t count);

/// In this order: exp, log, tanh, erf, sin, cos, and x to the 2.5.
struct math_peer {
  single_loop singles[7];
  double_loop doubles[7];
};

/// Null where this build does not contain the instruction set.
[[gnu::weak]] extern const math_peer math_peer_scalar;
[[gnu::weak]] extern const math_peer math_peer_avx2;
[[gnu::weak]] extern const math_peer math_peer_avx512;

}  // namespace sheaf_bench
