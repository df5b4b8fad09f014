/// \file
/// What a loaded plan holds of a device: a copy of its sections, its pages and the arrays that
/// change while it runs.
///
/// Invariants
///  1. Host and device have the same sections; what is asked of the plan here is answered by the
///     copy of the host.
///
/// Thread safety: one thread at a time. Cost of loading: O(plan + pages).
#pragma once

#include <span>
#include <vector>

#include "cuda/device.hpp"
#include "cuda/propagate/batches.hpp"

namespace sheaf::inline v0 {

/// Bytes of the device, given back at the end.
class device_block {
 public:
  device_block() = default;
  ~device_block() { release(); }
  device_block(const device_block&) = delete;
  device_block& operator=(const device_block&) = delete;

  cudaError_t allocate(std::size_t bytes) noexcept;
  void release() noexcept;
  [[nodiscard]] std::byte* data() const noexcept { return data_; }

 private:
  std::byte* data_ = nullptr;
};

class plan_memory {
 public:
  explicit plan_memory(device_context& device) noexcept : device_(device) {}
  plan_memory(const plan_memory&) = delete;
  plan_memory& operator=(const plan_memory&) = delete;

  /// Takes over `sections`, `plan_section_count` of them: `plan` is theirs from here on.
  device_code take_sections(std::span<const device_section> sections, device_error* why);
  /// Pages of zeros, and arrays as they are between commits, for the sections taken last.
  device_code make_pages(device_error* why);

  /// In host memory.
  [[nodiscard]] const device_plan& plan() const noexcept { return host_plan_; }
  /// For kernels.
  [[nodiscard]] const run_view& view() const noexcept { return view_; }
  [[nodiscard]] std::uint32_t slot_count() const noexcept { return host_plan_.header->slot_count; }
  /// Slots of sources come first.
  [[nodiscard]] std::uint32_t source_slots() const noexcept {
    return host_plan_.header->source_page_count;
  }
  [[nodiscard]] std::span<const page_class> classes() const noexcept { return classes_; }
  /// By slot: the frames its pages lie in.
  [[nodiscard]] std::span<const std::uint32_t> frames() const noexcept { return frames_; }
  [[nodiscard]] const page_class* classes_on_device() const noexcept { return classes_on_device_; }
  /// On the device: a bit a slot.
  [[nodiscard]] const std::uint32_t* observed() const noexcept { return observed_; }
  /// On the device, by slot: what a write notes that nobody wants.
  [[nodiscard]] line_mask* unnoted() const noexcept { return unnoted_; }

  /// Whole pages, packed in the order of `slots`.
  device_code read(std::span<const std::uint32_t> slots, std::byte* into,
                   device_error* why) noexcept;

 private:
  device_code allocate_pages(device_error* why) noexcept;
  device_code make_state(device_error* why);

  device_context& device_;
  std::vector<std::byte> host_bytes_;  ///< the sections, kept for their tables
  std::vector<device_section> host_sections_;
  device_plan host_plan_{};
  std::vector<page_class> classes_;    ///< by slot
  std::vector<std::uint32_t> frames_;  ///< by slot
  run_view view_{};
  device_block sections_block_, state_block_, page_blocks_[page_class_count];
  page_class* classes_on_device_ = nullptr;
  line_mask* unnoted_ = nullptr;
  std::uint32_t* observed_ = nullptr;
};

}  // namespace sheaf::inline v0
