/// \file
/// Launches of the scatter kernels: changed lines into pages of a device.
///
/// Thread safety: any thread; order is that of the stream.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cuda_runtime_api.h>

#include "cuda/page/packed_part.hpp"
#include "cuda/page/scatter_bodies.hpp"

namespace sheaf::inline v0 {

/// A whole part small enough to travel in the arguments of a kernel.
inline constexpr std::size_t small_part_bytes = 3584;
struct alignas(16) small_part {
  std::byte bytes[small_part_bytes];
};

/// Writes the lines of `part`, whose bytes any kernel can read (device memory, or pinned host
/// memory) and notes them. Asynchronous on `stream`; one launch, none where the part has no lines.
cudaError_t scatter(const part_view& part, const device_scatter& target,
                    cudaStream_t stream) noexcept;
/// The same for a part that its encoder wrote into `part`; the bytes are copied by the call.
cudaError_t scatter_small(const small_part& part, const device_scatter& target,
                          cudaStream_t stream) noexcept;

}  // namespace sheaf::inline v0
