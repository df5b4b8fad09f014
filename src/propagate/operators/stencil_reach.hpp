/// \file
/// What a stencil's changed elements reach, as ranges of elements: exactly the elements that read
/// one of them.
///
/// Along one axis of `size` places: place p reads p + d, for d in [first, last], under the boundary
/// rule. So what reads [begin, end) is [begin - last, end - first), cut to the axis; with `clamp`
/// all up to the edge if the range holds the edge and some d points past it; with `wrap` modulo
/// `size`.
/// Thread safety: pure functions. Cost: O(spans x rows of the range), O(spans) for whole rows.
#pragma once

#include <algorithm>
#include <cstdint>

#include <sheaf/graph/shapes.hpp>

namespace sheaf::inline v0 {

struct element_range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  [[nodiscard]] bool is_empty() const noexcept { return begin >= end; }
};
/// At most two: `wrap` may leave a piece at either end.
struct element_ranges {
  element_range part[2];
};

/// Places of an axis of `size` that read one of [begin, end), which is not empty, through offsets
/// [first, last].
[[nodiscard]] inline element_ranges reached_along(std::uint64_t size, boundary edge,
                                                  element_range changed, std::int32_t first,
                                                  std::int32_t last) noexcept {
  const auto n = static_cast<std::int64_t>(size);
  std::int64_t begin = static_cast<std::int64_t>(changed.begin) - last;
  std::int64_t end = static_cast<std::int64_t>(changed.end) - first;
  if (edge == boundary::wrap) {
    if (end - begin >= n) return {{{0, size}, {}}};
    const std::int64_t length = end - begin;
    begin = (begin % n + n) % n;
    end = begin + length;
    if (end <= n) {
      return {{{static_cast<std::uint64_t>(begin), static_cast<std::uint64_t>(end)}, {}}};
    }
    return {{{0, static_cast<std::uint64_t>(end - n)}, {static_cast<std::uint64_t>(begin), size}}};
  }
  if (edge == boundary::clamp) {
    if (changed.begin == 0 && first < 0) begin = 0;
    if (changed.end == size && last > 0) end = n;
  }
  return {{{static_cast<std::uint64_t>(std::clamp<std::int64_t>(begin, 0, n)),
            static_cast<std::uint64_t>(std::clamp<std::int64_t>(end, 0, n))},
           {}}};
}

/// The same of rows [rows.begin, rows.end) and columns [columns.begin, columns.end).
template <class Visitor>
void visit_block(const stencil_shape& shape, element_range rows, element_range columns,
                 Visitor&& visitor) {
  for (const stencil_span& span : shape.spans) {
    const element_ranges to_rows =
        reached_along(shape.rows, shape.edge, rows, span.row, span.row);
    const element_ranges to_columns =
        reached_along(shape.columns, shape.edge, columns, span.first, span.last);
    for (const element_range& r : to_rows.part) {
      for (const element_range& c : to_columns.part) {
        if (r.is_empty() || c.is_empty()) continue;
        if (c.begin == 0 && c.end == shape.columns) {
          visitor(element_range{r.begin * shape.columns, r.end * shape.columns});
          continue;
        }
        for (std::uint64_t row = r.begin; row < r.end; ++row) {
          visitor(element_range{row * shape.columns + c.begin, row * shape.columns + c.end});
        }
      }
    }
  }
}

/// The offsets of all taps: rows [row_first, row_last], columns [column_first, column_last].
struct stencil_box {
  std::int64_t row_first = 0, row_last = 0;
  std::int64_t column_first = 0, column_last = 0;

  /// The box around no offset and those of all spans.
  [[nodiscard]] static stencil_box of(const stencil_shape& shape) noexcept {
    stencil_box box;
    for (const stencil_span& span : shape.spans) {
      box.row_first = std::min<std::int64_t>(box.row_first, span.row);
      box.row_last = std::max<std::int64_t>(box.row_last, span.row);
      box.column_first = std::min<std::int64_t>(box.column_first, span.first);
      box.column_last = std::max<std::int64_t>(box.column_last, span.last);
    }
    return box;
  }
  /// True where nothing that columns [begin, end) of `row` read lies past an edge.
  [[nodiscard]] bool reads_inside(const stencil_shape& shape, std::uint64_t row,
                                  std::uint64_t begin, std::uint64_t end) const noexcept {
    return is_inside(shape, row, row_first, row_last, begin, end, column_first, column_last);
  }
  /// True where no boundary rule says what reads columns [begin, end) of `row`: all of that lies
  /// inside, and `clamp` sends nobody there.
  [[nodiscard]] bool is_read_inside(const stencil_shape& shape, std::uint64_t row,
                                    std::uint64_t begin, std::uint64_t end) const noexcept {
    return (row != 0 || row_first == 0) && (row + 1 != shape.rows || row_last == 0) &&
           (begin != 0 || column_first == 0) && (end != shape.columns || column_last == 0) &&
           is_inside(shape, row, -row_last, -row_first, begin, end, -column_last, -column_first);
  }

