#include "cuda/memory/device_arena.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "cuda/memory/device_failure.hpp"

namespace sheaf::inline v0 {
namespace {

/// `no_frame` is no id.
constexpr std::uint64_t ids_max = index_of(no_frame);

}  // namespace

arena_mode arena_mode_of(const device_settings& settings) noexcept {
  if (const char* const asked = std::getenv("SHEAF_ARENA"); asked != nullptr) {
    if (std::strcmp(asked, "checked") == 0) return arena_mode::checked;
    if (std::strcmp(asked, "isolated") == 0) return arena_mode::isolated;
  }
  return settings.is_checked ? arena_mode::checked : arena_mode::plain;
}

device_code device_arena::create(const device_arena_options& options,
                                 const physical_memory& memory,
                                 std::unique_ptr<device_arena>* made, device_error* why) noexcept {
  if (memory.step_bytes == 0 || options.range_bytes < memory.step_bytes) {
    return refuse(why, device_code::invalid, "range of %llu bytes, steps of %llu",
                     static_cast<unsigned long long>(options.range_bytes),
                     static_cast<unsigned long long>(memory.step_bytes));
  }
  if (options.zone_bytes % 256 != 0) {
    return refuse(why, device_code::invalid, "red zones of %u bytes, multiples of 256 allowed",
                     options.zone_bytes);
  }
  try {
    made->reset(new device_arena(options, memory));
  } catch (const std::bad_alloc&) {
    return refuse(why, device_code::out_of_memory, "no host memory for a device arena");
  }
  return device_code::ok;
}

device_arena::device_arena(const device_arena_options& options, const physical_memory& memory)
    : memory_(memory),
      budget_{.bytes_max = options.bytes_max},
      growth_bytes_(options.growth_bytes),
      mode_(options.mode),
      range_bytes_(options.range_bytes) {
  for (unsigned i = 0; i < page_class_count; ++i) {
    const auto size = static_cast<page_class>(i);
    const std::uint64_t frames = frames_max(size);
    if (mode_ == arena_mode::plain) {
      const std::uint64_t bytes = frames << byte_shift(size);
      ranges_[i] = std::make_unique<growing_range>(
          memory_, budget_, std::max(bytes / memory_.step_bytes, std::uint64_t{1}) *
                                memory_.step_bytes);
    } else {
      checked_[i] = std::make_unique<checked_pages>(
          memory_, budget_, size, static_cast<std::uint32_t>(frames),
          mode_ == arena_mode::checked ? options.zone_bytes : 0);
    }
  }
}

device_code device_arena::grow_to(page_class size, std::uint32_t frames,
                                  device_error* why) noexcept {
  const auto which = static_cast<unsigned>(size);
  if (mode_ != arena_mode::plain) return checked_[which]->grow_to(frames, why);
  return ranges_[which]->grow_to(std::uint64_t{frames} << byte_shift(size), growth_bytes_, why);
}

device_code device_arena::grow_all_to(const std::array<std::uint32_t, page_class_count>& frames,
                                      device_error* why) noexcept {
  std::array<std::uint32_t, page_class_count> before;
  for (unsigned i = 0; i < page_class_count; ++i) {
    before[i] = frame_limit(static_cast<page_class>(i));
  }
  for (unsigned i = 0; i < page_class_count; ++i) {
    const device_code code = grow_to(static_cast<page_class>(i), frames[i], why);
    if (code == device_code::ok) continue;
    while (i-- > 0) roll_back(static_cast<page_class>(i), before[i]);
    return code;
  }
  return device_code::ok;
}

void device_arena::roll_back(page_class size, std::uint32_t frames) noexcept {
  const auto which = static_cast<unsigned>(size);
  if (frame_limit(size) == frames) return;
  if (mode_ != arena_mode::plain) {
    checked_[which]->roll_back(frames);
  } else {
    ranges_[which]->roll_back(std::uint64_t{frames} << byte_shift(size));
  }
}

std::uint64_t device_arena::trim_to(page_class size, std::uint32_t frames) noexcept {
  const auto which = static_cast<unsigned>(size);
  if (mode_ != arena_mode::plain) return checked_[which]->trim_to(frames);
  return ranges_[which]->trim_to(std::uint64_t{frames} << byte_shift(size));
}

void device_arena::fit(const std::array<std::uint32_t, page_class_count>& frames) noexcept {
  for (unsigned i = 0; i < page_class_count; ++i) fit_class(static_cast<page_class>(i), frames[i]);
}

void device_arena::fit_class(page_class size, std::uint32_t frames) noexcept {
  const auto which = static_cast<unsigned>(size);
  const bool is_sized = memory_.reserving_allocates;
  if (mode_ != arena_mode::plain) {
    if (is_sized) {
      checked_[which]->reset(frames);
    } else {
      checked_[which]->trim_to(frames);
    }
    return;
  }
  growing_range& range = *ranges_[which];
  const std::uint64_t needed = std::uint64_t{frames} << byte_shift(size);
  const bool is_wasteful =
      frames == 0 || (range.bytes() > kept_bytes && range.bytes() / 4 > needed);
  const bool fits = !is_sized || (range.base() != nullptr && range.bytes_max() >= needed);
  if (fits && !is_wasteful) return;
  if (is_sized) {
    range.reset(needed);
  } else {
    range.trim_to(0);
  }
}

std::uint32_t device_arena::frame_limit(page_class size) const noexcept {
  const auto which = static_cast<unsigned>(size);
  if (mode_ != arena_mode::plain) return checked_[which]->frame_limit();
  return static_cast<std::uint32_t>(
      std::min(ranges_[which]->bytes() >> byte_shift(size), ids_max));
}

std::uint32_t device_arena::frames_max(page_class size) const noexcept {
  return static_cast<std::uint32_t>(std::min(range_bytes_ >> byte_shift(size), ids_max));
}

bool device_arena::may_hold(page_class size, std::uint32_t frames) const noexcept {
  const std::uint32_t limit = frame_limit(size);
  if (frames <= limit) return true;
  return std::uint64_t{frames} << byte_shift(size) <= range_bytes_ &&
         (memory_.reserving_allocates ||
          budget_.has_room(std::uint64_t{frames - limit} << byte_shift(size)));
}

frame_view device_arena::view() const noexcept {
  frame_view made;
  made.is_checked = mode_ != arena_mode::plain;
  for (unsigned i = 0; i < page_class_count; ++i) {
    made.base[i] = made.is_checked ? checked_[i]->table() : ranges_[i]->base();
  }
  return made;
}

std::byte* device_arena::address(page_class size, frame_id frame) const noexcept {
  const auto which = static_cast<unsigned>(size);
  if (mode_ != arena_mode::plain) return checked_[which]->address(index_of(frame));
  return ranges_[which]->base() + (std::size_t{index_of(frame)} << byte_shift(size));
}

device_code device_arena::check(page_class size, frame_id frame, zone_damage* found,
                                device_error* why) noexcept {
  if (mode_ != arena_mode::checked) return device_code::ok;
  return checked_[static_cast<unsigned>(size)]->check(index_of(frame), found, why);
}

device_code device_arena::check_all(zone_damage* found, device_error* why) noexcept {
  if (mode_ != arena_mode::checked) return device_code::ok;
  for (unsigned i = 0; i < page_class_count; ++i) {
    for (std::uint32_t frame = 0; frame < checked_[i]->frame_limit(); ++frame) {
      const device_code code = checked_[i]->check(frame, found, why);
      if (code != device_code::ok) return code;
    }
  }
  return device_code::ok;
}

void device_arena::abandon() noexcept {
  for (auto& range : ranges_) {
    if (range) range->abandon();
  }
  for (auto& pages : checked_) {
    if (pages) pages->abandon();
  }
}

}  // namespace sheaf::inline v0
