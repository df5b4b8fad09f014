#include "cuda/memory/growing_range.hpp"

#include <algorithm>
#include <new>

#include "cuda/memory/device_block.hpp"
#include "cuda/memory/device_failure.hpp"

namespace sheaf::inline v0 {
namespace {

constexpr std::uint64_t whole_steps(std::uint64_t bytes, std::uint64_t step) noexcept {
  return (bytes + step - 1) / step * step;
}

}  // namespace

growing_range::growing_range(const physical_memory& memory, memory_budget& budget,
                             std::uint64_t bytes_max) noexcept
    : memory_(&memory), budget_(&budget), bytes_max_(whole_steps(bytes_max, memory.step_bytes)) {}

growing_range::~growing_range() {
  drop_chunks(0);
  unreserve();
}

device_code growing_range::grow_to(std::uint64_t bytes, std::uint64_t at_least,
                                   device_error* why) noexcept {
  if (bytes <= bytes_) return device_code::ok;
  if (bytes > bytes_max_) {
    return refuse(why, device_code::out_of_memory, "range of %llu bytes is too small for %llu",
                     static_cast<unsigned long long>(bytes_max_),
                     static_cast<unsigned long long>(bytes));
  }
  const bool is_first = base_ == nullptr;
  if (is_first) {
    if (const device_code code = reserve(why); code != device_code::ok) return code;
  }
  const std::uint64_t needed = whole_steps(bytes, memory_->step_bytes) - bytes_;
  const std::uint64_t wished = std::max(
      needed, std::min(whole_steps(at_least, memory_->step_bytes), bytes_max_ - bytes_));
  const std::uint64_t taken =
      memory_->reserving_allocates || budget_->has_room(wished) ? wished : needed;
  device_code code = add_chunk(taken, why);
  if (code == device_code::out_of_memory && taken > needed) code = add_chunk(needed, why);
  if (code != device_code::ok && is_first) unreserve();
  return code;
}

device_code growing_range::reserve(device_error* why) noexcept {
  const bool counts = memory_->reserving_allocates;
  if (counts && !budget_->has_room(bytes_max_)) return past_budget(why, bytes_max_, *budget_);
  std::byte* made = nullptr;
  const device_code code = memory_->reserve(memory_->context, bytes_max_, &made, why);
  if (code != device_code::ok) return code;
  base_ = made;
  if (counts) {
    budget_->bytes_held += bytes_max_;
    ++budget_->growth_count;
  }
  return device_code::ok;
}

void growing_range::unreserve() noexcept {
  if (base_ == nullptr) return;
  memory_->unreserve(memory_->context, base_, bytes_max_);
  if (memory_->reserving_allocates) budget_->bytes_held -= bytes_max_;
  base_ = nullptr;
}

device_code growing_range::add_chunk(std::uint64_t bytes, device_error* why) noexcept {
  if (memory_->reserving_allocates) {
    bytes_ += bytes;
    return device_code::ok;
  }
  if (!budget_->has_room(bytes)) return past_budget(why, bytes, *budget_);
  try {
    chunks_.reserve(chunks_.size() + 1);
  } catch (const std::bad_alloc&) {
    return refuse(why, device_code::out_of_memory, "no host memory for a chunk's entry");
  }
  const physical_memory& memory = *memory_;
  std::byte* const at = base_ + bytes_;
  std::uint64_t handle = 0;
  device_code code = memory.create(memory.context, bytes, &handle, why);
  if (code != device_code::ok) return code;
  code = memory.map(memory.context, at, bytes, handle, why);
  if (code == device_code::ok) {
    code = memory.allow(memory.context, at, bytes, why);
    if (code != device_code::ok) memory.unmap(memory.context, at, bytes);
  }
  if (code != device_code::ok) {
    memory.release(memory.context, handle);
    return code;
  }
  chunks_.push_back({bytes_, bytes, handle});
  bytes_ += bytes;
  budget_->bytes_held += bytes;
  ++budget_->growth_count;
  return device_code::ok;
}

std::uint64_t growing_range::trim_to(std::uint64_t bytes) noexcept {
  is_settled_ = is_settled_ || base_ != nullptr;
  return drop_chunks(bytes);
}

std::uint64_t growing_range::drop_chunks(std::uint64_t bytes) noexcept {
  std::uint64_t given_back = 0;
  while (!chunks_.empty() && chunks_.back().offset >= bytes) {
    const chunk last = chunks_.back();
    memory_->unmap(memory_->context, base_ + last.offset, last.bytes);
    memory_->release(memory_->context, last.handle);
    chunks_.pop_back();
    bytes_ -= last.bytes;
    budget_->bytes_held -= last.bytes;
    given_back += last.bytes;
  }
  return given_back;
}

void growing_range::roll_back(std::uint64_t bytes) noexcept {
  drop_chunks(bytes);
  if (memory_->reserving_allocates && bytes < bytes_) bytes_ = bytes;
  if (bytes == 0 && !is_settled_) unreserve();
}

void growing_range::reset(std::uint64_t bytes_max) noexcept {
  drop_chunks(0);
  unreserve();
  bytes_ = 0;
  bytes_max_ = whole_steps(bytes_max, memory_->step_bytes);
  is_settled_ = false;
}

void growing_range::abandon() noexcept {
  chunks_.clear();
  base_ = nullptr;
  bytes_ = 0;
}

}  // namespace sheaf::inline v0
