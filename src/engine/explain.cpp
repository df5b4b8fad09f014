#include <sheaf/engine/explain.hpp>

#include "engine/engine_core.hpp"
#include "engine/lazy_order.hpp"
#include "engine/slot_owner.hpp"
#include "propagate/page_runner.hpp"

namespace sheaf::inline v0 {

namespace {

/// The newest record in which `line` of `slot` changed.
commit_record last_change(const record_ring& records, std::uint32_t slot, line_mask line,
                          const resolved_plan& graph) {
  const auto blocks = records.blocks();
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
    if ((*block)->graph.get() != &graph) break;  // slots meant something else before
    commit_record found;
    const std::size_t used = (*block)->used.load(std::memory_order_acquire);  // see `write`
    for (std::size_t at = 0; at < used; at += (*block)->header_at(at).size) {
      for (const changed_run& run : (*block)->runs_at(at)) {
        if (slot - run.slot < run.count && (run.lines & line) != 0) {
          found = commit_record(*block, at);
        }
      }
    }
    if (found) return found;
  }
  return {};
}

bool goes_line_by_line(const plan_operation& op) noexcept {
  return (op.kind == operator_kind::combine || op.kind == operator_kind::program) && op.uniform;
}

/// What `record` changed of the operands of `node`; `page` and `line` of its result are explained.
void add_operands(explanation& to, const commit_record& record, const resolved_plan& resolved,
                  const plan_node& node, std::uint32_t page, line_mask line) {
  const plan& graph = *resolved.graph;
  const bool same_line = goes_line_by_line(graph.operation_of(node));
  visit_operands(graph, node, [&](std::uint32_t slot, std::uint32_t pages, page_class) {
    const array_id array{resolved.array_of_producer[producer_at(graph, slot)]};
    const std::uint32_t first = same_line ? page : 0;
    const std::uint32_t end = same_line ? page + 1 : pages;
    for (std::uint32_t at = first; at < end; ++at) {
      const line_mask changed = record.lines_of(array, at) & (same_line ? line : ~line_mask{0});
      if (changed != 0) to.operands.push_back({array, at, changed});
    }
  });
}

}  // namespace

result<std::vector<array_id>> engine_core::ids_of(std::span<const any_array> arrays) {
  if (options_.record_bytes_max == 0) {
    return status(status_code::unsupported, subsystem::engine,
                  "the engine keeps no records of commits", "record_bytes_max is 0");
  }
  const auto pin = open_snapshot();  // keeps the graph
  if (!pin) return pin.error();
  std::vector<array_id> ids;
  for (const any_array& array : arrays) {
    SHEAF_TRY(pin->graph().check(array.handle(), array.type()));
    ids.push_back(array.id());
  }
  return ids;
}

result<explanation> engine_core::explain(const array_handle& target, dtype type,
                                         std::uint64_t element) {
  auto pin = open_snapshot();  // keeps the graph
  if (!pin) return pin.error();
  const generation& now = pin->graph();
  SHEAF_TRY(now.check(target, type));
  const plan& graph = *now.graph;
  const std::uint32_t producer = graph.producer_of_array[index_of(target.id)];
  if (element >= graph.length_of(producer)) {
    return make_status(status_code::out_of_range, subsystem::engine, "no such element",
                       "element %llu of '%s'", static_cast<unsigned long long>(element),
                       now.name_of(target).c_str());
  }
  if (!graph.is_source(producer) && graph.operation_of(graph.node_of(producer)).lazy) {
    return make_status(status_code::unsupported, subsystem::engine,
                       "a lazy array is computed when it is read: explain what it is computed from",
                       "'%s'", now.name_of(target).c_str());
  }
  const std::uint64_t line = (element << size_shift(type)) >> line_shift;
  const page_class size = page_of(graph, producer);
  const auto page = static_cast<std::uint32_t>(line >> static_cast<unsigned>(size));
  const line_mask bit = line_mask{1} << (line & (lines_of(size) - 1));
  explanation found;
  const commit_record record =
      last_change(records_, first_slot_of(graph, producer) + page, bit, *now.resolved);
  found.known_since = epoch{std::max(records_.complete_since(), now.first_epoch)};
  if (!record) return found;
  found.is_known = true;
  found.at = record.epoch();
  for (std::uint32_t i = 0; i < record.transaction_count(); ++i) {
    const transaction_tag tag = record.tag(i);
    if (tag.who.empty() && tag.why.empty()) continue;
    found.tags.push_back({std::string(tag.who), std::string(tag.why)});
  }
  if (!graph.is_source(producer)) {
    add_operands(found, record, *now.resolved, graph.node_of(producer), page, bit);
  }
  return found;
}

}  // namespace sheaf::inline v0
