/// \file
/// A small map from slots to frames: open addressing with linear probing, no memory while empty.
///
/// Thread safety: readers from many threads while nobody writes.
/// Cost: 8 B an entry at a load of at most 3/4; a look-up is one or two cache lines.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <utility>

#include <sheaf/base/assert.hpp>
#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

class slot_map {
 public:
  static constexpr std::uint32_t nothing = 0xffff'ffffu;

  slot_map() = default;
  slot_map(slot_map&& other) noexcept { swap(other); }
  slot_map& operator=(slot_map&& other) noexcept {
    slot_map taken(std::move(other));
    swap(taken);
    return *this;
  }
  slot_map(const slot_map&) = delete;
  slot_map& operator=(const slot_map&) = delete;
  ~slot_map() { std::free(entries_); }

  void swap(slot_map& other) noexcept {
    std::swap(entries_, other.entries_);
    std::swap(count_, other.count_);
    std::swap(capacity_shift_, other.capacity_shift_);
  }

  [[nodiscard]] std::uint32_t size() const noexcept { return count_; }
  [[nodiscard]] std::size_t byte_size() const noexcept { return capacity() * sizeof(entry); }

  /// The frame of `slot`, or `nothing`.
  [[nodiscard]] std::uint32_t find(std::uint32_t slot) const noexcept {
    if (count_ == 0) return nothing;
    for (std::uint32_t at = home(slot);; at = (at + 1) & mask()) {
      if (entries_[at].slot == slot) return entries_[at].frame;
      if (entries_[at].slot == nothing) return nothing;
    }
  }
  /// Makes room for `more` further entries; false where the machine has no memory.
  [[nodiscard]] bool reserve(std::uint32_t more) noexcept {
    if (SHEAF_LIKELY(std::uint64_t{count_ + more} * 4 <= std::uint64_t{capacity()} * 3)) {
      return true;
    }
    return grow(count_ + more);
  }
  /// Adds `slot`, which is not in the map; there is room for it.
  void insert(std::uint32_t slot, std::uint32_t frame) noexcept {
    SHEAF_DASSERT(find(slot) == nothing && count_ < capacity(), "layer-maps-a-slot-once");
    SHEAF_ASSERT(entries_ != nullptr, "layer-has-room");
    std::uint32_t at = home(slot);
    // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): `grow` fills every entry.
    while (entries_[at].slot != nothing) at = (at + 1) & mask();
    entries_[at] = {slot, frame};
    ++count_;
  }
  /// Puts `frame` in the place of the frame of `slot`, which is in the map; returns that one.
  std::uint32_t replace(std::uint32_t slot, std::uint32_t frame) noexcept {
    std::uint32_t at = home(slot);
    while (entries_[at].slot != slot) at = (at + 1) & mask();
    return std::exchange(entries_[at].frame, frame);
  }
  /// Removes `slot`, which is in the map.
  void erase(std::uint32_t slot) noexcept {
    std::uint32_t hole = home(slot);
    while (entries_[hole].slot != slot) hole = (hole + 1) & mask();
    // What follows moves back where its home allows it, so that no probe ends early.
    for (std::uint32_t at = (hole + 1) & mask(); entries_[at].slot != nothing;
         at = (at + 1) & mask()) {
      const std::uint32_t from_home = (at - home(entries_[at].slot)) & mask();
      if (from_home >= ((at - hole) & mask())) {
        entries_[hole] = entries_[at];
        hole = at;
      }
    }
    entries_[hole].slot = nothing;
    --count_;
  }
  /// Calls `visitor(slot, frame)` for every entry, in no order.
  template <class Visitor>
  void for_each(Visitor&& visitor) const {
    for (std::uint32_t at = 0; at < capacity(); ++at) {
      if (entries_[at].slot != nothing) visitor(entries_[at].slot, entries_[at].frame);
    }
  }

 private:
  struct entry {
    std::uint32_t slot;
    std::uint32_t frame;
  };
  static constexpr unsigned first_shift = 4;

  [[nodiscard]] std::uint32_t capacity() const noexcept {
    return entries_ == nullptr ? 0 : 1u << capacity_shift_;
  }
  [[nodiscard]] std::uint32_t mask() const noexcept { return (1u << capacity_shift_) - 1; }
  [[nodiscard]] std::uint32_t home(std::uint32_t slot) const noexcept {
    return (slot * 0x9e37'79b1u) >> (32 - capacity_shift_);
  }
  [[nodiscard]] SHEAF_NOINLINE bool grow(std::uint64_t needed) noexcept {
    unsigned shift = entries_ == nullptr ? first_shift : capacity_shift_ + 1;
    while (needed * 4 > (std::uint64_t{3} << shift)) ++shift;
    if (shift > 31) return false;
    auto* fresh = static_cast<entry*>(std::malloc((std::size_t{1} << shift) * sizeof(entry)));
    if (fresh == nullptr) return false;
    for (std::uint32_t at = 0; at < 1u << shift; ++at) fresh[at].slot = nothing;
    slot_map before;
    before.entries_ = std::exchange(entries_, fresh);
    before.capacity_shift_ = std::exchange(capacity_shift_, shift);
    before.count_ = std::exchange(count_, 0);
    before.for_each([this](std::uint32_t slot, std::uint32_t frame) { insert(slot, frame); });
    return true;
  }

  entry* entries_ = nullptr;
  std::uint32_t count_ = 0;
  unsigned capacity_shift_ = first_shift;
};

}  // namespace sheaf::inline v0
