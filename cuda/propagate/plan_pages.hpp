/// \file
/// The pages of a loaded plan: a frame of the device's arena for every slot, and where each lies.
///
/// Slots of a class get frames one behind the other, in the order of their numbers: kernels go
/// through slots in that order. Another plan gets the same frames again; what it needs beyond them
/// the arena grows by, what it leaves far behind goes back (`device_arena::fit`).
///
/// Invariants
///  1. `plan-has-all-pages`: every slot has a frame of its own, or no slot has one.
///  2. Host and device find a page by the same numbers (`numbers`), through device_pages.
///
/// Thread safety: none; one owner. Cost: `place` O(slots), and what growing costs; nothing else
/// takes memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <sheaf/propagate/device_plan.hpp>

#include "cuda/memory/device_arena.hpp"
#include "cuda/memory/epoch_word.hpp"
#include "cuda/memory/frame_pool.hpp"
#include "cuda/page/device_pages.hpp"

namespace sheaf::inline v0 {

/// The size class of the pages of a slot's array.
[[nodiscard]] inline page_class class_of_slot(const device_plan& plan, std::uint32_t slot) {
  const std::uint32_t sources = plan.header->source_count;
  const std::uint32_t producer = plan.slots[slot].producer;
  if (producer < sources) return page_class{plan.source_pages[producer]};
  return plan.operations[plan.nodes[producer - sources].operation].page;
}

class plan_pages {
 public:
  /// All frames of `arena` are this object's; the arena outlives it.
  explicit plan_pages(device_arena& arena) noexcept : arena_(&arena), pool_(arena, word_) {}
  plan_pages(const plan_pages&) = delete;
  plan_pages& operator=(const plan_pages&) = delete;

  /// A page of unspecified contents for each slot of `plan`, which is in host memory; those of the
  /// plan before are gone, and no work of the device uses them. Where it is refused
  /// (`out_of_memory`; `unsupported` where checked pages lie too far apart) no slot has a page and
  /// the memory of the pages before has been given back, too.
  [[nodiscard]] device_code place(const device_plan& plan, device_error* why) noexcept;
  /// Gives all memory of pages back. No work of the device uses it.
  void give_back() noexcept;

  /// By slot.
  [[nodiscard]] std::span<const page_class> classes() const noexcept { return classes_; }
  [[nodiscard]] std::span<const std::uint32_t> numbers() const noexcept { return numbers_; }
  /// How many pages of each class.
  [[nodiscard]] const class_counts& counts() const noexcept { return counts_; }
  /// For whom `numbers` lie at `numbers_at`.
  [[nodiscard]] device_pages view(const std::uint32_t* numbers_at) const noexcept;
  /// On the device.
  [[nodiscard]] std::byte* address(std::uint32_t slot) const noexcept {
    return view(numbers_.data()).page(slot, classes_[slot]);
  }
  /// Looks at the red zones of all pages, where there are any. No kernel runs. `invalid`, with
  /// class, frame and offset in words, where one was written to.
  [[nodiscard]] device_code check(device_error* why) noexcept {
    return arena_->check_all(nullptr, why);
  }
  [[nodiscard]] device_arena& arena() noexcept { return *arena_; }

 private:
  [[nodiscard]] device_code take_frames(device_error* why) noexcept;
  [[nodiscard]] device_code number_frames(device_error* why) noexcept;

  device_arena* arena_;
  epoch_word word_;  ///< of a pool that retires nothing: frames are given back between plans alone
  frame_pool pool_;
  std::vector<page_class> classes_;     ///< by slot
  std::vector<std::uint32_t> numbers_;  ///< by slot
  class_counts counts_{};
  device_pages view_{};
};

}  // namespace sheaf::inline v0
