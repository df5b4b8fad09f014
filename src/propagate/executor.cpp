#include <sheaf/propagate/executor.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <mutex>

#include "propagate/executor_state.hpp"
#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

namespace {

/// A mark costs about this many operand looks: it writes a mask and a bit of the child where a look
/// reads a mask (`bench/propagate/direction_bench`).
constexpr std::uint64_t push_weight = 2;
/// A level that pulls and of whose lines at least this share (in 1/16) is dirty runs whole: a line
/// found through a mask costs up to three times one of the plain loop.
constexpr std::uint64_t full_sixteenths = 6;
/// Page-nodes looked at to estimate that share, evenly spaced: always the same ones, so that the
/// choice is the same on every run.
constexpr std::uint32_t sample_count = 16;
/// The widest node a run body takes (src/propagate/bodies/run.hpp).
constexpr std::uint32_t run_operands_max = 16;
/// Below this many line operations (about 20 us) waking other threads costs more than it gives.
constexpr std::uint64_t parallel_work_min = 8192;

}  // namespace

std::uint32_t level_of_slot(const plan& graph, std::uint32_t slot) noexcept {
  const auto after = std::upper_bound(
      graph.levels.begin(), graph.levels.end(), slot,
      [](std::uint32_t value, const plan_level& level) { return value < level.slot_begin; });
  return static_cast<std::uint32_t>(after - graph.levels.begin()) - 1;
}

executor_schedule::executor_schedule(const resolved_plan& plan) {
  const sheaf::plan& graph = *plan.graph;
  page_of_slot.assign(graph.slot_count, page_class::b64);
  level_has_pushed_only.assign(graph.levels.size(), no_index);
  find_runs(plan);
  find_pages_readers(graph);
  for (const plan_level& level : graph.levels) {
    std::uint64_t fan_in = 0;
    for (std::uint32_t i = level.consumer_begin; i < level.consumer_end; ++i) {
      fan_in += graph.levels[graph.consumers[i]].fan_in;
    }
    consumer_fan_in.push_back(fan_in);
    level_lines.push_back(0);
  }
  for (const plan_source& source : graph.sources) {
    whole_demand.replaced[static_cast<unsigned>(source.page)] += source.page_count;
    level_lines[0] += (source.length << size_shift(source.type)) / line_size + 1;
    std::fill_n(page_of_slot.begin() + source.slot, source.page_count, source.page);
  }
  for (std::uint32_t index = 0; index < graph.nodes.size(); ++index) add_node(plan, index);
  for (const std::uint32_t source : graph.delays) {
    followed.push_back(graph.sources[source].delayed);
  }
  std::ranges::sort(followed, {}, [&](std::uint32_t producer) {
    return plan.array_of_producer[producer];
  });
  followed.erase(std::unique(followed.begin(), followed.end()), followed.end());
}

void executor_schedule::add_node(const resolved_plan& plan, std::uint32_t index) {
  const sheaf::plan& graph = *plan.graph;
  const plan_node& node = graph.nodes[index];
  const plan_operation& op = graph.operation_of(node);
  std::fill_n(page_of_slot.begin() + node.slot, op.page_count, op.page);
  if (index >= graph.eager_node_count) return;
  whole_demand.replaced[static_cast<unsigned>(op.page)] += op.page_count;
  derived_pages += op.page_count;
  const std::uint32_t level = level_of_slot(graph, node.slot);
  level_lines[level] += (op.length << size_shift(op.type)) / line_size + 1;
  if (!dirty_map::is_pushed_only(op)) return;
  if (level_has_pushed_only[level] == no_index) {
    level_has_pushed_only[level] = static_cast<std::uint32_t>(pushed_only.size());
    pushed_only.emplace_back();
  }
  pushed_only[level_has_pushed_only[level]].push_back(index);
}

