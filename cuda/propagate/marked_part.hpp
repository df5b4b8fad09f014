/// \file
/// The unit of a batch whose pages were marked: a warp takes a part of a page and computes only the
/// lines that were asked for, eight at a time, whichever they are. A page with one marked line
/// costs one warp, not one for every eighth of its lines.
///
/// For pages of eight lines or more; smaller ones share a warp (unit.hpp).
///
/// Thread safety: parts of a batch in any order, at the same time. Cost: as the bodies.
#pragma once

#include "cuda/propagate/unit.hpp"

namespace sheaf::inline v0 {

/// How many parts a page is cut into where `warps` may run and `pages` are marked: few marked pages
/// are spread over more warps.
[[nodiscard]] SHEAF_HD unsigned parts_shift_of(page_class page, std::uint32_t pages,
                                               std::uint64_t warps) noexcept {
  unsigned shift = 0;
  while (lines_in(page) >> shift > unit_lines && (std::uint64_t{pages} << (shift + 1)) <= warps) {
    ++shift;
  }
  return shift;
}

struct marked_part {
  std::uint32_t slot;
  std::uint32_t page;  ///< of the array
  line_mask asked;
};
[[nodiscard]] SHEAF_HD marked_part part_of(const device_plan& plan, const run_state& state,
                                           const device_batch& batch, const batch_run& run,
                                           std::uint64_t unit, unsigned parts_shift) noexcept {
  const std::uint32_t slot = run.slots[unit >> parts_shift];
  const unsigned lines = lines_in(batch.page) >> parts_shift;
  const auto part = static_cast<unsigned>(unit & ((1u << parts_shift) - 1));
  const line_mask own = first_lines(lines) << (part * lines);
  return {slot, plan.slots[slot].page, state.todo[slot] & own};
}

/// Number `rank` of the lines in `left`; no line where it has fewer.
[[nodiscard]] SHEAF_HD line_mask line_at(line_mask left, unsigned rank) noexcept {
  for (unsigned i = 0; i < rank; ++i) left &= left - 1;
  return left & (~left + 1);
}
[[nodiscard]] SHEAF_HD unsigned number_of(line_mask line) noexcept {
#if defined(__CUDA_ARCH__)
  return static_cast<unsigned>(__ffsll(static_cast<long long>(line))) - 1;
#else
  return static_cast<unsigned>(__builtin_ctzll(line));
#endif
}
[[nodiscard]] SHEAF_HD line_mask without_first(line_mask left) noexcept {
  for (unsigned i = 0; i < unit_lines; ++i) left &= left - 1;
  return left;
}

/// One lane of the first eight lines of `left`: whether its sixteen bytes differ now.
template <class Body, element T>
[[nodiscard]] SHEAF_HD bool run_marked_lane(const element_source& from, const marked_part& part,
                                            line_mask left, unsigned lane) noexcept {
  const line_mask line = line_at(left, lane / line_lanes_of_unit);
  if (line == 0) return false;
  lane_place place{};
  place.slot = part.slot;
  place.page = part.page;
  place.line = number_of(line);
  place.quad = lane % line_lanes_of_unit;
  return run_lane<Body, T>(from, place);
}
/// Of the first eight lines of `left` those of which a lane differs.
[[nodiscard]] SHEAF_HD line_mask differing_lines(line_mask left, std::uint32_t differs) noexcept {
  line_mask found = 0;
  for (; differs != 0; differs >>= line_lanes_of_unit, left &= left - 1) {
    if ((differs & 15u) != 0) found |= left & (~left + 1);
  }
  return found;
}
/// After the last eight lines, for each lane.
SHEAF_HD_CALLED void end_part(const device_plan& plan, const run_state& state, const batch_run& run,
                              const marked_part& part, line_mask changed, unsigned lane) noexcept {
  if (lane == 0) {
    clear_bits(&state.todo[part.slot], part.asked);
    if (changed != 0) or_into(&state.changed[part.slot], changed);
  }
  if (changed != 0 && run.pushes) push(plan, state, part.slot, changed, lane, unit_lanes);
}

}  // namespace sheaf::inline v0
