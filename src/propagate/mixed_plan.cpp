#include "propagate/mixed_plan.hpp"

#include <algorithm>

#include "propagate/dirty_map.hpp"
#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

mixed_plan::mixed_plan(const plan& graph, const device_stages& stages) {
  add_pieces(graph, stages);
  add_readers(graph, stages);
}

void mixed_plan::add_pieces(const plan& graph, const device_stages& stages) {
  std::uint32_t level = 0;
  for (std::uint32_t index = 0; index < graph.eager_node_count; ++index) {
    const plan_node& node = graph.nodes[index];
    const plan_operation& op = graph.operation_of(node);
    while (node.slot >= graph.levels[level].slot_end) ++level;
    const std::uint32_t stage = stages.stage_of_node[index];
    const bool is_host_run = stages.is_host_run[index] != 0;
    if (pieces_.empty() || pieces_.back().level != level || pieces_.back().stage != stage ||
        pieces_.back().is_host_run != is_host_run || pieces_.back().slot_end != node.slot) {
      pieces_.push_back({level, stage, index, index, node.slot, node.slot, is_host_run, {}, {}});
    }
    plan_piece& piece = pieces_.back();
    piece.node_end = index + 1;
    piece.slot_end = node.slot + op.page_count;
    if (is_host_run && runs_whole(op.kind)) piece.whole.push_back(index);
    if (is_host_run && dirty_map::takes_pages(op)) piece.by_pages.push_back(index);
  }
  for (std::uint32_t i = 0; i < pieces_.size(); ++i) {
    if (pieces_[i].is_host_run) host_pieces_.push_back(i);
  }
  const auto stage_of = [&](std::uint32_t piece) { return pieces_[piece].stage; };
  std::ranges::stable_sort(host_pieces_, {}, stage_of);
  for (std::uint32_t stage = 0; stage <= stages.stage_count; ++stage) {
    const auto first = std::ranges::lower_bound(host_pieces_, stage, {}, stage_of);
    begin_of_stage_.push_back(static_cast<std::uint32_t>(first - host_pieces_.begin()));
  }
}

void mixed_plan::add_readers(const plan& graph, const device_stages& stages) {
  const std::uint32_t sources = graph.source_count();
  for (std::uint32_t producer = 0; producer < sources + graph.eager_node_count; ++producer) {
    host_readers_begin_.push_back(static_cast<std::uint32_t>(host_readers_.size()));
    later_stages_begin_.push_back(static_cast<std::uint32_t>(later_stages_.size()));
    bool is_on_device = producer < sources || stages.is_host_run[producer - sources] == 0;
    for (std::uint32_t i = graph.child_begin[producer]; i < graph.child_begin[producer + 1]; ++i) {
      const std::uint32_t reader = graph.children[i];
      if (stages.is_host_run[reader] != 0) {
        host_readers_.push_back(reader);
        continue;
      }
      is_on_device = true;
      const std::uint32_t stage = stages.stage_of_node[reader];
      if (stage != 0) later_stages_.push_back(stage);
    }
    const auto mine = later_stages_.begin() + later_stages_begin_.back();
    std::sort(mine, later_stages_.end());
    later_stages_.erase(std::unique(mine, later_stages_.end()), later_stages_.end());
    is_on_device_.push_back(is_on_device);
  }
  host_readers_begin_.push_back(static_cast<std::uint32_t>(host_readers_.size()));
  later_stages_begin_.push_back(static_cast<std::uint32_t>(later_stages_.size()));
}

}  // namespace sheaf::inline v0
