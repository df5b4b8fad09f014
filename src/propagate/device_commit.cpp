/// \file
/// Commits that a device propagates: what the executor hands over and takes back.
///
/// A commit that changes the graph, and one with a time budget, runs on the host: the first needs
/// marks a device does not know, the second stops between two pages.
#include <new>

#include "propagate/executor_state.hpp"

namespace sheaf::inline v0 {

bool executor::state::propagate_on_device() noexcept {
  if (graph_marks_ != nullptr || !device_->is_ready()) return false;
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
