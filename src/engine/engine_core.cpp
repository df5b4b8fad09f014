#include "engine/engine_core.hpp"

#include <algorithm>
#include <new>
#include <thread>

#include <sheaf/propagate/operator_scope.hpp>

#include "propagate/page_runner.hpp"

namespace sheaf::inline v0 {

namespace {

constexpr std::size_t pooled_deltas_max = 64;

status closed_status() {
  return status(status_code::closed, subsystem::engine, "the engine is closed");
}

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
  return {};
}

}  // namespace

engine_core::engine_core(const engine_options& options, std::shared_ptr<const plan> graph,
                         std::shared_ptr<const model_data> declared)
    : options_(options),
      graph_(std::move(graph)),
      model_(std::move(declared)),
      pins_(options.snapshots_max),
      overlays_(std::make_unique<std::atomic<lazy_overlay*>[]>(options.snapshots_max)) {
  std::uint32_t words = 0;
  for (const plan_source& source : graph_->sources) {
    touched_begin_.push_back(words);
    words += (source.page_count + 63) / 64;
  }
  touched_bits_ = std::make_unique<std::uint64_t[]>(std::max(words, 1u));
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
  std::shared_ptr<engine_core> core(new engine_core(options, *graph, declared.data()));
  core->set_ = *set;
  core->apply_ = apply_of(*set);
  if (core->options_.threads == 0) {
    core->options_.threads = std::max(1u, std::thread::hardware_concurrency());
  }
  for (const plan_operation& op : (*graph)->operations) core->keep_spares_ |= op.fallible;
  core->keep_spares_ |= options.mode == readers::wait_free;
  auto frames = frame_store::create(
      {options.memory_bytes_max, options.history_bytes_max, (*graph)->slot_count});
  if (!frames) return frames.error();
  core->frames_ = std::move(*frames);
  SHEAF_TRY(core->create_pages());
  auto made = executor::create(*graph, core->model_, *core->frames_,
                               {*set, core->options_.threads});
  if (!made) return made.error();
  core->executor_ = std::move(*made);
  const mutex_lock lock(core->commit_mutex_);
  core->frames_->begin_commit(1, 0);
  SHEAF_TRY(core->executor_->recompute());
  core->executor_->discard();
  core->total_ = core->executor_->take_counters();
  core->last_ = core->total_;
  core->published_.store(1);
  return core;
}

status engine_core::create_pages() noexcept {
  for (const plan_source& source : graph_->sources) {
    for (std::uint32_t page = 0; page < source.page_count; ++page) {
      SHEAF_TRY(frames_->create_page(source.slot + page, source.page));
    }
  }
  for (std::uint32_t index = 0; index < graph_->eager_node_count; ++index) {
    const plan_node& node = graph_->nodes[index];
    const plan_operation& op = graph_->operation_of(node);
    for (std::uint32_t page = 0; page < op.page_count; ++page) {
      SHEAF_TRY(frames_->create_page(node.slot + page, op.page));
    }
  }
  return {};
}

std::string engine_core::name_of(const array_handle& target) const {
  if (target.model_tag != model_->tag) return "an array of another model";
  return model_->name_of(target.id);
}

status engine_core::check_handle(const array_handle& target, dtype type) const noexcept {
  if (target.model_tag == 0) {
    return status(status_code::unknown_array, subsystem::engine, "the handle names no array");
  }
  if (target.model_tag != model_->tag) {
    return make_status(status_code::foreign_handle, subsystem::engine,
                       "the array belongs to another model than this engine",
                       "array %u of model %u, the engine has model %u", index_of(target.id),
                       target.model_tag, model_->tag);
  }
  if (index_of(target.id) >= graph_->producer_of_array.size()) {
    return make_status(status_code::unknown_array, subsystem::engine,
                       "the array was declared after this engine was opened", "array %u",
                       index_of(target.id));
  }
  const array_record& record = model_->record(target.id);
  if (record.type != type) {
    return make_status(status_code::type_mismatch, subsystem::engine,
                       "the array has another element type", "'%s' holds %s, not %s",
                       name_of(target).c_str(), std::string(sheaf::name_of(record.type)).c_str(),
                       std::string(sheaf::name_of(type)).c_str());
  }
  return {};
}

result<const plan_source*> engine_core::source_of(const array_handle& target,
                                                  dtype type) const noexcept {
  if (target.model_tag == model_->tag &&
      index_of(target.id) < graph_->producer_of_array.size()) {
    const std::uint32_t producer = graph_->producer_of_array[index_of(target.id)];
    if (graph_->is_source(producer) && graph_->sources[producer].type == type) {
      return &graph_->sources[producer];
    }
  }
  SHEAF_TRY(check_handle(target, type));
  return make_status(status_code::not_a_source, subsystem::engine,
                     "only source arrays can be written", "'%s' is derived",
                     name_of(target).c_str());
}

status engine_core::inside_operator() const noexcept {
  return status(status_code::reentrant, subsystem::engine,
                "the engine was called from inside an operator");
}

delta engine_core::take_delta() noexcept {
  const mutex_lock lock(pool_mutex_);
  if (pool_.empty()) return delta(options_.transaction_bytes_max);
  delta taken = std::move(pool_.back());
  pool_.pop_back();
  return taken;
}

