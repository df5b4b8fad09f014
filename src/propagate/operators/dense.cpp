#include "propagate/operators/dense.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "propagate/bodies/products.hpp"
#include "propagate/ring_table.hpp"

namespace sheaf::inline v0 {

SHEAF_RING_TABLES(dense_kernels, dense_bodies)

namespace {

constexpr std::uint32_t matrix_operand = 0;

/// The rows of `width` elements that hold changed ones, as lines come by in rising order.
class changed_rows {
 public:
  explicit changed_rows(std::uint64_t width) noexcept : width_(width) {}

  /// Calls `visitor(row)` for the rows of the `elements` of a line whose first is `first`; each
  /// row once.
  template <class Visitor>
  void visit(std::uint64_t first, std::uint64_t elements, Visitor&& visitor) noexcept {
    for (;;) {
      if (first + 64 <= end_) return;  // all of it lies in the row found last
      if (end_ > first) elements &= ~first_lines(static_cast<unsigned>(end_ - first));
      if (elements == 0) return;
      const std::uint64_t at = first + static_cast<unsigned>(std::countr_zero(elements));
      const std::uint64_t row = at / width_;
      visitor(row);
      end_ = (row + 1) * width_;
    }
  }

 private:
  const std::uint64_t width_;
  std::uint64_t end_ = 0;  ///< of the row found last
};

void push_gemv(dirty_map& map, const plan_node& node, const plan_operation& op,
               std::uint32_t which, std::uint32_t page, line_mask changed) noexcept {
  if (which != matrix_operand) {
    map.mark_all_elements(node, op);
    return;
  }
  const plan_operand& operand = map.operand(node, which);
  const unsigned element_shift = line_shift - size_shift(operand.type);
  const std::uint64_t first = std::uint64_t{page} * lines_of(operand.page);
  changed_rows rows(map.graph().dense[op.payload].inner);
  for_each_line(changed, [&](unsigned line) {
    rows.visit((first + line) << element_shift, map.changed_elements(operand, first + line),
               [&](std::uint64_t row) { map.mark_element(node, op, row); });
  });
}

/// In a fork: the pages of the rows that are asked for.
void require_rows(page_runner& runner, const plan_operand& matrix, std::uint64_t width,
                  std::uint64_t first, std::uint64_t rows) noexcept {
  const std::uint64_t per_page = std::uint64_t{1}
                                 << (byte_shift(matrix.page) - size_shift(matrix.type));
  for (; rows != 0; rows &= rows - 1) {
    const std::uint64_t row = first + static_cast<unsigned>(std::countr_zero(rows));
    const std::uint64_t end = (row + 1) * width;
    for (std::uint64_t at = row * width / per_page * per_page; at < end; at += per_page) {
      runner.require_element(matrix, at);
    }
  }
}

line_mask run_gemv(page_runner& runner, const plan_node& node, const plan_operation& op,
                   std::uint32_t page, const line_task& task) noexcept {
  const resolved_operation& body = runner.resolved(node);
  const plan_operand& matrix = runner.operand(node, matrix_operand);
  const gemv_view view = {runner.paged_where_required(matrix),
                          runner.paged(runner.operand(node, 1)),
                          runner.graph().dense[op.payload].inner};
  const auto rows_of = reinterpret_cast<gemv_body>(body.bodies[0]);
  for_each_line(task.mask, [&](unsigned line) {
    const std::uint64_t first = page_runner::first_element(op, body, page, line);
    const std::uint64_t rows = runner.take_elements(node, op, page, line);
    if (runner.must_require()) require_rows(runner, matrix, view.columns, first, rows);
    std::byte* results = runner.computed() + line * line_size;
    std::memcpy(results, task.old + line * line_size, line_size);
    rows_of(results, rows, view, first);
  });
  return body.settle(task, runner.computed());
}

void push_matmul(dirty_map& map, const plan_node& node, const plan_operation& op,
                 std::uint32_t which, std::uint32_t page, line_mask changed) noexcept {
  const unsigned result_shift = line_shift - size_shift(op.type);
  if (which != matrix_operand) {
    map.mark_line_range(node, op, 0, ((op.length - 1) >> result_shift) + 1);
    return;
  }
  const plan_operand& operand = map.operand(node, which);
  const dense_shape& shape = map.graph().dense[op.payload];
  const unsigned element_shift = line_shift - size_shift(operand.type);
  const std::uint64_t length = shape.rows * shape.inner;
  std::uint64_t marked = 0;  // rows before this one are
  for_each_line(changed, [&](unsigned line) {
    const std::uint64_t first = (std::uint64_t{page} * lines_of(operand.page) + line)
                                << element_shift;
    const std::uint64_t last = std::min(length, first + (std::uint64_t{1} << element_shift)) - 1;
    const std::uint64_t begin = std::max(first / shape.inner, marked);
    marked = last / shape.inner + 1;
    if (begin >= marked) return;
    map.mark_line_range(node, op, begin * shape.columns >> result_shift,
                        ((marked * shape.columns - 1) >> result_shift) + 1);
  });
}

/// Elements [begin, end) of the result, as a first row cut off, whole rows, a last row cut off.
template <class Visitor>
void visit_blocks(const dense_shape& shape, std::uint64_t begin, std::uint64_t end,
                  Visitor&& visitor) {
  const std::uint64_t width = shape.columns;
  while (begin < end) {
    const std::uint64_t row = begin / width;
    const std::uint64_t column = begin - row * width;
    const bool is_whole = column == 0 && end - begin >= width;
    const std::uint64_t rows = is_whole ? (end - begin) / width : 1;
    const std::uint64_t stop = is_whole ? width : std::min(width, column + (end - begin));
    visitor(row, rows, column, stop);
    begin = is_whole ? begin + rows * width : begin + (stop - column);
  }
}

line_mask run_matmul(page_runner& runner, const plan_node& node, const plan_operation& op,
                     std::uint32_t page, const line_task& task) noexcept {
  const resolved_operation& body = runner.resolved(node);
  const dense_shape& shape = runner.graph().dense[op.payload];
  const plan_operand& matrix = runner.operand(node, matrix_operand);
  const matmul_view view = {runner.paged_where_required(matrix),
                            runner.paged(runner.operand(node, 1)), shape.inner, shape.columns};
  const unsigned size = size_shift(op.type);
  const std::uint64_t page_first = page_runner::first_element(op, body, page, 0);
  for (line_mask left = task.mask; left != 0;) {
    const auto line = static_cast<unsigned>(std::countr_zero(left));
    const auto lines = static_cast<unsigned>(std::countr_one(left >> line));
    left &= ~(first_lines(lines) << line);
    const std::uint64_t begin = page_first + (std::uint64_t{line} << body.element_shift);
    const std::uint64_t end =
        std::min(op.length, page_first + (std::uint64_t{line + lines} << body.element_shift));
    visit_blocks(shape, begin, end, [&](std::uint64_t row, std::uint64_t rows,
                                        std::uint64_t column, std::uint64_t stop) {
      if (runner.must_require()) {
        for (std::uint64_t r = row; r < row + rows; ++r) {
          require_rows(runner, matrix, shape.inner, r, 1);
        }
      }
      const std::uint64_t place = row * shape.columns + column - page_first;
      reinterpret_cast<matmul_body>(body.bodies[0])(
          view, {runner.computed() + (place << size), row, rows, column, stop});
    });
  }
  return body.settle(task, runner.computed());
}

status resolve_gemv(const plan&, const plan_operation& op, const kernel_table& kernels,
                    resolved_operation& out) {
  out.bodies[0] =
      reinterpret_cast<void (*)()>(dense_kernels_of(kernels.set).of(op.semiring, op.type).gemv);
  return {};
}
status resolve_matmul(const plan&, const plan_operation& op, const kernel_table& kernels,
                      resolved_operation& out) {
  out.bodies[0] =
      reinterpret_cast<void (*)()>(dense_kernels_of(kernels.set).of(op.semiring, op.type).matmul);
  return {};
}

}  // namespace

constinit const operator_rules gemv_rules = {true, true, push_gemv, nullptr, run_gemv,
                                             resolve_gemv};
constinit const operator_rules matmul_rules = {true, false, push_matmul, nullptr, run_matmul,
                                               resolve_matmul};

}  // namespace sheaf::inline v0
