/// \file
/// Records on their way from the host into pages of a device: the pinned ring, the copy of it on
/// the device, and who is waited for.
///
/// The way of a part
///   a record of up to 3.5 KiB rides in the arguments of one kernel and takes no ring space;
///   up to `direct_bytes_max` a kernel reads it out of pinned memory;
///   a larger one is copied by one DMA to the same place of the ring's twin on the device, then
///   scattered; copies and scatters of successive parts overlap.
///
/// Invariants
///  1. A part's place, here and in the twin, is reused after the device posted its number
///     (`record_ring`).
///  2. After a passed deadline or a failed kernel the stream is `lost`: every call says so at once,
///     and its memory is abandoned, for a device may still read it.
///
/// Thread safety: one thread at a time. One stream at a time: `drain` before another is used.
/// Cost: `write` copies the record's lines once; asynchronous but for back-pressure.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cuda_runtime_api.h>

#include "cuda/memory/cuda_memory.hpp"
#include "cuda/memory/device_block.hpp"
#include "cuda/page/packed_part.hpp"
#include "cuda/page/record_ring.hpp"
#include "cuda/page/scatter.hpp"

namespace sheaf::inline v0 {

struct record_stream_settings {
  std::size_t ring_bytes = std::size_t{1} << 25;  ///< pinned, and as much on the device
  double deadline_seconds = 10;                   ///< of one wait
  block_source blocks = {};                       ///< for what lies on the device
};

class record_stream {
 public:
  static constexpr std::size_t ring_bytes_min = std::size_t{1} << 16;
  static constexpr std::size_t direct_bytes_max = std::size_t{1} << 15;

  /// On the current device. `invalid` for a ring below `ring_bytes_min`.
  static device_code open(const record_stream_settings& settings, record_stream** made,
                          device_error* why) noexcept;
  record_stream(const record_stream&) = delete;
  record_stream& operator=(const record_stream&) = delete;
  /// Waits for parts under way, on streams that still exist, and gives everything back; what is
  /// lost is abandoned instead.
  ~record_stream();

  /// Writes `record` and notes its lines, in order with `stream`. On return the record is the
  /// caller's again. A bad record is `invalid` and changes nothing.
  device_code write(const device_record& record, const slot_classes& slots,
                    const device_scatter& target, cudaStream_t stream, device_error* why) noexcept;

  /// Room in the ring: for who encodes there.
  struct place {
    std::byte* bytes;      ///< null where the ring is full
    std::uint64_t number;  ///< what `part_encoder::end` writes into the header
  };
  /// Room for `bytes`. With `waits` false a full ring is answered by a null place. Every place is
  /// given to `submit`, or to `transfer` and `finish`, in the order of the numbers.
  device_code begin(std::size_t bytes, bool waits, place* into, device_error* why) noexcept;
  /// Sends the part that its encoder ended with `bytes`.
  device_code submit(const place& from, std::uint64_t bytes, const device_scatter& target,
                     cudaStream_t stream, device_error* why) noexcept;
  /// For bytes of another form: copies them to `*on_device`, before what follows on `stream`.
  device_code transfer(const place& from, std::size_t bytes, cudaStream_t stream,
                       std::byte** on_device, device_error* why) noexcept;
  /// The same from other memory that the device can read, which stays as it is until the number is
  /// posted; the place only stands for its room on the device.
  device_code transfer_from(const place& from, const std::byte* bytes_at, std::size_t bytes,
                            cudaStream_t stream, std::byte** on_device,
                            device_error* why) noexcept;
  /// Behind the last reader of what was transferred.
  device_code finish(cudaStream_t stream, device_error* why) noexcept;

  /// The largest part.
  [[nodiscard]] std::size_t part_bytes_max() const noexcept { return ring_.part_bytes_max(); }
  /// Waits until everything sent so far was read by the device.
  device_code drain(device_error* why) noexcept;
  [[nodiscard]] bool is_lost() const noexcept { return is_lost_; }
  /// Takes note of an error of who launches kernels of its own behind `transfer`.
  device_code lose(cudaError_t error, const char* what, device_error* why) noexcept {
    return fail(error, what, why);
  }

  /// Since the stream was opened.
  [[nodiscard]] std::uint64_t bytes_in() const noexcept { return bytes_in_; }
  [[nodiscard]] std::uint64_t launches() const noexcept { return launches_; }

 private:
  static constexpr unsigned event_count = 16;

  record_stream(const record_stream_settings& settings, std::byte* pinned,
                std::uint64_t* done) noexcept
      : settings_(settings),
        pinned_(pinned),
        twin_(settings.blocks, cuda_blocks()),
        done_(done),
        ring_(settings.ring_bytes, done) {}
  device_code make_streams(device_error* why) noexcept;
  device_code wait_for(std::uint64_t number, device_error* why) noexcept;
  device_code post(cudaStream_t stream, device_error* why) noexcept;
  void note_sent(const place& from, std::size_t bytes, cudaStream_t stream) noexcept;
  device_code fail(cudaError_t error, const char* what, device_error* why) noexcept;

  const record_stream_settings settings_;
  std::byte* const pinned_;
  sourced_block twin_;  ///< of the ring, on the device
  std::uint64_t* const done_;
  record_ring ring_;
  cudaStream_t copies_ = nullptr;
  cudaEvent_t copied_[event_count] = {};
  std::uint64_t submitted_ = 0;  ///< the newest number that was sent
  std::uint64_t posted_ = 0;     ///< the newest number whose posting is on a stream
  std::size_t unposted_bytes_ = 0;
  cudaStream_t last_stream_ = nullptr;  ///< of the part sent last
  std::uint64_t bytes_in_ = 0;
  std::uint64_t launches_ = 0;
  unsigned next_event_ = 0;
  bool is_lost_ = false;
};

}  // namespace sheaf::inline v0
