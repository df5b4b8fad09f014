#include <algorithm>

#include "cuda/propagate/column.hpp"

namespace sheaf::inline v0 {

namespace {

std::uint32_t widest(const column_levels& levels) {
  std::uint32_t most = levels.source.count;
  for (std::uint32_t i = 0; i < levels.level_count; ++i) {
    most = std::max(most, levels.levels[i].count);
  }
  return most;
}

/// The level that is batch `batch`, whose nodes and operands lie one behind the other.
std::optional<column_level> level_of(const device_plan& plan, const device_batch& batch,
                                     const column_level& below) {
  const std::uint32_t sources = plan.header->source_count;
  const std::uint32_t first = plan.batch_slots[batch.begin];
  const std::uint32_t node = plan.slots[first].producer - sources;
  const column_level made{first, batch.count, plan.nodes[node].operand_begin, batch.fan_in,
                          plan.operations[plan.nodes[node].operation].length};
  for (std::uint32_t i = 0; i < batch.count; ++i) {
    const plan_node& each = plan.nodes[node + i];
    const bool is_next = plan.batch_slots[batch.begin + i] == first + i && each.slot == first + i &&
                         plan.operations[each.operation].page_count == 1 &&
                         plan.operations[each.operation].length == made.length &&
                         each.operand_begin == made.operands + i * made.fan_in;
    if (!is_next) return std::nullopt;
    for (std::uint32_t k = 0; k < made.fan_in; ++k) {
      const std::uint32_t slot = plan.operands[each.operand_begin + k];
      if (slot < below.slot || slot - below.slot >= below.count) return std::nullopt;
    }
  }
  return made;
}

}  // namespace

std::uint32_t column_shared_bytes(const column_levels& levels) noexcept {
  return 2 * widest(levels) * column_bytes;
}

std::optional<column_levels> find_columns(const device_plan& plan, std::uint32_t shared_bytes_max) {
  const device_plan_header& header = *plan.header;
  if (header.stage_count != 1 || header.batch_count == 0 ||
      header.batch_count > column_levels_max ||
      header.batch_count + 1 != header.level_count ||
      header.source_page_count != header.source_count) {
    return std::nullopt;
  }
  const device_batch& first = plan.batches[0];
  column_levels found{header.batch_count, first.page, {0, header.source_count, 0, 0, 0}, {}};
  column_level below = found.source;
  for (std::uint32_t i = 0; i < header.source_count; ++i) {
    if (page_class{plan.source_pages[i]} != first.page) return std::nullopt;
  }
  for (std::uint32_t i = 0; i < header.batch_count; ++i) {
    const device_batch& batch = plan.batches[i];
    const bool fits = batch.kind == operator_kind::combine && batch.uniform && !batch.weighted &&
                      batch.type == first.type && batch.semiring == first.semiring &&
                      batch.page == first.page && batch.level == i + 1 && batch.fan_in != 0;
    if (!fits || line_size << static_cast<unsigned>(batch.page) < column_bytes) return std::nullopt;
    const std::optional<column_level> level = level_of(plan, batch, below);
    if (!level) return std::nullopt;
    found.levels[i] = below = *level;
  }
  if (column_shared_bytes(found) > shared_bytes_max) return std::nullopt;
  return found;
}

}  // namespace sheaf::inline v0
