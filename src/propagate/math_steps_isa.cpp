/// \file
/// The steps that `bodies/math.hpp` declares, for one instruction set.
#include "propagate/bodies/math.hpp"
#include "propagate/bodies/step.hpp"

#include <sheaf/algebra/elementwise_math.hpp>

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

template <> struct functor_of<opcode::exp> { using type = op_exp; };
template <> struct functor_of<opcode::log> { using type = op_log; };
template <> struct functor_of<opcode::tanh> { using type = op_tanh; };
template <> struct functor_of<opcode::erf> { using type = op_erf; };
template <> struct functor_of<opcode::sin> { using type = op_sin; };
template <> struct functor_of<opcode::cos> { using type = op_cos; };
template <> struct functor_of<opcode::pow> { using type = op_pow; };

}  // namespace

template <opcode Op, element T>
void math_step<Op, T>::run(std::byte* destination, const std::byte* const* arguments,
                           std::uint32_t lines) {
  step_lines<typename functor_of<Op>::type, T>(destination, arguments, lines);
}

template struct math_step<opcode::exp, float>;
template struct math_step<opcode::exp, double>;
template struct math_step<opcode::log, float>;
template struct math_step<opcode::log, double>;
template struct math_step<opcode::tanh, float>;
template struct math_step<opcode::tanh, double>;
template struct math_step<opcode::erf, float>;
template struct math_step<opcode::erf, double>;
template struct math_step<opcode::sin, float>;
template struct math_step<opcode::sin, double>;
template struct math_step<opcode::cos, float>;
template struct math_step<opcode::cos, double>;
template struct math_step<opcode::pow, float>;
template struct math_step<opcode::pow, double>;

}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
