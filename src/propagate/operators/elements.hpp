/// \file
/// Small walks over lines and elements that operators of this folder share.
///
/// Thread safety: as dirty_map and page_runner.
#pragma once

#include <algorithm>
#include <cstdint>

#include "propagate/dirty_map.hpp"
#include "propagate/page_runner.hpp"

namespace sheaf::inline v0 {

/// Elements [first, last).
struct element_range {
  std::uint64_t first;
  std::uint64_t last;
};

/// log2 of the elements of a line.
[[nodiscard]] inline unsigned lane_shift(dtype type) noexcept {
  return line_shift - size_shift(type);
}
/// Line number `line` of page `page`, counted from the array's first.
[[nodiscard]] inline std::uint64_t line_number(page_class size, std::uint32_t page,
                                               unsigned line) noexcept {
  return std::uint64_t{page} * lines_of(size) + line;
}
/// The elements of line `line` of an array.
[[nodiscard]] inline element_range elements_of_line(std::uint64_t line, dtype type,
                                                    std::uint64_t length) noexcept {
  const unsigned shift = lane_shift(type);
  return {line << shift, std::min(length, (line + 1) << shift)};
}
/// The lines that hold `elements`, which are not none.
[[nodiscard]] inline element_range lines_of_elements(element_range elements, dtype type) noexcept {
  const unsigned shift = lane_shift(type);
  return {elements.first >> shift, ((elements.last - 1) >> shift) + 1};
}

/// Marks the lines that hold `elements` of the result; none: marks nothing.
inline void mark_elements(dirty_map& map, const plan_node& node, const plan_operation& op,
                          element_range elements) noexcept {
  if (elements.first >= elements.last) return;
  const element_range lines = lines_of_elements(elements, op.type);
  map.mark_line_range(node, op, lines.first, lines.last);
}
[[nodiscard]] inline bool is_line_changed(const dirty_map& map, const plan_operand& operand,
                                          std::uint64_t line) noexcept {
  const auto page = static_cast<std::uint32_t>(line >> static_cast<unsigned>(operand.page));
  return (map.changed_lines(operand, page) >> (line & (lines_of(operand.page) - 1)) & 1) != 0;
}
/// True where a line that holds some of `elements` changed.
[[nodiscard]] inline bool is_any_changed(const dirty_map& map, const plan_operand& operand,
                                         element_range elements) noexcept {
  if (elements.first >= elements.last) return false;
  const element_range lines = lines_of_elements(elements, operand.type);
  for (std::uint64_t line = lines.first; line < lines.last; ++line) {
    if (is_line_changed(map, operand, line)) return true;
  }
  return false;
}

/// The same of `count` lines from `line` on for a body; true where everything is recomputed.
[[nodiscard]] inline bool is_any_line_changed(const page_runner& runner,
                                              const plan_operand& operand, std::uint64_t line,
                                              unsigned count) noexcept {
  for (std::uint64_t at = line; at < line + count; ++at) {
    const auto page = static_cast<std::uint32_t>(at >> static_cast<unsigned>(operand.page));
    const line_mask changed = runner.changed_lines(operand, page);
    if ((changed >> (at & (lines_of(operand.page) - 1)) & 1) != 0) return true;
  }
  return false;
}

/// Line `line` of an operand.
[[nodiscard]] inline const std::byte* line_at(const page_runner& runner,
                                              const plan_operand& operand,
                                              std::uint64_t line) noexcept {
  return runner.page_of(operand, static_cast<std::uint32_t>(
                                     line >> static_cast<unsigned>(operand.page))) +
         (line & (lines_of(operand.page) - 1)) * line_size;
}
/// Element `element` of an operand.
[[nodiscard]] inline const std::byte* element_at_index(const page_runner& runner,
                                                       const plan_operand& operand,
                                                       std::uint64_t element) noexcept {
  const unsigned shift = byte_shift(operand.page) - size_shift(operand.type);
  const std::size_t place = element & ((std::uint64_t{1} << shift) - 1);
  return runner.page_of(operand, static_cast<std::uint32_t>(element >> shift)) +
         (place << size_shift(operand.type));
}
/// How many elements from `element` on lie in its page.
[[nodiscard]] inline std::uint64_t left_in_page(const plan_operand& operand,
                                                std::uint64_t element) noexcept {
  const unsigned shift = byte_shift(operand.page) - size_shift(operand.type);
  const std::uint64_t page_elements = std::uint64_t{1} << shift;
  return page_elements - (element & (page_elements - 1));
}

}  // namespace sheaf::inline v0
