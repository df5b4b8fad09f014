/// \file
/// Batches where all runs, of unweighted combines of one-page arrays with four operands each: what
/// a wide level of a layered graph mostly is. A kernel of its own, with nothing between the slots
/// of the operands and their bytes.
///
/// Cost: per sixteen bytes of the result five frame numbers (cached), four loads and a store;
/// blocks go slice by slice, so DRAM sees each page about once.
#pragma once

#include <optional>

#include "cuda/propagate/batches.hpp"

namespace sheaf::inline v0 {

/// Nodes [slot, slot + count), whose operands are slots `operands[i * 4 + k]`.
struct full_batch {
  std::uint32_t batch;
  std::uint32_t slot;
  std::uint32_t count;
  std::uint32_t operands;  ///< into device_plan::operands, a multiple of 4
  std::uint64_t length;    ///< of every node's array
  page_class page;
  unsigned lanes_shift;  ///< log2 of the lanes that work on a slice: four a line
  std::uint32_t blocks;  ///< of full_threads, a slice for every so many lanes
};
using full_kernel = void (*)(run_view view, full_batch batch);

/// How batch `index` of `plan`, in host memory, runs so, if it does: in slices of four lines, or of
/// two where a slice of four of all pages is more than `cache_bytes`.
[[nodiscard]] std::optional<full_batch> find_full_batch(const device_plan& plan,
                                                        std::uint32_t index,
                                                        std::uint64_t cache_bytes);
/// Runs only where the level is `full`; the batch's other kernel then has nothing to do.
[[nodiscard]] full_kernel full_kernel_of(semiring_id ring, dtype type);
inline constexpr unsigned full_threads = 256;

}  // namespace sheaf::inline v0
