#include "propagate/operators/spmv.hpp"

#include <algorithm>
#include <bit>

#include "propagate/bodies/products.hpp"
#include "propagate/ring_table.hpp"

namespace sheaf::inline v0 {

SHEAF_RING_TABLES(spmv_bodies, spmv_body)

namespace {

constexpr std::uint32_t values_operand = 0;
constexpr std::uint32_t x_operand = 1;

/// The row of a changed entry: looked for from the last one found, since entries come in order.
void push_values(dirty_map& map, const plan_node& node, const plan_operation& op,
                 const sparse_structure& matrix, std::uint64_t first, std::uint64_t elements,
                 std::uint64_t& row) noexcept {
  const auto& offsets = matrix.offsets;
  for (; elements != 0; elements &= elements - 1) {
    const std::uint64_t entry = first + static_cast<unsigned>(std::countr_zero(elements));
    if (entry >= offsets[row + 1]) {
      const auto after = std::upper_bound(
          offsets.begin() + static_cast<std::ptrdiff_t>(row) + 1, offsets.end(), entry);
      row = static_cast<std::uint64_t>(after - offsets.begin()) - 1;
    }
    map.mark_element(node, op, row);
  }
}

void push_x(dirty_map& map, const plan_node& node, const plan_operation& op,
            const sparse_structure& matrix, std::uint64_t first,
            std::uint64_t elements) noexcept {
  for (; elements != 0; elements &= elements - 1) {
    const std::uint64_t column = first + static_cast<unsigned>(std::countr_zero(elements));
    map.for_each_reached(
        matrix.reach_offsets[column], matrix.reach_offsets[column + 1], [&](std::uint64_t i) {
          const std::uint32_t row = matrix.reach_rows[i];
          __builtin_prefetch(&matrix.offsets[row]);  // for the body
          map.mark_element(node, op, row);
        });
  }
}

void push(dirty_map& map, const plan_node& node, const plan_operation& op, std::uint32_t which,
          std::uint32_t page, line_mask changed) noexcept {
  const plan_operand& operand = map.operand(node, which);
  const sparse_structure& matrix = *map.graph().matrices[op.payload];
  const unsigned element_shift = line_shift - size_shift(operand.type);
  const std::uint64_t first = std::uint64_t{page} * lines_of(operand.page);
  std::uint64_t row = 0;
  for_each_line(changed, [&](unsigned line) {
    const std::uint64_t elements = map.changed_elements(operand, first + line);
    const std::uint64_t element = (first + line) << element_shift;
    if (which == values_operand) push_values(map, node, op, matrix, element, elements, row);
    else push_x(map, node, op, matrix, element, elements);
  });
}

/// Asked lines from which on it is worth a look whether x lies in one piece.
constexpr unsigned many_lines = 32;

/// Elements of a whole line.
unsigned asked_elements(const plan_operation& op) noexcept {
  return static_cast<unsigned>(line_size >> size_shift(op.type));
}

/// True where the pages lie one after the other. O(pages), a fraction of what a page of rows costs.
bool is_flat(const paged_view& pages, std::uint32_t count) noexcept {
  std::uint32_t differs = 0;
  const std::uint32_t first = pages.frames[0];
  for (std::uint32_t i = 0; i < count; ++i) differs |= pages.frames[i] ^ (first + i);
  return differs == 0;
}

/// In a fork: the pages that hold what the asked rows read.
void require_rows(page_runner& runner, const plan_node& node, const sparse_structure& matrix,
                  std::uint64_t first, std::uint64_t rows) noexcept {
  for (; rows != 0; rows &= rows - 1) {
    const std::uint64_t row = first + static_cast<unsigned>(std::countr_zero(rows));
    for (std::uint32_t e = matrix.offsets[row]; e < matrix.offsets[row + 1]; ++e) {
      runner.require_element(runner.operand(node, values_operand), e);
      runner.require_element(runner.operand(node, x_operand), matrix.indices[e]);
    }
  }
}

line_mask run(page_runner& runner, const plan_node& node, const plan_operation& op,
              std::uint32_t page, const line_task& task) noexcept {
  const resolved_operation& body = runner.resolved(node);
  const sparse_structure& matrix = *runner.graph().matrices[op.payload];
  const plan_operand& x = runner.operand(node, x_operand);
  std::uint64_t asked[page_lines_max];
  bool all = line_count(task.mask) >= many_lines;
  for_each_line(task.mask, [&](unsigned line) {
    asked[line] = runner.take_elements(node, op, page, line);
    all = all && line_count(asked[line]) * 2 > asked_elements(op);
    if (runner.must_require()) {
      require_rows(runner, node, matrix, page_runner::first_element(op, body, page, line),
                   asked[line]);
    }
  });
  all = all && !runner.must_require();
  const paged_view x_pages = runner.paged_where_required(x);
  const std::uint32_t x_page_count = runner.graph().page_count_of(x.producer);
  const spmv_view view = {runner.paged_where_required(runner.operand(node, values_operand)),
                          x_pages,
                          all && is_flat(x_pages, x_page_count)
                              ? x_pages.base + (std::size_t{x_pages.frames[0]}
                                                << x_pages.frame_shift)
                              : nullptr,
                          matrix.offsets.data() + page_runner::first_element(op, body, page, 0),
                          matrix.indices.data()};
  return reinterpret_cast<spmv_body>(body.bodies[0])(task, view, asked);
}

status resolve(const plan&, const plan_operation& op, const kernel_table& kernels,
               resolved_operation& out) {
  out.bodies[0] =
      reinterpret_cast<void (*)()>(spmv_bodies_of(kernels.set).of(op.semiring, op.type));
  return {};
}

}  // namespace

constinit const operator_rules spmv_rules = {true, true, push, nullptr, run, resolve};

}  // namespace sheaf::inline v0
