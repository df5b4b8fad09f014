/// \file
/// Device memory for the length of some work on a stream: a memory pool of our own, so that
/// neither the host's use of the default pool nor a limit of it matters to us.
///
/// Invariants
///  1. `scratch-within-limit`: blocks in use, each rounded up to 512 bytes, never pass `bytes_max`.
///  2. A block given back is reused by later work of the same stream at once, by another stream's
///     only after the first one is done with it (no hidden dependency is put between streams).
///
/// Thread safety: one thread at a time.
/// Cost: about 1.3 us a block once warm. The pool keeps up to `keep_bytes` when nothing is in use,
/// so that a warm engine asks the driver for nothing.
#pragma once

#include <cstdint>
#include <memory>

#include <cuda_runtime_api.h>

#include <sheaf/memory/device_ops.hpp>

namespace sheaf::inline v0 {

struct device_scratch_options {
  std::uint64_t bytes_max = std::uint64_t{1} << 32;
  std::uint64_t keep_bytes = std::uint64_t{64} << 20;  ///< not given back while idle
};

class device_scratch {
 public:
  /// On device `index` of the runtime.
  [[nodiscard]] static device_code open(std::uint32_t index, const device_scratch_options& options,
                                        std::unique_ptr<device_scratch>* made,
                                        device_error* why) noexcept;
  device_scratch(const device_scratch&) = delete;
  device_scratch& operator=(const device_scratch&) = delete;
  /// All blocks were given back.
  ~device_scratch();

  /// A block for work on `stream`, of unspecified contents, aligned to 256 bytes. `out_of_memory`
  /// past the limit, with nothing changed.
  [[nodiscard]] device_code take(std::uint64_t bytes, cudaStream_t stream, void** block,
                                 device_error* why) noexcept;
  /// Gives back a block of `bytes` after the work on `stream` so far.
  [[nodiscard]] device_code give(void* block, std::uint64_t bytes, cudaStream_t stream,
                                 device_error* why) noexcept;
  /// Gives what idles back to the driver, but `bytes` of it.
  void trim_to(std::uint64_t bytes) noexcept;
  [[nodiscard]] std::uint64_t bytes_in_use() const noexcept { return bytes_in_use_; }
  /// What the pool holds of the device, in use or not.
  [[nodiscard]] std::uint64_t bytes_held() const noexcept;
  /// The device is lost: nothing is given back.
  void abandon() noexcept { pool_ = nullptr; }

 private:
  device_scratch() = default;
  cudaMemPool_t pool_ = nullptr;
  std::uint64_t bytes_max_ = 0;
  std::uint64_t bytes_in_use_ = 0;
};

}  // namespace sheaf::inline v0
