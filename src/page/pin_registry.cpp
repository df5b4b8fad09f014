#include <sheaf/page/pin_registry.hpp>

#include <algorithm>

#include "base/pause.hpp"

namespace sheaf::inline v0 {

namespace {
constexpr std::uint64_t opening_bit = 1;
constexpr int spins_before_sleep = 256;
}  // namespace

bool pin_view::sees(std::uint64_t birth, std::uint64_t superseded) const noexcept {
  return open_from < superseded || newest_within(birth, superseded) != 0;
}

std::uint64_t pin_view::newest_within(std::uint64_t birth,
                                      std::uint64_t superseded) const noexcept {
  const auto after = std::lower_bound(epochs.begin(), epochs.end(), superseded);
  if (after == epochs.begin() || *(after - 1) < birth) return 0;
  return *(after - 1);
}

pin_registry::pin_registry(std::uint32_t snapshots_max)
    : slot_count_(snapshots_max), slots_(std::make_unique<pin_slot[]>(snapshots_max)) {}

result<pin_registry::pinned> pin_registry::open(const std::atomic<std::uint64_t>& published,
                                                readers mode) noexcept {
  // relaxed link accesses: ordered by the exchanges of the stack.
  slot_index slot = free_.pop([this](std::uint32_t index) {
    return slots_[index].next.load(std::memory_order_relaxed);
  });
  if (slot == tagged_stack::nothing) {
    slot = fresh_.fetch_add(1);
    if (slot >= slot_count_) {
      fresh_.fetch_sub(1);
      return make_status(status_code::too_many, subsystem::page, "too many open snapshots",
                         "%u are open, the limit is snapshots_max", slot_count_);
    }
  }
  pin_slot& mine = slots_[slot];
  open_count_.fetch_add(1, std::memory_order_relaxed);  // a figure for people
  mine.owners.store(1, std::memory_order_relaxed);  // nobody else knows the slot yet
  mine.pin.store(published.load() << 1 | opening_bit);
  if (mode == readers::brief_wait) {
    if (const std::uint64_t commit = in_place_.load(); commit != 0) {
      wait_count_.fetch_add(1, std::memory_order_relaxed);  // a figure for people
      for (int spin = 0; spin < spins_before_sleep && in_place_.load() == commit; ++spin) {
        pause_briefly();
      }
      waiting_.fetch_add(1);
      while (in_place_.load() == commit) in_place_.wait(commit);
      waiting_.fetch_sub(1);
    }
  }
  const std::uint64_t epoch = published.load();
  // release: the committer that reads the narrower pin also sees nothing older of this slot.
  mine.pin.store(epoch << 1, std::memory_order_release);
  return pinned{slot, epoch};
}

void pin_registry::share(slot_index slot) noexcept {
  slots_[slot].owners.fetch_add(1, std::memory_order_relaxed);  // the caller is an owner already
}

bool pin_registry::drop(slot_index slot) noexcept {
  // acq_rel: the last owner sees the reads of the others done before the pin goes.
  return slots_[slot].owners.fetch_sub(1, std::memory_order_acq_rel) == 1;
}

void pin_registry::close(slot_index slot) noexcept {
  pin_slot& mine = slots_[slot];
  open_count_.fetch_sub(1, std::memory_order_relaxed);  // a figure for people
  // release: pairs with the scan; reads through the pin happen before the frame is reused.
  mine.pin.store(0, std::memory_order_release);
  free_.push(slot, [this](std::uint32_t index, std::uint32_t next) {
    slots_[index].next.store(next, std::memory_order_relaxed);  // ordered by the stack's exchange
  });
}

void pin_registry::enter_walk(slot_index slot) noexcept { slots_[slot].walkers.fetch_add(1); }

void pin_registry::leave_walk(slot_index slot) noexcept {
  // release: pairs with the load in `is_walked`; the walk's reads are over.
  slots_[slot].walkers.fetch_sub(1, std::memory_order_release);
}

void pin_registry::begin_in_place(std::uint64_t epoch) noexcept { in_place_.store(epoch); }

void pin_registry::end_in_place() noexcept {
  in_place_.store(0);
  if (waiting_.load() != 0) in_place_.notify_all();
}

void pin_registry::scan(pin_view& view) const noexcept {
  view.epochs.clear();
  view.open_from = ~std::uint64_t{0};
  const std::uint32_t used = std::min(fresh_.load(), slot_count_);
  for (std::uint32_t slot = 0; slot < used; ++slot) {
    const std::uint64_t pin = slots_[slot].pin.load();
    if (pin == 0) continue;
    if ((pin & opening_bit) != 0) {
      view.open_from = std::min(view.open_from, pin >> 1);
    } else {
      view.epochs.push_back(pin >> 1);
    }
  }
  if (view.epochs.size() > 1) {
    std::sort(view.epochs.begin(), view.epochs.end());
    view.epochs.erase(std::unique(view.epochs.begin(), view.epochs.end()), view.epochs.end());
  }
}

bool pin_registry::is_walked() const noexcept {
  const std::uint32_t used = std::min(fresh_.load(), slot_count_);
  for (std::uint32_t slot = 0; slot < used; ++slot) {
    if (slots_[slot].walkers.load() != 0) return true;
  }
  return false;
}

}  // namespace sheaf::inline v0
