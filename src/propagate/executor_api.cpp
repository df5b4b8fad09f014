#include <algorithm>
#include <bit>
#include <new>

#include <sheaf/propagate/executor.hpp>

#include "propagate/executor_state.hpp"
#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

void executor::state::clear(bool note, change_list* changes) noexcept {
  cursor_ = {};
  const std::uint32_t sources_end = plan_->any_tracked_source ? graph_.levels[0].slot_end : 0;
  dirty_.drain([&](std::uint32_t slot) {
    if (slot < sources_end) forget_written(slot);
    if (note && masks_[slot] != 0) {
      frames_.note_changed(slot, schedule_->page_of_slot[slot], masks_[slot]);
    }
    if (changes != nullptr && masks_[slot] != 0) changes->add(slot, masks_[slot]);
    masks_[slot] = 0;
  });
  pulled_.drain([](std::uint32_t) {});
  if (graph_marks_ == nullptr) return;
  graph_marks_.reset();
  map_.set_whole_lines(false);
}

void executor::state::mark_for_graph(std::uint32_t slot, line_mask lines, bool kept) {
  if (lines == 0) return;
  if (graph_marks_ == nullptr) graph_marks_ = std::make_unique<graph_marks>(graph_.slot_count);
  masks_[slot] |= lines;
  dirty_.insert(slot);
  if (slot < graph_.levels[0].slot_end) return;
  graph_marks_->pages.insert(slot);
  if (kept) graph_marks_->kept[slot] |= lines;
}

void executor::state::end_whole_runs(bool is_current) noexcept {
  for (const std::uint32_t index : ran_whole_) {
    operator_memory* const memory = memories_.find(index)->second.get();
    if (memory != nullptr) memory->is_current = is_current;
  }
  ran_whole_.clear();
}

/// Follows the marks as if every line that is recomputed differed: the same maps, no bodies.
frame_demand executor::state::count_cone() noexcept {
  const std::uint32_t end = graph_.levels.empty() ? 0 : graph_.levels.back().slot_end;
  map_.set_whole_lines(true);
  for (std::uint32_t level = 0; level < graph_.levels.size();) {
    push_level(level);
    const std::uint32_t next = dirty_.next(graph_.levels[level].slot_end);
    if (next >= end) break;
    level = level_of(next);
    const std::uint32_t special = schedule_->level_has_pushed_only[level];
    if (special == no_index) continue;
    for (const std::uint32_t index : schedule_->pushed_only[special]) {
      // A whole operator may change any of its pages, and is marked at its first.
      const plan_node& node = graph_.nodes[index];
      const plan_operation& op = graph_.operation_of(node);
      if (!runs_whole(op.kind) || masks_[node.slot] == 0) continue;
      for (std::uint32_t page = 0; page < op.page_count; ++page) {
        masks_[node.slot + page] = plan_->lines_of_page(op, page);
        dirty_.insert(node.slot + page);
      }
    }
  }
  map_.set_whole_lines(false);
  frame_demand demand;
  dirty_.drain([&](std::uint32_t slot) {
    frames_.add_demand(slot, schedule_->page_of_slot[slot], demand);
    masks_[slot] = 0;
  });
  std::fill_n(element_masks_.get(), plan_->indexed_lines, std::uint64_t{0});
  return demand;
}

result<audit_report> executor::state::audit() {
  audit_report report;
  page_runner& runner = *runners_[0];
  runner.set_whole(true);
  std::vector<line_mask> differ;
  for (std::uint32_t index = 0; index < graph_.eager_node_count; ++index) {
    const plan_node& node = graph_.nodes[index];
    const plan_operation& op = graph_.operation_of(node);
    differ.assign(op.page_count, 0);
    if (runs_whole(op.kind)) {
      SHEAF_TRY(runner.compare_whole(node, op, differ.data()));
    } else {
      for (std::uint32_t page = 0; page < op.page_count; ++page) {
        differ[page] = runner.compare(node, op, page);
      }
    }
    report.pages_compared += op.page_count;
    for (const line_mask mask : differ) {
      if (mask != 0 && report.first_array == no_array) {
        report.first_array = array_id{plan_->array_of_producer[graph_.source_count() + index]};
      }
      report.lines_different += static_cast<std::uint64_t>(std::popcount(mask));
    }
  }
  return report;
}

status executor::state::compute_node(std::uint32_t index) {
  page_runner& runner = *runners_[0];
  const plan_node& node = graph_.nodes[index];
  const plan_operation& op = graph_.operation_of(node);
  runner.set_whole(true);
  if (runs_whole(op.kind)) {
    std::unique_ptr<operator_memory> memory;
    std::vector<page_lines> changed;
    SHEAF_TRY(runner.run_whole(node, op, memory, changed));
  } else {
    for (std::uint32_t page = 0; page < op.page_count; ++page) {
      runner.run(node, op, page, plan_->lines_of_page(op, page));
    }
  }
  return branch_->has_failed() ? branch_->failure() : status();
}

