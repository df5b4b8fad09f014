/// \file
/// The interpreter of line programs: one instruction at a time over a chunk of up to 16 lines, so a
/// program's registers stay in the L1 cache and the dispatch is paid once a chunk.
///
/// Chunks are runs of consecutive dirty lines. Aligned operands are read where they lie; broadcasts
/// and constants are spread once a call, over no more lines than the longest chunk has.
///
/// Cost: per chunk and instruction an indirect call, and per line its loads, its operation and its
/// store; then settling. PERF: see `program_six_operations` in `bench/propagate/kernels_bench`.
#pragma once

#include "propagate/bodies/math.hpp"
#include "propagate/bodies/settle.hpp"
#include "propagate/bodies/step.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

template <element From, element To>
SHEAF_BODY void cast_lines(std::byte* destination, const std::byte* const* arguments,
                           std::uint32_t lines) {
  const std::size_t end = std::size_t{lines} * line_size;
  for (std::size_t at = 0; at < end; at += register_bytes<From>) {
    const vec<To> value = sheaf::cast<To>(load_register<From>(arguments[0] + at));
    value.store(reinterpret_cast<To*>(destination + at));
  }
}

template <opcode Op, element T>
[[nodiscard]] constexpr step_body step_of() noexcept {
  if constexpr (Op == opcode::call || Op == opcode::cast) {
    return nullptr;
  } else if constexpr (is_math(Op)) {
    if constexpr (supports(Op, dtype_of<T>)) return &math_step<Op, T>::run;
    else return nullptr;
  } else {
    using functor = typename functor_of<Op>::type;
    if constexpr (functor::supports(dtype_of<T>)) return &step_lines<functor, T>;
    else return nullptr;
  }
}
template <element From, element To>
[[nodiscard]] constexpr step_body cast_of() noexcept {
  if constexpr (sizeof(From) == sizeof(To)) return &cast_lines<From, To>;
  else return nullptr;
}

/// Step and cast bodies by opcode and type; the interpreter's own copy of what the kernel table
/// shows.
struct step_table {
  step_body step[opcode_count][dtype_count];
  step_body cast[dtype_count][dtype_count];
};
template <element T, unsigned Op = 0>
constexpr void fill_steps(step_table& table) noexcept {
  if constexpr (Op < opcode_count) {
    table.step[Op][static_cast<unsigned>(dtype_of<T>)] = step_of<static_cast<opcode>(Op), T>();
    fill_steps<T, Op + 1>(table);
  }
}
template <element From, element... To>
constexpr void fill_casts(step_table& table) noexcept {
  ((table.cast[static_cast<unsigned>(dtype_of<From>)][static_cast<unsigned>(dtype_of<To>)] =
        cast_of<From, To>()),
   ...);
}
template <element... T>
[[nodiscard]] constexpr step_table make_step_table() noexcept {
  step_table table{};
  (fill_steps<T>(table), ...);
  (fill_casts<T, T...>(table), ...);
  return table;
}
// NOLINTNEXTLINE(misc-definitions-in-headers): one copy per instruction set is the point.
static constexpr step_table steps =
    make_step_table<float, double, std::int32_t, std::int64_t, std::uint8_t, std::uint32_t,
                    std::uint64_t>();

inline constexpr std::size_t chunk_bytes = std::size_t{chunk_lines} * line_size;

/// The length of the longest run of set bits, at most `chunk_lines`.
[[nodiscard]] SHEAF_HD unsigned longest_chunk(line_mask mask) noexcept {
  if (mask == ~line_mask{0}) return chunk_lines;
  unsigned length = 0;
  for (; mask != 0 && length < chunk_lines; mask &= mask << 1) ++length;
  return length;
}

/// Fills `lines` lines at `to` with one element.
template <element T>
SHEAF_HD void spread(std::byte* to, T value, unsigned lines) noexcept {
  const vec<T> all(value);
  const std::size_t end = std::size_t{lines} * line_size;
  for (std::size_t at = 0; at < end; at += register_bytes<T>) {
    all.store(reinterpret_cast<T*>(to + at));
  }
}

template <element T>
SHEAF_BODY line_mask run_program(const line_task& task, const program_view& program,
                                 const operand_view* operands, const step_body* calls,
                                 std::byte* scratch) {
  const std::byte* place[constant_ref_begin + constant_count_max];
  std::byte* free_chunk = scratch + program.register_count * chunk_bytes;
  const unsigned spread_lines = longest_chunk(task.mask);
  for (std::uint32_t r = 0; r < program.register_count; ++r) place[r] = scratch + r * chunk_bytes;
  for (std::uint32_t o = 0; o < program.operand_count; ++o) {
    if (operands[o].step != 0) continue;
    spread(free_chunk, load_element<bits_of<T>>(operands[o].data), spread_lines);
    place[operand_ref_begin + o] = free_chunk;
    free_chunk += chunk_bytes;
  }
  for (std::uint32_t c = 0; c < program.constant_count; ++c) {
    spread(free_chunk, static_cast<bits_of<T>>(program.constants[c]), spread_lines);
    place[constant_ref_begin + c] = free_chunk;
    free_chunk += chunk_bytes;
  }
  const instruction* const last = program.code + program.instruction_count - 1;
  line_mask changed = 0;
  for (line_mask left = task.mask; left != 0;) {
    const auto first = static_cast<unsigned>(__builtin_ctzll(left));
    const line_mask from_first = left >> first;
    unsigned lines = from_first == ~line_mask{0}
                         ? page_lines_max
                         : static_cast<unsigned>(__builtin_ctzll(~from_first));
    if (lines > chunk_lines) lines = chunk_lines;
    const std::size_t begin = std::size_t{first} * line_size;
    for (std::uint32_t o = 0; o < program.operand_count; ++o) {
      if (operands[o].step != 0) place[operand_ref_begin + o] = operands[o].data + begin;
    }
    for (const instruction* at = program.code; at <= last; ++at) {
      const std::byte* const arguments[3] = {place[at->a], place[at->b], place[at->c]};
      const auto type = static_cast<unsigned>(at->type);
      const step_body body = at->op == opcode::call   ? calls[at->from_or_call]
                             : at->op == opcode::cast ? steps.cast[at->from_or_call][type]
                                : steps.step[static_cast<unsigned>(at->op)][type];
      body(scratch + at->destination * chunk_bytes, arguments, lines);
    }
    const bool has_tail = task.tail_line >= first && task.tail_line < first + lines;
    const line_task part{task.out + begin, task.old + begin, first_lines(lines),
                         has_tail ? task.tail_line - first : page_lines_max, task.tail_elements};
    changed |= settle_page<T>(part, scratch + last->destination * chunk_bytes) << first;
    left &= ~lines_between(first, first + lines);
  }
  return changed;
}

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
