/// \file
/// A unit of work: eight lines, 32 lanes, four lanes a line, sixteen bytes a lane.
///
/// Pages of eight lines or more are as many units as they have eights of lines; of smaller pages a
/// unit holds several. Units of a batch are numbered slice by slice: the first eight lines of all
/// pages on the list, then the next eight, so that a slice of a wide level stays in the L2 while it
/// is read.
///
/// The order inside a unit: every lane finds its place (`place_lane`), what is asked of it
/// (`is_asked`), computes and settles its sixteen bytes (`settle`); then the lanes tell one another
/// which lines differ (a ballot), and those of a page share out what that page's change reaches
/// (`end_lane`).
///
/// Thread safety: units of a batch in any order, at the same time. Cost: as the bodies.
#pragma once

#include "cuda/propagate/marks.hpp"
#include "cuda/propagate/program.hpp"

namespace sheaf::inline v0 {

inline constexpr unsigned unit_lanes = 32;
inline constexpr unsigned unit_lines = 8;
inline constexpr unsigned line_lanes_of_unit = unit_lanes / unit_lines;

/// Whether a batch of `count` listed pages marks what it reaches, or leaves it to the readers to
/// look: then every reader is looked at, but nobody has to be told.
[[nodiscard]] SHEAF_HD bool does_push(const device_batch& batch, std::uint32_t count) noexcept {
  return count * 2 <= batch.count || batch.count < 64;
}

/// What a batch runs on in this commit.
struct batch_run {
  const std::uint32_t* slots;
  std::uint32_t count;
  level_pull how;
  bool pushes;
};
[[nodiscard]] SHEAF_HD batch_run run_of(const device_plan& plan, const run_state& state,
                                        std::uint32_t index) noexcept {
  const device_batch& batch = plan.batches[index];
  const auto how = static_cast<level_pull>(state.pulled[batch.level]);
  const bool is_marked = how == level_pull::marked;
  const std::uint32_t count = is_marked ? state.count[index] : batch.count;
  return {(is_marked ? state.list : plan.batch_slots) + batch.begin, count, how,
          is_marked && does_push(batch, count)};
}
/// Tells the readers of level `index` to look for themselves.
SHEAF_HD_CALLED void flag_level(const device_plan& plan, const run_state& state,
                                std::uint32_t index, level_pull how) noexcept {
  const device_level& level = plan.levels[index];
  for (std::uint32_t i = level.consumer_begin; i < level.consumer_end; ++i) {
    raise_flag(&state.pulled[plan.consumers[i]], how);
  }
}
/// Told once a batch: the levels that read one that does not push are pulled.
SHEAF_HD void flag_readers(const device_plan& plan, const run_state& state, std::uint32_t index,
                           const batch_run& run) noexcept {
  if (run.pushes || run.count == 0) return;
  flag_level(plan, state, plan.batches[index].level,
             run.how == level_pull::full ? level_pull::full : level_pull::pulled);
}
/// Slots of host-run nodes, as places in `host_slots`: those whose lines come with stage `stage`
/// where `last` was the stage before. None of them was noted as changed in this commit before.
struct host_slot_range {
  std::uint32_t begin, end;
};
[[nodiscard]] SHEAF_HD host_slot_range host_slots_between(const device_plan& plan,
                                                          std::uint32_t last,
                                                          std::uint32_t stage) noexcept {
  return {plan.stages[last].host_begin, plan.stages[stage - 1].host_end};
}
/// In stages after the first not all that a level reads need have changed, whatever those before it
/// did: its pages compare.
SHEAF_HD void no_longer_full(const run_state& state, std::uint32_t level) noexcept {
  if (static_cast<level_pull>(state.pulled[level]) != level_pull::full) return;
  state.pulled[level] = static_cast<std::uint32_t>(level_pull::pulled);
}
/// The same for the sources of a commit of `pages` pages and `lines` lines.
[[nodiscard]] SHEAF_HD level_pull pull_after_sources(const device_plan& plan, std::uint32_t pages,
                                                     std::uint64_t lines) noexcept {
  const device_plan_header& header = *plan.header;
  if (pages < 64 || std::uint64_t{pages} * 2 <= header.source_page_count) {
    return level_pull::marked;
  }
  const bool is_all = lines == header.source_line_count;
  return is_all ? level_pull::full : level_pull::pulled;
}

[[nodiscard]] SHEAF_HD std::uint64_t unit_count(page_class page, std::uint32_t pages) noexcept {
  const unsigned lines = lines_in(page);
  if (lines >= unit_lines) return std::uint64_t{pages} * (lines / unit_lines);
  return (std::uint64_t{pages} * lines + unit_lines - 1) / unit_lines;
}

/// Where a lane works.
struct lane_place {
  std::uint32_t slot;
  std::uint32_t page;   ///< of the array
  unsigned line;        ///< of the page
  unsigned quad;        ///< of the line
  unsigned first_lane;  ///< of the lanes that work on the same page
  unsigned lane_count;  ///< how many these are
  bool is_any;          ///< false past the end of the list
};
[[nodiscard]] SHEAF_HD_CALLED lane_place place_lane(const device_plan& plan,
                                                    const device_batch& batch, const batch_run& run,
                                                    std::uint64_t unit, unsigned lane) noexcept {
  const unsigned lines = lines_in(batch.page);
  const unsigned line_of_unit = lane / line_lanes_of_unit;
  std::uint64_t at;
  lane_place place{};
  place.quad = lane % line_lanes_of_unit;
  if (lines >= unit_lines) {
    // In 32 bits, where a division is cheap: 2^32 units are 2^29 pages.
    const auto slice = static_cast<std::uint32_t>(unit) / run.count;
    at = static_cast<std::uint32_t>(unit) - slice * run.count;
    place.line = slice * unit_lines + line_of_unit;
    place.lane_count = unit_lanes;
  } else {
    const std::uint64_t line = unit * unit_lines + line_of_unit;
    at = line >> static_cast<unsigned>(batch.page);
    place.line = static_cast<unsigned>(line & (lines - 1));
    place.first_lane = lane / (lines * line_lanes_of_unit) * (lines * line_lanes_of_unit);
    place.lane_count = lines * line_lanes_of_unit;
  }
  place.is_any = at < run.count;
  if (!place.is_any) return place;
  place.slot = run.slots[at];
  place.page = plan.slots[place.slot].page;
  return place;
}

/// The node and operation behind a slot of a batch.
[[nodiscard]] SHEAF_HD const plan_node& node_of_slot(const device_plan& plan,
                                                     std::uint32_t slot) noexcept {
  return plan.nodes[plan.slots[slot].producer - plan.header->source_count];
}

/// Lines of the page to recompute.
[[nodiscard]] SHEAF_HD_CALLED line_mask lines_asked(const element_source& from,
                                                    const lane_place& place,
                                                    level_pull how) noexcept {
  const line_mask marked = from.state.todo[place.slot];
  if (how == level_pull::marked) return marked;
  const line_mask all = lines_of_result(from.op, place.page);
  if (!from.op.uniform) return all;
  line_mask found = marked;
  for (std::uint32_t k = 0; k < from.op.operand_count; ++k) {
    found |= from.state.changed[from.plan.operands[from.node.operand_begin + k] + place.page];
  }
  return found & all;
}

/// Canonical elements, zero past the end of the array.
template <element T>
[[nodiscard]] SHEAF_HD quad settled(const elements_of<T>& made, std::uint64_t first,
                                    std::uint64_t length) noexcept {
  elements_of<T> kept;
  for (unsigned i = 0; i < elements_of<T>::count; ++i) {
    kept.at[i] = first + i < length ? canonical(made.at[i]) : T{0};
  }
  return as_quad(kept);
}

/// Stores what nobody on this device reads soon: it leaves the caches to what is.
SHEAF_HD void store_streaming(quad* to, const quad& value) noexcept {
#if defined(__CUDA_ARCH__)
  __stcs(reinterpret_cast<int4*>(to), __builtin_bit_cast(int4, value));
#else
  *to = value;
#endif
}

/// Computes sixteen bytes of a result by `Body::make<T>(from, first)`, stores them where they
/// differ, and says so.
template <class Body, element T>
[[nodiscard]] SHEAF_HD bool run_lane(const element_source& from, const lane_place& place) noexcept {
  const std::uint64_t line =
      (std::uint64_t{place.page} << static_cast<unsigned>(from.op.page)) + place.line;
  const std::uint64_t first =
      (line << (line_shift - element_shift_of(from.op.type))) + place.quad * elements_of<T>::count;
  std::byte* const page = from.state.pages.page(place.slot, from.op.page);
  quad* const to = reinterpret_cast<quad*>(page + place.line * line_size) + place.quad;
  const quad old = *to;
  const elements_of<T> made = Body::template make<T>(from, first);
  const quad kept = settled<T>(made, first, from.op.length);
  if (kept.words[0] == old.words[0] && kept.words[1] == old.words[1]) return false;
  *to = kept;
  return true;
}

/// The first half of a unit for one lane: its place, and whether its sixteen bytes differ now.
template <class Body, element T>
[[nodiscard]] SHEAF_HD bool begin_lane(const device_plan& plan, const run_state& state,
                                       const device_batch& batch, const batch_run& run,
                                       std::uint64_t unit, unsigned lane,
                                       lane_place& place) noexcept {
  place = place_lane(plan, batch, run, unit, lane);
  if (!place.is_any) return false;
  const plan_node& node = node_of_slot(plan, place.slot);
  const element_source from{plan, state, node, plan.operations[node.operation]};
  if ((lines_asked(from, place, run.how) >> place.line & 1) == 0) return false;
  return run_lane<Body, T>(from, place);
}

/// Lines of a slice where all runs: 256 bytes, so that a slice of 100 000 pages fits the L2.
inline constexpr unsigned full_lines = 4;
inline constexpr unsigned full_lanes = full_lines * line_lanes_of_unit;

[[nodiscard]] SHEAF_HD std::uint64_t full_unit_count(page_class page,
                                                     std::uint32_t pages) noexcept {
  const unsigned lines = lines_in(page);
  const std::uint64_t slices = std::uint64_t{pages} * (lines < full_lines ? 1 : lines / full_lines);
  return (slices * full_lanes + unit_lanes - 1) / unit_lanes;
}

/// One lane of a unit where all runs: two slices a unit; nothing is compared, all counts as
/// changed.
template <class Body, element T>
SHEAF_HD void full_lane(const device_plan& plan, const run_state& state, const device_batch& batch,
                        const batch_run& run, std::uint64_t unit, unsigned lane) noexcept {
  const auto item =
      static_cast<std::uint32_t>(unit) * (unit_lanes / full_lanes) + lane / full_lanes;
  const std::uint32_t slice = item / run.count;
  const std::uint32_t at = item - slice * run.count;
  const unsigned line = slice * full_lines + lane % full_lanes / line_lanes_of_unit;
  if (slice * full_lines >= lines_in(batch.page) || line >= lines_in(batch.page)) return;
  const std::uint32_t slot = run.slots[at];
  const plan_node& node = node_of_slot(plan, slot);
  const element_source from{plan, state, node, plan.operations[node.operation]};
  const std::uint32_t page = plan.slots[slot].page;
  const line_mask lines = lines_of_result(from.op, page);
  if (lane % full_lanes == 0 && slice == 0) {
    state.changed[slot] = lines;
    if (state.todo[slot] != 0) state.todo[slot] = 0;
  }
  if ((lines >> line & 1) == 0) return;
  const unsigned quad_of_line = lane % line_lanes_of_unit;
  const std::uint64_t first = (((std::uint64_t{page} << static_cast<unsigned>(batch.page)) + line)
                               << (line_shift - element_shift_of(batch.type))) +
                              quad_of_line * elements_of<T>::count;
  quad* const to =
      reinterpret_cast<quad*>(state.pages.page(slot, batch.page) + line * line_size) + quad_of_line;
  store_streaming(to, settled<T>(Body::template make<T>(from, first), first, from.op.length));
}

/// Bit i of what it gives: line i of the page differs, where `differs` has a bit for each lane.
[[nodiscard]] SHEAF_HD_CALLED line_mask changed_lines(const lane_place& place, page_class page,
                                                      std::uint32_t differs) noexcept {
  line_mask found = 0;
  const unsigned lines = lines_in(page) < unit_lines ? lines_in(page) : unit_lines;
  for (unsigned i = 0; i < lines; ++i) {
    const unsigned lanes = differs >> (place.first_lane + i * line_lanes_of_unit) & 15u;
    found |= line_mask{lanes != 0} << i;
  }
  return lines_in(page) >= unit_lines ? found << (place.line / unit_lines * unit_lines) : found;
}

/// After the ballot, for each lane of a page that was asked for something.
SHEAF_HD_CALLED void end_lane(const device_plan& plan, const run_state& state,
                              const device_batch& batch, const batch_run& run,
                              const lane_place& place, unsigned lane,
                              std::uint32_t differs) noexcept {
  if (!place.is_any) return;
  const line_mask changed = changed_lines(place, batch.page, differs);
  const unsigned own = lane - place.first_lane;
  if (own == 0) {
    // Units of one page touch lines of their own alone.
    const line_mask mine = lines_in(batch.page) < unit_lines
                               ? ~line_mask{0}
                               : first_lines(unit_lines) << (place.line / unit_lines * unit_lines);
    if ((state.todo[place.slot] & mine) != 0) clear_bits(&state.todo[place.slot], mine);
    if (changed != 0) or_into(&state.changed[place.slot], changed);
  }
  if (changed != 0 && run.pushes) push(plan, state, place.slot, changed, own, place.lane_count);
}

}  // namespace sheaf::inline v0