executor::executor(std::unique_ptr<state> made) : state_(std::move(made)) {}
executor::~executor() = default;

result<std::unique_ptr<executor>> executor::create(std::shared_ptr<const plan> graph,
                                                   std::shared_ptr<const model_data> model,
                                                   frame_store& frames,
                                                   const executor_options& options) {
  auto resolved = resolved_plan::resolve(std::move(graph), std::move(model), options.set);
  if (!resolved) return resolved.error();
  auto schedule = std::make_shared<const executor_schedule>(**resolved);
  auto made = std::make_unique<state>(std::move(*resolved), std::move(schedule), frames,
                                      options.threads, executor_pages::of_engine);
  if (options.device != nullptr) {
    made->device_ = device_mirror::create(options.device, made->graph_,
                                          made->schedule_->page_of_slot.data());
    if (made->device_ != nullptr) made->reached_.resize(made->device_->stage_count());
  }
  return std::unique_ptr<executor>(new executor(std::move(made)));
}

executor::branch_seed executor::seed_of_branches() const noexcept {
  return {state_->plan_, state_->schedule_, &state_->frames_,
          state_->schedule_->page_of_slot.data()};
}

result<std::unique_ptr<executor>> executor::create_for_branches(const branch_seed& seed) {
  try {
    auto made = std::make_unique<state>(seed.plan, seed.schedule, *seed.frames, 1,
                                        executor_pages::of_branches);
    if (made->branch_->is_usable()) {
      return std::unique_ptr<executor>(new executor(std::move(made)));
    }
  } catch (const std::bad_alloc&) {
  }
  return status(status_code::out_of_memory, subsystem::propagate,
                "no memory for the page table of commits in forks");
}

status executor::compute_node(std::uint32_t node) { return state_->compute_node(node); }
void executor::enter(page_branch& branch) noexcept {
  // What an operator keeps may be of another branch.
  for (auto& [node, memory] : state_->memories_) {
    if (memory != nullptr) memory->is_current = false;
  }
  state_->branch_->enter(branch);
}
void executor::leave() noexcept { state_->branch_->leave(); }
const std::uint32_t* executor::branch_frames() const noexcept {
  return state_->branch_->frames();
}
bool executor::make_writable(std::uint32_t slot, page_class page, line_mask changing) noexcept {
  return state_->branch_->make_writable(slot, page, changing);
}

line_mask* executor::masks() noexcept { return state_->masks_.get(); }
void executor::mark(std::uint32_t slot) noexcept { state_->dirty_.insert(slot); }
void executor::mark_for_graph(std::uint32_t slot, line_mask lines, bool kept) {
  state_->mark_for_graph(slot, lines, kept);
}
void executor::note_written(const delta& changes) noexcept { state_->note_written(changes); }
status executor::propagate() { return state_->propagate(); }
result<progress> executor::propagate_until(std::chrono::steady_clock::time_point until) {
  return state_->propagate_until(until);
}
status executor::recompute() { return state_->recompute(); }
status executor::rehearse() { return state_->rehearse(); }
frame_demand executor::count_cone() noexcept { return state_->count_cone(); }
void executor::finish(bool note, change_list* changes) noexcept {
  if (state_->device_ != nullptr) state_->note_for_device(true);
  state_->clear(note, changes);
  state_->end_whole_runs(true);
}
void executor::discard() noexcept {
  if (state_->device_ != nullptr) state_->note_for_device(false);
  state_->clear(false, nullptr);
  state_->end_whole_runs(false);
  std::fill_n(state_->element_masks_.get(), state_->plan_->indexed_lines, std::uint64_t{0});
}
result<audit_report> executor::audit() { return state_->audit(); }
std::span<frame_log* const> executor::logs() noexcept { return state_->logs_; }
std::uint64_t executor::derived_page_count() const noexcept {
  return state_->schedule_->derived_pages;
}
const std::shared_ptr<const resolved_plan>& executor::plan_in_use() const noexcept {
  return state_->plan_;
}
const frame_demand& executor::whole_demand() const noexcept {
  return state_->schedule_->whole_demand;
}
std::size_t executor::scheduling_bytes() const noexcept {
  return state_->dirty_.byte_size() + state_->pulled_.byte_size() +
         state_->graph_.slot_count * sizeof(line_mask) +
         state_->plan_->indexed_lines * sizeof(std::uint64_t);
}

work_counters executor::take_counters() noexcept {
  work_counters total = state_->counters_;
  state_->counters_ = {};
  for (auto& runner : state_->runners_) {
    total += runner->counters();
    runner->counters() = {};
    const frame_log& log = runner->log();
    total.frames_copied += log.frames_copied;
    total.frames_reused += log.frames_reused;
    total.lines_copied += log.lines_copied;
    total.runs_copied += log.runs_copied;
    total.bytes_moved += 2 * log.lines_copied * line_size;
    total.frames_allocated += log.frames_copied;
  }
  total.page_nodes_skipped = state_->schedule_->derived_pages - total.pages_recomputed;
  return total;
}

}  // namespace sheaf::inline v0
