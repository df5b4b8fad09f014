#include "engine/lazy_overlay.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "engine/generation.hpp"
#include "propagate/page_runner.hpp"

namespace sheaf::inline v0 {

void lazy_overlay::free_delete::operator()(std::uint32_t* table) const noexcept {
  std::free(table);
}

lazy_overlay::lazy_overlay(frame_store& frames, pin_registry& pins, const pin_share& pin)
    : plan_(pin.graph().resolved),
      frames_(frames),
      pins_(pins),
      frames_by_slot_(pin.graph().table),
      pin_(pin.slot()),
      epoch_(pin.epoch()),
      // calloc leaves untouched entries to the operating system's zero page.
      table_(static_cast<std::uint32_t*>(
          std::calloc(std::max(plan_->graph->slot_count, 1u), sizeof(std::uint32_t)))),
      known_(plan_->graph->slot_count, false) {}

lazy_overlay::~lazy_overlay() {
  const mutex_lock lock(mutex_);
  drop_frames(0);
}

void lazy_overlay::drop_frames(std::size_t from) {
  for (std::size_t i = from; i < owned_.size(); ++i) {
    frames_.allocator().deallocate(owned_[i].page, owned_[i].frame);
  }
  owned_.resize(from);
}

status lazy_overlay::require(std::uint32_t node) {
  const mutex_lock lock(mutex_);
  if (table_ == nullptr) {
    return status(status_code::out_of_memory, subsystem::engine,
                  "no memory for the lazy arrays of a snapshot");
  }
  try {
    for (const std::uint32_t next : missing(node)) SHEAF_TRY(compute(next));
  } catch (const std::bad_alloc&) {
    return status(status_code::out_of_memory, subsystem::engine,
                  "no memory for the lazy arrays of a snapshot");
  }
  return {};
}

namespace {

/// Calls `visitor(first slot, pages, page class)` for every operand array of `node`.
template <class Visitor>
void visit_operands(const plan& graph, const plan_node& node, Visitor&& visitor) {
  const plan_operation& op = graph.operation_of(node);
  const std::uint32_t* entries = graph.operands.data() + node.operand_begin;
  for (std::uint32_t i = 0; i < op.operand_count; ++i) {
    if (op.uniform) {
      visitor(entries[i], op.page_count, op.page);
      continue;
    }
    const plan_operand& operand = graph.operand_details[entries[i]];
    if (operand.producer == no_index) continue;
    visitor(operand.slot, graph.page_count_of(operand.producer), operand.page);
  }
}

/// The lazy node whose result begins at `slot`, or no_index for an eager array or a source.
std::uint32_t lazy_node_at(const plan& graph, std::uint32_t slot) noexcept {
  const auto first = graph.nodes.begin() + graph.eager_node_count;
  const auto found = std::lower_bound(
      first, graph.nodes.end(), slot,
      [](const plan_node& node, std::uint32_t value) { return node.slot < value; });
  if (found == graph.nodes.end() || found->slot != slot) return no_index;
  return static_cast<std::uint32_t>(found - graph.nodes.begin());
}

}  // namespace

/// The lazy nodes still to compute, operands first: plan order is level order.
std::vector<std::uint32_t> lazy_overlay::missing(std::uint32_t node) const {
  const plan& graph = *plan_->graph;
  std::vector<std::uint32_t> found;
  std::vector<std::uint32_t> open{node};
  std::vector<bool> seen(graph.nodes.size(), false);
  while (!open.empty()) {
    const std::uint32_t index = open.back();
    open.pop_back();
    if (seen[index] || known_[graph.nodes[index].slot]) continue;
    seen[index] = true;
    found.push_back(index);
    visit_operands(graph, graph.nodes[index], [&](std::uint32_t slot, std::uint32_t, page_class) {
      const std::uint32_t operand = lazy_node_at(graph, slot);
      if (operand != no_index) open.push_back(operand);
    });
  }
  std::sort(found.begin(), found.end());
  return found;
}

void lazy_overlay::resolve(std::uint32_t slot, std::uint32_t pages, page_class page) {
  if (known_[slot]) return;
  for (std::uint32_t i = 0; i < pages; ++i) {
    const std::byte* bytes = frames_.visible(frames_by_slot_, slot + i, page, epoch_, pins_, pin_);
    table_[slot + i] =
        static_cast<std::uint32_t>((bytes - frames_.base(page)) >> byte_shift(page));
  }
  known_[slot] = true;
}

/// A failure gives the frames back: the array may be asked for again.
status lazy_overlay::compute(std::uint32_t index) {
  const plan& graph = *plan_->graph;
  const plan_node& node = graph.nodes[index];
  const plan_operation& op = graph.operation_of(node);
  struct operand_array {
    std::uint32_t slot, pages;
    page_class page;
  };
  std::vector<operand_array> operands;
  visit_operands(graph, node, [&](std::uint32_t slot, std::uint32_t pages, page_class page) {
    operands.push_back({slot, pages, page});
  });
  for (const operand_array& operand : operands) {
    resolve(operand.slot, operand.pages, operand.page);
  }
  const std::size_t owned_before = owned_.size();
  owned_.reserve(owned_before + op.page_count);
  const status filled = fill(node, op);
  if (!filled.is_ok()) {
    drop_frames(owned_before);
    return filled;
  }
  known_[node.slot] = true;
  return {};
}

status lazy_overlay::fill(const plan_node& node, const plan_operation& op) {
  for (std::uint32_t page = 0; page < op.page_count; ++page) {
    const frame_id frame = frames_.allocator().allocate_zeroed(op.page);
    if (frame == no_frame) return frames_.allocator().exhausted_status(op.page);
    owned_.push_back({op.page, frame});
    table_[node.slot + page] = index_of(frame);
  }
  page_runner runner(*plan_, {table_.get(), &frames_, true, nullptr, nullptr});
  runner.set_whole(true);
  if (op.kind == operator_kind::host) {
    std::vector<line_mask> changed(op.page_count);
    SHEAF_TRY(runner.run_host(node, op, changed.data()));
  } else {
    for (std::uint32_t page = 0; page < op.page_count; ++page) {
      runner.run(node, op, page, plan_->lines_of_page(op, page));
    }
  }
  return {};
}

}  // namespace sheaf::inline v0
