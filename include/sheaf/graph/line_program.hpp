/// \file
/// A line program: an expression compiled to a small typed program over lines. Plain data: it can
/// be logged, digested and run by one interpreter body per backend.
///
/// The machine has registers, operands and constants, each a *chunk* of up to `chunk_lines` lines.
/// An instruction reads one to three of them and writes a register; the last instruction writes the
/// result. All values of one program have the same element size, so line i of every operand meets
/// line i of the result.
///
/// Invariants
///  1. An instruction reads only registers an earlier instruction wrote (checked by `verify`).
///  2. Every index is inside its table (checked by `verify`), so an interpreter needs no checks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <sheaf/base/dtype.hpp>

namespace sheaf::inline v0 {

class status;

/// What an instruction does, element by element; the meaning of each is its functor in
/// `sheaf/algebra/elementwise.hpp` or `elementwise_math.hpp`.
enum class opcode : std::uint8_t {
  copy, add, sub, mul, div, neg, abs, min, max, fma, sqrt,
  bit_and, bit_or, bit_xor, bit_not, shl, shr,
  eq, ne, lt, le, select,
  cast,  ///< from `from` to `type`; both of one element size
  call,  ///< a custom operator: entry `from_or_call` of the program's call table
  exp, log, tanh, erf, sin, cos, pow,
};
inline constexpr unsigned opcode_count = 31;

/// Number of values `op` reads; `call` reads what its operator says (1 to 3).
[[nodiscard]] constexpr unsigned arity_of(opcode op) noexcept {
  switch (op) {
    case opcode::copy: case opcode::neg: case opcode::abs: case opcode::sqrt:
    case opcode::bit_not: case opcode::cast: case opcode::exp: case opcode::log:
    case opcode::tanh: case opcode::erf: case opcode::sin: case opcode::cos:
      return 1;
    case opcode::fma: case opcode::select: case opcode::call:
      return 3;
    default:
      return 2;
  }
}

/// Whether `op` is defined on elements of `type`.
[[nodiscard]] constexpr bool supports(opcode op, dtype type) noexcept {
  switch (op) {
    case opcode::bit_and: case opcode::bit_or: case opcode::bit_xor: case opcode::bit_not:
    case opcode::shl: case opcode::shr:
      return !is_float(type);
    case opcode::sqrt: case opcode::exp: case opcode::log: case opcode::tanh: case opcode::erf:
    case opcode::sin: case opcode::cos: case opcode::pow:
      return is_float(type);
    default:
      return true;
  }
}

/// Names a value: registers first, then operands, then constants.
using value_ref = std::uint8_t;
inline constexpr unsigned register_count_max = 32;
inline constexpr unsigned operand_ref_begin = 32;
inline constexpr unsigned program_operand_count_max = 128;
inline constexpr unsigned constant_ref_begin = operand_ref_begin + program_operand_count_max;
inline constexpr unsigned constant_count_max = 96;

/// Eight bytes; the same on every backend.
struct instruction {
  opcode op;
  dtype type;                 ///< element type of the result (for comparisons: of the operands)
  std::uint8_t destination;   ///< a register
  value_ref a, b, c;          ///< unused ones repeat `a`
  std::uint8_t from_or_call;  ///< cast: the source dtype; call: index into the call table
  std::uint8_t reserved;      ///< zero
  friend bool operator==(const instruction&, const instruction&) = default;
};
static_assert(sizeof(instruction) == 8);

/// Lines an interpreter handles at once: 1 KiB keeps a program's registers in the L1 cache.
/// PERF: measured 1.6-1.8 x a fused loop at this size (`bench/propagate/program_bench`).
inline constexpr unsigned chunk_lines = 16;

/// The program without its storage.
struct program_view {
  const instruction* code;
  std::uint32_t instruction_count;
  const std::uint64_t* constants;  ///< bit patterns, low bytes first
  std::uint32_t constant_count;
  std::uint32_t operand_count;
  std::uint32_t register_count;
};

struct line_program {
  std::vector<instruction> code;
  std::vector<std::uint64_t> constants;
  std::vector<dtype> operand_types;
  std::vector<std::uint32_t> calls;  ///< ids in the operator registry
  dtype result = dtype::f32;
  std::uint8_t register_count = 0;

  [[nodiscard]] program_view view() const noexcept {
    return {code.data(), static_cast<std::uint32_t>(code.size()), constants.data(),
            static_cast<std::uint32_t>(constants.size()),
            static_cast<std::uint32_t>(operand_types.size()), register_count};
  }
  friend bool operator==(const line_program&, const line_program&) = default;
};

/// Checks both invariants and that every type fits its opcode; `bad_format` names the instruction.
/// O(instructions).
[[nodiscard]] status verify(const line_program& program) noexcept;

}  // namespace sheaf::inline v0
