#include "propagate/operators/gather_at.hpp"

#include <cstring>

#include "propagate/operators/elements.hpp"

namespace sheaf::inline v0 {

namespace {

void push_gather(dirty_map& map, const plan_node& node, const plan_operation& op,
                 std::uint32_t which, std::uint32_t page, line_mask changed) noexcept {
  if (which == 0) {
    mark_elements(map, node, op, {0, op.length});
    return;
  }
  const plan_operand& indices = map.operand(node, 1);
  for_each_line(changed, [&](unsigned line) {
    const std::uint64_t number = line_number(indices.page, page, line);
    mark_elements(map, node, op, elements_of_line(number, indices.type, op.length));
  });
}

template <class Bits>
void gather_line(const page_runner& runner, const plan_operand& from, std::uint64_t from_length,
                 const plan_operand& indices, element_range elements, std::byte* to) noexcept {
  for (std::uint64_t i = elements.first; i < elements.last; ++i) {
    std::uint32_t index = 0;
    std::memcpy(&index, element_at_index(runner, indices, i), sizeof index);
    Bits value{};
    if (index < from_length) {
      std::memcpy(&value, element_at_index(runner, from, index), sizeof value);
    }
    std::memcpy(to + (i - elements.first) * sizeof value, &value, sizeof value);
  }
}

line_mask run_gather(page_runner& runner, const plan_node& node, const plan_operation& op,
                     std::uint32_t page, const line_task& task) noexcept {
  const plan_operand& from = runner.operand(node, 0);
  const plan_operand& indices = runner.operand(node, 1);
  const std::uint64_t length = runner.graph().length_of(from.producer);
  for_each_line(task.mask, [&](unsigned line) {
    const element_range elements =
        elements_of_line(line_number(op.page, page, line), op.type, op.length);
    std::byte* const to = runner.computed() + line * line_size;
    switch (size_shift(op.type)) {
      case 0:
        return gather_line<std::uint8_t>(runner, from, length, indices, elements, to);
      case 2:
        return gather_line<std::uint32_t>(runner, from, length, indices, elements, to);
      default:
        return gather_line<std::uint64_t>(runner, from, length, indices, elements, to);
    }
  });
  return runner.resolved(node).settle(task, runner.computed());
}

}  // namespace

constinit const operator_rules gather_at_rules = {true,    false,      push_gather,
                                                  nullptr, run_gather, nullptr};

}  // namespace sheaf::inline v0
