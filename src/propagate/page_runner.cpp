#include "propagate/page_runner.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "propagate/operators/rules.hpp"

namespace sheaf::inline v0 {

void page_runner::line_aligned_delete::operator()(std::byte* bytes) const noexcept {
  ::operator delete[](bytes, std::align_val_t{line_size});
}

namespace {
constexpr std::size_t page_size_max = page_lines_max * line_size;

template <class Bits>
std::uint64_t differing_elements(const std::byte* a, const std::byte* b) noexcept {
  std::uint64_t elements = 0;
  for (unsigned i = 0; i < line_size / sizeof(Bits); ++i) {
    Bits left, right;
    std::memcpy(&left, a + i * sizeof(Bits), sizeof(Bits));
    std::memcpy(&right, b + i * sizeof(Bits), sizeof(Bits));
    elements |= std::uint64_t{left != right} << i;
  }
  return elements;
}

/// Notes for every changed line which of its elements differ.
void note_elements(std::uint64_t* noted, const std::byte* old_page, const std::byte* new_page,
                   line_mask changed, unsigned element_size_shift) noexcept {
  for_each_line(changed, [&](unsigned line) {
    const std::byte* a = old_page + line * line_size;
    const std::byte* b = new_page + line * line_size;
    noted[line] = element_size_shift == 0   ? differing_elements<std::uint8_t>(a, b)
                  : element_size_shift == 2 ? differing_elements<std::uint32_t>(a, b)
                                            : differing_elements<std::uint64_t>(a, b);
  });
}

void copy_lines(std::byte* to, const std::byte* from, line_mask lines) noexcept {
  for_each_line(lines, [&](unsigned line) {
    std::memcpy(to + line * line_size, from + line * line_size, line_size);
  });
}
}  // namespace

page_runner::page_runner(const resolved_plan& plan, const page_space& space)
    : plan_(plan), space_(space) {
  for (unsigned size = 0; size < page_class_count; ++size) {
    bases_[size] = space.store->base(static_cast<page_class>(size));
  }
  const std::size_t bytes = 2 * page_size_max + program_scratch_size;
  scratch_.reset(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{line_size})));
  page_scratch_ = scratch_.get();
  computed_ = page_scratch_ + page_size_max;
  program_scratch_ = computed_ + page_size_max;
  std::uint32_t operands_max = 0;
  for (const plan_operation& op : plan.graph->operations) {
    operands_max = std::max(operands_max, op.operand_count);
  }
  views_.resize(operands_max);
  pointers_.resize(operands_max);
}

/// Where the changed elements of a page are noted, or null.
std::uint64_t* page_runner::tracked_page(const plan_node& node, const plan_operation& op,
                                         std::uint32_t page) const noexcept {
  if (space_.changed_elements == nullptr) return nullptr;
  std::uint64_t* all = plan_.tracked_elements(
      plan_.graph->source_count() + plan_.node_index(node), space_.changed_elements);
  return all == nullptr ? nullptr : all + std::uint64_t{page} * lines_of(op.page);
}

line_mask page_runner::run(const plan_node& node, const plan_operation& op, std::uint32_t page,
                           line_mask mask) noexcept {
  const resolved_operation& body = plan_.operations[node.operation];
  const std::uint32_t slot = node.slot + page;
  // Before the address: see `changes_in_place`.
  const bool changes_in_place = in_place(slot, op.page);
  std::byte* const current = address(slot, op.page);
  line_task task{current, current, mask, 64, 0};
  if (page + 1 == op.page_count) {
    task.tail_line = body.tail_line;
    task.tail_elements = body.tail_elements;
  }
  ++counters_.pages_recomputed;
  line_mask changed = 0;
  std::uint64_t* const tracked = tracked_page(node, op, page);
  if (changes_in_place && tracked == nullptr) {
    changed = compute(node, op, body, page, task);
  } else {
    task.out = page_scratch_;
    changed = compute(node, op, body, page, task);
    if (tracked != nullptr) {
      note_elements(tracked, current, page_scratch_, changed, size_shift(op.type));
    }
    if (changed != 0 && !rehearsing_) {
      if (changes_in_place) {
        copy_lines(current, page_scratch_, changed);
      } else if (!write_aside(slot, op.page, changed, page_scratch_)) {
        changed = 0;
      }
    }
  }
  count(op, mask, changed);
  return changed;
}

