/// \file
/// What a loaded plan holds of a device: a copy of its sections, its pages and the arrays that
/// change while it runs, all of it from one arena and in one budget.
///
/// Memory comes from the driver, from the host's own allocator (`device_settings::memory`) or, on a
/// device without virtual memory management, from cudaMalloc.
///
/// Invariants
///  1. Host and device have the same sections; what is asked of the plan here is answered by the
///     copy of the host.
///  2. `plan-or-nothing`: a plan is loaded whole, or nothing is held but what is shared by all
///     plans.
///  3. `red-zones-whole`: no kernel writes past a page.
///
/// Thread safety: one thread at a time. Cost of loading: O(plan + pages).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cuda/device.hpp"
#include "cuda/memory/cuda_memory.hpp"
#include "cuda/memory/device_arena.hpp"
#include "cuda/memory/device_block.hpp"
#include "cuda/memory/hooked_memory.hpp"
#include "cuda/propagate/batches.hpp"
#include "cuda/propagate/plan_pages.hpp"

namespace sheaf::inline v0 {

class plan_memory {
 public:
  explicit plan_memory(device_context& device) noexcept : device_(device) {}
  plan_memory(const plan_memory&) = delete;
  plan_memory& operator=(const plan_memory&) = delete;

  /// Opens the layer that memory comes from, once; before anything else.
  device_code open(device_error* why);
  /// Takes over `sections`, `plan_section_count` of them: `plan` is theirs from here on. Nothing on
  /// the device changes. No work of the device is under way from here on.
  device_code take_sections(std::span<const device_section> sections, device_error* why);
  /// Puts the sections taken last on the device, with pages of zeros and arrays as they are between
  /// commits. Where it fails, call `give_back`.
  device_code load(device_error* why);
  /// Gives back all that the plan holds.
  void give_back() noexcept;

  [[nodiscard]] bool is_loaded() const noexcept { return is_loaded_; }
  /// In host memory.
  [[nodiscard]] const device_plan& plan() const noexcept { return host_plan_; }
  /// For kernels.
  [[nodiscard]] const run_view& view() const noexcept { return view_; }
  [[nodiscard]] std::uint32_t slot_count() const noexcept { return host_plan_.header->slot_count; }
  /// Slots of sources come first.
  [[nodiscard]] std::uint32_t source_slots() const noexcept {
    return host_plan_.header->source_page_count;
  }
  [[nodiscard]] std::span<const page_class> classes() const noexcept { return pages_->classes(); }
  /// By slot: `device_pages::frames`.
  [[nodiscard]] std::span<const std::uint32_t> frames() const noexcept { return pages_->numbers(); }
  [[nodiscard]] const page_class* classes_on_device() const noexcept { return classes_on_device_; }
  /// On the device: a bit a slot.
  [[nodiscard]] const std::uint32_t* observed() const noexcept { return observed_; }
  /// On the device, by slot: what a write notes that nobody wants.
  [[nodiscard]] line_mask* unnoted() const noexcept { return unnoted_; }

  /// Whole pages, packed in the order of `slots`.
  device_code read(std::span<const std::uint32_t> slots, std::byte* into,
                   device_error* why) noexcept;
  /// Looks at the red zones of all pages, where there are any. One that was written to is a bug of
  /// a kernel here, and ends the process with class, frame and offset. O(pages) copies.
  device_code check_zones(device_error* why) noexcept;
  /// Times memory of the device was taken, ever.
  [[nodiscard]] std::uint64_t allocation_count() const noexcept {
    return arena_ == nullptr ? 0 : arena_->figures().growths;
  }
  /// For what else belongs to the device, and is given back before this.
  [[nodiscard]] block_source blocks() noexcept { return {&arena_->memory(), &arena_->budget()}; }

 private:
  device_code copy_sections(device_error* why) noexcept;
  device_code clear_pages(device_error* why) noexcept;
  device_code make_state(device_error* why);

  device_context& device_;
  std::unique_ptr<cuda_memory> driver_memory_;
  std::optional<hooked_memory> hooked_;
  std::unique_ptr<device_arena> arena_;
  std::optional<plan_pages> pages_;
  std::optional<device_block> sections_block_, state_block_;
  std::vector<std::byte> host_bytes_;  ///< the sections, kept for their tables
  std::vector<device_section> host_sections_;
  device_plan host_plan_{};
  run_view view_{};
  page_class* classes_on_device_ = nullptr;
  line_mask* unnoted_ = nullptr;
  std::uint32_t* observed_ = nullptr;
  bool is_loaded_ = false;
};

}  // namespace sheaf::inline v0
