#include "propagate/operators/indexed.hpp"

#include <bit>
#include <cstring>

namespace sheaf::inline v0 {

namespace {

void push_indexed(dirty_map& map, const plan_node& node, const plan_operation& op,
                  std::uint32_t which, std::uint32_t page, line_mask changed) noexcept {
  const plan_operand& operand = map.operand(node, which);
  const index_table& table = map.graph().tables[op.payload];
  const unsigned element_shift = line_shift - size_shift(operand.type);
  const std::uint64_t first = std::uint64_t{page} * lines_of(operand.page);
  for_each_line(changed, [&](unsigned line) {
    std::uint64_t from = map.changed_elements(operand, first + line);
    for (; from != 0; from &= from - 1) {
      const std::uint64_t at = ((first + line) << element_shift) +
                               static_cast<unsigned>(std::countr_zero(from));
      map.for_each_reached(
          table.reach_offsets[at], table.reach_offsets[at + 1],
          [&](std::uint64_t i) { map.mark_element(node, op, table.reach_elements[i]); });
    }
  });
}

/// In a fork: finds the pages of the operand elements that the asked result elements read.
void require_items(page_runner& runner, const plan_operand& operand, const index_table& table,
                   std::uint64_t first, std::uint64_t elements) noexcept {
  for (std::uint64_t left = elements; left != 0; left &= left - 1) {
    const std::uint64_t at = first + static_cast<unsigned>(std::countr_zero(left));
    if (table.offsets.empty()) {
      runner.require_element(operand, table.indices[at]);
      continue;
    }
    for (std::uint32_t i = table.offsets[at]; i < table.offsets[at + 1]; ++i) {
      runner.require_element(operand, table.indices.empty() ? i : table.indices[i]);
    }
  }
}

line_mask run_indexed(page_runner& runner, const plan_node& node, const plan_operation& op,
                      std::uint32_t page, const line_task& task) noexcept {
  const resolved_operation& body = runner.resolved(node);
  const index_table& table = runner.graph().tables[op.payload];
  const plan_operand& operand = runner.operand(node, 0);
  const paged_view from = runner.paged_where_required(operand);
  for_each_line(task.mask, [&](unsigned line) {
    const std::uint64_t first = runner.first_element(op, body, page, line);
    const std::uint64_t elements = runner.take_elements(node, op, page, line);
    if (runner.must_require()) require_items(runner, operand, table, first, elements);
    std::byte* results = runner.computed() + line * line_size;
    std::memcpy(results, task.old + line * line_size, line_size);
    if (op.kind == operator_kind::gather) {
      body.gather(results, elements, from, table.indices.data() + first);
    } else {
      body.segment_fold(results, elements, from, table.offsets.data() + first,
                        table.indices.empty() ? nullptr : table.indices.data());
    }
  });
  return body.settle(task, runner.computed());
}

status resolve_indexed(const plan&, const plan_operation& op, const kernel_table& kernels,
                       resolved_operation& out) {
  if (op.kind == operator_kind::gather) {
    out.gather = kernels.gather[size_shift(op.type)];
  } else {
    out.segment_fold =
        kernels.segment_fold[static_cast<unsigned>(op.semiring)][static_cast<unsigned>(op.type)];
  }
  return {};
}

}  // namespace

constinit const operator_rules segment_fold_rules = {true, true, push_indexed, nullptr,
                                                     run_indexed, resolve_indexed};
constinit const operator_rules gather_rules = {true, true, push_indexed, nullptr, run_indexed,
                                               resolve_indexed};

}  // namespace sheaf::inline v0
