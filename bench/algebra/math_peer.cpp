#include "algebra/math_peer.hpp"

#include <math.h>

namespace sheaf_bench {
namespace {

/// Read at run time: a constant exponent would become products and a square root.
volatile double exponent = 2.5;

#define SHEAF_PEER_LOOP(NAME, T, EXPRESSION)                     \
  void NAME##_loop(T* __restrict out, const T* __restrict in, std::size_t count) { \
    [[maybe_unused]] const T y = static_cast<T>(exponent);                         \
    for (std::size_t i = 0; i < count; ++i) out[i] = EXPRESSION; \
  }
SHEAF_PEER_LOOP(expf, float, expf(in[i]))
SHEAF_PEER_LOOP(logf, float, logf(in[i]))
SHEAF_PEER_LOOP(tanhf, float, tanhf(in[i]))
SHEAF_PEER_LOOP(erff, float, erff(in[i]))
SHEAF_PEER_LOOP(sinf, float, sinf(in[i]))
SHEAF_PEER_LOOP(cosf, float, cosf(in[i]))
SHEAF_PEER_LOOP(powf, float, powf(in[i], y))
SHEAF_PEER_LOOP(exp, double, exp(in[i]))
SHEAF_PEER_LOOP(log, double, log(in[i]))
SHEAF_PEER_LOOP(tanh, double, tanh(in[i]))
SHEAF_PEER_LOOP(erf, double, erf(in[i]))
SHEAF_PEER_LOOP(sin, double, sin(in[i]))
SHEAF_PEER_LOOP(cos, double, cos(in[i]))
SHEAF_PEER_LOOP(pow, double, pow(in[i], y))

}  // namespace

#define SHEAF_PEER_NAME_(arch) math_peer_##arch
#define SHEAF_PEER_NAME(arch) SHEAF_PEER_NAME_(arch)
const math_peer SHEAF_PEER_NAME(SHEAF_ARCH) = {
    {expf_loop, logf_loop, tanhf_loop, erff_loop, sinf_loop, cosf_loop, powf_loop},
    {exp_loop, log_loop, tanh_loop, erf_loop, sin_loop, cos_loop, pow_loop}};

}  // namespace sheaf_bench
