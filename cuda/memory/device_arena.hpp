/// \file
/// The device memory that holds frames: for each of the seven size classes one range of addresses,
/// so that a frame's address is `base + (id << shift)`; or, checked, each frame its own allocation.
///
/// The arena knows how many frames of a class there are, not which are used: that is frame_pool.
///
/// Invariants
///  1. `grow-all-or-nothing`: `grow_to` and `grow_all_to` succeed or change nothing.
///  2. `base-set-once`: the base of a class is set by its first growth and constant from then on,
///     until a `fit`.
///  3. `arena-within-budget`: all classes together hold at most `bytes_max`. Counted is what is
///     taken from the layer below: whole steps; checked, with red zones and tables.
///
/// With a host's own allocator (`device_memory_hook`) the range of a class is one allocation of
/// `range_bytes`, made at the first growth of that class and given back by the destructor: it can
/// neither grow past that nor be trimmed.
///
/// Thread safety: none; the committer owns it.
/// Cost: growing is system calls and may wait for the device; nothing else here is.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <sheaf/base/id.hpp>
#include <sheaf/base/line_mask.hpp>

#include "cuda/memory/checked_pages.hpp"
#include "cuda/memory/frame_view.hpp"
#include "cuda/memory/growing_range.hpp"
#include "cuda/memory/physical_memory.hpp"

namespace sheaf::inline v0 {

enum class arena_mode : std::uint8_t {
  plain,
  checked,   ///< a frame is an allocation with red zones
  isolated,  ///< a frame is an allocation of just its bytes: for a memory checker
};

/// What `SHEAF_ARENA` asks for (`checked`, `isolated`; anything else: plain), or else `is_checked`.
[[nodiscard]] arena_mode arena_mode_of(const device_settings& settings) noexcept;

struct device_arena_options {
  std::uint64_t bytes_max = ~std::uint64_t{0};
  /// Address space for a class; cut to what 32-bit frame ids can name.
  std::uint64_t range_bytes = std::uint64_t{1} << 39;
  std::uint64_t growth_bytes = std::uint64_t{2} << 20;  ///< least taken at once, where it fits
  arena_mode mode = arena_mode::plain;
  std::uint32_t zone_bytes = checked_pages::zone_bytes_default;  ///< of `checked`
};

struct device_arena_figures {
  std::uint64_t bytes_held;
  std::uint64_t bytes_max;
  std::uint64_t growths;  ///< times memory was taken from the layer below; a commit adds 0
};

class device_arena {
 public:
  /// `memory` is copied; what its context names outlives the arena.
  [[nodiscard]] static device_code create(const device_arena_options& options,
                                          const physical_memory& memory,
                                          std::unique_ptr<device_arena>* made,
                                          device_error* why) noexcept;
  device_arena(const device_arena&) = delete;
  device_arena& operator=(const device_arena&) = delete;

  /// Makes frames [0, frames) of a class exist, perhaps more (`frame_limit`).
  [[nodiscard]] device_code grow_to(page_class size, std::uint32_t frames,
                                    device_error* why) noexcept;
  /// The same for all classes at once.
  [[nodiscard]] device_code grow_all_to(const std::array<std::uint32_t, page_class_count>& frames,
                                        device_error* why) noexcept;
  /// Gives memory above frame `frames` back as far as whole chunks allow; returns bytes. No frame
  /// from there on is in use, by the device neither.
  std::uint64_t trim_to(page_class size, std::uint32_t frames) noexcept;

  /// For owners of all frames who begin anew with `frames` of each class, none being in use: gives
  /// back a class that holds four times as much and more than `kept_bytes`, and what cannot grow so
  /// far (a host's own allocator is asked for a range that fits). The base of such a class changes.
  void fit(const std::array<std::uint32_t, page_class_count>& frames) noexcept;
  static constexpr std::uint64_t kept_bytes = std::uint64_t{32} << 20;

  /// False where `grow_to` is sure to refuse: past the range or the limit.
  [[nodiscard]] bool may_hold(page_class size, std::uint32_t frames) const noexcept;
  /// How many frames of a class its range can ever hold.
  [[nodiscard]] std::uint32_t frames_max(page_class size) const noexcept;
  /// How many frames of a class there are.
  [[nodiscard]] std::uint32_t frame_limit(page_class size) const noexcept;
  [[nodiscard]] frame_view view() const noexcept;
  /// For host code that copies: the address on the device.
  [[nodiscard]] std::byte* address(page_class size, frame_id frame) const noexcept;
  /// True where frames with neighbouring ids are neighbours in memory.
  [[nodiscard]] bool is_plain() const noexcept { return mode_ == arena_mode::plain; }
  [[nodiscard]] const physical_memory& memory() const noexcept { return memory_; }
  /// For what else takes memory of this device.
  [[nodiscard]] memory_budget& budget() noexcept { return budget_; }
  [[nodiscard]] device_arena_figures figures() const noexcept {
    return {budget_.bytes_held, budget_.bytes_max, budget_.growth_count};
  }

  /// Looks at the red zones of one frame; `ok` at once where there are none.
  [[nodiscard]] device_code check(page_class size, frame_id frame, zone_damage* found,
                                  device_error* why) noexcept;
  /// Of all frames, stopping at the first damaged one. No kernel runs meanwhile.
  [[nodiscard]] device_code check_all(zone_damage* found, device_error* why) noexcept;

  /// The device is lost: forgets all memory without a call to the layer below.
  void abandon() noexcept;

 private:
  device_arena(const device_arena_options& options, const physical_memory& memory);
  void fit_class(page_class size, std::uint32_t frames) noexcept;
  void roll_back(page_class size, std::uint32_t frames) noexcept;

  physical_memory memory_;
  memory_budget budget_;
  std::uint64_t growth_bytes_;
  arena_mode mode_;
  std::uint64_t range_bytes_;
  std::array<std::unique_ptr<growing_range>, page_class_count> ranges_;   ///< plain
  std::array<std::unique_ptr<checked_pages>, page_class_count> checked_;  ///< else
};

}  // namespace sheaf::inline v0
