#include "propagate/operators/stencil.hpp"

#include <cstring>

#include "propagate/bodies/products.hpp"
#include "propagate/operators/stencil_reach.hpp"
#include "propagate/ring_table.hpp"

namespace sheaf::inline v0 {

SHEAF_RING_TABLES(stencil_kernels, stencil_bodies)

namespace {

/// Calls `visitor(range)` for the elements of each run of changed lines of a page.
template <class Visitor>
void visit_runs(const plan_operand& operand, std::uint64_t length, std::uint32_t page,
                line_mask changed, Visitor&& visitor) {
  const unsigned element_shift = line_shift - size_shift(operand.type);
  const std::uint64_t first = std::uint64_t{page} * lines_of(operand.page);
  while (changed != 0) {
    const auto begin = static_cast<unsigned>(std::countr_zero(changed));
    const unsigned count = static_cast<unsigned>(std::countr_one(changed >> begin));
    visitor(element_range{(first + begin) << element_shift,
                          std::min(length, (first + begin + count) << element_shift)});
    changed &= ~(first_lines(count) << begin);
  }
}

void push(dirty_map& map, const plan_node& node, const plan_operation& op, std::uint32_t which,
          std::uint32_t page, line_mask changed) noexcept {
  const stencil_shape& shape = *map.graph().stencils[op.payload];
  const unsigned element_shift = line_shift - size_shift(op.type);
  visit_runs(map.operand(node, which), op.length, page, changed, [&](element_range run) {
    visit_reached(shape, run, [&](element_range reached) {
      map.mark_line_range(node, op, reached.begin >> element_shift,
                          ((reached.end - 1) >> element_shift) + 1);
    });
  });
}

line_mask pull(const dirty_map& map, const plan_node& node, const plan_operation& op,
               std::uint32_t page) noexcept {
  const stencil_shape& shape = *map.graph().stencils[op.payload];
  const plan_operand& operand = map.operand(node, 0);
  const unsigned element_shift = line_shift - size_shift(op.type);
  const unsigned page_shift = element_shift + static_cast<unsigned>(op.page);
  const unsigned from_shift = element_shift + static_cast<unsigned>(operand.page);
  const std::uint64_t first_line = std::uint64_t{page} * lines_of(op.page);
  const element_range mine = {std::uint64_t{page} << page_shift,
                              std::min(op.length, (std::uint64_t{page} + 1) << page_shift)};
  line_mask mask = 0;
  visit_read(shape, mine, [&](element_range read) {
    const auto last = static_cast<std::uint32_t>((read.end - 1) >> from_shift);
    for (auto at = static_cast<std::uint32_t>(read.begin >> from_shift); at <= last; ++at) {
      const line_mask changed = map.changed_lines(operand, at);
      if (changed == 0) continue;
      visit_runs(operand, op.length, at, changed, [&](element_range run) {
        visit_reached(shape, run, [&](element_range reached) {
          const std::uint64_t begin = std::max(reached.begin, mine.begin);
          const std::uint64_t end = std::min(reached.end, mine.end);
          if (begin >= end) return;
          mask |= lines_between(static_cast<unsigned>((begin >> element_shift) - first_line),
                                static_cast<unsigned>(((end - 1) >> element_shift) + 1 -
                                                      first_line));
        });
      });
    }
  });
  return mask;
}

/// Where a tap's row or column lies after the boundary rule; `absent` where it is outside.
constexpr std::uint64_t absent = ~std::uint64_t{0};

std::uint64_t resolve_place(std::int64_t place, std::uint64_t size, boundary edge) noexcept {
  const auto n = static_cast<std::int64_t>(size);
  if (place >= 0 && place < n) return static_cast<std::uint64_t>(place);
  if (edge == boundary::clamp) return place < 0 ? 0 : size - 1;
  if (edge == boundary::wrap) return static_cast<std::uint64_t>((place % n + n) % n);
  return absent;
}

/// Recomputes lines of one page.
class stencil_page {
 public:
  stencil_page(page_runner& runner, const plan_node& node, const plan_operation& op,
               std::uint32_t page, const line_task& task) noexcept
      : runner_(runner),
        op_(op),
        body_(runner.resolved(node)),
        shape_(*runner.graph().stencils[op.payload]),
        operand_(runner.operand(node, 0)),
        page_shift_(byte_shift(operand_.page) - size_shift(op.type)),
        task_(task),
        count_(static_cast<std::uint32_t>(shape_.taps.size())),
        size_shift_(size_shift(op.type)),
        lane_shift_(line_shift - size_shift_),
        lanes_(1u << lane_shift_),
        first_element_(page_runner::first_element(op, body_, page, 0)) {}