executor::state::state(std::shared_ptr<const resolved_plan> resolved,
                       std::shared_ptr<const executor_schedule> schedule, frame_store& store,
                       unsigned threads, executor_pages pages)
    : plan_(std::move(resolved)),
      graph_(*plan_->graph),
      schedule_(std::move(schedule)),
      frames_(store),
      masks_(std::make_unique<line_mask[]>(std::max(graph_.slot_count, 1u))),
      element_masks_(std::make_unique<std::uint64_t[]>(std::max<std::uint64_t>(
          plan_->indexed_lines, 1))),
      dirty_(graph_.slot_count),
      pulled_(static_cast<std::uint32_t>(graph_.levels.size())),
      changed_elements_(std::make_unique<std::uint64_t[]>(std::max<std::uint64_t>(
          plan_->tracked_lines, 1))),
      map_(*plan_, masks_.get(), element_masks_.get(), changed_elements_.get(), dirty_) {
  page_space space{.frames = nullptr,
                   .store = &frames_,
                   .masks = masks_.get(),
                   .element_masks = element_masks_.get(),
                   .changed_elements = changed_elements_.get()};
  if (pages == executor_pages::of_branches) {
    branch_ = std::make_unique<branch_table>(graph_.slot_count);
    space.branch = branch_.get();
    space.frames = branch_->frames();
  } else {
    space.frames = frames_.frames();  // of the committer: a branch is made beside graph changes
  }
  for (unsigned worker = 0; worker < threads; ++worker) {
    runners_.push_back(std::make_unique<page_runner>(*plan_, space));
    logs_.push_back(&runners_.back()->log());
  }
  if (threads > 1) pool_.emplace(threads);
  tallies_.resize(threads);
  for (const std::vector<std::uint32_t>& nodes : schedule_->pushed_only) {
    for (const std::uint32_t index : nodes) {
      const plan_operation& op = graph_.operation_of(graph_.nodes[index]);
      if (runs_whole(op.kind)) memories_.emplace(index, nullptr);
    }
  }
  ran_whole_.reserve(memories_.size());
  parts_.reserve(threads * parts_per_thread);
}

std::uint32_t executor::state::level_of(std::uint32_t slot) const noexcept {
  return level_of_slot(graph_, slot);
}

std::uint32_t executor::state::segment_of(const plan_level& level, std::uint32_t slot,
                                          std::uint32_t hint) const noexcept {
  const plan_segment* segments = graph_.segments.data();
  if (slot < segments[hint].slot_end) return hint;
  if (hint + 1 < level.segment_end && slot < segments[hint + 1].slot_end) return hint + 1;
  const auto after = std::upper_bound(
      segments + hint, segments + level.segment_end, slot,
      [](std::uint32_t value, const plan_segment& s) { return value < s.slot_end; });
  return static_cast<std::uint32_t>(after - segments);
}

status executor::state::propagate() {
  return SHEAF_LIKELY(device_ == nullptr) ? propagate_here(tally_sources()) : propagate_somewhere();
}

status executor::state::propagate_here(const level_tally& sources) {
  map_.set_whole_lines(graph_marks_ != nullptr);
  finish_level(0, sources);
  const std::uint32_t level_count = static_cast<std::uint32_t>(graph_.levels.size());
  if (level_count < 2) return {};
  for (std::uint32_t level = next_level(1); level < level_count; level = next_level(level + 1)) {
    SHEAF_TRY(run_level(level, choose(level)));
  }
  return {};
}

std::uint32_t executor::state::next_level(std::uint32_t from) noexcept {
  const std::uint32_t level_count = static_cast<std::uint32_t>(graph_.levels.size());
  if (from >= level_count) return level_count;
  const std::uint32_t slot = dirty_.next(graph_.levels[from].slot_begin);
  std::uint32_t level = level_count;
  if (slot < graph_.levels.back().slot_end) {
    level = slot < graph_.levels[from].slot_end ? from : level_of(slot);
  }
  return std::min(level, pulled_.next(from));
}

