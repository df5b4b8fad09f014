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
          __builtin_prefetch(&matrix.offsets[row]);  // for `fetch`
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

/// Where so many rows were marked by a changed vector that the others may as well be recomputed.
/// Estimates, not measured: marking a row costs a fifth of computing it in order, computing it out
/// of order four times as much. A row is marked once for each of its changed columns.
constexpr std::uint64_t marks_per_row_min = 2;   ///< one mark in so many rows: worth a count
constexpr std::uint64_t marked_share = 4;        ///< one row in so many: all of them
constexpr std::uint64_t counted_rows_min = 4096;  ///< fewer are marked before a count is over

/// Marks the rows of changed columns. What a column needs lies at three places of which each names
/// the next; columns are put together so that all of them are fetched at once.
class column_marks {
 public:
  column_marks(dirty_map& map, const plan_node& node, const plan_operation& op,
               const sparse_structure& matrix) noexcept
      : map_(map), node_(node), op_(op), matrix_(matrix), rows_(matrix.offsets.size() - 1) {}

  void add(std::uint64_t column) noexcept {
    __builtin_prefetch(&matrix_.reach_offsets[column]);
    columns_[count_++] = static_cast<std::uint32_t>(column);
    if (count_ == columns_max) mark();
  }
  void mark() noexcept {
    for (unsigned i = 0; i < count_; ++i) {
      const std::uint32_t begin = matrix_.reach_offsets[columns_[i]];
      const std::uint32_t end = matrix_.reach_offsets[columns_[i] + std::size_t{1}];
      if (begin == end) continue;
      __builtin_prefetch(&matrix_.reach_rows[begin]);
      __builtin_prefetch(&matrix_.reach_rows[end - 1]);
    }
    for (unsigned i = 0; i < count_; ++i) {
      const std::uint32_t end = matrix_.reach_offsets[columns_[i] + std::size_t{1}];
      std::uint32_t at = matrix_.reach_offsets[columns_[i]];
      marks_ += end - at;
      for (; at < end; ++at) {
        const std::uint32_t row = matrix_.reach_rows[at];
        __builtin_prefetch(&matrix_.offsets[row]);  // for `fetch`
        map_.mark_element(node_, op_, row);
      }
    }
    count_ = 0;
  }
  /// True once all rows were marked: the rest has nothing to add.
  [[nodiscard]] bool marked_all() noexcept {
    if (map_.takes_whole_lines()) mark();
    if (rows_ < counted_rows_min || marks_ * marks_per_row_min < rows_) return false;
    marks_ = 0;
    // Where a cone is counted no fewer rows may be marked than by any commit within it, whatever
    // the order of marks: all, as soon as a commit might.
    if (!map_.takes_whole_lines() && map_.count_marked(node_, op_) * marked_share < rows_) {
      return false;
    }
    map_.mark_all_elements(node_, op_);
    return true;
  }

 private:
  static constexpr unsigned columns_max = 64;

  dirty_map& map_;
  const plan_node& node_;
  const plan_operation& op_;
  const sparse_structure& matrix_;
  const std::uint64_t rows_;
  std::uint64_t marks_ = 0;
  unsigned count_ = 0;
  std::uint32_t columns_[columns_max];
};

void push_pages(dirty_map& map, const plan_node& node, const plan_operation& op,
                std::uint32_t which, std::uint32_t begin, std::uint32_t end) noexcept {
  const plan_operand& operand = map.operand(node, which);
  const unsigned element_shift = line_shift - size_shift(operand.type);
  column_marks columns(map, node, op, *map.graph().matrices[op.payload]);
  for (std::uint32_t page = map.next_changed_page(operand, begin, end); page < end;
       page = map.next_changed_page(operand, page + 1, end)) {
    const line_mask changed = map.changed_lines(operand, page);
    if (which == values_operand) {
      push(map, node, op, which, page, changed);
      continue;
    }
    const std::uint64_t first = std::uint64_t{page} * lines_of(operand.page);
    for_each_line(changed, [&](unsigned line) {
      const std::uint64_t element = (first + line) << element_shift;
      std::uint64_t elements = map.changed_elements(operand, first + line);
      for (; elements != 0; elements &= elements - 1) {
        columns.add(element + static_cast<unsigned>(std::countr_zero(elements)));
      }
    });
    if (columns.marked_all()) return;
  }
  columns.mark();
}

/// Asked lines from which on it is worth a look whether x lies in one piece.
constexpr unsigned many_lines = 32;

/// Elements of a whole line.
unsigned elements_of_line(const plan_operation& op) noexcept {
  return static_cast<unsigned>(line_size >> size_shift(op.type));
}

/// True where the pages lie one after the other. O(pages), a fraction of what a page of rows costs.
bool is_flat(const paged_view& pages, std::uint32_t count) noexcept {
  std::uint32_t differs = 0;
  const std::uint32_t first = pages.frames[0];
  for (std::uint32_t i = 0; i < count; ++i) differs |= pages.frames[i] ^ (first + i);
  return differs == 0;
}

