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
  bool pulled;
  bool pushes;
};
[[nodiscard]] SHEAF_HD batch_run run_of(const device_plan& plan, const run_state& state,
                                        std::uint32_t index) noexcept {
  const device_batch& batch = plan.batches[index];
  const bool pulled = state.pulled[batch.level] != 0;
  const std::uint32_t count = pulled ? batch.count : state.count[index];
  return {(pulled ? plan.batch_slots : state.list) + batch.begin, count, pulled,
          !pulled && does_push(batch, count)};
}
/// Told once a batch: the levels that read one that does not push are pulled.
SHEAF_HD_CALLED void flag_readers(const device_plan& plan, const run_state& state,
                                  std::uint32_t index, const batch_run& run) noexcept {
  if (run.pushes || run.count == 0) return;
  const device_level& level = plan.levels[plan.batches[index].level];
  for (std::uint32_t i = level.consumer_begin; i < level.consumer_end; ++i) {
    set_flag(&state.pulled[plan.consumers[i]]);
  }
}

/// The same for the sources of a commit of `pages` pages.
[[nodiscard]] SHEAF_HD bool pulls_after_sources(const device_plan& plan,
                                                std::uint32_t pages) noexcept {
  return pages >= 64 && std::uint64_t{pages} * 2 > plan.header->source_page_count;
}
SHEAF_HD_CALLED void flag_source_readers(const device_plan& plan, const run_state& state) noexcept {
  const device_level& level = plan.levels[0];
  for (std::uint32_t i = level.consumer_begin; i < level.consumer_end; ++i) {
    set_flag(&state.pulled[plan.consumers[i]]);
  }
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
    const std::uint64_t slice = unit / run.count;
    at = unit - slice * run.count;
    place.line = static_cast<unsigned>(slice) * unit_lines + line_of_unit;
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
                                                    const lane_place& place, bool pulled) noexcept {
  const line_mask marked = from.state.todo[place.slot];
  if (!pulled) return marked;
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
  if ((lines_asked(from, place, run.pulled) >> place.line & 1) == 0) return false;
  return run_lane<Body, T>(from, place);
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
