#include <algorithm>
#include <new>
#include <utility>

#include <sheaf/propagate/operator_scope.hpp>

#include "engine/engine_core.hpp"
#include "engine/fork_core.hpp"
#include "engine/lazy_order.hpp"

namespace sheaf::inline v0 {

/// What an executor computes lazy arrays in: the version, and the lazy arrays it has so far. A page
/// of the array that is being computed begins as zeros.
class fork_version::lazy_branch final : public page_branch {
 public:
  lazy_branch(fork_version& of, lazy_array& target) noexcept SHEAF_REQUIRES(of.mutex_)
      : of_(of), target_(target), first_(of.slot_of(target.node)) {}

  /// Lives only while `compute` holds the mutex, which the analysis cannot see.
  std::uint32_t find(std::uint32_t slot, page_class page) noexcept override
      SHEAF_NO_THREAD_SAFETY_ANALYSIS {
    if (slot - first_ < target_.frames.size()) return target_.frames[slot - first_];
    const std::uint32_t lazy = of_.lazy_frame(slot);
    return lazy != slot_map::nothing ? lazy : of_.eager_frame(slot, page);
  }
  std::uint32_t make_writable(std::uint32_t slot, page_class, line_mask) noexcept override {
    return target_.frames[slot - first_];
  }
  status failure() const noexcept override { return {}; }

 private:
  fork_version& of_;
  lazy_array& target_;
  std::uint32_t first_;
};

fork_version::~fork_version() {
  const mutex_lock lock(mutex_);
  for (const auto& held : lazy_) free_frames(*held);
}

void fork_version::free_frames(const lazy_array& held) noexcept {
  const plan& graph = *base->graph().graph;
  const page_class page = graph.operation_of(graph.nodes[held.node]).page;
  for (const std::uint32_t frame : held.frames) {
    base->core().allocator().deallocate(page, frame_id{frame});
  }
  base->core().forget_fork_bytes(held.frames.size() * bytes_of(page));
}

std::uint32_t fork_version::slot_of(std::uint32_t node) const noexcept {
  return base->graph().graph->nodes[node].slot;
}

std::uint32_t fork_version::eager_frame(std::uint32_t slot, page_class page) const noexcept {
  if (top) {
    const std::uint32_t found = top->find(slot);
    if (found != slot_map::nothing) return found;
  }
  return base->find(slot, page);
}

std::uint32_t fork_version::lazy_frame(std::uint32_t slot) const noexcept {
  for (const auto& held : lazy_) {
    const std::uint32_t page = slot - slot_of(held->node);
    if (page < held->frames.size()) return held->frames[page];
  }
  return slot_map::nothing;
}

const std::byte* fork_version::page_bytes(std::uint32_t slot, page_class page) const noexcept {
  return base->core().allocator().address(page, frame_id{eager_frame(slot, page)});
}

result<view_source> fork_version::find(const std::shared_ptr<fork_version>& self,
                                       const array_handle& target, dtype type) {
  if (is_inside_operator()) {
    return status(status_code::reentrant, subsystem::engine,
                  "a fork was called from inside an operator");
  }
  const generation& from = self->base->graph();
  SHEAF_TRY(from.check(target, type));
  const plan& graph = *from.graph;
  const std::uint32_t producer = graph.producer_of_array[index_of(target.id)];
  view_source found;
  found.pin = self->base->pin;
  found.branch = self;
  if (graph.is_source(producer)) {
    const plan_source& source = graph.sources[producer];
    found.slot = source.slot;
    found.page_count = source.page_count;
    found.length = source.length;
    found.page = source.page;
    return found;
  }
  const plan_node& node = graph.node_of(producer);
  const plan_operation& op = graph.operation_of(node);
  found.slot = node.slot;
  found.page_count = op.page_count;
  found.length = op.length;
  found.page = op.page;
  if (!op.lazy) return found;
  const auto frames = self->require(producer - graph.source_count());
  if (!frames) return frames.error();
  found.overlay = *frames;
  found.slot = 0;
  return found;
}

const fork_version::lazy_array* fork_version::computed(std::uint32_t node) const {
  for (const auto& held : lazy_) {
    if (held->node == node) return held.get();
  }
  return nullptr;
}

result<const std::uint32_t*> fork_version::require(std::uint32_t node) {
  const mutex_lock lock(mutex_);
  try {
    const auto missing = lazy_nodes_to_compute(
        *base->graph().graph, node,
        [this](std::uint32_t index)
            SHEAF_NO_THREAD_SAFETY_ANALYSIS {  // the analysis sees no lock around a lambda
              return computed(index) != nullptr;
            });
    for (const std::uint32_t next : missing) SHEAF_TRY(compute(next));
  } catch (const std::bad_alloc&) {
    return status(status_code::out_of_memory, subsystem::engine,
                  "no memory for the lazy arrays of a fork");
  }
  return computed(node)->frames.data();
}

status fork_version::compute(std::uint32_t index) {
  const plan& graph = *base->graph().graph;
  const plan_node& node = graph.nodes[index];
  const plan_operation& op = graph.operation_of(node);
  engine_core& core = base->core();
  const std::uint64_t bytes = op.page_count * bytes_of(op.page);
  SHEAF_TRY(core.check_fork_bytes(bytes));
  auto made = std::make_unique<lazy_array>();
  made->node = index;
  made->frames.reserve(op.page_count);
  lazy_.reserve(lazy_.size() + 1);
  fork_workspaces& pool = *base->graph().forks;
  auto taken = pool.take();
  if (!taken) return taken.error();
  const workspace_lease work(pool, std::move(*taken));
  core.count_fork_bytes(bytes);
  status done;
  while (made->frames.size() < op.page_count) {
    const frame_id frame = core.allocator().allocate_zeroed(op.page);
    if (frame == no_frame) {
      done = core.allocator().exhausted_status(op.page);
      break;
    }
    made->frames.push_back(index_of(frame));
  }
  if (done.is_ok()) {
    lazy_branch branch(*this, *made);
    work->runner->enter(branch);
    done = work->runner->compute_node(index);
    work->runner->leave();
    (void)work->runner->take_counters();
  }
  if (!done.is_ok()) {
    core.forget_fork_bytes((op.page_count - made->frames.size()) * bytes_of(op.page));
    free_frames(*made);
    return done;
  }
  lazy_.push_back(std::move(made));
  return {};
}

}  // namespace sheaf::inline v0