bool page_runner::write_line(std::uint32_t slot, page_class page, unsigned line,
                             const std::byte* from) noexcept {
  if (in_place(slot, page)) {
    std::memcpy(address(slot, page) + line * line_size, from, line_size);
    return true;
  }
  std::memcpy(page_scratch_ + line * line_size, from, line_size);
  return write_aside(slot, page, line_mask{1} << line, page_scratch_);
}

void page_runner::write_lines(std::uint32_t slot, page_class page, line_mask lines,
                              const std::byte* from) noexcept {
  const bool is_in_place = in_place(slot, page);
  std::byte* const to = is_in_place ? address(slot, page) : page_scratch_;
  for_each_line(lines, [&](unsigned line) {
    std::memcpy(to + line * line_size, from, line_size);
    from += line_size;
  });
  if (!is_in_place) (void)write_aside(slot, page, lines, page_scratch_);
}

bool page_runner::write_aside(std::uint32_t slot, page_class page, line_mask changed,
                              const std::byte* computed) noexcept {
  if (space_.branch == nullptr) {
    copy_lines(space_.store->replace(slot, page, changed, log_), computed, changed);
    return true;
  }
  if (!space_.branch->make_writable(slot, page, changed)) return false;
  copy_lines(address(slot, page), computed, changed);
  return true;
}

void page_runner::count_run(const plan_operation& op, const run_tally& tally) noexcept {
  counters_.pages_recomputed += tally.pages;
  counters_.pages_cut_off += tally.pages - tally.pages_changed;
  counters_.lines_recomputed += tally.lines;
  counters_.lines_cut_off += tally.lines - tally.lines_changed;
  counters_.bytes_moved +=
      (tally.lines * (op.operand_count + 1) + tally.lines_changed) * line_size;
}

void page_runner::count(const plan_operation& op, line_mask asked, line_mask changed) noexcept {
  const std::uint64_t lines = line_count(asked);
  const std::uint64_t differ = line_count(changed);
  counters_.lines_recomputed += lines;
  counters_.lines_cut_off += lines - differ;
  counters_.pages_cut_off += changed == 0;
  counters_.bytes_moved += (lines * (op.operand_count + 1) + differ) * line_size;
}

line_mask page_runner::compare(const plan_node& node, const plan_operation& op,
                               std::uint32_t page) noexcept {
  const resolved_operation& body = plan_.operations[node.operation];
  line_task task{page_scratch_, address(node.slot + page, op.page), plan_.lines_of_page(op, page),
                 64, 0};
  if (page + 1 == op.page_count) {
    task.tail_line = body.tail_line;
    task.tail_elements = body.tail_elements;
  }
  return compute(node, op, body, page, task);
}

line_mask page_runner::compute(const plan_node& node, const plan_operation& op,
                               const resolved_operation& body, std::uint32_t page,
                               const line_task& task) noexcept {
  switch (op.kind) {
    case operator_kind::combine:
      if (op.uniform) {
        const std::uint32_t* slots = plan_.graph->operands.data() + node.operand_begin;
        const std::byte** pointers = pointers_.data();
        for (std::uint32_t i = 0; i < op.operand_count; ++i) {
          pointers[i] = address(slots[i] + page, op.page);
        }
        return body.combine(task, pointers, op.operand_count);
      }
      return compute_views(node, op, body, page, task);
    case operator_kind::program:
      return compute_views(node, op, body, page, task);
    case operator_kind::fold_lines:
    case operator_kind::fold_blocks:
      return fold_page(node, op, body, page, task);
    default: break;
  }
  const operator_rules* rules = rules_of(op.kind);
  SHEAF_ASSERT(rules->run != nullptr, "whole-operators-run-whole");
  return rules->run(*this, node, op, page, task);
}

paged_view page_runner::paged(const plan_operand& operand) const noexcept {
  if (space_.branch != nullptr) {
    space_.branch->require_array(operand.slot, plan_.graph->page_count_of(operand.producer),
                                 operand.page);
  }
  return paged_where_required(operand);
}

paged_view page_runner::paged_where_required(const plan_operand& operand) const noexcept {
  const unsigned frame_shift = byte_shift(operand.page);
  return {space_.frames + operand.slot, bases_[static_cast<unsigned>(operand.page)],
          frame_shift - size_shift(operand.type), frame_shift};
}

