#include "propagate/dirty_map.hpp"

#include <algorithm>

#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

namespace {

/// Lines of an operand that one result element of a fold reads.
unsigned lines_per_element(const plan_operation& op, const plan_operand& operand) noexcept {
  return op.kind == operator_kind::fold_lines ? 1 : 1u << size_shift(operand.type);
}

}  // namespace

bool dirty_map::is_pushed_only(const plan_operation& op) noexcept {
  const operator_rules* rules = rules_of(op.kind);
  return rules != nullptr && rules->pushed_only;
}

bool dirty_map::takes_pages(const plan_operation& op) noexcept {
  const operator_rules* rules = rules_of(op.kind);
  return rules != nullptr && rules->push_pages != nullptr;
}

std::uint64_t dirty_map::changed_elements(const plan_operand& operand,
                                          std::uint64_t line) const noexcept {
  const unsigned shift = line_shift - size_shift(operand.type);
  const std::uint64_t left = plan_.graph->length_of(operand.producer) - (line << shift);
  const std::uint64_t valid =
      first_lines(static_cast<unsigned>(std::min<std::uint64_t>(std::uint64_t{1} << shift, left)));
  const std::uint64_t* tracked =
      whole_lines_ ? nullptr : plan_.tracked_elements(operand.producer, changed_elements_);
  return tracked == nullptr ? valid : valid & tracked[line];
}

void dirty_map::mark_line_range(const plan_node& node, const plan_operation& op,
                                std::uint64_t begin, std::uint64_t end) noexcept {
  if (begin >= end) return;
  const unsigned shift = static_cast<unsigned>(op.page);
  for_each_reached(begin >> shift, ((end - 1) >> shift) + 1, [&](std::uint64_t page) {
    const std::uint64_t first = std::max(begin, page << shift);
    const std::uint64_t last = std::min(end, (page + 1) << shift);
    mark(node.slot + static_cast<std::uint32_t>(page),
         first_lines(static_cast<unsigned>(last - first)) << (first & (lines_of(op.page) - 1)));
  });
}

void dirty_map::mark_all_elements(const plan_node& node, const plan_operation& op) noexcept {
  const unsigned shift = line_shift - size_shift(op.type);
  const std::uint64_t lines = ((op.length - 1) >> shift) + 1;
  std::uint64_t* masks = element_masks_ + plan_.indexed_begin[plan_.node_index(node)];
  std::fill_n(masks, lines, first_lines(1u << shift));
  masks[lines - 1] = first_lines(static_cast<unsigned>(op.length - ((lines - 1) << shift)));
  mark_line_range(node, op, 0, lines);
}

std::uint64_t dirty_map::count_marked(const plan_node& node,
                                      const plan_operation& op) const noexcept {
  const unsigned shift = line_shift - size_shift(op.type);
  const std::uint64_t lines = ((op.length - 1) >> shift) + 1;
  const std::uint64_t* masks = element_masks_ + plan_.indexed_begin[plan_.node_index(node)];
  std::uint64_t marked = 0;
  for (std::uint64_t line = 0; line < lines; ++line) marked += line_count(masks[line]);
  return marked;
}

void dirty_map::push(std::uint32_t producer, std::uint32_t page, line_mask changed) noexcept {
  const plan& graph = *plan_.graph;
  const std::uint32_t last = graph.child_begin[producer + 1];
  for (std::uint32_t i = graph.child_begin[producer]; i < last; ++i) {
    const plan_node& node = graph.nodes[graph.children[i]];
    const plan_operation& op = graph.operations[node.operation];
    if (SHEAF_LIKELY(op.uniform)) {
      mark(node.slot + page, changed);
      continue;
    }
    push_to(node, op, producer, page, changed);
  }
}

void dirty_map::push_to(const plan_node& node, const plan_operation& op, std::uint32_t producer,
                        std::uint32_t page, line_mask changed) noexcept {
  if (op.uniform) {
    mark(node.slot + page, changed);
    return;
  }
  if (takes_pages(op)) return;
  const plan& graph = *plan_.graph;
  const std::uint32_t* entries = graph.operands.data() + node.operand_begin;
  for (std::uint32_t k = 0; k < op.operand_count; ++k) {
    if (graph.operand_details[entries[k]].producer == producer) {
      push_operand(node, op, k, page, changed);
    }
  }
}

void dirty_map::push_into(const plan_node& node, const plan_operation& op) noexcept {
  const plan& graph = *plan_.graph;
  for (std::uint32_t k = 0; k < op.operand_count; ++k) {
    const plan_operand& operand = plan_.operand(node, k);
    if (operand.producer == no_index) continue;
    if (takes_pages(op)) {
      push_operand_pages(node, op, k, 0, graph.page_count_of(operand.producer));
      continue;
    }
    const std::uint32_t last = operand.slot + graph.page_count_of(operand.producer);
    for (std::uint32_t slot = dirty_.next(operand.slot); slot < last;
         slot = dirty_.next(slot + 1)) {
      push_operand(node, op, k, slot - operand.slot, masks_[slot]);
    }
  }
}

