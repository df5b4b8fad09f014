/// \file
/// Frames of one size class as allocations of their own, between red zones: the arena under
/// `SHEAF_ARENA=checked`. Slow, and takes far more memory; for tests and for finding an overrun.
///
/// A frame's allocation is `zone | page | zone`. Zones hold a pattern that depends on class, frame
/// and place. A write past a page is seen when its zone is next looked at (`check`, or when the
/// frame goes back); one past the zone is outside every allocation, which
/// `compute-sanitizer --tool memcheck` reports when it happens. With `zone_bytes` 0
/// (`SHEAF_ARENA=isolated`) the allocation is the page, and memcheck reports the first byte.
///
/// Invariants
///  1. `table-names-pages`: entry i of the device's table is the address of frame i's page.
///  2. `grow-all-or-nothing`, as for growing_range.
///
/// Thread safety: none; one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <sheaf/base/line_mask.hpp>

#include "cuda/memory/growing_range.hpp"

namespace sheaf::inline v0 {

/// Where a red zone does not hold its pattern.
struct zone_damage {
  page_class size;
  std::uint32_t frame;
  std::int64_t offset;  ///< in bytes from the page's begin: negative before it, past it after
};

class checked_pages {
 public:
  static constexpr std::uint32_t zone_bytes_default = 256;

  /// `zone_bytes`: 0 or a multiple of 256, which keeps a page aligned as an allocation is.
  checked_pages(const physical_memory& memory, memory_budget& budget, page_class size,
                std::uint32_t frames_max, std::uint32_t zone_bytes) noexcept;
  checked_pages(const checked_pages&) = delete;
  checked_pages& operator=(const checked_pages&) = delete;
  ~checked_pages();

  /// Of the table on the device.
  [[nodiscard]] std::byte* table() const noexcept { return table_.base(); }
  [[nodiscard]] std::uint32_t frame_limit() const noexcept {
    return static_cast<std::uint32_t>(pages_.size());
  }
  /// On the device.
  [[nodiscard]] std::byte* address(std::uint32_t frame) const noexcept { return pages_[frame]; }

  [[nodiscard]] device_code grow_to(std::uint32_t frames, device_error* why) noexcept;
  /// Gives frames from `frames` on back to the layer below; returns bytes. Their zones are not
  /// looked at.
  std::uint64_t trim_to(std::uint32_t frames) noexcept;
  /// Goes back to `frames`, as it was before a growth.
  void roll_back(std::uint32_t frames) noexcept;
  /// Gives everything back: from here on at most `frames_max` frames, with another table.
  void reset(std::uint32_t frames_max) noexcept;
  void abandon() noexcept;

  /// Looks at the zones of one frame. `invalid` and `found` filled where one is damaged.
  [[nodiscard]] device_code check(std::uint32_t frame, zone_damage* found,
                                  device_error* why) noexcept;

 private:
  [[nodiscard]] std::uint64_t block_bytes() const noexcept {
    return bytes_of(size_) + 2 * std::uint64_t{zone_bytes_};
  }
  [[nodiscard]] std::byte pattern(std::uint32_t frame, std::uint32_t place) const noexcept;
  [[nodiscard]] device_code add_page(std::uint32_t frame, device_error* why) noexcept;
  [[nodiscard]] device_code write_zones(std::uint32_t frame, std::byte* page,
                                        device_error* why) noexcept;

  const physical_memory* memory_;
  memory_budget* budget_;
  page_class size_;
  std::uint32_t frames_max_;
  std::uint32_t zone_bytes_;
  growing_range table_;
  std::vector<std::byte*> pages_;
  std::vector<std::byte> zone_;  ///< room for one zone
};

}  // namespace sheaf::inline v0
