/// \file
/// `physical_memory` over CUDA: ranges by the driver's virtual memory calls, blocks by cudaMalloc.
///
/// The driver's functions are found at run time by name and version, so nothing links libcuda.
///
/// Thread safety: one thread at a time. All of it runs with the device's context current, and none
/// of it belongs on a commit path: every call may wait for the device.
#pragma once

#include <memory>

#include "cuda/memory/physical_memory.hpp"

namespace sheaf::inline v0 {

/// Blocks by cudaMalloc alone, on the current device: for who needs no ranges.
[[nodiscard]] physical_memory cuda_blocks() noexcept;

/// The memory of one device. It outlives every arena made over it.
class cuda_memory {
 public:
  /// For device `index` of the runtime, which has a current primary context. `absent` where the
  /// driver lacks a call, `unsupported` where the device has no virtual memory management.
  [[nodiscard]] static device_code open(std::uint32_t index, std::unique_ptr<cuda_memory>* made,
                                        device_error* why) noexcept;
  virtual ~cuda_memory() = default;
  [[nodiscard]] virtual physical_memory memory() noexcept = 0;

 protected:
  cuda_memory() = default;
};

}  // namespace sheaf::inline v0
