#include "engine/engine_core.hpp"

#include <algorithm>
#include <cmath>
#include <new>
#include <thread>

#include <sheaf/propagate/operator_scope.hpp>

#include "propagate/page_runner.hpp"

namespace sheaf::inline v0 {

namespace {

status check_options(const engine_options& options) {
  if (!options.directory.empty()) {
    return status(status_code::unsupported, subsystem::engine,
                  "this version keeps state in memory only; leave `directory` empty",
                  options.directory);
  }
  if (options.snapshots_max == 0) {
    return status(status_code::invalid_argument, subsystem::engine, "snapshots_max is 0");
  }
  if (options.threads > 1024) {
    return make_status(status_code::invalid_argument, subsystem::engine,
                       "more threads than an engine can use", "%u, the limit is 1024",
                       options.threads);
  }
  if (!(options.device_deadline_seconds > 0) || std::isinf(options.device_deadline_seconds)) {
    return make_status(status_code::invalid_argument, subsystem::engine,
                       "device_deadline_seconds is not a time", "%g",
                       options.device_deadline_seconds);
  }
  return {};
}

}  // namespace

status engine_core::closed_status() noexcept {
  return status(status_code::closed, subsystem::engine, "the engine is closed");
}

engine_core::engine_core(const engine_options& options)
    : options_(options),
      pins_(options.snapshots_max),
      overlays_(std::make_unique<std::atomic<lazy_overlay*>[]>(options.snapshots_max)),
      window_(options.conflict_window_bytes_max),
      records_(options.record_bytes_max) {
  scanned_.epochs.reserve(options.snapshots_max);
}

engine_core::~engine_core() = default;

result<std::shared_ptr<engine_core>> engine_core::open(const model& declared,
                                                       const engine_options& options) {
  if (is_inside_operator()) {
    return status(status_code::reentrant, subsystem::engine,
                  "an operator must not open an engine");
  }
  SHEAF_TRY(check_options(options));
  const result<isa> set = selected_isa();
  if (!set) return set.error();
  auto graph = declared.compile();
  if (!graph) return graph.error();
  std::shared_ptr<engine_core> core(new engine_core(options));
  core->set_ = *set;
  core->apply_ = apply_of(*set);
  if (core->options_.threads == 0) {
    core->options_.threads = std::max(1u, std::thread::hardware_concurrency());
  }
  for (const plan_operation& op : (*graph)->operations) {
    core->keep_spares_ |= op.fallible && !op.lazy;
  }
  core->keep_spares_ |= options.mode == readers::wait_free;
  auto frames = frame_store::create(
      {options.memory_bytes_max, options.history_bytes_max, (*graph)->slot_count,
       options.snapshots_max});
  if (!frames) return frames.error();
  core->frames_ = std::move(*frames);
  SHEAF_TRY(core->create_pages(**graph));
  core->device_ = open_device(options);
  auto made = generation::create(*graph, declared.data(), *core->frames_, core->for_executors());
  if (!made) return made.error();
  const turn_lock lock(core->turn_);
  core->now_ = std::move(*made);
  core->frames_->begin_commit(1, 0);
  core->now_->runner->fill_delays();
  core->now_->runner->queue_all(core->delays_);
  SHEAF_TRY(core->now_->runner->recompute());
  core->now_->runner->discard();
  core->total_ = core->now_->runner->take_counters();
  core->last_ = core->total_;
  core->show_generation();
  core->published_.store(1);
  return core;
}

status engine_core::create_pages(const plan& graph) noexcept {
  const auto is_contiguous = [&](std::uint32_t producer) {
    return std::ranges::binary_search(graph.contiguous, producer);
  };
  for (const plan_source& source : graph.sources) {
    if (is_contiguous(static_cast<std::uint32_t>(&source - graph.sources.data()))) {
      SHEAF_TRY(frames_->create_run(source.slot, source.page_count, source.page));
      continue;
    }
    for (std::uint32_t page = 0; page < source.page_count; ++page) {
      SHEAF_TRY(frames_->create_page(source.slot + page, source.page));
    }
  }
  for (std::uint32_t index = 0; index < graph.eager_node_count; ++index) {
    const plan_node& node = graph.nodes[index];
    const plan_operation& op = graph.operation_of(node);
    if (is_contiguous(graph.source_count() + index)) {
      SHEAF_TRY(frames_->create_run(node.slot, op.page_count, op.page));
      continue;
    }
    for (std::uint32_t page = 0; page < op.page_count; ++page) {
      SHEAF_TRY(frames_->create_page(node.slot + page, op.page));
    }
  }
  return {};
}

/// Makes the newest generation known to those who take no commit lock.
void engine_core::show_generation() {
  {
    const mutex_lock lock(pool_mutex_);
    generations_.push_back(now_);
    old_generations_ = static_cast<std::uint32_t>(generations_.size()) - 1;
  }
  newest_first_.store(now_->first_epoch);
  newest_shown_.store(now_.get());
}

/// So that `show_generation` cannot fail.
void engine_core::reserve_generation() {
  const mutex_lock lock(pool_mutex_);
  generations_.reserve(generations_.size() + 1);
}

/// An opener read `epoch` from `published_`, so it sees the newest generation of that time, or a
/// later one. The first epoch it then reads is that of the pointer or of a later one: where it is
/// not past `epoch`, the pointer is the one wanted, and the pin keeps it alive.
const generation* engine_core::generation_of(std::uint64_t epoch) noexcept {
  const generation* newest = newest_shown_.load();
  if (SHEAF_LIKELY(newest_first_.load() <= epoch)) return newest;
  const mutex_lock lock(pool_mutex_);
  auto found = generations_.rbegin();
  while ((*found)->first_epoch > epoch) ++found;
  return found->get();
}

std::shared_ptr<const model_data> engine_core::declared() {
  const mutex_lock lock(pool_mutex_);
  return generations_.back()->declared;
}

status engine_core::inside_operator() const noexcept {
  return status(status_code::reentrant, subsystem::engine,
                "the engine was called from inside an operator");
}

engine_core::beginning engine_core::begin() noexcept {
  const std::uint32_t slot = writers_.enter();
  return {slot, published_.load()};  // after it is counted, see writer_slots
}

engine_core::write_lease engine_core::take_lease(std::uint32_t slot) noexcept {
  std::optional<write_lease> kept = writers_.take(slot);
  if (kept && kept->base.get() == newest_shown_.load()) return std::move(*kept);
  const mutex_lock lock(pool_mutex_);
  if (kept) return {std::move(kept->changes), generations_.back()};
  return {delta(options_.transaction_bytes_max), generations_.back()};
}

void engine_core::give_back(std::uint32_t slot, write_lease&& used) noexcept {
  used.changes.clear();
  writers_.give(slot, std::move(used));
}

result<pin_share> engine_core::open_snapshot() noexcept {
  if (is_inside_operator()) return inside_operator();
  if (is_closed()) return closed_status();
  const auto pinned = pins_.open(published_, options_.mode);
  if (!pinned) return pinned.error();
  return pin_share(shared_from_this(), generation_of(pinned->epoch), pinned->slot, pinned->epoch);
}

void engine_core::drop_pin(std::uint32_t slot) noexcept {
  if (!pins_.drop(slot)) return;
  // acquire: pairs with the release in `find`; the overlay's content is visible here.
  delete overlays_[slot].exchange(nullptr, std::memory_order_acq_rel);
  pins_.close(slot);
  if (frames_->history_bytes() == 0 || is_inside_operator() || !turn_.try_lock()) return;
  frames_->reclaim(pins_);
  turn_.unlock();
}

result<view_source> engine_core::find(const array_handle& target, dtype type,
                                      const pin_share& pin) {
  if (is_inside_operator() && &pin != pin_of_condition_) return inside_operator();
  SHEAF_TRY(pin.graph().check(target, type));
  const plan& graph = *pin.graph().graph;
  const std::uint32_t producer = graph.producer_of_array[index_of(target.id)];
  view_source found;
  const bool contiguous = std::ranges::binary_search(graph.contiguous, producer);
  if (graph.is_source(producer)) {
    const plan_source& source = graph.sources[producer];
    found = {pin, nullptr, source.slot, source.page_count, source.length, source.page, contiguous};
    return found;
  }
  const plan_node& node = graph.node_of(producer);
  const plan_operation& op = graph.operation_of(node);
  found = {pin, nullptr, node.slot, op.page_count, op.length, op.page, contiguous};
  if (!op.lazy) return found;
  // acquire: pairs with the exchange below.
  lazy_overlay* overlay = overlays_[pin.slot()].load(std::memory_order_acquire);
  if (overlay == nullptr) {
    std::unique_ptr<lazy_overlay> made;
    try {
      made = std::make_unique<lazy_overlay>(*frames_, pins_, pin);
    } catch (const std::bad_alloc&) {
      return status(status_code::out_of_memory, subsystem::engine,
                    "no memory for the lazy arrays of a snapshot");
    }
    // acq_rel: publishes the overlay, or sees the one another thread made first.
    if (overlays_[pin.slot()].compare_exchange_strong(overlay, made.get(),
                                                      std::memory_order_acq_rel)) {
      overlay = made.release();
    }
  }
  SHEAF_TRY(overlay->require(producer - graph.source_count()));
  found.overlay = overlay->table();
  return found;
}

work_counters engine_core::last_commit() {
  if (is_inside_operator()) return {};
  const turn_lock lock(turn_);
  return last_;
}

engine_stats engine_core::stats() {
  if (is_inside_operator()) return {};
  const turn_lock lock(turn_);
  engine_stats out;
  out.epoch = published();
  out.commits = commits_;
  out.suspended_commits = suspended_commits_;
  out.history_waits = history_waits_;
  out.callback_failures = callback_failures_;
  out.failed_commits = failed_commits_;
  out.groups = groups_;
  out.groups_split = groups_split_;
  out.conflicts = conflicts_;
  out.groups_cut = groups_cut_;
  out.arrays = now_->declared->array_count();
  out.nodes = static_cast<std::uint32_t>(now_->graph->nodes.size());
  out.levels = static_cast<std::uint32_t>(now_->graph->levels.size());
  out.page_nodes = now_->graph->slot_count;
  out.frame_bytes = frames_->allocator().stats().total.bytes_in_use;
  out.history_bytes = frames_->history_bytes();
  out.spare_bytes = frames_->spare_bytes();
  out.scheduling_bytes = now_->graph->scheduling_bytes() + now_->runner->scheduling_bytes();
  out.open_snapshots = pins_.open_count();
  out.snapshot_waits = pins_.wait_count();
  out.open_forks = open_forks_.load(std::memory_order_relaxed);  // figures for people
  out.fork_bytes = fork_bytes_.load(std::memory_order_relaxed);
  out.isa = sheaf::name_of(set_);
  out.degraded = device_.link != nullptr && device_.link->state() == device_state::lost ? 1 : 0;
  out.device = device_.link != nullptr ? device_.link->words() : device_.why_none;
  out.threads = options_.threads;
  out.work = total_;
  return out;
}

result<audit_report> engine_core::audit() {
  if (is_inside_operator()) return inside_operator();
  const turn_lock lock(turn_);
  try {
    return now_->runner->audit();
  } catch (const std::bad_alloc&) {
    return status(status_code::out_of_memory, subsystem::engine, "no memory for an audit");
  }
}

status engine_core::recompute() {
  if (is_inside_operator()) return inside_operator();
  const turn_lock lock(turn_);
  if (is_closed()) return closed_status();
  // By P1 no line differs; an operator that is not pure must change nothing.
  frames_->begin_commit(next_epoch_, published());
  const status done = now_->runner->rehearse();
  now_->runner->discard();
  const work_counters work = now_->runner->take_counters();
  const std::uint64_t differ = work.lines_recomputed - work.lines_cut_off;
  if (!done.is_ok() || differ == 0) return done;
  return make_status(status_code::operator_failed, subsystem::engine,
                     "recomputing gave other bits: an operator is not pure", "%llu lines differ",
                     static_cast<unsigned long long>(differ));
}

std::size_t engine_core::trim() {
  if (is_inside_operator()) return 0;
  const turn_lock lock(turn_);
  frames_->reclaim(pins_);
  if (old_generations_ != 0) forget_generations();
  return frames_->allocator().trim();
}

/// Turns waiting commits away, then waits for the one in flight, except from inside its operators.
void engine_core::close() noexcept {
  closed_.store(true);
  records_.wake_all();
  if (is_inside_operator()) return;
  const turn_lock lock(turn_);
}

}  // namespace sheaf::inline v0
