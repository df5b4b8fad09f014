/// \file
/// Which records belong to which stage of a plan.
///
/// Thread safety: functions of constant data. Cost: O(pages of a record).
#pragma once

#include <cstdint>

#include <sheaf/propagate/device_plan.hpp>

namespace sheaf::inline v0 {

/// True for a record that belongs to stage `stage` of a plan in host memory: sources in stage 0,
/// later host-run nodes that are read on the device; slots rise.
[[nodiscard]] inline bool is_of_stage(const device_plan& plan, std::uint32_t stage,
                                      const device_record& what) noexcept {
  const std::uint32_t sources = plan.header->source_count;
  for (std::uint32_t i = 0; i < what.page_count; ++i) {
    const std::uint32_t slot = what.pages[i].slot;
    if (slot >= plan.header->slot_count || (i != 0 && what.pages[i - 1].slot >= slot)) return false;
    const std::uint32_t producer = plan.slots[slot].producer;
    if ((producer < sources) != (stage == 0)) return false;
    if (stage == 0) continue;
    if (plan.batch_of_node[producer - sources] != no_index) return false;
    if (plan.child_begin[producer] == plan.child_begin[producer + 1]) return false;
  }
  return true;
}

}  // namespace sheaf::inline v0
