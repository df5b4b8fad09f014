#include "propagate/operators/slice.hpp"

#include <algorithm>
#include <cstring>

namespace sheaf::inline v0 {

namespace {

std::uint64_t line_count_of(const plan_operation& op) noexcept {
  return ((op.length << size_shift(op.type)) - 1) / line_size + 1;
}

void push_slice(dirty_map& map, const plan_node& node, const plan_operation& op,
                std::uint32_t which, std::uint32_t page, line_mask changed) noexcept {
  const std::uint64_t first = std::uint64_t{page} * lines_of(map.operand(node, which).page);
  const std::uint64_t count = line_count_of(op);
  for_each_line(changed, [&](unsigned line) {
    const std::uint64_t at = first + line - op.payload;  // wraps where it lies before the slice
    if (at < count) map.mark_line(node, op, at);
  });
}

line_mask pull_slice(const dirty_map& map, const plan_node& node, const plan_operation& op,
                     std::uint32_t page) noexcept {
  const plan_operand& operand = map.operand(node, 0);
  const std::uint64_t first = std::uint64_t{page} * lines_of(op.page);
  const std::uint64_t left = line_count_of(op) - first;
  const auto lines = static_cast<unsigned>(std::min<std::uint64_t>(left, lines_of(op.page)));
  const unsigned each = lines_of(operand.page);
  line_mask found = 0;
  for (unsigned line = 0; line < lines;) {
    const std::uint64_t from = op.payload + first + line;
    const auto inside = static_cast<unsigned>(from & (each - 1));
    const unsigned span = std::min(each - inside, lines - line);
    const line_mask changed =
        map.changed_lines(operand, static_cast<std::uint32_t>(from / each)) >> inside;
    found |= (changed & first_lines(span)) << line;
    line += span;
  }
  return found;
}

line_mask run_slice(page_runner& runner, const plan_node& node, const plan_operation& op,
                    std::uint32_t page, const line_task& task) noexcept {
  const plan_operand& operand = runner.operand(node, 0);
  const unsigned each = lines_of(operand.page);
  const std::uint64_t first = op.payload + std::uint64_t{page} * lines_of(op.page);
  for_each_line(task.mask, [&](unsigned line) {
    const std::uint64_t from = first + line;
    const std::byte* const lines =
        runner.page_of(operand, static_cast<std::uint32_t>(from / each));
    std::memcpy(runner.computed() + line * line_size, lines + (from & (each - 1)) * line_size,
                line_size);
  });
  return runner.resolved(node).settle(task, runner.computed());
}

}  // namespace

constinit const operator_rules slice_rules = {.pushed_only = false,
                                              .by_element = false,
                                              .push = push_slice,
                                              .pull = pull_slice,
                                              .run = run_slice,
                                              .resolve = nullptr};

}  // namespace sheaf::inline v0
