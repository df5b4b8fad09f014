/// \file
/// A propagation that can be stopped: the stages of a level, each with looks at the clock
/// (pace.hpp). The same bodies on the same pages as `propagate`, so the same bits.
///
/// Stages of a level
/// | stage     | does                                                   | is stopped between      |
/// |-----------|--------------------------------------------------------|-------------------------|
/// | push_into | where it pulls: marks nodes that have to be pushed     | two marks               |
/// | run       | runs its pages, on one thread or several               | two pages               |
/// | whole     | runs its operators that run whole                      | two operators           |
/// | push      | marks what its changed pages reach, where it pushes    | two marks               |
///
/// Invariants
///  1. `stops-between-pages`: whenever it stops, every slot of the level outside `parts_` has its
///     final bits and mask, and no slot inside was touched but for marks.
///  2. Each call does one step at least, whatever the time, so that it ends when called often
///     enough.
///
/// Cost: a look at the clock is about 30 ns, once in `pace::step_time`. What lies between two looks
/// whatever it costs: one page of one operator, one operator that runs whole, the marks of one page
/// that are not counted by `for_each_reached`; and, a few nanoseconds for 64 pages, the summary of
/// a level.
#include <algorithm>
#include <atomic>

#include "propagate/executor_state.hpp"

namespace sheaf::inline v0 {

namespace {

/// What a page costs beside its lines, in lines.
constexpr std::uint64_t page_units = 4;

}  // namespace

result<progress> executor::state::propagate_until(pace::clock::time_point until) {
  using stage = cursor::stage;
  cursor& c = cursor_;
  pace with(until);
  if (c.at == stage::idle) {
    c = {};
    const level_tally sources = tally_sources();
    c.at = pushes(0, sources) ? stage::push : stage::begin;
    c.next = graph_.levels.empty() ? 0 : graph_.levels[0].slot_begin;
  }
  do {
    switch (c.at) {
      case stage::idle:
      case stage::begin:
        if (begin_next_level()) break;
        c = {};
        return progress::done;
      case stage::push_into: push_into_until(with); break;
      case stage::run: run_until(with); break;
      case stage::whole: SHEAF_TRY(run_whole_until(with)); break;
      case stage::push: push_until(with); break;
    }
  } while (!with.is_over());
  if (c.at == stage::run) summarize(graph_.levels[c.level], c.how);
  return progress::suspended;
}

/// False where no level is left.
bool executor::state::begin_next_level() {
  cursor& c = cursor_;
  const std::uint32_t level = next_level(c.level + 1);
  if (level >= graph_.levels.size()) return false;
  c = {};
  c.level = level;
  c.how = choose(level);
  begin_level(c.how, host_calls::marked);
  cut_level();
  c.at = c.how == direction::marked ? cursor::stage::run : cursor::stage::push_into;
  return true;
}

/// Into ranges of whole words, so that each has one thread at its words.
void executor::state::cut_level() {
  const plan_level& level = graph_.levels[cursor_.level];
  parts_.clear();
  std::uint32_t step = level.slot_end - level.slot_begin;
  if (runs_parallel(level, cursor_.how)) {
    const std::uint32_t words = ((level.slot_end - 1) >> 6) + 1 - (level.slot_begin >> 6);
    step = words_per_part(words, static_cast<std::uint32_t>(runners_.size())) << 6;
  }
  for (std::uint32_t at = level.slot_begin; at < level.slot_end;) {
    const std::uint32_t end =
        step >= level.slot_end - at ? level.slot_end : (at + step) & ~std::uint32_t{63};
    parts_.push_back({at, end});
    at = end;
  }
}

const std::vector<std::uint32_t>& executor::state::pushed_only_of(
    std::uint32_t level) const noexcept {
  static const std::vector<std::uint32_t> none;
  const std::uint32_t special = schedule_->level_has_pushed_only[level];
  return special == no_index ? none : schedule_->pushed_only[special];
}

void executor::state::push_into_until(pace& with) noexcept {
  cursor& c = cursor_;
  const std::vector<std::uint32_t>& nodes = pushed_only_of(c.level);
  for (; c.next < nodes.size(); ++c.next) {
    with.change();
    const plan_node& node = graph_.nodes[nodes[c.next]];
    if (!map_.push_into_until(node, graph_.operation_of(node), with, c.point)) return;
  }
  c.at = cursor::stage::run;
}

void executor::state::run_until(pace& with) {
  cursor& c = cursor_;
  const plan_level& level = graph_.levels[c.level];
  if (parts_.size() > 1) {
    run_parts_until(with);
  } else {
    for (slot_part& part : parts_) run_part(*runners_[0], part, with, c.tally);
  }
  for (const slot_part& part : parts_) {
    if (part.at < part.end) return;
  }
  summarize(level, c.how);
  c.next = 0;
  c.at = cursor::stage::whole;
}

/// On all threads, each with a clock of its own.
void executor::state::run_parts_until(pace& with) {
  struct job {
    state* self;
    pace::clock::time_point until;
    // As in `run_parallel`: what thread sanitizer does not see of oneTBB.
    std::atomic<std::uint32_t> begun{0};
    std::atomic<std::uint32_t> ended{0};
  };
  std::ranges::fill(tallies_, level_tally{});
  job shared{this, with.until()};
  shared.begun.store(1, std::memory_order_release);  // pairs with the load of each range
  pool_->run(0, static_cast<std::uint32_t>(parts_.size()), 1, &shared,
             [](void* context, unsigned worker, std::uint32_t first, std::uint32_t last) {
               job& mine = *static_cast<job*>(context);
               (void)mine.begun.load(std::memory_order_acquire);  // pairs with the store above
               state& self = *mine.self;
               pace own(mine.until);
               for (std::uint32_t i = first; i < last && !own.is_over(); ++i) {
                 self.run_part(*self.runners_[worker], self.parts_[i], own,
                               self.tallies_[worker]);
               }
               mine.ended.fetch_add(1, std::memory_order_release);  // pairs with the load below
             });
  (void)shared.ended.load(std::memory_order_acquire);  // pairs with the end of each range
  for (const level_tally& tally : tallies_) {
    cursor_.tally.pages += tally.pages;
    cursor_.tally.lines += tally.lines;
  }
  (void)with.look();
}

void executor::state::run_part(page_runner& runner, slot_part& part, pace& with,
                               level_tally& tally) noexcept {
  const plan_level& level = graph_.levels[cursor_.level];
  const direction how = cursor_.how;
  if (!with.is_bounded()) {  // no clock to be looked at
    run_range(runner, level, part.at, part.end, how, tally);
    part.at = part.end;
    return;
  }
  const auto next = [&](std::uint32_t slot) {
    return how == direction::marked ? dirty_.next(slot, part.end) : slot;
  };
  std::uint32_t at = no_index;
  for (std::uint32_t slot = next(part.at); slot < part.end && !with.is_over();) {
    const std::uint32_t here =
        segment_of(level, slot, at == no_index ? level.segment_begin : at);
    if (here != at) with.change();
    at = here;
    const std::uint64_t before = runner.counters().lines_recomputed;
    if (how == direction::marked) {
      if (fetch_of(runner, graph_.segments[at]) != nullptr) {
        (void)fetch_pages(runner, graph_.segments[at], slot, slot + 1);
      }
      run_marked_slot(runner, graph_.segments[at], slot, tally);
    } else {
      run_segment(runner, graph_.segments[at], slot, slot + 1, how, tally);
    }
    part.at = slot + 1;
    (void)with.spent(runner.counters().lines_recomputed - before + page_units);
    slot = next(part.at);
  }
  if (next(part.at) >= part.end) part.at = part.end;
}

status executor::state::run_whole_until(pace& with) {
  cursor& c = cursor_;
  const std::vector<std::uint32_t>& nodes = pushed_only_of(c.level);
  while (c.next < nodes.size()) {
    with.change();
    SHEAF_TRY(run_whole_node(nodes[c.next], host_calls::marked, c.tally));
    ++c.next;
    if (with.spent(1) && c.next < nodes.size()) return {};
  }
  c.at = pushes(c.level, c.tally) ? cursor::stage::push : cursor::stage::begin;
  c.next = graph_.levels[c.level].slot_begin;
  return {};
}

void executor::state::push_until(pace& with) noexcept {
  cursor& c = cursor_;
  const plan_level& level = graph_.levels[c.level];
  if (!with.is_bounded()) {
    // A page half done is done again from its beginning: marking twice is marking once.
    push_slots(c.level, c.next, level.slot_end);
    c.at = cursor::stage::begin;
    return;
  }
  with.change();
  std::uint32_t at = level.segment_begin;
  const std::uint32_t sources = graph_.source_count();
  for (std::uint32_t slot = dirty_.next(c.next); slot < level.slot_end;
       slot = dirty_.next(slot + 1)) {
    c.next = slot;
    if (with.is_over()) return;
    at = segment_of(level, slot, at);
    const place here = place_in(graph_.segments[at], slot);
    // At level 0 a segment's nodes are sources: its numbers are producers already.
    const std::uint32_t producer = c.level == 0 ? here.node : here.node + sources;
    if (!map_.push_until(producer, here.page, masks_[slot], with, c.point)) return;
    c.next = slot + 1;
    (void)with.spent(1);
  }
  c.at = cursor::stage::begin;
}

}  // namespace sheaf::inline v0