 private:
  [[nodiscard]] static bool is_inside(const stencil_shape& shape, std::uint64_t row,
                                      std::int64_t up, std::int64_t down, std::uint64_t begin,
                                      std::uint64_t end, std::int64_t left,
                                      std::int64_t right) noexcept {
    const auto at = static_cast<std::int64_t>(row);
    return at + up >= 0 && at + down < static_cast<std::int64_t>(shape.rows) &&
           static_cast<std::int64_t>(begin) + left >= 0 &&
           static_cast<std::int64_t>(end) + right <= static_cast<std::int64_t>(shape.columns);
  }
};

/// Calls `visitor(range)` for ranges of elements that together are those that read one of
/// `changed`, which is not empty.
template <class Visitor>
void visit_reached(const stencil_shape& shape, element_range changed, Visitor&& visitor) {
  const std::uint64_t width = shape.columns;
  std::uint64_t row = changed.begin / width;
  const std::uint64_t last = (changed.end - 1) / width;
  const std::uint64_t from = changed.begin - row * width;
  const std::uint64_t to = changed.end - last * width;
  if (row == last && stencil_box::of(shape).is_read_inside(shape, row, from, to)) {
    for (const stencil_span& span : shape.spans) {
      const auto shift = static_cast<std::uint64_t>(span.row) * width;
      visitor(element_range{changed.begin - shift - static_cast<std::uint64_t>(span.last),
                            changed.end - shift - static_cast<std::uint64_t>(span.first)});
    }
    return;
  }
  if (row == last) return visit_block(shape, {row, row + 1}, {from, to}, visitor);
  if (from != 0) {
    visit_block(shape, {row, row + 1}, {from, width}, visitor);
    ++row;
  }
  const std::uint64_t whole_end = to == width ? last + 1 : last;
  if (row < whole_end) visit_block(shape, {row, whole_end}, {0, width}, visitor);
  if (to != width) visit_block(shape, {last, last + 1}, {0, to}, visitor);
}

/// Places of an axis that [begin, end) may read through offsets [first, last]: a superset.
[[nodiscard]] inline element_ranges read_along(std::uint64_t size, boundary edge,
                                               element_range range, std::int32_t first,
                                               std::int32_t last) noexcept {
  const auto n = static_cast<std::int64_t>(size);
  std::int64_t begin = static_cast<std::int64_t>(range.begin) + first;
  std::int64_t end = static_cast<std::int64_t>(range.end) + last;
  if (edge == boundary::wrap) return reached_along(size, edge, range, -last, -first);
  if (edge == boundary::clamp) {
    begin = std::clamp<std::int64_t>(begin, 0, n - 1);
    end = std::clamp<std::int64_t>(end, 1, n);
  }
  return {{{static_cast<std::uint64_t>(std::clamp<std::int64_t>(begin, 0, n)),
            static_cast<std::uint64_t>(std::clamp<std::int64_t>(end, 0, n))},
           {}}};
}

/// Calls `visitor(range)` for ranges of elements among which are all that `result` reads.
template <class Visitor>
void visit_read(const stencil_shape& shape, element_range result, Visitor&& visitor) {
  const std::uint64_t width = shape.columns;
  const std::uint64_t row = result.begin / width;
  const std::uint64_t last = (result.end - 1) / width;
  const bool is_one_row = row == last;
  for (const stencil_span& span : shape.spans) {
    const element_ranges rows =
        read_along(shape.rows, shape.edge, {row, last + 1}, span.row, span.row);
    const element_ranges columns =
        is_one_row ? read_along(width, shape.edge,
                                {result.begin - row * width, result.end - row * width},
                                span.first, span.last)
                   : element_ranges{{{0, width}, {}}};
    for (const element_range& r : rows.part) {
      if (r.is_empty()) continue;
      for (const element_range& c : columns.part) {
        if (c.is_empty()) continue;
        // One row of the result reads one row of the operand through one span.
        if (is_one_row) visitor(element_range{r.begin * width + c.begin, r.begin * width + c.end});
        else visitor(element_range{r.begin * width, r.end * width});
      }
    }
  }
}

}  // namespace sheaf::inline v0
