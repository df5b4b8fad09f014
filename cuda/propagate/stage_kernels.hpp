/// \file
/// What a plan of more than one stage needs beside the kernels of its batches: marks of host-run
/// nodes before a stage, and what a stage changed set apart from what marks are still to be read.
///
/// Thread safety: as kernels of one stream. Cost: a launch each; eight bytes a slot looked at.
#pragma once

#include <array>

#include <cuda_runtime_api.h>

#include "cuda/propagate/batches.hpp"
#include "cuda/propagate/unit.hpp"

namespace sheaf::inline v0 {

/// Before the levels of a stage after the first. `range`, read when the kernel runs: whose changed
/// lines came with the stage; they mark what reads them. No level is full any more.
cudaError_t launch_mark_host_run(const run_view& view, const host_slot_range* range,
                                 std::uint32_t slots_max, cudaStream_t stream) noexcept;
/// Copies the changed lines of the slots that `stage` computes to `into`, by slot.
cudaError_t launch_set_apart(const run_view& view, const device_stage& stage, line_mask* into,
                             cudaStream_t stream) noexcept;
/// The kernels, to be loaded before a commit.
[[nodiscard]] std::array<const void*, 2> stage_kernels() noexcept;

}  // namespace sheaf::inline v0