void executor_schedule::find_runs(const resolved_plan& plan) {
  const sheaf::plan& graph = *plan.graph;
  run_of_segment.assign(graph.segments.size(), 0);
  for (std::size_t level = 1; level < graph.levels.size(); ++level) {
    for (std::uint32_t i = graph.levels[level].segment_begin; i < graph.levels[level].segment_end;
         ++i) {
      const plan_segment& segment = graph.segments[i];
      const plan_node* nodes = graph.nodes.data() + segment.node_begin;
      const plan_operation& op = graph.operation_of(nodes[0]);
      bool same = op.kind == operator_kind::combine && op.uniform && op.page_count == 1 &&
                  op.operand_count <= run_operands_max;
      for (std::uint32_t k = 1; same && k < segment.node_count; ++k) {
        same = nodes[k].operation == nodes[0].operation;
      }
      for (std::uint32_t k = 0; same && k < segment.node_count; ++k) {
        same = plan.tracked_begin.empty() ||
               plan.tracked_begin[graph.source_count() + segment.node_begin + k] == no_index;
      }
      run_of_segment[i] = same;
    }
  }
}

direction executor::state::choose(std::uint32_t level) noexcept {
  if (!pulled_.contains(level)) return direction::marked;
  return is_mostly_dirty(graph_.levels[level]) ? direction::full : direction::pull;
}

bool executor::state::is_mostly_dirty(const plan_level& level) noexcept {
  const std::uint32_t slots = level.slot_end - level.slot_begin;
  const std::uint32_t samples = std::min(slots, sample_count);
  std::uint64_t dirty = 0;
  std::uint64_t total = 0;
  std::uint32_t at = level.segment_begin;
  for (std::uint32_t i = 0; i < samples; ++i) {
    const std::uint32_t slot =
        level.slot_begin + static_cast<std::uint32_t>(std::uint64_t{i} * slots / samples);
    at = segment_of(level, slot, at);
    const place here = place_in(graph_.segments[at], slot);
    const plan_node& node = graph_.nodes[here.node];
    const plan_operation& op = graph_.operation_of(node);
    if (dirty_map::is_pushed_only(op)) continue;
    dirty += line_count(map_.pull(node, op, here.page));
    total += line_count(plan_->lines_of_page(op, here.page));
  }
  return total != 0 && dirty * 16 >= total * full_sixteenths;
}

status executor::state::rehearse() {
  for (auto& runner : runners_) runner->set_rehearsing(true);
  rehearsing_ = true;
  const status done = recompute();
  for (auto& runner : runners_) runner->set_rehearsing(false);
  rehearsing_ = false;
  return done;
}

status executor::state::recompute() {
  for (std::uint32_t level = 1; level < graph_.levels.size(); ++level) {
    SHEAF_TRY(run_level(level, direction::full, host_calls::all));
  }
  return {};
}

std::uint64_t executor::state::work_estimate(const plan_level& level,
                                             direction how) const noexcept {
  if (how != direction::marked) {
    return schedule_->level_lines[static_cast<std::size_t>(&level - graph_.levels.data())];
  }
  std::uint64_t pages = 0;
  for (std::uint32_t word = level.slot_begin >> 6; word <= (level.slot_end - 1) >> 6; ++word) {
    pages += line_count(dirty_.word(word));
  }
  return pages * 8;  // a dirty page has a few dirty lines; known only after a walk over the masks
}

bool executor::state::runs_parallel(const plan_level& level, direction how) const noexcept {
  return pool_ && work_estimate(level, how) >= parallel_work_min;
}

status executor::state::run_level(std::uint32_t index, direction how, host_calls calls) {
  const plan_level& level = graph_.levels[index];
  level_tally tally;
  begin_level(how, calls);
  if (how != direction::marked && calls == host_calls::marked) push_into_level(index);
  run_slots(level, level.slot_begin, level.slot_end, how, tally);
  SHEAF_TRY(end_level(index, how, calls, tally));
  finish_level(index, tally);
  return {};
}

