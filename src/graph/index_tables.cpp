#include "index_tables.hpp"

#include <algorithm>
#include <sheaf/algebra/fold_tree.hpp>

namespace sheaf::inline v0 {
namespace {

/// Calls `visitor(result_element, operand_element)` for every item, result elements rising.
template <class Visitor>
void for_each_item(const index_table& table, Visitor&& visitor) {
  const auto operand_of = [&](std::uint32_t item) {
    return table.indices.empty() ? item : table.indices[item];
  };
  if (table.offsets.empty()) {
    const auto count = static_cast<std::uint32_t>(table.indices.size());
    for (std::uint32_t i = 0; i < count; ++i) visitor(i, operand_of(i));
    return;
  }
  for (std::uint32_t i = 0; i + 1 < table.offsets.size(); ++i) {
    for (std::uint32_t item = table.offsets[i]; item < table.offsets[i + 1]; ++item) {
      visitor(i, operand_of(item));
    }
  }
}

/// Two passes: count per operand element, then fill. A result element is noted once per operand
/// element because all its items come together, so a repeat has the same last element.
void transpose(index_table& table, std::uint64_t operand_length) {
  const auto count = static_cast<std::size_t>(operand_length);
  table.reach_offsets.assign(count + 1, 0);
  std::vector<std::uint32_t> last(count, no_index);
  for_each_item(table, [&](std::uint32_t element, std::uint32_t operand) {
    if (last[operand] == element) return;
    last[operand] = element;
    ++table.reach_offsets[operand + 1];
  });
  for (std::size_t i = 1; i <= count; ++i) table.reach_offsets[i] += table.reach_offsets[i - 1];
  table.reach_elements.resize(table.reach_offsets.back());
  std::vector<std::uint32_t> next(table.reach_offsets.begin(), table.reach_offsets.end() - 1);
  std::fill(last.begin(), last.end(), no_index);
  for_each_item(table, [&](std::uint32_t element, std::uint32_t operand) {
    if (last[operand] == element) return;
    last[operand] = element;
    table.reach_elements[next[operand]++] = element;
  });
}

/// Splits each group of `group_ends` into runs of at most `run` items. `offsets` gets where each
/// run begins; the return value says, per group, where its runs end.
std::vector<std::uint32_t> split_groups(std::span<const std::uint32_t> group_ends,
                                        std::uint32_t run, std::vector<std::uint32_t>& offsets) {
  std::vector<std::uint32_t> ends;
  ends.reserve(group_ends.size());
  offsets.assign(1, 0);
  std::uint32_t begin = 0;
  for (const std::uint32_t end : group_ends) {
    while (end - begin > run) offsets.push_back(begin += run);
    offsets.push_back(begin = end);
    ends.push_back(static_cast<std::uint32_t>(offsets.size() - 1));
  }
  return ends;
}

}  // namespace

index_table gather_table(std::vector<std::uint32_t> indices, std::uint64_t operand_length) {
  index_table table;
  table.indices = std::move(indices);
  transpose(table, operand_length);
  return table;
}

std::vector<segment_level> segment_levels(const segment_table& groups,
                                          std::uint64_t operand_length, dtype type) {
  std::vector<segment_level> levels;
  const std::size_t group_count = groups.offsets.size() - 1;
  std::vector<std::uint32_t> ends(groups.offsets.begin() + 1, groups.offsets.end());
  auto run = static_cast<std::uint32_t>(line_size / size_of(type));
  std::uint64_t length = operand_length;
  do {
    segment_level& level = levels.emplace_back();
    ends = split_groups(ends, run, level.table.offsets);
    if (levels.size() == 1) level.table.indices = groups.members;
    transpose(level.table, length);
    level.length = length = ends.back();
    run = fold_block_items_max;
  } while (length != group_count);
  return levels;
}

}  // namespace sheaf::inline v0
