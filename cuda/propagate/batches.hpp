/// \file
/// Which kernel a batch runs on.
///
/// Thread safety: pure functions.
#pragma once

#include <cstdint>

#include "cuda/propagate/run_state.hpp"

namespace sheaf::inline v0 {

/// What a kernel is given, by value.
struct run_view {
  device_plan plan;
  run_state state;
};
using batch_kernel = void (*)(run_view view, std::uint32_t batch);

/// Null where there is none.
[[nodiscard]] batch_kernel kernel_of(operator_kind kind, semiring_id ring, dtype type);

// By file, so that they compile side by side.
[[nodiscard]] batch_kernel combine_kernel(semiring_id ring, dtype type);
[[nodiscard]] batch_kernel fold_lines_kernel(semiring_id ring, dtype type);
[[nodiscard]] batch_kernel fold_blocks_kernel(semiring_id ring, dtype type);
[[nodiscard]] batch_kernel segment_fold_kernel(semiring_id ring, dtype type);
[[nodiscard]] batch_kernel spmv_kernel(semiring_id ring, dtype type);
[[nodiscard]] batch_kernel gemv_kernel(semiring_id ring, dtype type);
[[nodiscard]] batch_kernel matmul_kernel(semiring_id ring, dtype type);
[[nodiscard]] batch_kernel stencil_kernel(semiring_id ring, dtype type);
/// Of kinds without a semiring.
[[nodiscard]] batch_kernel plain_kernel(operator_kind kind, semiring_id ring, dtype type);

}  // namespace sheaf::inline v0
