/// \file
/// What a device changed, brought to the host: one kernel packs it into pinned memory, another says
/// that it is there.
///
/// Invariants
///  1. What `finish` gave stays valid until the next `start`.
///  2. A number is posted once for every `start`, or for every replay of a graph it was captured
///  in.
///
/// Thread safety: one thread at a time.
/// Cost: two launches; 16 bytes a changed page and 64 a changed line of observed pages over the
/// link.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cuda_runtime_api.h>

#include "cuda/memory/cuda_memory.hpp"
#include "cuda/memory/device_block.hpp"
#include "cuda/memory/device_failure.hpp"
#include "cuda/page/collect_bodies.hpp"

namespace sheaf::inline v0 {

/// Launches the packing of `request` into `space`, memory that a kernel can write. `counters` lie
/// on the device, set as `collect_counters` says.
cudaError_t launch_collect(const collect_request& request, const collect_space& space,
                           collect_counters* counters, cudaStream_t stream) noexcept;

/// What a host reads when a collection is done.
struct collect_outcome {
  std::uint64_t number;   ///< written last
  std::uint64_t granted;  ///< pages << 32 | lines
  std::uint64_t asked;
  std::uint64_t bad_index;  ///< of deltas born on the device; all ones: none was bad
};

/// The same on the device, between kernels.
struct collect_state {
  collect_counters counters;
  std::uint64_t number;
  std::uint64_t bad_index;
};

class collector {
 public:
  static constexpr std::size_t space_bytes_min = std::size_t{1} << 20;

  /// Pinned memory of `space_bytes`, a quarter of it for records. On the current device.
  static device_code open(std::size_t space_bytes, double deadline_seconds, collector** made,
                          device_error* why, const block_source& blocks = {}) noexcept;
  collector(const collector&) = delete;
  collector& operator=(const collector&) = delete;
  ~collector();

  /// Puts a collection on `stream`; one at a time.
  device_code start(const collect_request& request, cudaStream_t stream,
                    device_error* why) noexcept;
  /// What is left where not all fitted; 0 and 0 where nothing is: call `start` again.
  struct rest {
    std::uint32_t pages;
    std::uint32_t lines;
  };
  /// Waits for the collection started last.
  device_code finish(device_record* record, rest* left, device_error* why) noexcept;
  /// One number more is awaited: for who replays a captured `start`.
  void expect_replay() noexcept { ++expected_; }

  /// On the device: of deltas born there, the index that was out of range (`no_claim`: none).
  [[nodiscard]] std::uint64_t* bad_index() const noexcept { return &state_->bad_index; }
  [[nodiscard]] const collect_outcome& outcome() const noexcept { return *outcome_; }
  [[nodiscard]] bool is_lost() const noexcept { return is_lost_; }
  [[nodiscard]] std::uint64_t bytes_out() const noexcept { return bytes_out_; }

 private:
  collector(std::byte* pinned, std::size_t space_bytes, double deadline_seconds,
            const block_source& blocks) noexcept;
  device_code make_state(device_error* why) noexcept;
  device_code fail(cudaError_t error, const char* what, device_error* why) noexcept;

  std::byte* const pinned_;
  const double deadline_seconds_;
  collect_space space_{};
  collect_outcome* outcome_ = nullptr;  ///< pinned
  sourced_block state_block_;
  collect_state* state_ = nullptr;  ///< on the device
  std::uint64_t expected_ = 0;
  std::uint64_t bytes_out_ = 0;
  cudaStream_t stream_ = nullptr;  ///< of the last `start`
  bool is_lost_ = false;
};

}  // namespace sheaf::inline v0
