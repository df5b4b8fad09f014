/// \file
/// The loop over a run of small nodes: resolves pages and masks and combines.
///
/// `any_fold` calls the combine body and serves every semiring, type and fan-in. `inlined_fold` is
/// the same with the body in the loop, for the shapes graphs of many small nodes are made of
/// (fan-in 4). PERF: a call costs about 8 ns a node, as much as two lines
/// (`bench/engine/dag_bench`, 256 B).
#pragma once

#include "propagate/bodies/combine.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

/// The widest node whose pointers fit the stack frame of a run; the executor asks no wider ones.
inline constexpr std::uint32_t run_operands_max = 16;

/// Any combine, by its body.
struct any_fold {
  SHEAF_HD static line_mask apply(const node_run& run, const line_task& task,
                                  const std::uint32_t* entries) noexcept {
    const std::byte* pointers[run_operands_max];
    for (std::uint32_t k = 0; k < run.operand_count; ++k) {
      pointers[k] = run.base + (std::size_t{run.frames[entries[k]]} << run.frame_shift);
    }
    return run.body(task, pointers, run.operand_count);
  }
};

/// Four operands of one semiring and type.
template <class S, element T>
struct inlined_fold {
  SHEAF_HD static line_mask apply(const node_run& run, const line_task& task,
                                  const std::uint32_t* entries) noexcept {
    const auto page = [&](unsigned k) SHEAF_INLINE_LAMBDA {
      return alone(run.base + (std::size_t{run.frames[entries[k]]} << run.frame_shift));
    };
    const std::byte* const a = page(0);
    const std::byte* const b = page(1);
    const std::byte* const c = page(2);
    const std::byte* const d = page(3);
    return settle_lines<T>(task, [=](std::size_t at) SHEAF_INLINE_LAMBDA {
      const vec<T> two = S::plus(load_register<T>(a + at), load_register<T>(b + at));
      const vec<T> three = S::plus(two, load_register<T>(c + at));
      return S::plus(three, load_register<T>(d + at));
    });
  }
};

template <class Fold, run_mask How>
SHEAF_BODY std::uint64_t run_nodes_of(const node_run& run, std::uint32_t word, std::uint64_t which,
                           run_tally& tally) {
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
    std::byte* const page = run.base + (std::size_t{run.frames[slot]} << shift);
    const line_task task{page, page, mask, run.tail_line, run.tail_elements};
    const line_mask changed = Fold::apply(run, task, entries);
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

template <class Fold>
std::uint64_t run_nodes(const node_run& run, std::uint32_t word, std::uint64_t which, run_mask how,
                        run_tally& tally) {
  if (how == run_mask::full) return run_nodes_of<Fold, run_mask::full>(run, word, which, tally);
  if (how == run_mask::pull) return run_nodes_of<Fold, run_mask::pull>(run, word, which, tally);
  return run_nodes_of<Fold, run_mask::marked>(run, word, which, tally);
}

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
