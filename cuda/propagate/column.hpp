/// \file
/// The column way: a block owns 32 bytes of every page and takes them through all levels, with the
/// level below and its own in shared memory. Lines of aligned operators are independent of one
/// another, so no block waits for another, and the whole plan is one launch.
///
/// For plans of which every level is one batch of equal unweighted combines of one-page arrays over
/// the level right below it, narrow enough for shared memory; for commits that change everything.
/// Nothing is compared: all lines count as changed.
///
/// Cost: one launch; every page is read, or written, once. A level costs two barriers of a block.
#pragma once

#include <optional>
#include <vector>

#include "cuda/propagate/batches.hpp"

namespace sheaf::inline v0 {

inline constexpr unsigned column_bytes = 32;
inline constexpr unsigned column_threads = 1024;
inline constexpr unsigned column_levels_max = 64;

/// What a column kernel needs to know of each level: nodes [slot, slot + count), whose operands are
/// slots `operands[i * fan_in + k]`.
struct column_level {
  std::uint32_t slot;
  std::uint32_t count;
  std::uint32_t operands;  ///< into device_plan::operands
  std::uint32_t fan_in;
  std::uint64_t length;  ///< of every node's array
};
struct column_levels {
  std::uint32_t level_count;  ///< derived ones
  page_class page;
  column_level source;  ///< level 0
  column_level levels[column_levels_max];
};
using column_kernel = void (*)(run_view view, column_levels levels);

/// Bytes of shared memory two levels take.
[[nodiscard]] std::uint32_t column_shared_bytes(const column_levels& levels) noexcept;
/// How `plan`, in host memory, runs by columns with so many bytes of shared memory, if it does.
[[nodiscard]] std::optional<column_levels> find_columns(const device_plan& plan,
                                                        std::uint32_t shared_bytes_max);
[[nodiscard]] column_kernel column_kernel_of(semiring_id ring, dtype type);

}  // namespace sheaf::inline v0
