/// \file
/// The interpreter of line programs on a device: the registers of a program are sixteen bytes wide,
/// one lane of a unit (unit.hpp).
///
/// Thread safety: pure functions of operands. Cost: per instruction a switch, its loads from local
/// memory and its operation.
#pragma once

#include <sheaf/algebra/elementwise_math.hpp>
#include <sheaf/algebra/lane.hpp>

#include "cuda/propagate/elements.hpp"

namespace sheaf::inline v0 {

inline constexpr unsigned quad_size = 16;  ///< bytes of a lane

/// Sixteen bytes of a line.
struct alignas(quad_size) quad {
  std::uint64_t words[2];
};

/// A quad as elements.
template <element T>
struct alignas(quad_size) elements_of {
  static constexpr unsigned count = quad_size / sizeof(T);
  T at[count];
};

template <element T>
[[nodiscard]] SHEAF_HD elements_of<T> as_elements(const quad& from) noexcept {
  return __builtin_bit_cast(elements_of<T>, from);
}
template <element T>
[[nodiscard]] SHEAF_HD quad as_quad(const elements_of<T>& from) noexcept {
  return __builtin_bit_cast(quad, from);
}

template <class Op, element T>
[[nodiscard]] SHEAF_HD quad step_of(const quad& a, const quad& b, const quad& c) noexcept {
  if constexpr (Op::supports(dtype_of<T>)) {
    const elements_of<T> x = as_elements<T>(a), y = as_elements<T>(b), z = as_elements<T>(c);
    elements_of<T> made;
    for (unsigned i = 0; i < elements_of<T>::count; ++i) {
      using V = lane<T>;
      if constexpr (Op::arity == 1) made.at[i] = Op::apply(V(x.at[i])).value_;
      else if constexpr (Op::arity == 2) made.at[i] = Op::apply(V(x.at[i]), V(y.at[i])).value_;
      else made.at[i] = Op::apply(V(x.at[i]), V(y.at[i]), V(z.at[i])).value_;
    }
    return as_quad(made);
  } else {
    return a;  // `verify` let no such instruction in
  }
}

template <element From, element To>
[[nodiscard]] SHEAF_HD quad cast_of(const quad& a) noexcept {
  if constexpr (sizeof(From) == sizeof(To)) {
    const elements_of<From> x = as_elements<From>(a);
    elements_of<To> made;
    for (unsigned i = 0; i < elements_of<To>::count; ++i) made.at[i] = sheaf::cast<To>(x.at[i]);
    return as_quad(made);
  } else {
    return a;
  }
}
template <element To>
[[nodiscard]] SHEAF_HD_CALLED quad cast_from(dtype from, const quad& a) noexcept {
  switch (from) {
    case dtype::f32: return cast_of<float, To>(a);
    case dtype::f64: return cast_of<double, To>(a);
    case dtype::i32: return cast_of<std::int32_t, To>(a);
    case dtype::i64: return cast_of<std::int64_t, To>(a);
    case dtype::u8: return cast_of<std::uint8_t, To>(a);
    case dtype::u32: return cast_of<std::uint32_t, To>(a);
    default: return cast_of<std::uint64_t, To>(a);
  }
}

/// One instruction on elements of type `T`; not a `call`.
template <element T>
[[nodiscard]] SHEAF_HD_CALLED quad run_step(const instruction& step, const quad& a, const quad& b,
                                            const quad& c) noexcept {
  switch (step.op) {
    case opcode::copy: return a;
    case opcode::add: return step_of<op_add, T>(a, b, c);
    case opcode::sub: return step_of<op_sub, T>(a, b, c);
    case opcode::mul: return step_of<op_mul, T>(a, b, c);
    case opcode::div: return step_of<op_div, T>(a, b, c);
    case opcode::neg: return step_of<op_neg, T>(a, b, c);
    case opcode::abs: return step_of<op_abs, T>(a, b, c);
    case opcode::min: return step_of<op_min, T>(a, b, c);
    case opcode::max: return step_of<op_max, T>(a, b, c);
    case opcode::fma: return step_of<op_fma, T>(a, b, c);
    case opcode::sqrt: return step_of<op_sqrt, T>(a, b, c);
    case opcode::bit_and: return step_of<op_and_, T>(a, b, c);
    case opcode::bit_or: return step_of<op_or_, T>(a, b, c);
    case opcode::bit_xor: return step_of<op_xor_, T>(a, b, c);
    case opcode::bit_not: return step_of<op_not_, T>(a, b, c);
    case opcode::shl: return step_of<op_shl, T>(a, b, c);
    case opcode::shr: return step_of<op_shr, T>(a, b, c);
    case opcode::eq: return step_of<op_eq, T>(a, b, c);
    case opcode::ne: return step_of<op_ne, T>(a, b, c);
    case opcode::lt: return step_of<op_lt, T>(a, b, c);
    case opcode::le: return step_of<op_le, T>(a, b, c);
    case opcode::select: return step_of<op_select, T>(a, b, c);
    case opcode::cast: return cast_from<T>(static_cast<dtype>(step.from_or_call), a);
    case opcode::exp: return step_of<op_exp, T>(a, b, c);
    case opcode::log: return step_of<op_log, T>(a, b, c);
    case opcode::tanh: return step_of<op_tanh, T>(a, b, c);
    case opcode::erf: return step_of<op_erf, T>(a, b, c);
    case opcode::sin: return step_of<op_sin, T>(a, b, c);
    case opcode::cos: return step_of<op_cos, T>(a, b, c);
    case opcode::pow: return step_of<op_pow, T>(a, b, c);
    default: return a;  // calls stay on the CPU
  }
}

/// Types of elements of `Size` bytes.
template <unsigned Size>
[[nodiscard]] SHEAF_HD quad run_sized(const instruction& step, const quad& a, const quad& b,
                                      const quad& c) noexcept {
  if constexpr (Size == 1) {
    return run_step<std::uint8_t>(step, a, b, c);
  } else if constexpr (Size == 4) {
    if (step.type == dtype::f32) return run_step<float>(step, a, b, c);
    if (step.type == dtype::i32) return run_step<std::int32_t>(step, a, b, c);
    return run_step<std::uint32_t>(step, a, b, c);
  } else {
    if (step.type == dtype::f64) return run_step<double>(step, a, b, c);
    if (step.type == dtype::i64) return run_step<std::int64_t>(step, a, b, c);
    return run_step<std::uint64_t>(step, a, b, c);
  }
}

/// Sixteen bytes of operand number `which` that meet result element `first` and the next; bits.
template <class Bits>
[[nodiscard]] SHEAF_HD quad load_aligned(const element_source& from, std::uint32_t which,
                                         std::uint64_t first) noexcept {
  const bool uniform = from.op.uniform;
  if (!uniform) {
    const plan_operand& of = from.operand(which);
    if (of.producer == no_index || of.element != no_index) {
      const Bits one = from.aligned<Bits>(which, first);
      elements_of<Bits> all;
      for (unsigned i = 0; i < elements_of<Bits>::count; ++i) all.at[i] = one;
      return as_quad(all);
    }
  }
  const std::uint32_t slot =
      uniform ? from.plan.operands[from.node.operand_begin + which] : from.operand(which).slot;
  const page_class size = uniform ? from.op.page : from.operand(which).page;
  const std::uint64_t byte = first * sizeof(Bits);
  const unsigned shift = line_shift + static_cast<unsigned>(size);
  const std::byte* page =
      from.state.pages.page(slot + static_cast<std::uint32_t>(byte >> shift), size);
  return *reinterpret_cast<const quad*>(page + (byte & ((std::uint64_t{1} << shift) - 1)));
}

/// The value that `ref` names, of the quad that begins with element `first`.
template <class Bits>
[[nodiscard]] SHEAF_HD quad value_of(const element_source& from, const device_program& program,
                                     const quad* registers, value_ref ref,
                                     std::uint64_t first) noexcept {
  if (ref < operand_ref_begin) return registers[ref];
  if (ref < constant_ref_begin) return load_aligned<Bits>(from, ref - operand_ref_begin, first);
  const std::uint32_t at = program.constant_begin + ref - constant_ref_begin;
  const auto one = static_cast<Bits>(from.plan.program_constants[at]);
  elements_of<Bits> all;
  for (unsigned i = 0; i < elements_of<Bits>::count; ++i) all.at[i] = one;
  return as_quad(all);
}

/// The quad of a program's result that begins with element `first`.
template <class Bits>
[[nodiscard]] SHEAF_HD_CALLED quad run_program(const element_source& from,
                                               std::uint64_t first) noexcept {
  const device_program& program = from.plan.programs[from.op.payload];
  const instruction* const code = from.plan.code + program.code_begin;
  quad registers[register_count_max];
  quad made{};
  for (std::uint32_t i = 0; i < program.code_count; ++i) {
    const instruction step = code[i];
    const unsigned arity = arity_of(step.op);
    const quad a = value_of<Bits>(from, program, registers, step.a, first);
    const quad b = arity > 1 ? value_of<Bits>(from, program, registers, step.b, first) : a;
    const quad c = arity > 2 ? value_of<Bits>(from, program, registers, step.c, first) : a;
    made = run_sized<sizeof(Bits)>(step, a, b, c);
    registers[step.destination] = made;
  }
  return made;
}

}  // namespace sheaf::inline v0
