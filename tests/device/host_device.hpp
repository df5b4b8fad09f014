/// \file
/// A device that is none: the table of device_ops.hpp over the headers of cuda/, with loops of the
/// host in place of a grid. What a kernel computes, marks and counts is so tested without a GPU.
///
/// Thread safety: as the table says.
#pragma once

#include <sheaf/memory/device_ops.hpp>

namespace sheaf_test {

/// How the next calls of all such devices go wrong, to see what their caller does.
struct host_device_faults {
  std::uint32_t device_count = 1;
  std::uint64_t calls_until_lost = ~std::uint64_t{0};
  std::uint64_t calls_until_out_of_memory = ~std::uint64_t{0};
};
[[nodiscard]] host_device_faults& faults_of_host_devices() noexcept;

[[nodiscard]] const sheaf::device_ops* host_device_ops() noexcept;

}  // namespace sheaf_test
