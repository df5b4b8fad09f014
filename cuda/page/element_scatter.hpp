/// \file
/// Deltas that were born on the device, an index and a value each, merged into the pages of one
/// array, and what changed brought to the host.
///
/// Invariants
///  1. An index past the array's end is found before anything is written; then nothing is.
///  2. Bits are those of the host's apply of the same deltas in the same order
///     (`elements-in-order`).
///
/// Thread safety: one thread at a time for a scratch or a port.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cuda_runtime_api.h>

#include "cuda/page/collect.hpp"
#include "cuda/page/element_bodies.hpp"

namespace sheaf::inline v0 {

inline constexpr std::uint64_t element_deltas_max = (std::uint64_t{1} << 31) - 1;

/// `ok` where the operator is there for the type and the counts can be; else `invalid`.
device_code check_deltas(const device_array& array, const element_deltas& deltas,
                         device_error* why) noexcept;

/// Device memory that `scatter_elements` needs for so many deltas; 0 where they are distinct.
std::size_t element_scratch_bytes(const element_deltas& deltas) noexcept;

/// Merges `deltas`, which passed `check_deltas` and whose columns the device can read, into
/// `array`. Asynchronous on `stream`. `*bad_index`, on the device and all ones before, gets an
/// index that is out of range; then nothing is merged.
/// Cost: distinct indices are merged at once; others are sorted first, 8 or 12 bytes a delta.
cudaError_t scatter_elements(const device_array& array, const element_deltas& deltas,
                             const device_scatter& into, void* scratch, std::size_t scratch_bytes,
                             std::uint64_t* bad_index, cudaStream_t stream) noexcept;

/// What `scatter_device` works with: scratch that grows, masks of its own, a collector.
class delta_port {
 public:
  struct settings {
    std::uint32_t slot_count;
    std::size_t record_bytes = std::size_t{1} << 25;  ///< pinned, for what changed
    double deadline_seconds = 10;
  };
  static device_code open(const settings& given, delta_port** made, device_error* why) noexcept;
  delta_port(const delta_port&) = delete;
  delta_port& operator=(const delta_port&) = delete;
  ~delta_port();

  /// Merges `deltas`, whose columns a host's kernels on `host_stream` wrote, into `array` on
  /// `stream`, notes the lines in `into.changed`, and calls `take(context, record)` with what
  /// changed, in pinned memory, as often as it needs. When it returns, the host's copy can follow,
  /// and work that comes to `host_stream` later may overwrite the columns. A bad index is `invalid`
  /// and changes nothing.
  device_code scatter_device(const device_array& array, const element_deltas& deltas,
                             const device_scatter& into, cudaStream_t host_stream,
                             cudaStream_t stream,
                             void (*take)(void* context, const device_record& record),
                             void* context, device_error* why) noexcept;

  [[nodiscard]] bool is_lost() const noexcept { return is_lost_ || collector_->is_lost(); }

 private:
  delta_port() = default;
  device_code fail(cudaError_t error, const char* what, device_error* why) noexcept;
  device_code grow_scratch(std::size_t bytes, device_error* why) noexcept;

  collector* collector_ = nullptr;
  line_mask* born_ = nullptr;  ///< by slot: changed lines that nobody collected yet
  void* scratch_ = nullptr;
  std::size_t scratch_bytes_ = 0;
  cudaEvent_t in_ = nullptr, out_ = nullptr;
  std::uint32_t slot_count_ = 0;
  bool is_lost_ = false;
};

}  // namespace sheaf::inline v0
