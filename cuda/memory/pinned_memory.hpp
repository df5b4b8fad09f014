/// \file
/// Host memory that a device reads and writes: allocated once, or the host's own, registered.
///
/// Both have one address on both sides (unified addressing, which every device here has).
///
/// Thread safety: a value with one owner. Making and ending one may wait for the device: not on a
/// commit path. What a lost device may still write to is abandoned, never given back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <sheaf/memory/device_ops.hpp>

namespace sheaf::inline v0 {

/// Pinned bytes of our own, zero at first, aligned to 4 KiB.
class pinned_memory {
 public:
  /// `out_of_memory` where the system refuses.
  [[nodiscard]] static device_code allocate(std::uint64_t bytes, pinned_memory* made,
                                            device_error* why) noexcept;
  pinned_memory() noexcept = default;
  pinned_memory(pinned_memory&& other) noexcept { swap(other); }
  pinned_memory& operator=(pinned_memory&& other) noexcept {
    pinned_memory taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~pinned_memory();

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  /// The device is lost: the bytes stay as they are until the process ends.
  void abandon() noexcept { data_ = nullptr; }

 private:
  void swap(pinned_memory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
};

/// The host's own bytes, pinned while this lives: copies from them run at the link's speed.
class registered_range {
 public:
  /// `unsupported` where the system cannot pin them (so copies go through a ring), `invalid` where
  /// they are pinned already.
  [[nodiscard]] static device_code pin(void* data, std::uint64_t bytes, registered_range* made,
                                       device_error* why) noexcept;
  registered_range() noexcept = default;
  registered_range(registered_range&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)) {}
  registered_range& operator=(registered_range&& other) noexcept {
    registered_range taken(std::move(other));
    std::swap(data_, taken.data_);
    return *this;
  }
  ~registered_range();
  void abandon() noexcept { data_ = nullptr; }

 private:
  void* data_ = nullptr;
};

}  // namespace sheaf::inline v0
