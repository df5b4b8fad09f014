/// \file
/// What changed lines of a page reach: the dirty maps of src/propagate/dirty_map.hpp line by line,
/// so that a device needs no element masks. What is marked may be more than changes, never less;
/// what is recomputed for nothing is cut off.
///
/// Thread safety: any number of threads may mark. Cost: O(children), and for operators with an
/// index O(elements of the changed lines x what each reaches).
#pragma once

#include "cuda/propagate/run_state.hpp"

namespace sheaf::inline v0 {

/// Marks lines `mask` of `slot`, a page of a node of `batch`, whose list begins at `list_begin`.
SHEAF_HD void mark(const run_state& state, std::uint32_t batch, std::uint32_t list_begin,
                   std::uint32_t slot, line_mask mask) noexcept {
  if (mask == 0 || fetch_or(&state.todo[slot], mask) != 0) return;
  state.list[list_begin + fetch_add(&state.count[batch], 1)] = slot;
}

/// A node that is marked, as a target of element and line ranges.
struct mark_target {
  const device_plan& plan;
  const run_state& state;
  const device_child& child;
  const plan_operation& op;

  SHEAF_HD void lines(std::uint32_t page, line_mask mask) const noexcept {
    mark(state, child.batch, child.list_begin, child.slot + page, mask & lines_of_result(op, page));
  }
  SHEAF_HD void line(std::uint64_t at) const noexcept {
    mark(state, child.batch, child.list_begin,
         child.slot + static_cast<std::uint32_t>(at >> static_cast<unsigned>(op.page)),
         line_mask{1} << (at & (lines_in(op.page) - 1)));
  }
  SHEAF_HD void element(std::uint64_t at) const noexcept {
    line(at >> (line_shift - element_shift_of(op.type)));
  }
  /// Lines [begin, end), cut to those with elements.
  SHEAF_HD_CALLED void line_range(std::uint64_t begin, std::uint64_t end) const noexcept {
    const unsigned shift = static_cast<unsigned>(op.page);
    for (std::uint64_t page = begin >> shift; page < op.page_count && page << shift < end; ++page) {
      const std::uint64_t first = page << shift;
      const auto from = static_cast<unsigned>(begin > first ? begin - first : 0);
      const auto to =
          static_cast<unsigned>(end - first < lines_in(op.page) ? end - first : lines_in(op.page));
      lines(static_cast<std::uint32_t>(page), lines_between(from, to));
    }
  }
  SHEAF_HD void element_range(std::uint64_t begin, std::uint64_t end) const noexcept {
    if (begin >= end) return;
    const unsigned shift = line_shift - element_shift_of(op.type);
    line_range(begin >> shift, ((end - 1) >> shift) + 1);
  }
  SHEAF_HD void all() const noexcept { line_range(0, ~std::uint64_t{0} >> 1); }
};

/// Lines of equal numbers meet, whatever the page sizes; one element meets all.
SHEAF_HD_CALLED void mark_aligned(const mark_target& to, const plan_operand& operand,
                                  std::uint32_t page, line_mask changed) noexcept {
  if (operand.element != no_index) {
    const std::uint64_t line =
        std::uint64_t{operand.element} << element_shift_of(operand.type) >> line_shift;
    const unsigned shift = static_cast<unsigned>(operand.page);
    if (line >> shift == page && (changed >> (line & (lines_in(operand.page) - 1)) & 1) != 0) {
      to.all();
    }
    return;
  }
  const unsigned from = static_cast<unsigned>(operand.page);
  const unsigned into = static_cast<unsigned>(to.op.page);
  if (from <= into) {
    const unsigned inside = (page & ((1u << (into - from)) - 1)) << from;
    to.lines(page >> (into - from), changed << inside);
    return;
  }
  for (std::uint32_t part = 0; part < 1u << (from - into); ++part) {
    const line_mask mask = changed >> (part << into) & first_lines(1u << into);
    if (mask != 0) to.lines((page << (from - into)) + part, mask);
  }
}

/// Calls `visitor(first, end)` for the elements of each changed line; `end` may lie past the array.
template <class Visitor>
SHEAF_HD void for_changed_elements(const plan_operand& operand, std::uint32_t page,
                                   line_mask changed, Visitor&& visitor) noexcept {
  const unsigned shift = line_shift - element_shift_of(operand.type);
  for (; changed != 0; changed &= changed - 1) {
#if defined(__CUDA_ARCH__)
    const unsigned line = static_cast<unsigned>(__ffsll(static_cast<long long>(changed))) - 1;
#else
    const unsigned line = static_cast<unsigned>(__builtin_ctzll(changed));
#endif
    const std::uint64_t at = std::uint64_t{page} * lines_in(operand.page) + line;
    visitor(at << shift, (at + 1) << shift);
  }
}

/// The length of the array an operand names.
[[nodiscard]] SHEAF_HD std::uint64_t length_of_operand(const device_plan& plan,
                                                       const plan_operand& operand) noexcept {
  return plan.lengths[operand.producer];
}

/// Elements of a stencil's result that read one of [begin, end), in whole rows where more than one
/// row changed; taken wider than needed at edges.
SHEAF_HD_CALLED void mark_stencil(const mark_target& to, std::uint64_t begin,
                                  std::uint64_t end) noexcept {
  const device_stencil& shape = to.plan.stencils[to.op.payload];
  const auto rows = static_cast<std::int64_t>(shape.rows);
  const auto width = static_cast<std::int64_t>(shape.columns);
  const std::int64_t first_row = static_cast<std::int64_t>(begin) / width;
  const std::int64_t last_row = static_cast<std::int64_t>(end - 1) / width;
  std::int64_t from = 0, until = width;
  if (first_row == last_row && shape.edge != boundary::wrap) {
    from = static_cast<std::int64_t>(begin) - first_row * width - shape.column_last;
    until = static_cast<std::int64_t>(end) - first_row * width - shape.column_first;
    from = from < 0 ? 0 : from;
    until = until > width ? width : until;
  }
  const std::int64_t top = first_row - shape.row_last;
  const std::int64_t bottom = last_row - shape.row_first;
  const bool wraps = shape.edge == boundary::wrap && (top < 0 || bottom >= rows);
  if (wraps) return to.all();
  for (std::int64_t row = top < 0 ? 0 : top; row <= bottom && row < rows; ++row) {
    to.element_range(static_cast<std::uint64_t>(row * width + from),
                     static_cast<std::uint64_t>(row * width + until));
  }
}

SHEAF_HD_CALLED void mark_table(const mark_target& to, const plan_operand& operand,
                                std::uint32_t page, line_mask changed) noexcept {
  const device_plan& plan = to.plan;
  const device_table& table = plan.tables[to.op.payload];
  const std::uint64_t length = length_of_operand(plan, operand);
  for_changed_elements(operand, page, changed, [&](std::uint64_t first, std::uint64_t end) {
    for (std::uint64_t at = first; at < end && at < length; ++at) {
      const std::uint32_t last = plan.words[table.reach_offsets + at + 1];
      for (std::uint32_t i = plan.words[table.reach_offsets + at]; i < last; ++i) {
        to.element(plan.words[table.reach_elements + i]);
      }
    }
  });
}

/// The row whose entries hold number `entry`.
[[nodiscard]] SHEAF_HD_CALLED std::uint64_t row_of_entry(const device_plan& plan,
                                                         const device_matrix& matrix,
                                                         std::uint64_t entry) noexcept {
  std::uint64_t low = 0, high = matrix.rows;  // offsets[low] <= entry < offsets[high]
  while (high - low > 1) {
    const std::uint64_t middle = (low + high) / 2;
    if (plan.words[matrix.offsets + middle] <= entry) low = middle;
    else high = middle;
  }
  return low;
}

SHEAF_HD_CALLED void mark_spmv(const mark_target& to, const plan_operand& operand,
                               std::uint32_t which, std::uint32_t page,
                               line_mask changed) noexcept {
  const device_plan& plan = to.plan;
  const device_matrix& matrix = plan.matrices[to.op.payload];
  const std::uint64_t length = length_of_operand(plan, operand);
  for_changed_elements(operand, page, changed, [&](std::uint64_t first, std::uint64_t end) {
    if (first >= length) return;
    if (which == 0) {  // entries lie in rows one after the other
      const std::uint64_t last = (end < length ? end : length) - 1;
      to.element_range(row_of_entry(plan, matrix, first), row_of_entry(plan, matrix, last) + 1);
      return;
    }
    for (std::uint64_t at = first; at < end && at < length; ++at) {
      const std::uint32_t stop = plan.words[matrix.reach_offsets + at + 1];
      for (std::uint32_t i = plan.words[matrix.reach_offsets + at]; i < stop; ++i) {
        to.element(plan.words[matrix.reach_rows + i]);
      }
    }
  });
}

SHEAF_HD_CALLED void mark_dense(const mark_target& to, const plan_operand& operand,
                                std::uint32_t which, std::uint32_t page,
                                line_mask changed) noexcept {
  const dense_shape& shape = to.plan.dense[to.op.payload];
  if (which != 0) return to.all();
  const std::uint64_t length = length_of_operand(to.plan, operand);
  for_changed_elements(operand, page, changed, [&](std::uint64_t first, std::uint64_t end) {
    if (first >= length) return;
    const std::uint64_t last = (end < length ? end : length) - 1;
    to.element_range(first / shape.inner * shape.columns, (last / shape.inner + 1) * shape.columns);
  });
}

/// Marks in `to` what `changed` lines of page `page` of its operand number `which` reach.
SHEAF_HD_CALLED void mark_operand(const mark_target& to, const plan_operand& operand,
                                  std::uint32_t which, std::uint32_t page,
                                  line_mask changed) noexcept {
  switch (to.op.kind) {
    case operator_kind::combine:
    case operator_kind::program: return mark_aligned(to, operand, page, changed);
    case operator_kind::fold_lines:
    case operator_kind::fold_blocks: {
      // fold_lines: a line an element; fold_blocks: 64 elements one.
      const unsigned each =
          to.op.kind == operator_kind::fold_lines ? 0 : element_shift_of(operand.type);
      const std::uint64_t first = std::uint64_t{page} * lines_in(operand.page);
      for (unsigned line = 0; line < lines_in(operand.page); ++line) {
        if ((changed >> line & 1) != 0) to.element((first + line) >> each);
      }
      return;
    }
    case operator_kind::segment_fold:
    case operator_kind::gather: return mark_table(to, operand, page, changed);
    case operator_kind::spmv: return mark_spmv(to, operand, which, page, changed);
    case operator_kind::gemv:
    case operator_kind::matmul: return mark_dense(to, operand, which, page, changed);
    case operator_kind::stencil:
      for_changed_elements(operand, page, changed, [&](std::uint64_t first, std::uint64_t end) {
        if (first < to.op.length) mark_stencil(to, first, end < to.op.length ? end : to.op.length);
      });
      return;
    case operator_kind::cast:
      for_changed_elements(operand, page, changed, [&](std::uint64_t first, std::uint64_t end) {
        to.element_range(first, end);
      });
      return;
    case operator_kind::gather_at:
      if (which == 0) return to.all();
      for_changed_elements(operand, page, changed, [&](std::uint64_t first, std::uint64_t end) {
        to.element_range(first, end);
      });
      return;
    case operator_kind::slice: {
      const std::uint64_t first = std::uint64_t{page} * lines_in(operand.page);
      for (unsigned line = 0; line < lines_in(operand.page); ++line) {
        const std::uint64_t at = first + line;
        if ((changed >> line & 1) == 0 || at < to.op.payload) continue;
        to.line_range(at - to.op.payload, at - to.op.payload + 1);
      }
      return;
    }
    default: to.all();
  }
}

/// Marks what `changed` lines of the page `at` reach in one of its readers.
SHEAF_HD void push_to_child(const device_plan& plan, const run_state& state, const device_slot& at,
                            const device_child& child, line_mask changed) noexcept {
  if (child.is_uniform != 0) {
    mark(state, child.batch, child.list_begin, child.slot + at.page, changed);
    return;
  }
  const plan_node& node = plan.nodes[child.node];
  const plan_operation& op = plan.operations[node.operation];
  const mark_target to{plan, state, child, op};
  for (std::uint32_t k = 0; k < op.operand_count; ++k) {
    const plan_operand& operand = plan.details[plan.operands[node.operand_begin + k]];
    if (operand.producer == at.producer) mark_operand(to, operand, k, at.page, changed);
  }
}

/// Marks what `changed` lines of `slot` reach. The work is shared out: this is part `part` of
/// `parts`.
SHEAF_HD_CALLED void push(const device_plan& plan, const run_state& state, std::uint32_t slot,
                          line_mask changed, std::uint32_t part, std::uint32_t parts) noexcept {
  const device_slot at = plan.slots[slot];
  const std::uint32_t last = plan.child_begin[at.producer + 1];
  for (std::uint32_t i = plan.child_begin[at.producer] + part; i < last; i += parts) {
    push_to_child(plan, state, at, plan.children[i], changed);
  }
}

}  // namespace sheaf::inline v0
