#include "cuda/memory/device_page_table.hpp"

#include <algorithm>
#include <new>

#include "cuda/memory/device_failure.hpp"

namespace sheaf::inline v0 {

device_code device_page_table::reset(std::span<const page_class> page_of_slot,
                                     device_error* why) noexcept {
  const std::size_t count = page_of_slot.size();
  try {
    std::vector<page_class> sizes(page_of_slot.begin(), page_of_slot.end());
    std::vector<std::uint32_t> frames(count, index_of(no_frame));
    std::vector<std::uint64_t> births(count, 0);
    std::vector<std::uint32_t> unsent;
    unsent.reserve(count);
    std::vector<bool> is_unsent(count, false);
    sizes_.swap(sizes);
    frames_.swap(frames);
    births_.swap(births);
    unsent_.swap(unsent);
    is_unsent_.swap(is_unsent);
  } catch (const std::bad_alloc&) {
    return refuse(why, device_code::out_of_memory, "no host memory for a table of %zu pages",
                     count);
  }
  swaps_.clear();
  first_of_commit_ = 0;
  epoch_ = 0;
  newest_pinned_ = 0;
  return device_code::ok;
}

device_code device_page_table::begin_commit(std::uint64_t epoch, std::uint64_t newest_pinned,
                                            std::uint32_t replaced_max,
                                            device_error* why) noexcept {
  SHEAF_ASSERT(epoch > epoch_ && newest_pinned < epoch, "births-fall");
  try {
    // Geometric, so that many small commits under one pin do not move the list every time.
    const std::size_t needed = swaps_.size() + replaced_max;
    if (needed > swaps_.capacity()) swaps_.reserve(std::max(needed, 2 * swaps_.capacity()));
  } catch (const std::bad_alloc&) {
    return refuse(why, device_code::out_of_memory, "no host memory for %u superseded pages",
                     replaced_max);
  }
  epoch_ = epoch;
  newest_pinned_ = newest_pinned;
  first_of_commit_ = swaps_.size();
  return device_code::ok;
}

void device_page_table::set(std::uint32_t slot, std::uint32_t frame,
                            std::uint64_t birth) noexcept {
  frames_[slot] = frame;
  births_[slot] = birth;
  if (is_unsent_[slot]) return;
  is_unsent_[slot] = true;
  unsent_.push_back(slot);
}

void device_page_table::record(std::uint32_t slot) noexcept {
  SHEAF_ASSERT(swaps_.size() < swaps_.capacity(), "room-before-change");
  swaps_.push_back({slot, frames_[slot], births_[slot], epoch_});
}

void device_page_table::place(std::uint32_t slot, frame_id frame) noexcept {
  SHEAF_ASSERT(frames_[slot] == index_of(no_frame), "page-has-no-frame");
  record(slot);
  set(slot, index_of(frame), epoch_);
}

void device_page_table::replace(std::uint32_t slot, frame_id frame) noexcept {
  SHEAF_ASSERT(!is_in_place(slot), "copy-on-write");
  record(slot);
  set(slot, index_of(frame), epoch_);
}

device_code device_page_table::adopt(std::span<const device_swap> swaps,
                                     device_error* why) noexcept {
  const std::size_t before = swaps_.size();
  for (const device_swap& one : swaps) {
    const bool fits = one.slot < frames_.size() && frames_[one.slot] != index_of(no_frame) &&
                      !is_in_place(one.slot) && swaps_.size() < swaps_.capacity();
    if (fits) {
      record(one.slot);
      frames_[one.slot] = one.frame;
      births_[one.slot] = epoch_;
      continue;
    }
    while (swaps_.size() > before) {
      frames_[swaps_.back().slot] = swaps_.back().frame;
      births_[swaps_.back().slot] = swaps_.back().birth;
      swaps_.pop_back();
    }
    return refuse(why, device_code::invalid,
                     "the device replaced page %u by frame %u, which it may not", one.slot,
                     one.frame);
  }
  return device_code::ok;
}

std::uint32_t device_page_table::pack(std::span<page_table_update> into) noexcept {
  const std::size_t count = std::min(into.size(), unsent_.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t slot = unsent_.back();
    unsent_.pop_back();
    is_unsent_[slot] = false;
    into[i] = {slot, frames_[slot], births_[slot]};
  }
  return static_cast<std::uint32_t>(count);
}

void device_page_table::view_at(std::uint64_t epoch,
                                std::span<std::uint32_t> into) const noexcept {
  SHEAF_ASSERT(into.size() == frames_.size(), "view-has-all-slots");
  for (std::size_t slot = 0; slot < frames_.size(); ++slot) {
    into[slot] = births_[slot] <= epoch ? frames_[slot] : index_of(no_frame);
  }
  for (const swap& one : swaps_) {
    if (one.frame != index_of(no_frame) && one.birth <= epoch && epoch < one.superseded) {
      into[one.slot] = one.frame;
    }
  }
}

bool device_page_table::is_seen(const swap& one, std::span<const std::uint64_t> pins) noexcept {
  if (one.frame == index_of(no_frame)) return false;
  const auto first = std::lower_bound(pins.begin(), pins.end(), one.birth);
  return first != pins.end() && *first < one.superseded;
}

}  // namespace sheaf::inline v0