void executor::state::begin_level(direction how, host_calls calls) {
  counters_.levels_pushed += how == direction::marked;
  counters_.levels_pulled += how == direction::pull;
  counters_.levels_full += how == direction::full;
  for (auto& runner : runners_) runner->set_whole(calls == host_calls::all);
}

void executor::state::push_into_level(std::uint32_t index) noexcept {
  const std::uint32_t special = schedule_->level_has_pushed_only[index];
  if (special == no_index) return;
  for (const std::uint32_t index_of_node : schedule_->pushed_only[special]) {
    const plan_node& node = graph_.nodes[index_of_node];
    map_.push_into(node, graph_.operation_of(node));
  }
}

/// What a pulled level set in the words must be found by whoever looks for marks.
void executor::state::summarize(const plan_level& level, direction how) noexcept {
  if (how == direction::marked || level.slot_end == level.slot_begin) return;
  dirty_.summarize(level.slot_begin >> 6, ((level.slot_end - 1) >> 6) + 1);
}

void executor::state::run_slots(const plan_level& level, std::uint32_t begin, std::uint32_t end,
                                direction how, level_tally& tally) {
  if (runs_parallel(level, how)) {
    run_parallel(level, begin, end, how, tally);
  } else {
    run_range(*runners_[0], level, begin, end, how, tally);
  }
}

status executor::state::end_level(std::uint32_t index, direction how, host_calls calls,
                                  level_tally& tally) {
  const plan_level& level = graph_.levels[index];
  const std::uint32_t special = schedule_->level_has_pushed_only[index];
  summarize(level, how);
  if (special != no_index) SHEAF_TRY(run_whole_nodes(index, calls, tally));
  if (branch_ != nullptr && branch_->has_failed()) return branch_->failure();
  return {};
}

void executor::state::run_parallel(const plan_level& level, std::uint32_t begin,
                                   std::uint32_t end, direction how, level_tally& tally) {
  struct job {
    state* self;
    const plan_level* level;
    std::uint32_t begin, end;
    direction how;
    // oneTBB orders the ranges between the call and its return; these say it where thread sanitizer
    // sees it, which cannot look into oneTBB.
    std::atomic<std::uint32_t> begun{0};
    std::atomic<std::uint32_t> ended{0};
  };
  if (begin >= end) return;
  std::ranges::fill(tallies_, level_tally{});
  job shared{this, &level, begin, end, how};
  shared.begun.store(1, std::memory_order_release);  // pairs with the load of each range
  const std::uint32_t first_word = begin >> 6;
  const std::uint32_t last_word = ((end - 1) >> 6) + 1;
  const std::uint32_t grain =
      words_per_part(last_word - first_word, static_cast<std::uint32_t>(runners_.size()));
  pool_->run(first_word, last_word, grain, &shared,
             [](void* context, unsigned worker, std::uint32_t first, std::uint32_t last) {
               job& mine = *static_cast<job*>(context);
               (void)mine.begun.load(std::memory_order_acquire);  // pairs with the store above
               mine.self->run_range(*mine.self->runners_[worker], *mine.level,
                                    std::max(first << 6, mine.begin),
                                    std::min(last << 6, mine.end), mine.how,
                                    mine.self->tallies_[worker]);
               mine.ended.fetch_add(1, std::memory_order_release);  // pairs with the load below
             });
  (void)shared.ended.load(std::memory_order_acquire);  // pairs with the end of each range
  for (const level_tally& part : tallies_) {
    tally.pages += part.pages;
    tally.lines += part.lines;
  }
}

