/// \file
/// Which array a slot of a plan belongs to. O(log arrays): producers are in the order of their
/// slots.
#pragma once

#include <algorithm>
#include <cstdint>

#include <sheaf/graph/plan.hpp>

namespace sheaf::inline v0 {

/// The producer whose pages hold `slot`.
[[nodiscard]] inline std::uint32_t producer_at(const plan& graph, std::uint32_t slot) noexcept {
  const auto above = [slot](const auto& list) {
    const auto after = std::upper_bound(
        list.begin(), list.end(), slot,
        [](std::uint32_t value, const auto& item) { return value < item.slot; });
    return static_cast<std::uint32_t>(after - list.begin());
  };
  if (!graph.nodes.empty() && slot >= graph.nodes.front().slot) {
    return graph.source_count() + above(graph.nodes) - 1;
  }
  return above(graph.sources) - 1;
}

/// The slot of the first page of `producer`.
[[nodiscard]] inline std::uint32_t first_slot_of(const plan& graph,
                                                 std::uint32_t producer) noexcept {
  return graph.is_source(producer) ? graph.sources[producer].slot : graph.node_of(producer).slot;
}

[[nodiscard]] inline page_class page_of(const plan& graph, std::uint32_t producer) noexcept {
  return graph.is_source(producer) ? graph.sources[producer].page
                                   : graph.operation_of(graph.node_of(producer)).page;
}

[[nodiscard]] inline dtype type_of(const plan& graph, std::uint32_t producer) noexcept {
  return graph.is_source(producer) ? graph.sources[producer].type
                                   : graph.operation_of(graph.node_of(producer)).type;
}

}  // namespace sheaf::inline v0
