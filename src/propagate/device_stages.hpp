/// \file
/// Which nodes of a plan a device computes, which the host, and in what order they take turns.
///
/// Terms
///   host-run  a node whose operator has no body on a device (device_plan.hpp).
///   stage     what the device computes before the host goes on, and then what the host computes
///             before the device does. A node is in the stage of what it reads; a node of the
///             device that reads a host-run one is in the stage after it.
///
/// Invariants
///  1. `stage-after-operands`: a node of the device reads sources, nodes of the device of its stage
///     or an earlier one, and host-run nodes of earlier stages; a host-run node reads nothing of a
///     later stage.
///  2. There are as many stages as the longest path changes from host to device, and one more.
///
/// Thread safety: constant once made. Cost: O(nodes + edges); 5 bytes a node.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sheaf/graph/plan.hpp>

namespace sheaf::inline v0 {

struct device_stages {
  explicit device_stages(const plan& graph);

  std::vector<std::uint32_t> stage_of_node;  ///< eager nodes
  std::vector<std::uint8_t> is_host_run;     ///< eager nodes
  std::uint32_t stage_count = 1;
  std::uint32_t host_node_count = 0;
  std::uint32_t first_host_node = no_index;

  [[nodiscard]] bool is_mixed() const noexcept { return host_node_count != 0; }
};

/// What a user calls an operator that has no body on a device.
[[nodiscard]] const char* name_of_host_run(const plan_operation& op) noexcept;

}  // namespace sheaf::inline v0
