/// \file
/// Commits that a device propagates: what the executor hands over and takes back, and what it runs
/// itself in between.
///
/// A commit goes through the stages of its plan (device_stages.hpp). In each, the device computes
/// its nodes, what changed is taken over and marks the host-run nodes that read it, the host runs
/// those of the stage, and what they changed goes to the device with the next stage. A stage of the
/// device that nothing reaches is left out.
///
/// Where the device fails in the middle, what was taken over holds: these are final bits and masks.
/// All that is left runs here, every page asking its operands.
///
/// A commit that changes the graph, and one with a time budget, runs on the host: the first needs
/// marks a device does not know, the second stops between two pages.
///
/// Invariants
///  1. `mixed-in-order`: when a piece runs, all it reads has its final bits and masks here.
#include <algorithm>
#include <chrono>
#include <new>
#include <utility>
#include <vector>

#include "propagate/executor_state.hpp"

namespace sheaf::inline v0 {

namespace {

using clock = std::chrono::steady_clock;

double nanoseconds_since(clock::time_point from) noexcept {
  return std::chrono::duration<double, std::nano>(clock::now() - from).count();
}

}  // namespace

/// On the device, where it can and may; else here.
status executor::state::propagate_somewhere() {
  const level_tally sources = tally_sources();
  const bool is_possible = graph_marks_ == nullptr && device_->is_ready();
  if (!is_possible) return propagate_here(sources);
  const bool is_free = device_->is_automatic();
  device_choice& choice = device_->choice();
  const run_side side =
      is_free ? choice.pick(sources.lines, device_->stale_line_count()) : run_side::device;
  const clock::time_point from = clock::now();
  if (side == run_side::device) {
    const result<std::uint32_t> done = propagate_on_device();
    if (!done) return done.error();
    if (on_device_ == device_part::all) {
      if (is_free) choice.note(run_side::device, sources.lines, nanoseconds_since(from));
      return {};
    }
    if (*done != 0) return propagate_rest(*done);
  }
  const clock::time_point from_here = clock::now();
  const status ran = propagate_here(sources);
  if (is_free) choice.note(run_side::here, sources.lines, nanoseconds_since(from_here));
  return ran;
}

result<std::uint32_t> executor::state::propagate_on_device() {
  map_.set_whole_lines(false);
  std::ranges::fill(reached_, std::uint8_t{0});
  sent_stage_ = 0;
  is_mixed_ = false;
  const std::uint32_t stages = device_->stage_count();
  for (std::uint32_t stage = 0; stage < stages; ++stage) {
    if ((stage == 0 || reached_[stage] != 0) && !run_device_stage(stage)) return stage;
    SHEAF_TRY(run_host_stage(stage));
  }
  on_device_ = device_part::all;
  ++counters_.device_commits;
  counters_.mixed_commits += is_mixed_;
  return stages;
}

template <class Visitor>
void executor::state::for_each_sent(std::uint32_t stage, Visitor&& visitor) {
  const auto visit = [&](std::uint32_t begin, std::uint32_t end) {
    for (std::uint32_t slot = dirty_.next(begin); slot < end; slot = dirty_.next(slot + 1)) {
      if (masks_[slot] != 0) visitor(slot, masks_[slot]);
    }
  };
  if (stage == 0) {
    visit(0, graph_.levels[0].slot_end);
    return;
  }
  const mixed_plan& mixed = *device_->mixed();
  std::vector<std::uint32_t> pieces;
  for (std::uint32_t at = sent_stage_; at < stage; ++at) {
    const auto of_stage = mixed.host_pieces(at);
    pieces.insert(pieces.end(), of_stage.begin(), of_stage.end());
  }
  std::ranges::sort(pieces);  // a record is in the order of slots
  for (const std::uint32_t piece : pieces) {
    visit(mixed.pieces()[piece].slot_begin, mixed.pieces()[piece].slot_end);
  }
}

/// False: it did not run, and the device is not to be used in this commit any more.
bool executor::state::run_device_stage(std::uint32_t stage) noexcept {
  device_record changed{};
  const auto pages = [&](auto&& visitor) { for_each_sent(stage, visitor); };
  try {
    if (!device_->run(stage, frames_, pages, changed)) return false;
  } catch (const std::bad_alloc&) {
    return false;  // the host's own memory: what is left may do for the host's executor
  }
  on_device_ = device_part::some;
  sent_stage_ = stage;
  take_over(changed);
  if (device_->mixed() == nullptr) return true;
  for (std::uint32_t i = 0; i < changed.page_count; ++i) {
    spread(changed.pages[i].slot, changed.pages[i].lines);
  }
  if (stage != 0) return true;
  const std::uint32_t end = graph_.levels[0].slot_end;
  for (std::uint32_t slot = dirty_.next(0); slot < end; slot = dirty_.next(slot + 1)) {
    spread(slot, masks_[slot]);
  }
  return true;
}

void executor::state::take_over(const device_record& changed) noexcept {
  page_runner& runner = *runners_[0];
  const bool is_mixed = device_->mixed() != nullptr;
  const std::byte* from = changed.lines;
  for (std::uint32_t i = 0; i < changed.page_count; ++i) {
    const line_record& page = changed.pages[i];
    const unsigned lines = line_count(page.lines);
    const page_class size = schedule_->page_of_slot[page.slot];
    runner.write_lines(page.slot, size, page.lines, from);
    from += lines * line_size;
    masks_[page.slot] |= page.lines;
    dirty_.insert(page.slot);
    counters_.lines_recomputed += lines;
    if (!is_mixed) continue;
    // Which elements of a line differ is not told: all count as changed.
    const device_slot& at = device_->slot(page.slot);
    std::uint64_t* elements = plan_->tracked_elements(at.producer, changed_elements_.get());
    if (elements == nullptr) continue;
    elements += std::size_t{at.page} * lines_of(size);
    for_each_line(page.lines, [&](unsigned line) { elements[line] = ~std::uint64_t{0}; });
  }
  counters_.pages_recomputed += changed.page_count;
}

void executor::state::spread(std::uint32_t slot, line_mask lines) noexcept {
  const mixed_plan& mixed = *device_->mixed();
  const device_slot& at = device_->slot(slot);
  for (const std::uint32_t index : mixed.host_readers(at.producer)) {
    const plan_node& node = graph_.nodes[index];
    map_.push_to(node, graph_.operation_of(node), at.producer, at.page, lines);
  }
  for (const std::uint32_t stage : mixed.later_stages(at.producer)) reached_[stage] = 1;
}

status executor::state::run_host_stage(std::uint32_t stage) {
  const mixed_plan* const mixed = device_->mixed();
  if (mixed == nullptr) return {};
  for (const std::uint32_t index : mixed->host_pieces(stage)) {
    const plan_piece& piece = mixed->pieces()[index];
    for (const std::uint32_t node : piece.by_pages) {
      map_.push_into(graph_.nodes[node], graph_.operation_of(graph_.nodes[node]));
    }
    if (dirty_.next(piece.slot_begin) >= piece.slot_end) continue;
    is_mixed_ = true;
    SHEAF_TRY(run_piece(piece, direction::marked));
    for (std::uint32_t slot = dirty_.next(piece.slot_begin); slot < piece.slot_end;
         slot = dirty_.next(slot + 1)) {
      if (masks_[slot] != 0) spread(slot, masks_[slot]);
    }
  }
  return {};
}

status executor::state::run_piece(const plan_piece& piece, direction how) {
  const plan_level& level = graph_.levels[piece.level];
  level_tally tally;
  begin_level(how, host_calls::marked);
  run_slots(level, piece.slot_begin, piece.slot_end, how, tally);
  if (how != direction::marked) {
    dirty_.summarize(piece.slot_begin >> 6, ((piece.slot_end - 1) >> 6) + 1);
  }
  for (const std::uint32_t node : piece.whole) {
    SHEAF_TRY(run_whole_node(node, host_calls::marked, tally));
  }
  return {};
}

status executor::state::propagate_rest(std::uint32_t stage) {
  for (const plan_piece& piece : device_->mixed()->pieces()) {
    if (piece.stage < stage) continue;
    for (std::uint32_t index = piece.node_begin; index < piece.node_end; ++index) {
      const plan_node& node = graph_.nodes[index];
      const plan_operation& op = graph_.operation_of(node);
      if (dirty_map::is_pushed_only(op)) map_.push_into(node, op);
    }
    SHEAF_TRY(run_piece(piece, direction::pull));
  }
  return {};
}

void executor::state::note_for_device(bool holds) noexcept {
  // What the device ran of a commit that does not hold is to be undone there, too.
  const device_part ran = std::exchange(on_device_, device_part::none);
  if (holds ? ran == device_part::all : ran == device_part::none) return;
  const std::uint32_t end = graph_.levels.back().slot_end;
  for (std::uint32_t slot = dirty_.next(0); slot < end; slot = dirty_.next(slot + 1)) {
    if (masks_[slot] != 0) device_->note_host_change(slot, masks_[slot]);
  }
}

}  // namespace sheaf::inline v0