void executor::state::run_range(page_runner& runner, const plan_level& level, std::uint32_t begin,
                                std::uint32_t end, direction how, level_tally& tally) noexcept {
  if (begin >= end) return;
  if (how == direction::marked) {
    run_marked(runner, level, begin, end, tally);
    return;
  }
  std::uint32_t at = segment_of(level, begin, level.segment_begin);
  for (; at < level.segment_end && graph_.segments[at].slot_begin < end; ++at) {
    const plan_segment& segment = graph_.segments[at];
    const std::uint32_t from = std::max(begin, segment.slot_begin);
    const std::uint32_t to = std::min(end, segment.slot_end);
    if (is_run(segment)) {
      run_words(runner, segment, from, to, how, tally);
    } else {
      run_segment(runner, segment, from, to, how, tally);
    }
  }
}

node_run executor::state::run_of(const plan_segment& segment) noexcept {
  const plan_node* nodes = graph_.nodes.data() + segment.node_begin;
  const plan_operation& op = graph_.operation_of(nodes[0]);
  const resolved_operation& body = plan_->operations[nodes[0].operation];
  return {nodes,
          graph_.operands.data(),
          frames_.frames(),
          masks_.get(),
          frames_.base(op.page),
          body.combine,
          segment.slot_begin,
          op.operand_count,
          byte_shift(op.page),
          body.tail_line,
          body.tail_elements,
          body.last_lines};
}

void executor::state::run_words(page_runner& runner, const plan_segment& segment,
                                std::uint32_t begin, std::uint32_t end, direction how,
                                level_tally& tally) noexcept {
  const node_run run = run_of(segment);
  const plan_operation& op = graph_.operation_of(run.nodes[0]);
  run_body body = plan_->kernels->run_of_four[static_cast<unsigned>(op.semiring)]
                                             [static_cast<unsigned>(op.type)];
  if (body == nullptr || op.operand_count != 4) body = plan_->kernels->run;
  const run_mask masks = how == direction::full   ? run_mask::full
                         : how == direction::pull ? run_mask::pull
                                                  : run_mask::marked;
  run_tally counted;
  for (std::uint32_t word = begin >> 6; word <= (end - 1) >> 6; ++word) {
    std::uint64_t which = ~std::uint64_t{0};
    if (word == begin >> 6) which &= ~std::uint64_t{0} << (begin & 63);
    if (word == (end - 1) >> 6) which &= ~std::uint64_t{0} >> (63 - ((end - 1) & 63));
    if (how == direction::marked) which &= dirty_.word(word);
    if (which == 0) continue;
    dirty_.assign_word(word, body(run, word, which, masks, counted), which);
  }
  runner.count_run(op, counted);
  tally.pages += counted.pages_changed;
  tally.lines += counted.lines_changed;
}

void executor::state::run_marked(page_runner& runner, const plan_level& level, std::uint32_t begin,
                                 std::uint32_t end, level_tally& tally) noexcept {
  std::uint32_t at = level.segment_begin;
  std::uint32_t fetched = begin;
  for (std::uint32_t slot = dirty_.next(begin, end); slot < end;) {
    at = segment_of(level, slot, at);
    const plan_segment& segment = graph_.segments[at];
    if (is_run(segment)) {
      // The words of one summary word at most: behind them `next` skips what is clean.
      const std::uint32_t to = std::min({end, segment.slot_end, ((slot >> 12) + 1) << 12});
      run_words(runner, segment, slot, to, direction::marked, tally);
      slot = dirty_.next(to, end);
      continue;
    }
    if (slot >= fetched && fetch_of(runner, segment) != nullptr) {
      fetched = fetch_pages(runner, segment, slot, std::min(end, segment.slot_end));
    }
    run_marked_slot(runner, segment, slot, tally);
    slot = dirty_.next(slot + 1, end);
  }
}