  line_mask run() noexcept {
    line_mask changed = 0;
    line_mask left = task_.mask;
    while (left != 0) {
      const auto line = static_cast<unsigned>(std::countr_zero(left));
      const std::uint64_t element = first_element_ + std::uint64_t{line} * lanes_;
      row_ = element / shape_.columns;
      column_ = element - row_ * shape_.columns;
      unsigned lines = static_cast<unsigned>(std::countr_one(left >> line));
      if (box_.reads_inside(shape_, row_, column_, column_ + lanes_)) {
        changed |= run_inside(line, lines, element);
      } else if (column_ + lanes_ <= shape_.columns) {
        changed |= run_in_row(line, lines);
      } else {
        lines = 1;
        changed |= run_across(line, element);
      }
      left &= ~(first_lines(lines) << line);
    }
    return changed;
  }

 private:
  /// Lines from `line` on that read nothing past an edge, at most `lines`, which becomes their
  /// number: as many as every tap finds in one run.
  line_mask run_inside(unsigned line, unsigned& lines, std::uint64_t element) noexcept {
    const std::size_t at = std::size_t{line} * line_size;
    const std::uint64_t page_elements = std::uint64_t{1} << page_shift_;
    const std::uint64_t right = shape_.columns - static_cast<std::uint64_t>(box_.column_last);
    std::uint64_t run = std::min<std::uint64_t>(lines, (right - column_) >> lane_shift_);
    for (std::uint32_t k = 0; k < count_; ++k) {
      const stencil_tap& tap = shape_.taps[k];
      const std::uint64_t from = element + static_cast<std::uint64_t>(tap.row) * shape_.columns +
                                 static_cast<std::uint64_t>(tap.column);
      const std::uint64_t left = page_elements - (from & (page_elements - 1));
      if (SHEAF_LIKELY(left >= lanes_)) {
        run = std::min(run, left >> lane_shift_);
        places_[k] = address(from) - at;
      } else {
        run = 1;
        copy(from, lanes_, scratch_[k]);
        places_[k] = scratch_[k] - at;
      }
    }
    lines = static_cast<unsigned>(run);
    line_task task = task_;
    task.mask = first_lines(lines) << line;
    return kernels().lines(task, places_, shape_.taps.data(), count_);
  }

  /// Lines from `line` on that lie in one row, at most `lines`, which becomes their number: as many
  /// as every tap finds in one run.
  line_mask run_in_row(unsigned line, unsigned& lines) noexcept {
    const std::size_t at = std::size_t{line} * line_size;
    lines = static_cast<unsigned>(
        std::min<std::uint64_t>(lines, (shape_.columns - column_) >> lane_shift_));
    bool whole = true;
    for (std::uint32_t k = 0; k < count_; ++k) {
      const stencil_tap& tap = shape_.taps[k];
      const std::uint64_t row = resolve_place(static_cast<std::int64_t>(row_) + tap.row,
                                              shape_.rows, shape_.edge);
      const std::int64_t column = static_cast<std::int64_t>(column_) + tap.column;
      const bool inside = row != absent && column >= 0 &&
                          column + lanes_ <= static_cast<std::int64_t>(shape_.columns);
      const std::uint64_t element =
          row * shape_.columns + static_cast<std::uint64_t>(column);
      const std::uint64_t page_elements = std::uint64_t{1} << page_shift_;
      const std::uint64_t place = element & (page_elements - 1);
      if (inside && place + lanes_ <= page_elements) {
        const std::uint64_t columns = shape_.columns - static_cast<std::uint64_t>(column);
        const std::uint64_t run = std::min(page_elements - place, columns) >> lane_shift_;
        lines = static_cast<unsigned>(std::min<std::uint64_t>(lines, run));
        places_[k] = address(element) - at;
        present_[k] = ~std::uint64_t{0};
        continue;
      }
      lines = 1;
      std::byte* const aside = scratch_[k];
      places_[k] = aside - at;
      present_[k] = ~std::uint64_t{0};
      if (inside) copy(element, lanes_, aside);
      else present_[k] = put_together(tap, row_, column_, lanes_, aside);
      whole = whole && (present_[k] & first_lines(lanes_)) == first_lines(lanes_);
    }
    if (!whole) return settle_present(line, lanes_);
    line_task task = task_;
    task.mask = first_lines(lines) << line;
    return kernels().lines(task, places_, shape_.taps.data(), count_);
  }

  /// A line that holds the end of a row.
  line_mask run_across(unsigned line, std::uint64_t element) noexcept {
    const auto elements =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(lanes_, op_.length - element));
    const std::size_t at = std::size_t{line} * line_size;
    bool whole = elements == lanes_;
    for (std::uint32_t k = 0; k < count_; ++k) {
      places_[k] = scratch_[k] - at;
      present_[k] = 0;
      std::uint64_t row = row_;
      std::uint64_t column = column_;
      for (std::uint32_t done = 0; done < elements; ++row, column = 0) {
        const auto part = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(elements - done, shape_.columns - column));
        present_[k] |= put_together(shape_.taps[k], row, column, part,
                                    scratch_[k] + (std::size_t{done} << size_shift_))
                       << done;
        done += part;
      }
      whole = whole && present_[k] == first_lines(elements);
    }
    if (!whole) return settle_present(line, elements);
    line_task task = task_;
    task.mask = line_mask{1} << line;
    return kernels().lines(task, places_, shape_.taps.data(), count_);
  }

