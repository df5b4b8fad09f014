/// \file
/// Commits that a device propagates: what the executor hands over and takes back.
///
/// A commit that changes the graph, and one with a time budget, runs on the host: the first needs
/// marks a device does not know, the second stops between two pages.
#include <chrono>
#include <new>

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
  const bool is_possible = graph_marks_ == nullptr && device_->is_ready();
  if (!is_possible) return propagate_here();
  const std::uint64_t before = counters_.source_lines_changed;
  const level_tally sources = tally_sources();
  counters_.source_lines_changed = before;  // each way counts them itself
  const bool is_free = device_->is_automatic();
  device_choice& choice = device_->choice();
  const run_side side =
      is_free ? choice.pick(sources.lines, device_->stale_line_count()) : run_side::device;
  const clock::time_point from = clock::now();
  if (side == run_side::device && propagate_on_device()) {
    if (is_free) choice.note(run_side::device, sources.lines, nanoseconds_since(from));
    return {};
  }
  const clock::time_point from_here = clock::now();
  const status ran = propagate_here();
  if (is_free) choice.note(run_side::here, sources.lines, nanoseconds_since(from_here));
  return ran;
}

bool executor::state::propagate_on_device() noexcept {
  device_record changed{};
  const auto sources = [&](auto&& visitor) {
    const std::uint32_t end = graph_.levels[0].slot_end;
    for (std::uint32_t slot = dirty_.next(0); slot < end; slot = dirty_.next(slot + 1)) {
      if (masks_[slot] != 0) visitor(slot, masks_[slot]);
    }
  };
  try {
    if (!device_->run(frames_, sources, changed)) return false;
  } catch (const std::bad_alloc&) {
    return false;  // the host's own memory: what is left may do for the host's executor
  }
  (void)tally_sources();
  take_over(changed);
  ran_on_device_ = true;
  ++counters_.device_commits;
  return true;
}

void executor::state::take_over(const device_record& changed) noexcept {
  page_runner& runner = *runners_[0];
  const std::byte* from = changed.lines;
  for (std::uint32_t i = 0; i < changed.page_count; ++i) {
    const line_record& page = changed.pages[i];
    const unsigned lines = line_count(page.lines);
    runner.write_lines(page.slot, schedule_->page_of_slot[page.slot], page.lines, from);
    from += lines * line_size;
    masks_[page.slot] |= page.lines;
    dirty_.insert(page.slot);
    counters_.lines_recomputed += lines;
  }
  counters_.pages_recomputed += changed.page_count;
}

void executor::state::note_for_device() noexcept {
  if (std::exchange(ran_on_device_, false)) return;
  const std::uint32_t end = graph_.levels.back().slot_end;
  for (std::uint32_t slot = dirty_.next(0); slot < end; slot = dirty_.next(slot + 1)) {
    if (masks_[slot] != 0) device_->note_host_change(slot, masks_[slot]);
  }
}

}  // namespace sheaf::inline v0