void executor::state::run_marked_slot(page_runner& runner, const plan_segment& segment,
                                      std::uint32_t slot, level_tally& tally) noexcept {
  const place here = place_in(segment, slot);
  const plan_node& node = graph_.nodes[here.node];
  const plan_operation& op = graph_.operation_of(node);
  if (SHEAF_UNLIKELY(runs_whole(op.kind))) return;
  if (SHEAF_UNLIKELY(graph_marks_ != nullptr)) {
    runner.set_whole(graph_marks_->pages.contains(slot));
  }
  line_mask changed = runner.run(node, op, here.page, masks_[slot]);
  if (SHEAF_UNLIKELY(graph_marks_ != nullptr)) changed |= graph_marks_->kept[slot];
  masks_[slot] = changed;
  if (changed == 0) dirty_.reset_bit(slot);
  tally.pages += changed != 0;
  tally.lines += line_count(changed);
}

line_mask executor::state::run_slot(page_runner& runner, const plan_segment& segment,
                                    std::uint32_t slot, direction how) noexcept {
  const place here = place_in(segment, slot);
  const plan_node& node = graph_.nodes[here.node];
  const plan_operation& op = graph_.operation_of(node);
  line_mask mask = 0;
  if (SHEAF_UNLIKELY(runs_whole(op.kind))) return masks_[slot];
  // A full level is one most of whose lines are dirty; that says nothing of what an index reaches.
  if (dirty_map::is_pushed_only(op) && !runner.is_whole()) {
    mask = masks_[slot];
  } else if (how == direction::full) {
    mask = plan_->lines_of_page(op, here.page);
  } else {
    mask = map_.pull(node, op, here.page);
  }
  return mask == 0 ? 0 : runner.run(node, op, here.page, mask);
}

void executor::state::run_segment(page_runner& runner, const plan_segment& segment,
                                  std::uint32_t begin, std::uint32_t end, direction how,
                                  level_tally& tally) noexcept {
  const bool fetches = fetch_of(runner, segment) != nullptr;
  std::uint32_t fetched = fetches ? begin : end;
  for (std::uint32_t slot = begin; slot < end;) {
    const std::uint32_t word = slot >> 6;
    const std::uint32_t word_end = std::min(end, (word + 1) << 6);
    std::uint64_t bits = 0;
    std::uint64_t within = 0;
    for (; slot < word_end; ++slot) {
      if (SHEAF_UNLIKELY(slot >= fetched)) fetched = fetch_pages(runner, segment, slot, end);
      const line_mask changed = run_slot(runner, segment, slot, how);
      masks_[slot] = changed;
      within |= std::uint64_t{1} << (slot & 63);
      bits |= std::uint64_t{changed != 0} << (slot & 63);
      tally.lines += line_count(changed);
    }
    tally.pages += line_count(bits);
    dirty_.assign_word(word, bits, within);
  }
}

status executor::state::run_whole_nodes(std::uint32_t level, host_calls calls,
                                        level_tally& tally) {
  const std::uint32_t special = schedule_->level_has_pushed_only[level];
  for (const std::uint32_t index : schedule_->pushed_only[special]) {
    SHEAF_TRY(run_whole_node(index, calls, tally));
  }
  return {};
}

status executor::state::run_whole_node(std::uint32_t index, host_calls calls,
                                       level_tally& tally) {
  const plan_node& node = graph_.nodes[index];
  const plan_operation& op = graph_.operation_of(node);
  if (!runs_whole(op.kind)) return {};
  if (calls == host_calls::marked && masks_[node.slot] == 0) return {};
  counters_.host_calls += op.kind == operator_kind::host;
  clear_marks_of(node, op);
  std::unique_ptr<operator_memory>& memory = memories_.find(index)->second;
  // What is computed anew rests on nothing that was kept.
  if (calls == host_calls::all) memory.reset();
  changed_pages_.clear();
  const status ran = runners_[0]->run_whole(node, op, memory, changed_pages_);
  if (memory != nullptr) memory->is_current = false;
  SHEAF_TRY(ran);
  if (!rehearsing_) ran_whole_.push_back(index);
  for (const page_lines& changed : changed_pages_) {
    const std::uint32_t slot = node.slot + changed.page;
    masks_[slot] = changed.lines;
    dirty_.insert(slot);
    ++tally.pages;
    tally.lines += line_count(changed.lines);
  }
  if (graph_marks_ != nullptr) keep_marks_of(node, op, tally);
  return {};
}