  /// One line element by element: some taps are absent, or it is cut off.
  line_mask settle_present(unsigned line, std::uint32_t elements) noexcept {
    const std::size_t at = std::size_t{line} * line_size;
    for (std::uint32_t k = 0; k < count_; ++k) places_[k] += at;
    kernels().present(runner_.computed() + at, places_, present_, shape_.taps.data(), count_,
                      elements);
    line_task task = task_;
    task.mask = line_mask{1} << line;
    return body_.settle(task, runner_.computed());
  }

  /// What `tap` reads for the elements (row, column) to (row, column + count) of one row; bit i of
  /// what it returns: the i-th is there.
  std::uint64_t put_together(const stencil_tap& tap, std::uint64_t row, std::uint64_t column,
                             std::uint32_t count, std::byte* to) const noexcept {
    const std::uint64_t from_row = resolve_place(static_cast<std::int64_t>(row) + tap.row,
                                                 shape_.rows, shape_.edge);
    const std::int64_t first = static_cast<std::int64_t>(column) + tap.column;
    const auto width = static_cast<std::int64_t>(shape_.columns);
    std::uint64_t present = 0;
    for (std::uint32_t i = 0; i < count;) {
      const std::int64_t place = first + i;
      std::byte* const out = to + (std::size_t{i} << size_shift_);
      if (from_row != absent && place >= 0 && place < width) {
        const auto inside = static_cast<std::uint32_t>(
            std::min<std::int64_t>(count - i, width - place));
        copy(from_row * shape_.columns + static_cast<std::uint64_t>(place), inside, out);
        present |= first_lines(inside) << i;
        i += inside;
        continue;
      }
      const std::uint64_t from_column =
          from_row == absent ? absent : resolve_place(place, shape_.columns, shape_.edge);
      if (from_column != absent) {
        copy(from_row * shape_.columns + from_column, 1, out);
      } else {
        std::memcpy(out, &shape_.outside, std::size_t{1} << size_shift_);
      }
      const bool is_there = from_column != absent || shape_.edge == boundary::constant;
      present |= std::uint64_t{is_there} << i;
      ++i;
    }
    return present;
  }

  [[nodiscard]] const std::byte* address(std::uint64_t element) const noexcept {
    const std::uint64_t place = element & ((std::uint64_t{1} << page_shift_) - 1);
    return runner_.page_of(operand_, static_cast<std::uint32_t>(element >> page_shift_)) +
           (place << size_shift_);
  }
  /// `count` consecutive elements of the operand, from whichever pages hold them.
  void copy(std::uint64_t element, std::uint32_t count, std::byte* to) const noexcept {
    const std::uint64_t page_elements = std::uint64_t{1} << page_shift_;
    while (count != 0) {
      const std::uint64_t left = page_elements - (element & (page_elements - 1));
      const auto part = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, count));
      std::memcpy(to, address(element), std::size_t{part} << size_shift_);
      to += std::size_t{part} << size_shift_;
      element += part;
      count -= part;
    }
  }
  [[nodiscard]] stencil_bodies kernels() const noexcept {
    return {reinterpret_cast<stencil_lines_body>(body_.bodies[0]),
            reinterpret_cast<stencil_present_body>(body_.bodies[1])};
  }

  page_runner& runner_;
  const plan_operation& op_;
  const resolved_operation& body_;
  const stencil_shape& shape_;
  const plan_operand& operand_;
  const unsigned page_shift_;  ///< log2 of elements per page of the operand
  const line_task& task_;
  const std::uint32_t count_;
  const unsigned size_shift_;
  const unsigned lane_shift_;
  const std::uint32_t lanes_;
  const std::uint64_t first_element_;
  const stencil_box box_ = stencil_box::of(shape_);
  std::uint64_t row_ = 0;
  std::uint64_t column_ = 0;
  const std::byte* places_[stencil_taps_max];
  std::uint64_t present_[stencil_taps_max];
  alignas(line_size) std::byte scratch_[stencil_taps_max][line_size];
};

line_mask run(page_runner& runner, const plan_node& node, const plan_operation& op,
              std::uint32_t page, const line_task& task) noexcept {
  return stencil_page(runner, node, op, page, task).run();
}

status resolve(const plan&, const plan_operation& op, const kernel_table& kernels,
               resolved_operation& out) {
  const stencil_bodies bodies = stencil_kernels_of(kernels.set).of(op.semiring, op.type);
  out.bodies[0] = reinterpret_cast<void (*)()>(bodies.lines);
  out.bodies[1] = reinterpret_cast<void (*)()>(bodies.present);
  return {};
}

}  // namespace

constinit const operator_rules stencil_rules = {false, false, push, pull, run, resolve};

}  // namespace sheaf::inline v0