/// True where most rows of most lines are asked for: the body then reads in order and looks ahead
/// by itself.
bool reads_in_order(const page_runner& runner, const plan_node& node, const plan_operation& op,
                    std::uint32_t page, line_mask mask) noexcept {
  bool most = line_count(mask) >= many_lines;
  for (; most && mask != 0; mask &= mask - 1) {
    const auto line = static_cast<unsigned>(std::countr_zero(mask));
    most = line_count(runner.asked_elements(node, op, page, line)) * 2 > elements_of_line(op);
  }
  return most;
}

/// The first entries of a row whose elements of x are fetched: longer rows are read fast anyway.
constexpr std::uint32_t fetched_entries_max = 64;

/// Brings closer what the asked rows of a page read: entries with step 0, elements of x with step
/// 1.
std::uint64_t fetch(const page_runner& runner, const plan_node& node, const plan_operation& op,
                    std::uint32_t page, line_mask mask, unsigned step) noexcept {
  if (reads_in_order(runner, node, op, page, mask)) return 0;
  const sparse_structure& matrix = *runner.graph().matrices[op.payload];
  const paged_view values = runner.paged_where_required(runner.operand(node, values_operand));
  const paged_view x = runner.paged_where_required(runner.operand(node, x_operand));
  const unsigned size = size_shift(op.type);
  const auto fetch_element = [size](const paged_view& of, std::uint32_t at) {
    const std::size_t place = at & ((std::uint32_t{1} << of.page_shift) - 1);
    const std::size_t frame = of.frames[at >> of.page_shift];
    __builtin_prefetch(of.base + (frame << of.frame_shift) + (place << size));
  };
  std::uint64_t lines = 0;
  for_each_line(mask, [&](unsigned line) {
    const std::uint64_t first =
        page_runner::first_element(op, runner.resolved(node), page, line);
    if (step == 0) __builtin_prefetch(runner.page_at(node.slot + page, op.page) + line * line_size);
    for (std::uint64_t rows = runner.asked_elements(node, op, page, line); rows != 0;
         rows &= rows - 1) {
      const std::uint64_t row = first + static_cast<unsigned>(std::countr_zero(rows));
      const std::uint32_t begin = matrix.offsets[row];
      const std::uint32_t end = std::min(matrix.offsets[row + 1], begin + fetched_entries_max);
      if (begin == end) continue;
      lines += end - begin;
      if (step == 0) {
        __builtin_prefetch(&matrix.indices[begin]);
        __builtin_prefetch(&matrix.indices[end - 1]);
        fetch_element(values, begin);
        fetch_element(values, end - 1);
        continue;
      }
      for (std::uint32_t e = begin; e < end; ++e) fetch_element(x, matrix.indices[e]);
    }
  });
  return lines;
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
  if (runner.must_require()) {
    for_each_line(task.mask, [&](unsigned line) {
      require_rows(runner, node, matrix, page_runner::first_element(op, body, page, line),
                   runner.asked_elements(node, op, page, line));
    });
    (void)fetch(runner, node, op, page, task.mask, 0);
    (void)fetch(runner, node, op, page, task.mask, 1);
  }
  bool all = line_count(task.mask) >= many_lines && !runner.must_require();
  for_each_line(task.mask, [&](unsigned line) {
    asked[line] = runner.take_elements(node, op, page, line);
    all = all && line_count(asked[line]) * 2 > elements_of_line(op);
  });
  const paged_view x_pages = runner.paged_where_required(x);
  const std::uint32_t x_page_count = runner.graph().page_count_of(x.producer);
  const spmv_view view = {runner.paged_where_required(runner.operand(node, values_operand)),
                          x_pages,
                          all && is_flat(x_pages, x_page_count)
                              ? x_pages.base + (std::size_t{x_pages.frames[0]}
                                                << x_pages.frame_shift)
                              : nullptr,
                          matrix.offsets.data() + page_runner::first_element(op, body, page, 0),
                          matrix.indices.data(),
                          static_cast<std::uint32_t>(matrix.indices.size())};
  return reinterpret_cast<spmv_body>(body.bodies[0])(task, view, asked);
}

status resolve(const plan&, const plan_operation& op, const kernel_table& kernels,
               resolved_operation& out) {
  out.bodies[0] =
      reinterpret_cast<void (*)()>(spmv_bodies_of(kernels.set).of(op.semiring, op.type));
  return {};
}

}  // namespace

constinit const operator_rules spmv_rules = {.pushed_only = true,
                                             .by_element = true,
                                             .push = push,
                                             .pull = nullptr,
                                             .run = run,
                                             .resolve = resolve,
                                             .push_pages = push_pages,
                                             .fetch = fetch};

}  // namespace sheaf::inline v0
