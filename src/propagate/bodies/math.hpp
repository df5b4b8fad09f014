/// \file
/// Bodies that hold an exponential, a logarithm or an emulated product in every loop: declared here
/// for the tables, compiled in `math_semirings_isa.cpp` and `math_steps_isa.cpp`, apart from all
/// others.
///
/// Invariant: the names lie in the namespace of the instruction set, so their linkage is external
/// and no set's body stands in for another's.
#pragma once

#include "propagate/bodies/line.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {

/// The bodies of semiring `S` on `T`, as `kernel_table` has them.
template <class S, element T>
struct math_semiring {
  static line_mask combine(const line_task& task, const std::byte* const* values,
                           std::uint32_t count);
  static line_mask combine_weighted(const line_task& task, const operand_view* values,
                                    const operand_view* weights, std::uint32_t count);
  static void fold_lines(std::byte* results, const std::byte* page, line_mask mask,
                         std::uint32_t tail_line, std::uint32_t tail_elements);
  static void fold_blocks(std::byte* results, const std::byte* page, std::uint32_t valid,
                          std::uint32_t begin, std::uint32_t end);
  static void segment_fold(std::byte* results, std::uint64_t elements, const paged_view& operand,
                           const std::uint32_t* offsets, const std::uint32_t* indices);
};

/// Operations whose bodies are here.
[[nodiscard]] constexpr bool is_math(opcode op) noexcept {
  return op >= opcode::exp && op <= opcode::pow;
}

/// The step of a math operation.
template <opcode Op, element T>
struct math_step {
  static void run(std::byte* destination, const std::byte* const* arguments, std::uint32_t lines);
};

}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
