#include "engine/lazy_overlay.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <optional>

#include "engine/generation.hpp"
#include "engine/lazy_order.hpp"
#include "propagate/operators/rules.hpp"
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
    const plan& graph = *plan_->graph;
    const auto missing = lazy_nodes_to_compute(
        graph, node,
        [&](std::uint32_t index)
            SHEAF_NO_THREAD_SAFETY_ANALYSIS {  // the analysis sees no lock around a lambda
              return known_[graph.nodes[index].slot];
            });
    for (const std::uint32_t next : missing) SHEAF_TRY(compute(next));
  } catch (const std::bad_alloc&) {
    return status(status_code::out_of_memory, subsystem::engine,
                  "no memory for the lazy arrays of a snapshot");
  }
  return {};
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
  std::optional<page_runner> made;
  try {
    made.emplace(*plan_, page_space{table_.get(), &frames_, true, nullptr, nullptr});
  } catch (const std::bad_alloc&) {
    return status(status_code::out_of_memory, subsystem::engine,
                  "no memory to compute a lazy array");
  }
  page_runner& runner = *made;
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
  return {};
}

}  // namespace sheaf::inline v0
