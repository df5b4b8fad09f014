/// \file
/// A large host array into the pages of a device, through the ring of a record stream.
///
/// Memory that is registered with the driver goes by DMA straight to the ring's twin on the device;
/// other memory is copied into the ring by several threads while earlier chunks are on the link.
/// Either way a kernel then spreads the chunk over its frames, and all three overlap.
///
/// Thread safety: one thread at a time for a record stream; threads it starts end with the call.
/// Cost: registered memory the link, other memory the threads' copying.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cuda_runtime_api.h>

#include "cuda/page/record_stream.hpp"

namespace sheaf::inline v0 {

/// What is loaded where: page i of the array is slot `first_slot + i`.
struct bulk_source {
  const std::byte* memory;
  std::uint64_t bytes;  ///< the rest of the last line becomes zeros; lines behind it stay
  std::uint32_t first_slot;
  page_class size;
};

struct bulk_settings {
  std::uint32_t slot_count;  ///< of the device
  unsigned threads = 0;      ///< that copy; 0: as many as there are processors, at most 16
};

/// Writes the pages and notes every line of them. On return `source` is the caller's again, and
/// the pages are written in order with `stream`.
device_code bulk_load(record_stream& ring, const bulk_source& source, const bulk_settings& settings,
                      const device_scatter& target, cudaStream_t stream,
                      device_error* why) noexcept;

/// What the copying part alone does: `bytes` at `from` into `ring_bytes` at `to`, round and round,
/// by `threads` threads in chunks of the size that `bulk_load` takes. For benchmarks: its peer.
void copy_by_threads(std::byte* to, std::size_t ring_bytes, const std::byte* from,
                     std::uint64_t bytes, std::size_t chunk_bytes, unsigned threads);

}  // namespace sheaf::inline v0