bool dirty_map::push_until(std::uint32_t producer, std::uint32_t page, line_mask changed,
                           pace& with, push_point& at) noexcept {
  const plan& graph = *plan_.graph;
  const std::uint32_t* children = graph.children.data() + graph.child_begin[producer];
  const std::uint32_t count = graph.child_begin[producer + 1] - graph.child_begin[producer];
  for (; at.child < count; ++at.child, at.operand = 0) {
    if (with.is_over()) return false;
    const plan_node& node = graph.nodes[children[at.child]];
    const plan_operation& op = graph.operations[node.operation];
    if (SHEAF_LIKELY(op.uniform)) {
      mark(node.slot + page, changed);
      (void)with.spent(1);
      continue;
    }
    const std::uint32_t* entries = graph.operands.data() + node.operand_begin;
    for (; at.operand < op.operand_count; ++at.operand) {
      if (graph.operand_details[entries[at.operand]].producer != producer) continue;
      if (with.is_over() || !push_operand_until(node, op, at.operand, page, changed, with, at)) {
        return false;
      }
    }
  }
  at = {};
  return true;
}

bool dirty_map::push_into_until(const plan_node& node, const plan_operation& op, pace& with,
                                push_point& at) noexcept {
  for (; at.operand < op.operand_count; ++at.operand, at.page = 0) {
    const plan_operand& operand = plan_.operand(node, at.operand);
    if (operand.producer == no_index) continue;
    const std::uint32_t last = operand.slot + plan_.graph->page_count_of(operand.producer);
    for (std::uint32_t slot = dirty_.next(operand.slot + at.page); slot < last;
         slot = dirty_.next(slot + 1)) {
      at.page = slot - operand.slot;
      if (with.is_over() ||
          !push_operand_until(node, op, at.operand, at.page, masks_[slot], with, at)) {
        return false;
      }
    }
  }
  at = {};
  return true;
}

/// Passes over what `at` counts; false where it did not come to the end.
bool dirty_map::push_operand_until(const plan_node& node, const plan_operation& op,
                                   std::uint32_t which, std::uint32_t page, line_mask changed,
                                   pace& with, push_point& at) noexcept {
  pace_ = &with;
  skipped_ = reached_ = at.reached;
  is_cut_ = false;
  push_operand(node, op, which, page, changed);
  pace_ = nullptr;
  at.reached = is_cut_ ? reached_ : 0;
  // What it did besides: at most a few hundred marks.
  (void)with.spent(line_count(changed));
  return !is_cut_;
}

void dirty_map::push_operand_pages(const plan_node& node, const plan_operation& op,
                                   std::uint32_t which, std::uint32_t begin,
                                   std::uint32_t end) noexcept {
  rules_of(op.kind)->push_pages(*this, node, op, which, begin, end);
}

void dirty_map::push_operand(const plan_node& node, const plan_operation& op,
                             std::uint32_t which, std::uint32_t page,
                             line_mask changed) noexcept {
  const plan_operand& operand = plan_.operand(node, which);
  switch (op.kind) {
    case operator_kind::combine:
    case operator_kind::program: push_aligned(node, op, operand, page, changed); break;
    case operator_kind::fold_lines:
    case operator_kind::fold_blocks: push_fold(node, op, operand, page, changed); break;
    default: rules_of(op.kind)->push(*this, node, op, which, page, changed); break;
  }
}

void dirty_map::push_aligned(const plan_node& node, const plan_operation& op,
                             const plan_operand& operand, std::uint32_t page,
                             line_mask changed) noexcept {
  if (operand.element != no_index) {
    const std::uint64_t line = line_of_element(operand);
    const unsigned shift = static_cast<unsigned>(operand.page);
    if (line >> shift != page || (changed >> (line & (lines_of(operand.page) - 1)) & 1) == 0) {
      return;
    }
    for_each_reached(0, op.page_count, [&](std::uint64_t reached) {
      const auto at = static_cast<std::uint32_t>(reached);
      mark(node.slot + at, plan_.lines_of_page(op, at));
    });
    return;
  }
  const unsigned from = static_cast<unsigned>(operand.page);
  const unsigned to = static_cast<unsigned>(op.page);
  if (from == to) {
    mark(node.slot + page, changed);
  } else if (from < to) {
    const unsigned inside = (page & ((1u << (to - from)) - 1)) << from;
    mark(node.slot + (page >> (to - from)), changed << inside);
  } else {
    const std::uint32_t first = page << (from - to);
    for (std::uint32_t part = 0; part < 1u << (from - to); ++part) {
      const line_mask mask = changed >> (part << to) & first_lines(1u << to);
      if (mask != 0) mark(node.slot + first + part, mask);
    }
  }
}

