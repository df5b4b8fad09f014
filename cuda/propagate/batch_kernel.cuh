/// \file
/// The kernel of a batch: a grid that walks over the units of a list whose length is on the device.
///
/// Cost: one launch a batch, whatever its list holds; an empty one is about a microsecond.
#pragma once

#include <cuda_runtime.h>

#include "cuda/propagate/batches.hpp"
#include "cuda/propagate/bodies.hpp"
#include "cuda/propagate/marked_part.hpp"

namespace sheaf::inline v0 {

inline constexpr unsigned batch_threads = 256;

/// A warp's share of a batch of marked pages.
template <class Body, class T>
__device__ void run_marked(const device_plan& plan, const run_state& state,
                           const device_batch& batch, const batch_run& run, std::uint64_t unit,
                           std::uint64_t step, unsigned lane) {
  const unsigned shift = parts_shift_of(batch.page, run.count, step);
  const std::uint64_t units = std::uint64_t{run.count} << shift;
  for (; unit < units; unit += step) {
    const marked_part part = part_of(plan, state, batch, run, unit, shift);
    if (part.asked == 0) continue;
    const plan_node& node = node_of_slot(plan, part.slot);
    const element_source from{plan, state, node, plan.operations[node.operation]};
    line_mask changed = 0;
    for (line_mask left = part.asked; left != 0; left = without_first(left)) {
      const bool is_new = run_marked_lane<Body, T>(from, part, left, lane);
      changed |= differing_lines(left, __ballot_sync(~0u, is_new));
    }
    end_part(plan, state, run, part, changed, lane);
  }
}

template <class Body, class T>
__global__ void __launch_bounds__(batch_threads)
    run_batch(const run_view view, std::uint32_t index) {
  const device_plan& plan = view.plan;
  const run_state& state = view.state;
  const device_batch& batch = plan.batches[index];
  const batch_run run = run_of(plan, state, index);
  if (run.count == 0) return;
  if (blockIdx.x == 0 && threadIdx.x == 0) flag_readers(plan, state, index, run);
  const unsigned lane = threadIdx.x % unit_lanes;
  const std::uint64_t step = std::uint64_t{gridDim.x} * (batch_threads / unit_lanes);
  std::uint64_t unit = (std::uint64_t{blockIdx.x} * batch_threads + threadIdx.x) / unit_lanes;
  if (run.how == level_pull::full) {
    const std::uint64_t units = full_unit_count(batch.page, run.count);
    for (; unit < units; unit += step) full_lane<Body, T>(plan, state, batch, run, unit, lane);
    return;
  }
  if (run.how == level_pull::marked && lines_in(batch.page) >= unit_lines) {
    run_marked<Body, T>(plan, state, batch, run, unit, step, lane);
    return;
  }
  const std::uint64_t units = unit_count(batch.page, run.count);
  for (; unit < units; unit += step) {
    lane_place place;
    const bool is_new = begin_lane<Body, T>(plan, state, batch, run, unit, lane, place);
    const std::uint32_t differs = __ballot_sync(~0u, is_new);
    end_lane(plan, state, batch, run, place, lane, differs);
  }
}

/// Launches `run_batch` for the bodies of some kinds of operators.
template <operator_kind Kind>
batch_kernel kernel_of_kind(semiring_id ring, dtype type) {
  batch_kernel found = nullptr;
  visit_body_of<Kind>(ring, type, [&]<class Body, element T>() { found = &run_batch<Body, T>; });
  return found;
}

}  // namespace sheaf::inline v0
