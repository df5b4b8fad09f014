#include "engine/source_reach.hpp"

#include <algorithm>
#include <new>

#include "engine/lazy_order.hpp"
#include "engine/slot_owner.hpp"

namespace sheaf::inline v0 {

std::vector<std::uint32_t> source_reach::sources_of(const plan& graph, std::uint32_t producer) {
  std::vector<std::uint32_t> found;
  std::vector<std::uint32_t> open{producer};
  std::vector<bool> seen(graph.source_count() + graph.nodes.size(), false);
  while (!open.empty()) {
    const std::uint32_t at = open.back();
    open.pop_back();
    if (seen[at]) continue;
    seen[at] = true;
    if (graph.is_source(at)) {
      found.push_back(at);
      continue;
    }
    visit_operands(graph, graph.node_of(at), [&](std::uint32_t slot, std::uint32_t, page_class) {
      open.push_back(producer_at(graph, slot));
    });
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool source_reach::reaches(const plan& graph, std::uint32_t source,
                           std::uint32_t producer) noexcept {
  try {
    if (graph_ != &graph) known_.clear();
    graph_ = &graph;
    auto at = known_.find(producer);
    if (at == known_.end()) at = known_.emplace(producer, sources_of(graph, producer)).first;
    return std::binary_search(at->second.begin(), at->second.end(), source);
  } catch (const std::bad_alloc&) {
    return true;
  }
}

}  // namespace sheaf::inline v0
