/// \file
/// What changes while a plan runs on a device, and the atomics on it.
///
/// Terms
///   todo     by slot: lines to recompute, set by what changed below; zero between commits.
///   changed  by slot: lines that differ since the commit began; zero between commits.
///   list     by batch: slots with a `todo` that is not zero, in no order.
///   pulled   a level whose pages look for themselves whether an operand changed (level_pull).
///
/// Invariants
///  1. `marked-once`: a slot is put on its batch's list by the mark that finds its `todo` zero.
///  2. A level runs after every level it reads has ended, so what it finds is complete.
///
/// Thread safety: as said of each; the host functions do what the device's do, so threads of the
/// host may play the grid.
#pragma once

#include <cstdint>

#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/macros.hpp>
#include <sheaf/propagate/device_plan.hpp>

#include "cuda/page/device_pages.hpp"

/// A function of host and device that is large, and called: inlined, as SHEAF_HD says, it would
/// be in every kernel once.
#if defined(__CUDACC__)
#define SHEAF_HD_CALLED __host__ __device__ inline
#else
#define SHEAF_HD_CALLED inline
#endif

namespace sheaf::inline v0 {

struct run_state {
  device_pages pages;
  line_mask* todo;
  line_mask* changed;
  std::uint32_t* list;    ///< as long as `batch_slots`
  std::uint32_t* count;   ///< by batch: slots on its list
  std::uint32_t* pulled;  ///< by level: level_pull
};

[[nodiscard]] SHEAF_HD std::uint64_t fetch_or(std::uint64_t* at, std::uint64_t bits) noexcept {
#if defined(__CUDA_ARCH__)
  return atomicOr(reinterpret_cast<unsigned long long*>(at), bits);
#else
  return __atomic_fetch_or(at, bits, __ATOMIC_ACQ_REL);
#endif
}
/// As `fetch_or`, where the old value is not wanted.
SHEAF_HD void or_into(std::uint64_t* at, std::uint64_t bits) noexcept {
#if defined(__CUDA_ARCH__)
  atomicOr(reinterpret_cast<unsigned long long*>(at), bits);
#else
  __atomic_fetch_or(at, bits, __ATOMIC_RELAXED);    // read after the level
#endif
}
SHEAF_HD void clear_bits(std::uint64_t* at, std::uint64_t bits) noexcept {
#if defined(__CUDA_ARCH__)
  atomicAnd(reinterpret_cast<unsigned long long*>(at), ~bits);
#else
  __atomic_fetch_and(at, ~bits, __ATOMIC_RELAXED);  // read in the next commit
#endif
}
[[nodiscard]] SHEAF_HD std::uint32_t fetch_add(std::uint32_t* at, std::uint32_t count) noexcept {
#if defined(__CUDA_ARCH__)
  return atomicAdd(at, count);
#else
  return __atomic_fetch_add(at, count, __ATOMIC_ACQ_REL);
#endif
}
/// How the readers of a level find out what changed.
enum class level_pull : std::uint32_t {
  marked,  ///< they were told: only what is on the lists runs
  pulled,  ///< every page looks at its operands
  full,    ///< every line of every operand changed: all runs, and nothing is compared
};
/// Raises a flag to `value`.
SHEAF_HD void raise_flag(std::uint32_t* at, level_pull value) noexcept {
#if defined(__CUDA_ARCH__)
  atomicMax(at, static_cast<std::uint32_t>(value));
#else
  const auto wanted = static_cast<std::uint32_t>(value);
  std::uint32_t seen = __atomic_load_n(at, __ATOMIC_RELAXED);  // read in the next level
  while (seen < wanted && !__atomic_compare_exchange_n(at, &seen, wanted, true, __ATOMIC_RELAXED,
                                                       __ATOMIC_RELAXED)) {
  }
#endif
}

[[nodiscard]] SHEAF_HD unsigned element_shift_of(dtype type) noexcept {
  // As size_shift, without a table in memory: f32 f64 i32 i64 u8 u32 u64.
  return static_cast<unsigned>(0x3203232u >> (4 * static_cast<unsigned>(type))) & 7u;
}
[[nodiscard]] SHEAF_HD unsigned lines_in(page_class page) noexcept {
  return 1u << static_cast<unsigned>(page);
}
/// Lines of page `page` of a result that hold elements.
[[nodiscard]] SHEAF_HD line_mask lines_of_result(const plan_operation& op,
                                                 std::uint32_t page) noexcept {
  const unsigned lines = lines_in(op.page);
  if (page + 1 != op.page_count) return first_lines(lines);
  const std::uint64_t all =
      ((op.length << element_shift_of(op.type)) + line_size - 1) >> line_shift;
  return first_lines(static_cast<unsigned>(all - std::uint64_t{page} * lines));
}

}  // namespace sheaf::inline v0
