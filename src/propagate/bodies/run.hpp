/// \file
/// The loop over a run of small nodes: resolves pages and masks and calls the combine body.
///
/// Compiled per instruction set for its bit counts; no element type appears in it.
#pragma once

#include <sheaf/propagate/kernels.hpp>

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

/// The widest node whose pointers fit the stack frame of a run; the executor asks no wider ones.
inline constexpr std::uint32_t run_operands_max = 16;

template <run_mask How>
std::uint64_t run_nodes_of(const node_run& run, std::uint32_t word, std::uint64_t which,
                           run_tally& tally) {
  const std::byte* pointers[run_operands_max];
  const std::uint32_t count = run.operand_count;
  const std::uint32_t shift = run.frame_shift;
  const line_mask lines = run.lines;
  std::uint64_t changed_pages = 0;
  std::uint64_t line_count = 0;
  std::uint64_t changed_count = 0;
  std::uint64_t page_count = 0;
  for (std::uint64_t left = which; left != 0; left &= left - 1) {
    const std::uint32_t slot = (word << 6) + static_cast<std::uint32_t>(__builtin_ctzll(left));
    const std::uint32_t* entries =
        run.operands + run.nodes[slot - run.first_slot].operand_begin;
    line_mask mask = How == run_mask::full ? lines : 0;
    if constexpr (How == run_mask::marked) mask = run.masks[slot];
    if constexpr (How == run_mask::pull) {
      for (std::uint32_t k = 0; k < count; ++k) mask |= run.masks[entries[k]];
      if (mask == 0) {
        run.masks[slot] = 0;
        continue;
      }
    }
    for (std::uint32_t k = 0; k < count; ++k) {
      pointers[k] = run.base + (std::size_t{run.frames[entries[k]]} << shift);
    }
    std::byte* const page = run.base + (std::size_t{run.frames[slot]} << shift);
    const line_task task{page, page, mask, run.tail_line, run.tail_elements};
    const line_mask changed = run.body(task, pointers, count);
    run.masks[slot] = changed;
    ++page_count;
    line_count += static_cast<std::uint64_t>(__builtin_popcountll(mask));
    changed_count += static_cast<std::uint64_t>(__builtin_popcountll(changed));
    if (changed != 0) changed_pages |= left & -left;
  }
  tally.pages += page_count;
  tally.pages_changed += static_cast<std::uint64_t>(__builtin_popcountll(changed_pages));
  tally.lines += line_count;
  tally.lines_changed += changed_count;
  return changed_pages;
}

std::uint64_t run_nodes(const node_run& run, std::uint32_t word, std::uint64_t which, run_mask how,
                        run_tally& tally) {
  if (how == run_mask::full) return run_nodes_of<run_mask::full>(run, word, which, tally);
  if (how == run_mask::pull) return run_nodes_of<run_mask::pull>(run, word, which, tally);
  return run_nodes_of<run_mask::marked>(run, word, which, tally);
}

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