/// A whole node is marked at its first page; in a change of the graph, at any.
void executor::state::clear_marks_of(const plan_node& node, const plan_operation& op) noexcept {
  const std::uint32_t pages = graph_marks_ == nullptr ? 1 : op.page_count;
  for (std::uint32_t slot = node.slot; slot < node.slot + pages; ++slot) {
    masks_[slot] = 0;
    dirty_.reset_bit(slot);
  }
}

/// Lines that count as changed whatever the body found.
void executor::state::keep_marks_of(const plan_node& node, const plan_operation& op,
                                    level_tally& tally) noexcept {
  for (std::uint32_t slot = node.slot; slot < node.slot + op.page_count; ++slot) {
    const line_mask kept = graph_marks_->kept[slot] & ~masks_[slot];
    if (kept == 0) continue;
    tally.pages += masks_[slot] == 0;
    tally.lines += line_count(kept);
    masks_[slot] |= kept;
    dirty_.insert(slot);
  }
}

level_tally executor::state::tally_sources() noexcept {
  level_tally tally;
  const std::uint32_t end = graph_.levels[0].slot_end;
  for (std::uint32_t slot = dirty_.next(0); slot < end; slot = dirty_.next(slot + 1)) {
    ++tally.pages;
    tally.lines += line_count(masks_[slot]);
  }
  counters_.source_lines_changed += tally.lines;
  return tally;
}

void executor::state::finish_level(std::uint32_t index, const level_tally& tally) noexcept {
  if (pushes(index, tally)) push_level(index);
}

/// True where a level's changed pages are to mark what they reach; else the levels that read it, if
/// any, will pull.
bool executor::state::pushes(std::uint32_t index, const level_tally& tally) noexcept {
  const plan_level& level = graph_.levels[index];
  if (tally.pages == 0 || level.consumer_begin == level.consumer_end) return false;
  const std::uint64_t pages = level.slot_end - level.slot_begin;
  const std::uint64_t marks = tally.pages * level.fan_out / std::max<std::uint64_t>(pages, 1);
  if (graph_marks_ != nullptr || marks * push_weight < schedule_->consumer_fan_in[index]) {
    return true;
  }
  for (std::uint32_t i = level.consumer_begin; i < level.consumer_end; ++i) {
    pulled_.insert(graph_.consumers[i]);
  }
  return false;
}

void executor::state::push_level(std::uint32_t index) noexcept {
  push_slots(index, graph_.levels[index].slot_begin, graph_.levels[index].slot_end);
}

void executor::state::push_slots(std::uint32_t index, std::uint32_t begin,
                                 std::uint32_t end) noexcept {
  const plan_level& level = graph_.levels[index];
  std::uint32_t at = level.segment_begin;
  const std::uint32_t sources = graph_.source_count();
  for (std::uint32_t slot = dirty_.next(begin); slot < end; slot = dirty_.next(slot + 1)) {
    at = segment_of(level, slot, at);
    const place here = place_in(graph_.segments[at], slot);
    // At level 0 a segment's nodes are sources: its numbers are producers already.
    map_.push(index == 0 ? here.node : here.node + sources, here.page, masks_[slot]);
  }
  for (const pages_reader& reader : schedule_->pages_readers[index]) {
    const std::uint32_t from = std::max(begin, reader.slot_begin);
    const std::uint32_t to = std::min(end, reader.slot_end);
    if (from >= to || dirty_.next(from, to) >= to) continue;
    const plan_node& node = graph_.nodes[reader.node];
    map_.push_operand_pages(node, graph_.operation_of(node), reader.which,
                            from - reader.slot_begin, to - reader.slot_begin);
  }
}

}  // namespace sheaf::inline v0
