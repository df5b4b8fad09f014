/// \file
/// Cases of a device with little memory, for any table. They return words where something is wrong.
///
/// Thread safety: none.
#pragma once

#include <string>

#include "device/layered_graph.hpp"
#include "device/watched_device.hpp"

namespace sheaf_test {

/// A graph of more than 64 MiB on a device that may use 64 MiB: it runs here, until a change of the
/// graph makes it fit; then there; then here again. `enforces`: the table itself knows no limit.
[[nodiscard]] std::string small_memory(const sheaf::device_ops* ops, bool enforces,
                                       const std::string& forced = "");

}  // namespace sheaf_test