operand_view page_runner::view_of(const plan_operand& operand, page_class result_page,
                                  std::uint32_t page, std::uint32_t first_line) const noexcept {
  if (operand.producer == no_index) {
    return {reinterpret_cast<const std::byte*>(&plan_.graph->constants[operand.slot]), 0};
  }
  const unsigned size = size_shift(operand.type);
  if (operand.element != no_index) {
    const std::uint64_t byte = std::uint64_t{operand.element} << size;
    const auto at = static_cast<std::uint32_t>(byte >> byte_shift(operand.page));
    return {address(operand.slot + at, operand.page) + (byte & (bytes_of(operand.page) - 1)), 0};
  }
  const std::uint64_t line = std::uint64_t{page} * lines_of(result_page) + first_line;
  const auto at = static_cast<std::uint32_t>(line >> static_cast<unsigned>(operand.page));
  const std::size_t inside = (line & (lines_of(operand.page) - 1)) * line_size;
  return {address(operand.slot + at, operand.page) + inside, line_size};
}

/// Operands whose pages are smaller than the result's split the page into parts.
line_mask page_runner::compute_views(const plan_node& node, const plan_operation& op,
                                     const resolved_operation& body, std::uint32_t page,
                                     const line_task& task) noexcept {
  const std::uint32_t* entries = plan_.graph->operands.data() + node.operand_begin;
  if (op.uniform) {
    for (std::uint32_t i = 0; i < op.operand_count; ++i) {
      views_[i] = {address(entries[i] + page, op.page), line_size};
    }
    return compute_part(op, body, task);
  }
  const plan_operand* details = plan_.graph->operand_details.data();
  unsigned part_lines = lines_of(op.page);
  for (std::uint32_t i = 0; i < op.operand_count; ++i) {
    const plan_operand& operand = details[entries[i]];
    if (operand.producer != no_index && operand.element == no_index) {
      part_lines = std::min(part_lines, lines_of(operand.page));
    }
  }
  line_mask changed = 0;
  for (unsigned first = 0; first < lines_of(op.page); first += part_lines) {
    line_task part = task;
    part.mask = task.mask >> first & first_lines(part_lines);
    if (part.mask == 0) continue;
    part.out += first * line_size;
    part.old += first * line_size;
    part.tail_line = task.tail_line - first < part_lines ? task.tail_line - first : 64;
    for (std::uint32_t i = 0; i < op.operand_count; ++i) {
      views_[i] = view_of(details[entries[i]], op.page, page, first);
    }
    changed |= compute_part(op, body, part) << first;
  }
  return changed;
}

line_mask page_runner::compute_part(const plan_operation& op, const resolved_operation& body,
                                    const line_task& task) noexcept {
  if (op.kind == operator_kind::combine) {
    const std::uint32_t terms = op.weighted ? op.operand_count / 2 : op.operand_count;
    return body.weighted(task, views_.data(), op.weighted ? views_.data() + terms : nullptr, terms);
  }
  if (body.shape != nullptr) return body.shape(task, views_.data(), body.view.constants);
  return body.program(task, body.view, views_.data(), body.calls.data(), program_scratch_);
}

/// Elements of a folding result line whose operand lines changed; bit i is element first_element +
/// i.
std::uint64_t page_runner::dirty_elements(const plan_operation& op, const plan_operand& operand,
                                          std::uint64_t first_element,
                                          std::uint64_t valid) const noexcept {
  if (whole_ || space_.masks == nullptr) return valid;
  const unsigned lines_each =
      op.kind == operator_kind::fold_lines ? 1 : 1u << size_shift(operand.type);
  std::uint64_t elements = 0;
  for_each_line(valid, [&](unsigned i) {
    const std::uint64_t line = (first_element + i) * lines_each;
    const line_mask mask =
        space_.masks[operand.slot + (line >> static_cast<unsigned>(operand.page))];
    const auto inside = static_cast<unsigned>(line & (lines_of(operand.page) - 1));
    if ((mask >> inside & first_lines(lines_each)) != 0) elements |= std::uint64_t{1} << i;
  });
  return elements;
}

line_mask page_runner::fold_page(const plan_node& node, const plan_operation& op,
                                 const resolved_operation& body, std::uint32_t page,
                                 const line_task& task) noexcept {
  const plan_operand& operand =
      plan_.graph->operand_details[plan_.graph->operands[node.operand_begin]];
  const unsigned per_line = 1u << body.element_shift;
  for_each_line(task.mask, [&](unsigned line) {
    const std::uint64_t first =
        (std::uint64_t{page} * lines_of(op.page) + line) << body.element_shift;
    const auto count = static_cast<unsigned>(std::min<std::uint64_t>(per_line, op.length - first));
    const std::uint64_t elements = dirty_elements(op, operand, first, first_lines(count));
    std::byte* results = computed_ + line * line_size;
    std::memcpy(results, task.old + line * line_size, line_size);
    if (op.kind == operator_kind::fold_lines) {
      fold_line_of_lines(operand, body, first, elements, results, 1u << size_shift(op.type));
    } else {
      fold_line_of_blocks(operand, body, first, elements, results);
    }
  });
  return body.settle(task, computed_);
}

