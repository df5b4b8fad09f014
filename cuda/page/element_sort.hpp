/// \file
/// Sorting indices with the places they had: the one thing here that is CUB's, in a file of its own
/// because it takes longest to compile.
///
/// Thread safety: free functions; order is that of the stream.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cuda_runtime_api.h>

namespace sheaf::inline v0 {

/// What lies where in the scratch, in bytes; each part at a multiple of 256.
struct sort_scratch {
  std::size_t sorted;     ///< indices, sorted
  std::size_t order_in;   ///< u32 by index: 0, 1, 2 ... written by the caller
  std::size_t order;      ///< u32: the place that each sorted index had
  std::size_t temporary;  ///< of the sort
  std::size_t temporary_bytes;
  std::size_t total;
};

/// For `count` indices below 2^31 of 4 or 8 bytes. Asks the driver about the current device.
sort_scratch sort_scratch_of(std::uint64_t count, std::size_t index_size) noexcept;

/// Sorts by the lowest `bits` bits, equal indices staying in order.
cudaError_t sort_indices(const void* indices, std::uint64_t count, std::size_t index_size,
                         unsigned bits, const sort_scratch& at, std::byte* scratch,
                         cudaStream_t stream) noexcept;

}  // namespace sheaf::inline v0
