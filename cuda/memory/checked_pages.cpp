#include "cuda/memory/checked_pages.hpp"

#include <new>

#include "cuda/memory/device_block.hpp"
#include "cuda/memory/device_failure.hpp"

namespace sheaf::inline v0 {

checked_pages::checked_pages(const physical_memory& memory, memory_budget& budget, page_class size,
                             std::uint32_t frames_max, std::uint32_t zone_bytes) noexcept
    : memory_(&memory),
      budget_(&budget),
      size_(size),
      frames_max_(frames_max),
      zone_bytes_(zone_bytes),
      table_(memory, budget, std::uint64_t{frames_max} * sizeof(std::byte*)) {}

checked_pages::~checked_pages() { trim_to(0); }

std::byte checked_pages::pattern(std::uint32_t frame, std::uint32_t place) const noexcept {
  const std::uint32_t mixed =
      (frame * 0x9e37'79b9u) ^ (place * 0x85eb'ca6bu) ^ static_cast<std::uint32_t>(size_);
  return static_cast<std::byte>(0x80u | (mixed >> 24));
}

device_code checked_pages::write_zones(std::uint32_t frame, std::byte* page,
                                       device_error* why) noexcept {
  for (std::uint32_t side = 0; side < 2 && zone_bytes_ != 0; ++side) {
    for (std::uint32_t i = 0; i < zone_bytes_; ++i) zone_[i] = pattern(frame, side << 16 | i);
    std::byte* const at = side == 0 ? page - zone_bytes_ : page + bytes_of(size_);
    const device_code code = memory_->write(memory_->context, at, zone_.data(), zone_bytes_, why);
    if (code != device_code::ok) return code;
  }
  return device_code::ok;
}

device_code checked_pages::add_page(std::uint32_t frame, device_error* why) noexcept {
  std::byte* block = nullptr;
  device_code code = take_block(*memory_, *budget_, block_bytes(), &block, why);
  if (code != device_code::ok) return code;
  std::byte* const page = block + zone_bytes_;
  code = write_zones(frame, page, why);
  if (code == device_code::ok) {
    code = memory_->write(memory_->context, table_.base() + frame * sizeof page, &page, sizeof page,
                          why);
  }
  if (code != device_code::ok) {
    give_block(*memory_, *budget_, block, block_bytes());
    return code;
  }
  pages_.push_back(page);
  return device_code::ok;
}

device_code checked_pages::grow_to(std::uint32_t frames, device_error* why) noexcept {
  if (frames <= frame_limit()) return device_code::ok;
  if (frames > frames_max_) {
    return refuse(why, device_code::out_of_memory, "checked arena of %u frames asked for %u",
                     frames_max_, frames);
  }
  const std::uint32_t before = frame_limit();
  try {
    pages_.reserve(frames);
    zone_.resize(zone_bytes_);
  } catch (const std::bad_alloc&) {
    return refuse(why, device_code::out_of_memory, "no host memory for %u checked frames",
                     frames);
  }
  device_code code = table_.grow_to(std::uint64_t{frames} * sizeof(std::byte*), 0, why);
  for (std::uint32_t frame = before; frame < frames && code == device_code::ok; ++frame) {
    code = add_page(frame, why);
  }
  if (code != device_code::ok) roll_back(before);
  return code;
}

std::uint64_t checked_pages::trim_to(std::uint32_t frames) noexcept {
  std::uint64_t given_back = 0;
  while (pages_.size() > frames) {
    give_block(*memory_, *budget_, pages_.back() - zone_bytes_, block_bytes());
    pages_.pop_back();
    given_back += block_bytes();
  }
  return given_back;
}

void checked_pages::roll_back(std::uint32_t frames) noexcept {
  trim_to(frames);
  table_.roll_back(std::uint64_t{frames} * sizeof(std::byte*));
}

void checked_pages::reset(std::uint32_t frames_max) noexcept {
  trim_to(0);
  frames_max_ = frames_max;
  table_.reset(std::uint64_t{frames_max} * sizeof(std::byte*));
}

void checked_pages::abandon() noexcept {
  pages_.clear();
  table_.abandon();
}

device_code checked_pages::check(std::uint32_t frame, zone_damage* found,
                                 device_error* why) noexcept {
  for (std::uint32_t side = 0; side < 2 && zone_bytes_ != 0; ++side) {
    const std::byte* const page = pages_[frame];
    const std::byte* const at = side == 0 ? page - zone_bytes_ : page + bytes_of(size_);
    const device_code code = memory_->read(memory_->context, zone_.data(), at, zone_bytes_, why);
    if (code != device_code::ok) return code;
    for (std::uint32_t i = 0; i < zone_bytes_; ++i) {
      if (zone_[i] == pattern(frame, side << 16 | i)) continue;
      const std::int64_t offset = (at - page) + static_cast<std::int64_t>(i);
      if (found != nullptr) *found = {size_, frame, offset};
      return refuse(why, device_code::invalid,
                       "red zone overwritten: page class %u (%zu bytes), frame %u, offset %lld",
                       static_cast<unsigned>(size_), bytes_of(size_), frame,
                       static_cast<long long>(offset));
    }
  }
  return device_code::ok;
}

}  // namespace sheaf::inline v0
