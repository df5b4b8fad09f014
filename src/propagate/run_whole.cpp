#include <new>

#include "propagate/operators/rules.hpp"
#include "propagate/page_runner.hpp"

namespace sheaf::inline v0 {

line_task page_runner::settle_task(const plan_node& node, const plan_operation& op,
                                   std::uint32_t page) const noexcept {
  const resolved_operation& body = plan_.operations[node.operation];
  std::byte* const current = address(node.slot + page, op.page);
  const bool is_last = page + 1 == op.page_count;
  return {current, current, plan_.lines_of_page(op, page), is_last ? body.tail_line : 64,
          is_last ? body.tail_elements : 0};
}

std::string page_runner::name_of_result(const plan_node& node) const {
  const std::uint32_t array =
      plan_.array_of_producer[plan_.graph->source_count() + plan_.node_index(node)];
  return plan_.model->name_of(array_id{array});
}

/// Puts `lines` of a computed page in place; returns those that differ.
line_mask page_runner::settle_page(const plan_node& node, const plan_operation& op,
                                   std::uint32_t page, line_mask lines,
                                   const std::byte* computed) {
  const resolved_operation& body = plan_.operations[node.operation];
  line_task task = settle_task(node, op, page);
  task.mask &= lines;
  const std::uint32_t slot = node.slot + page;
  const bool changes_in_place = !rehearsing_ && in_place(slot, op.page);
  if (!changes_in_place) task.out = page_scratch_;
  line_mask changed = body.settle(task, computed);
  if (!changes_in_place && changed != 0 && !rehearsing_ &&
      !write_aside(slot, op.page, changed, page_scratch_)) {
    changed = 0;
  }
  if (std::uint64_t* tracked = tracked_page(node, op, page); tracked != nullptr) {
    for_each_line(changed, [&](unsigned line) { tracked[line] = ~std::uint64_t{0}; });
  }
  ++counters_.pages_recomputed;
  count(op, task.mask, changed);
  return changed;
}

status page_runner::run_whole(const plan_node& node, const plan_operation& op,
                              std::unique_ptr<operator_memory>& memory,
                              std::vector<page_lines>& changed) {
  whole_result made;
  try {
    // Room first: an operator whose result cannot be taken over has run in vain.
    changed.reserve(op.page_count);
    SHEAF_TRY(rules_of(op.kind)->run_whole(*this, node, op, memory, made));
  } catch (const std::bad_alloc&) {
    return make_status(status_code::out_of_memory, subsystem::propagate,
                       "no memory to run an operator", "array '%s'",
                       name_of_result(node).c_str());
  }
  const auto settle = [&](std::uint32_t page, line_mask lines) {
    const line_mask differ =
        settle_page(node, op, page, lines, made.data + page * bytes_of(op.page));
    if (differ != 0) changed.push_back({page, differ});
  };
  if (made.is_all) {
    for (std::uint32_t page = 0; page < op.page_count; ++page) settle(page, ~line_mask{0});
  } else {
    for (const page_lines& part : made.parts) settle(part.page, part.lines);
  }
  return {};
}

status page_runner::compare_whole(const plan_node& node, const plan_operation& op,
                                  line_mask* differ) {
  std::unique_ptr<operator_memory> memory;
  whole_result made;
  SHEAF_TRY(rules_of(op.kind)->run_whole(*this, node, op, memory, made));
  const resolved_operation& body = plan_.operations[node.operation];
  for (std::uint32_t page = 0; page < op.page_count; ++page) {
    line_task task = settle_task(node, op, page);
    task.out = page_scratch_;
    differ[page] = body.settle(task, made.data + page * bytes_of(op.page));
  }
  return {};
}

}  // namespace sheaf::inline v0