void page_runner::fold_line_of_lines(const plan_operand& operand, const resolved_operation& body,
                                     std::uint64_t first_element, std::uint64_t elements,
                                     std::byte* results, unsigned element_size) noexcept {
  const unsigned page_lines = lines_of(operand.page);
  const std::uint64_t length = plan_.graph->length_of(operand.producer);
  const unsigned lane_shift = line_shift - size_shift(operand.type);
  while (elements != 0) {
    const auto i = static_cast<unsigned>(std::countr_zero(elements));
    const std::uint64_t line = first_element + i;
    const auto page = static_cast<std::uint32_t>(line >> static_cast<unsigned>(operand.page));
    const auto inside = static_cast<unsigned>(line & (page_lines - 1));
    // All asked elements whose lines lie in this page go in one call.
    const unsigned span = std::min(page_lines - inside, 64u - i);
    const std::uint64_t here = elements >> i & first_lines(span);
    const std::uint64_t tail = length & ((std::uint64_t{1} << lane_shift) - 1);
    const std::uint64_t last_line = length >> lane_shift;
    const std::uint64_t page_first = line - inside;
    const bool has_tail = tail != 0 && last_line - page_first < page_lines;
    body.fold_lines(results + std::ptrdiff_t(i) * element_size -
                        std::ptrdiff_t(inside) * element_size,
                    address(operand.slot + page, operand.page), here << inside,
                    has_tail ? static_cast<std::uint32_t>(last_line - page_first) : 64,
                    static_cast<std::uint32_t>(tail));
    elements &= ~(first_lines(span) << i);
  }
}

void page_runner::fold_line_of_blocks(const plan_operand& operand, const resolved_operation& body,
                                      std::uint64_t first_element, std::uint64_t elements,
                                      std::byte* results) noexcept {
  const unsigned size = size_shift(operand.type);
  const std::uint64_t length =
      plan_.graph->operation_of(plan_.graph->node_of(operand.producer)).length;
  const std::uint64_t per_page = std::uint64_t{1} << (byte_shift(operand.page) - size);
  for_each_line(elements, [&](unsigned i) {
    const std::uint64_t first = (first_element + i) * 64;
    const auto page = static_cast<std::uint32_t>(first / per_page);
    const std::uint64_t page_first = page * per_page;
    const auto block = static_cast<std::uint32_t>((first - page_first) / 64);
    const auto valid = static_cast<std::uint32_t>(std::min(per_page, length - page_first));
    body.fold_blocks(results + (std::ptrdiff_t(i) - std::ptrdiff_t(block)) * (1 << size),
                     address(operand.slot + page, operand.page), valid, block, block + 1);
  });
}

std::uint64_t* page_runner::element_mask(const plan_node& node, const plan_operation& op,
                                         std::uint32_t page, unsigned line) const noexcept {
  if (space_.element_masks == nullptr || plan_.indexed_begin.empty()) return nullptr;
  const std::uint32_t begin = plan_.indexed_begin[plan_.node_index(node)];
  if (begin == no_index) return nullptr;
  return &space_.element_masks[begin + std::uint64_t{page} * lines_of(op.page) + line];
}

std::uint64_t page_runner::asked_elements(const plan_node& node, const plan_operation& op,
                                          std::uint32_t page, unsigned line) const noexcept {
  const resolved_operation& body = plan_.operations[node.operation];
  const std::uint64_t first = first_element(op, body, page, line);
  const auto count = static_cast<unsigned>(
      std::min<std::uint64_t>(std::uint64_t{1} << body.element_shift, op.length - first));
  const std::uint64_t elements = first_lines(count);
  const std::uint64_t* const asked = element_mask(node, op, page, line);
  return whole_ || asked == nullptr || *asked == 0 ? elements : elements & *asked;
}

std::uint64_t page_runner::take_elements(const plan_node& node, const plan_operation& op,
                                         std::uint32_t page, unsigned line) noexcept {
  const std::uint64_t elements = asked_elements(node, op, page, line);
  if (std::uint64_t* const asked = element_mask(node, op, page, line)) *asked = 0;
  return elements;
}

}  // namespace sheaf::inline v0
