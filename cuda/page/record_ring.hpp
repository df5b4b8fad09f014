/// \file
/// The ring through which parts go to a device: who may write where, and when a place is free
/// again. Pinned memory and copies are the caller's; here are positions and numbers alone, so that
/// a thread can play the device.
///
/// Terms
///   position  bytes since the ring was made, those that were skipped included; a place in memory
///             is the position modulo the size.
///   number    of a reservation, from 1, without gaps. The device posts a number in the *done word*
///             when it has read that part and all before it.
///
/// Invariants
///  1. `ring-never-overwrites`: bytes of a part are handed out again only after its number was
///     posted.
///  2. A part lies in one run of memory; what is left before the end of the ring is skipped.
///  3. Parts are given back in the order in which they were reserved.
///
/// Thread safety: one producer. The done word is written by another thread or by a device, with
/// release semantics, and read here with acquire: a producer that sees a number may write over what
/// its reader read.
/// Cost: O(1) a part.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <sheaf/base/line_mask.hpp>

namespace sheaf::inline v0 {

class record_ring {
 public:
  /// How many parts may be under way at once.
  static constexpr std::uint32_t parts_max = 256;

  enum class answer : std::uint8_t {
    ok,
    full,       ///< wait for the done word to pass `oldest()`, then ask again
    too_large,  ///< never: more than `part_bytes_max()`
  };
  struct reservation {
    answer what;
    std::uint64_t number;
    std::size_t offset;  ///< into the ring's memory, a multiple of 64
  };

  /// `size`: a multiple of 64, at least 128. `done` outlives the ring and starts at 0.
  record_ring(std::size_t size, std::uint64_t* done) noexcept : size_(size), done_(done) {}
  record_ring(const record_ring&) = delete;
  record_ring& operator=(const record_ring&) = delete;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// A part that fits wherever the last one ended.
  [[nodiscard]] std::size_t part_bytes_max() const noexcept {
    return size_ / 2 / line_size * line_size;
  }
  /// Space for `bytes`, which the producer may write until `submit`. Nothing changes unless `ok`.
  [[nodiscard]] reservation reserve(std::size_t bytes) noexcept {
    const std::size_t wanted = (bytes + line_size - 1) / line_size * line_size;
    if (wanted > part_bytes_max()) return {answer::too_large, 0, 0};
    reclaim();
    const std::size_t at = static_cast<std::size_t>(head_ % size_);
    const std::size_t skipped = at + wanted > size_ ? size_ - at : 0;
    if (newest_ - oldest_done_ == parts_max || head_ + skipped + wanted - tail_ > size_) {
      return {answer::full, 0, 0};
    }
    begin_ = head_ + skipped;
    head_ = begin_ + wanted;
    ++newest_;
    ends_[newest_ % parts_max] = head_;
    return {answer::ok, newest_, static_cast<std::size_t>(begin_ % size_)};
  }
  /// What was reserved last needs only `bytes` of it; the rest is free again.
  void shrink(std::size_t bytes) noexcept {
    const std::size_t kept = (bytes + line_size - 1) / line_size * line_size;
    if (begin_ + kept < head_) {
      head_ = begin_ + kept;
      ends_[newest_ % parts_max] = head_;
    }
  }

  /// The number of the last reservation.
  [[nodiscard]] std::uint64_t newest() const noexcept { return newest_; }
  /// The number whose posting frees space next; `newest() + 1` where none is under way.
  [[nodiscard]] std::uint64_t oldest() const noexcept { return oldest_done_ + 1; }
  [[nodiscard]] bool is_done(std::uint64_t number) const noexcept { return posted() >= number; }
  [[nodiscard]] std::uint64_t posted() const noexcept {
    // Pairs with the release store of the device or of the thread that plays it.
    return std::atomic_ref<std::uint64_t>(*done_).load(std::memory_order_acquire);
  }

 private:
  void reclaim() noexcept {
    const std::uint64_t done = posted();
    if (done <= oldest_done_) return;
    oldest_done_ = done < newest_ ? done : newest_;
    tail_ = ends_[oldest_done_ % parts_max];
  }

  const std::size_t size_;
  std::uint64_t* const done_;
  std::uint64_t head_ = 0;              ///< position where the next part may begin
  std::uint64_t tail_ = 0;              ///< position up to which bytes are free again
  std::uint64_t begin_ = 0;             ///< of the last reservation
  std::uint64_t newest_ = 0;            ///< number of the last reservation
  std::uint64_t oldest_done_ = 0;       ///< numbers up to this one are given back
  std::uint64_t ends_[parts_max] = {};  ///< by number: the position behind the part
};

}  // namespace sheaf::inline v0