void engine_core::give_back(delta&& used) noexcept {
  used.clear();
  const mutex_lock lock(pool_mutex_);
  if (pool_.size() >= pooled_deltas_max) return;
  if (pool_.capacity() == 0) pool_.reserve(pooled_deltas_max);
  pool_.push_back(std::move(used));
}

result<pin_share> engine_core::open_snapshot() noexcept {
  if (is_inside_operator()) return inside_operator();
  if (is_closed()) return closed_status();
  const auto pinned = pins_.open(published_, options_.mode);
  if (!pinned) return pinned.error();
  return pin_share(shared_from_this(), pinned->slot, pinned->epoch);
}

void engine_core::drop_pin(std::uint32_t slot) noexcept {
  if (!pins_.drop(slot)) return;
  // acquire: pairs with the release in `find`; the overlay's content is visible here.
  delete overlays_[slot].exchange(nullptr, std::memory_order_acq_rel);
  pins_.close(slot);
  if (frames_->history_bytes() == 0 || is_inside_operator() || !commit_mutex_.try_lock()) return;
  frames_->reclaim(pins_);
  commit_mutex_.unlock();
}

result<view_source> engine_core::find(const array_handle& target, dtype type,
                                      const pin_share& pin) {
  if (is_inside_operator()) return inside_operator();
  SHEAF_TRY(check_handle(target, type));
  const std::uint32_t producer = graph_->producer_of_array[index_of(target.id)];
  view_source found;
  if (graph_->is_source(producer)) {
    const plan_source& source = graph_->sources[producer];
    found = {pin, nullptr, source.slot, source.page_count, source.length, source.page};
    return found;
  }
  const plan_node& node = graph_->node_of(producer);
  const plan_operation& op = graph_->operation_of(node);
  found = {pin, nullptr, node.slot, op.page_count, op.length, op.page};
  if (!op.lazy) return found;
  // acquire: pairs with the exchange below.
  lazy_overlay* overlay = overlays_[pin.slot()].load(std::memory_order_acquire);
  if (overlay == nullptr) {
    auto made = std::make_unique<lazy_overlay>(executor_->plan_in_use(), *frames_, pins_,
                                               pin.slot(), pin.epoch());
    // acq_rel: publishes the overlay, or sees the one another thread made first.
    if (overlays_[pin.slot()].compare_exchange_strong(overlay, made.get(),
                                                      std::memory_order_acq_rel)) {
      overlay = made.release();
    }
  }
  SHEAF_TRY(overlay->require(producer - graph_->source_count()));
  found.overlay = overlay->table();
  return found;
}

work_counters engine_core::last_commit() {
  if (is_inside_operator()) return {};
  const mutex_lock lock(commit_mutex_);
  return last_;
}

engine_stats engine_core::stats() {
  if (is_inside_operator()) return {};
  const mutex_lock lock(commit_mutex_);
  engine_stats out;
  out.epoch = published();
  out.commits = commits_;
  out.failed_commits = failed_commits_;
  out.arrays = model_->array_count();
  out.nodes = static_cast<std::uint32_t>(graph_->nodes.size());
  out.levels = static_cast<std::uint32_t>(graph_->levels.size());
  out.page_nodes = graph_->slot_count;
  out.frame_bytes = frames_->allocator().stats().total.bytes_in_use;
  out.history_bytes = frames_->history_bytes();
  out.spare_bytes = frames_->spare_bytes();
  out.scheduling_bytes = graph_->scheduling_bytes() + executor_->scheduling_bytes();
  out.open_snapshots = pins_.open_count();
  out.snapshot_waits = pins_.wait_count();
  out.isa = sheaf::name_of(set_);
  out.threads = options_.threads;
  out.work = total_;
  return out;
}

result<audit_report> engine_core::audit() {
  if (is_inside_operator()) return inside_operator();
  const mutex_lock lock(commit_mutex_);
  return executor_->audit();
}

status engine_core::recompute() {
  if (is_inside_operator()) return inside_operator();
  const mutex_lock lock(commit_mutex_);
  if (is_closed()) return closed_status();
  // By P1 no line differs; an operator that is not pure must change nothing.
  frames_->begin_commit(next_epoch_, published());
  const status done = executor_->rehearse();
  executor_->discard();
  const work_counters work = executor_->take_counters();
  const std::uint64_t differ = work.lines_recomputed - work.lines_cut_off;
  if (!done.is_ok() || differ == 0) return done;
  return make_status(status_code::operator_failed, subsystem::engine,
                     "recomputing gave other bits: an operator is not pure", "%llu lines differ",
                     static_cast<unsigned long long>(differ));
}

std::size_t engine_core::trim() {
  if (is_inside_operator()) return 0;
  const mutex_lock lock(commit_mutex_);
  frames_->reclaim(pins_);
  return frames_->allocator().trim();
}

/// Turns waiting commits away, then waits for the one in flight, except from inside its operators.
void engine_core::close() noexcept {
  closed_.store(true);
  if (is_inside_operator()) return;
  const mutex_lock lock(commit_mutex_);
}

}  // namespace sheaf::inline v0