void dirty_map::push_fold(const plan_node& node, const plan_operation& op,
                          const plan_operand& operand, std::uint32_t page,
                          line_mask changed) noexcept {
  const unsigned each = static_cast<unsigned>(std::countr_zero(lines_per_element(op, operand)));
  const unsigned element_shift = plan_.operations[node.operation].element_shift;
  const std::uint64_t first = std::uint64_t{page} * lines_of(operand.page);
  for_each_line(changed, [&](unsigned line) {
    const std::uint64_t result_line = (first + line) >> each >> element_shift;
    mark(node.slot + static_cast<std::uint32_t>(result_line >> static_cast<unsigned>(op.page)),
         line_mask{1} << (result_line & (lines_of(op.page) - 1)));
  });
}

line_mask dirty_map::pull(const plan_node& node, const plan_operation& op,
                          std::uint32_t page) const noexcept {
  const plan& graph = *plan_.graph;
  const std::uint32_t* entries = graph.operands.data() + node.operand_begin;
  line_mask mask = 0;
  if (SHEAF_LIKELY(op.uniform)) {
    for (std::uint32_t k = 0; k < op.operand_count; ++k) mask |= masks_[entries[k] + page];
    return mask;
  }
  if (const operator_rules* rules = rules_of(op.kind); rules != nullptr) {
    return rules->pull(*this, node, op, page) & plan_.lines_of_page(op, page);
  }
  for (std::uint32_t k = 0; k < op.operand_count; ++k) {
    const plan_operand& operand = graph.operand_details[entries[k]];
    if (operand.producer == no_index) continue;
    if (op.kind == operator_kind::fold_lines || op.kind == operator_kind::fold_blocks) {
      mask |= pull_fold(op, operand, page);
    } else if (operand.element != no_index) {
      if (broadcast_changed(operand)) mask = ~line_mask{0};
    } else {
      mask |= pull_aligned(op, operand, page);
    }
  }
  return mask & plan_.lines_of_page(op, page);
}

bool dirty_map::broadcast_changed(const plan_operand& operand) const noexcept {
  const std::uint64_t line = line_of_element(operand);
  const line_mask mask = masks_[operand.slot + (line >> static_cast<unsigned>(operand.page))];
  return (mask >> (line & (lines_of(operand.page) - 1)) & 1) != 0;
}

line_mask dirty_map::pull_aligned(const plan_operation& op, const plan_operand& operand,
                                  std::uint32_t page) const noexcept {
  const unsigned from = static_cast<unsigned>(operand.page);
  const unsigned to = static_cast<unsigned>(op.page);
  if (from == to) return masks_[operand.slot + page];
  if (from > to) {
    const unsigned inside = (page & ((1u << (from - to)) - 1)) << to;
    return masks_[operand.slot + (page >> (from - to))] >> inside & first_lines(1u << to);
  }
  const std::uint32_t first = page << (to - from);
  const std::uint32_t last = std::min(first + (1u << (to - from)),
                                      plan_.graph->page_count_of(operand.producer));
  line_mask mask = 0;
  for (std::uint32_t at = first; at < last; ++at) {
    mask |= masks_[operand.slot + at] << ((at - first) << from);
  }
  return mask;
}

line_mask dirty_map::pull_fold(const plan_operation& op, const plan_operand& operand,
                               std::uint32_t page) const noexcept {
  const unsigned each = lines_per_element(op, operand);
  const unsigned per_line = static_cast<unsigned>(line_size >> size_shift(op.type));
  const std::uint64_t lines_total =
      std::uint64_t{plan_.graph->page_count_of(operand.producer)} * lines_of(operand.page);
  line_mask mask = 0;
  for_each_line(plan_.lines_of_page(op, page), [&](unsigned line) {
    const std::uint64_t first =
        (std::uint64_t{page} * lines_of(op.page) + line) * per_line * each;
    const std::uint64_t last = std::min<std::uint64_t>(first + std::uint64_t{per_line} * each,
                                                       lines_total);
    for (std::uint64_t at = first; at < last;) {
      const auto inside = static_cast<unsigned>(at & (lines_of(operand.page) - 1));
      const auto span = static_cast<unsigned>(
          std::min<std::uint64_t>(lines_of(operand.page) - inside, last - at));
      const line_mask found =
          masks_[operand.slot + (at >> static_cast<unsigned>(operand.page))] >> inside;
      if ((found & first_lines(span)) != 0) {
        mask |= line_mask{1} << line;
        break;
      }
      at += span;
    }
  });
  return mask;
}

}  // namespace sheaf::inline v0
