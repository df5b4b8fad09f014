/// \file
/// The bodies a CPU executor calls, one table per instruction set. Every body exists once as text
/// (`src/propagate/bodies/`) and is compiled once per instruction set.
///
/// Shared contract of the *page bodies* (combine, program, settle): compute the lines in
/// `task.mask`, make NaN results canonical, set the bytes past the array's end to zero, compare
/// with `task.old`, write the lines that differ to `task.out` and return their mask. Other lines of
/// `out` are not touched. `out` may equal `old` (change in place). Bits do not depend on the
/// instruction set.
///
/// Thread safety: bodies touch only what they are given.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sheaf/algebra/semiring.hpp>
#include <sheaf/base/dtype.hpp>
#include <sheaf/base/isa.hpp>
#include <sheaf/base/line_mask.hpp>
#include <sheaf/graph/line_program.hpp>
#include <sheaf/graph/plan_node.hpp>

namespace sheaf::inline v0 {

/// What a page body is asked for.
struct line_task {
  std::byte* out;
  const std::byte* old;
  line_mask mask;               ///< not zero
  std::uint32_t tail_line;      ///< the line in which the array ends, or 64 where none is cut
  std::uint32_t tail_elements;  ///< valid elements of that line
};

/// One operand of a page body: its page, and how far to step per line (64 when aligned; 0 for a
/// broadcast, where `data` points at the one element, aligned to its size).
struct operand_view {
  const std::byte* data;
  std::uint32_t step;
};

/// Random access to a paged array: element i lies in frame `frames[i >> page_shift]`.
struct paged_view {
  const std::uint32_t* frames;  ///< current frame ids, by page
  const std::byte* base;        ///< of the size class
  std::uint32_t page_shift;     ///< log2 of elements per page
  std::uint32_t frame_shift;    ///< log2 of bytes per frame
};

/// values[0] + values[1] + ... from the left; `count` >= 1; all pages aligned.
using combine_body = line_mask (*)(const line_task&, const std::byte* const* values,
                                   std::uint32_t count);
/// The same with broadcasts and, where `weights` is not null, times: the first term is
/// value * weight, the following are plus_times (one rounding for sum-product).
using combine_weighted_body = line_mask (*)(const line_task&, const operand_view* values,
                                            const operand_view* weights, std::uint32_t count);
/// A compiled shape of the kernel manifest. `constants` as in the program it stands for.
using shape_body = line_mask (*)(const line_task&, const operand_view* operands,
                                 const std::uint64_t* constants);
/// One instruction over `lines` consecutive lines (1 to chunk_lines). `arguments` are aligned
/// chunks of that many lines; `destination` may be one of them. This is also the form of custom
/// operators.
using step_body = void (*)(std::byte* destination, const std::byte* const* arguments,
                           std::uint32_t lines);
/// The interpreter. `calls[i]` is the body of call-table entry i. `scratch` has
/// `program_scratch_size` bytes, line-aligned.
using program_body = line_mask (*)(const line_task&, const program_view&,
                                   const operand_view* operands, const step_body* calls,
                                   std::byte* scratch);
inline constexpr std::size_t program_scratch_size =
    (register_count_max + program_operand_count_max + constant_count_max) * chunk_lines * line_size;

/// results[i] = lane fold of line i of `page`, for every line i in `mask`; canonical. `tail` as in
/// line_task: absent lanes take no part.
using fold_lines_body = void (*)(std::byte* results, const std::byte* page, line_mask mask,
                                 std::uint32_t tail_line, std::uint32_t tail_elements);
/// results[b] = fold of elements [64 b, min(64 b + 64, valid)) of `page`, for b in [begin, end).
using fold_blocks_body = void (*)(std::byte* results, const std::byte* page, std::uint32_t valid,
                                  std::uint32_t begin, std::uint32_t end);
/// For every set bit i of `elements`: results[i] = fold of the operand elements that items
/// [offsets[i], offsets[i+1]) name (at most 64; none: the semiring's zero). `indices` null: item j
/// is operand element j.
using segment_fold_body = void (*)(std::byte* results, std::uint64_t elements,
                                   const paged_view& operand, const std::uint32_t* offsets,
                                   const std::uint32_t* indices);
/// For every set bit i of `elements`: results[i] = operand element indices[i].
using gather_body = void (*)(std::byte* results, std::uint64_t elements, const paged_view& operand,
                             const std::uint32_t* indices);
/// The end of a page body alone: `computed` holds lines already computed (same layout as a page);
/// canonical, tail, compare, store.
using settle_body = line_mask (*)(const line_task&, const std::byte* computed);

/// A run of one-page nodes that share one uniform combine, changing in place: what a level of many
/// small nodes mostly is. The loop over nodes is a body too, so that a node costs no more than its
/// lines and a few loads.
struct node_run {
  const plan_node* nodes;       ///< nodes[i] has slot `first_slot + i`
  const std::uint32_t* operands;
  const std::uint32_t* frames;  ///< by slot
  line_mask* masks;             ///< by slot: changed lines; in: lines to recompute, where marked
  std::byte* base;              ///< of the size class
  combine_body body;
  std::uint32_t first_slot;
  std::uint32_t operand_count;
  std::uint32_t frame_shift;
  std::uint32_t tail_line;
  std::uint32_t tail_elements;
  line_mask lines;              ///< lines of a page that hold elements
};
/// Where a run finds the lines to recompute.
enum class run_mask : std::uint8_t {
  marked,  ///< masks[slot]
  pull,    ///< the union of the operands' masks; none: the page is left alone
  full,    ///< all lines
};
struct run_tally {
  std::uint64_t pages = 0;          ///< a body ran on
  std::uint64_t pages_changed = 0;
  std::uint64_t lines = 0;          ///< recomputed
  std::uint64_t lines_changed = 0;
};
/// Runs the nodes of slots 64 `word` + i for every set bit i of `which`; returns the bits of those
/// that changed. Masks of the slots in `which` hold the changed lines afterwards.
using run_body = std::uint64_t (*)(const node_run&, std::uint32_t word, std::uint64_t which,
                                   run_mask how, run_tally& tally);

/// A shape of the manifest: the program it stands for, and its body.
struct manifest_entry {
  const char* name;                ///< "a*b", for people
  const instruction* code;
  std::uint32_t instruction_count;
  std::uint32_t operand_count;
  shape_body body;
};

/// All bodies of one instruction set. A null entry: the combination is not defined (a float `or`).
struct kernel_table {
  isa set;
  combine_body combine[semiring_count][dtype_count];
  combine_weighted_body combine_weighted[semiring_count][dtype_count];
  fold_lines_body fold_lines[semiring_count][dtype_count];
  fold_blocks_body fold_blocks[semiring_count][dtype_count];
  segment_fold_body segment_fold[semiring_count][dtype_count];
  gather_body gather[4];  ///< by log2 of the element size: 1, 2 (unused, null), 4, 8 bytes
  settle_body settle[dtype_count];
  program_body program[dtype_count];
  run_body run;  ///< any combine
  run_body run_of_four[semiring_count][dtype_count];  ///< fan-in 4, the common ones; else null
  step_body step[opcode_count][dtype_count];  ///< null for call and cast
  step_body cast[dtype_count][dtype_count];   ///< [from][to], equal sizes only
  const manifest_entry* manifest;
  std::uint32_t manifest_count;  ///< the same entries in the same order in every table
};

/// The table of `set`; null where this build or machine lacks it.
[[nodiscard]] const kernel_table* kernels_of(isa set) noexcept;
/// The manifest entry with exactly this code, or -1. O(entries).
[[nodiscard]] int find_in_manifest(const line_program& program) noexcept;

}  // namespace sheaf::inline v0
