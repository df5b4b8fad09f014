/// \file
/// What the threads that write keep apart from one another: how many transactions of each are open,
/// and the storage it used last.
///
/// A thread has one slot of 64, by its number; threads that share one only lose speed. A
/// transaction remembers its slot and may end on another thread.
///
/// Thread safety: all from any thread.
/// Cost: `enter` and `leave` one atomic addition on a line of the thread's own; `count_open` a look
/// at every slot in use.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

template <class Lease>
class writer_slots {
 public:
  using slot_index = std::uint32_t;

  /// Counts a transaction of the calling thread as open.
  [[nodiscard]] slot_index enter() noexcept {
    const slot_index mine = slot_of_thread();
    if (SHEAF_UNLIKELY(mine >= used_.load())) {
      std::uint32_t seen = used_.load();
      while (seen <= mine && !used_.compare_exchange_weak(seen, mine + 1)) {
      }
    }
    slots_[mine].open.fetch_add(1);  // seq_cst: see `count_open`
    return mine;
  }
  void leave(slot_index slot) noexcept {
    // release: what the transaction recorded of itself is over.
    slots_[slot].open.fetch_sub(1, std::memory_order_release);
  }
  /// Open transactions, those that began before this call at least: whoever enters after it was
  /// read here then reads an epoch published before the call, or a later one (all `seq_cst`).
  [[nodiscard]] std::uint64_t count_open() const noexcept {
    std::uint64_t total = 0;
    const std::uint32_t used = used_.load();
    for (std::uint32_t slot = 0; slot < used; ++slot) total += slots_[slot].open.load();
    return total;
  }

  /// The storage kept in `slot`, if nobody else is at it.
  [[nodiscard]] std::optional<Lease> take(slot_index slot) noexcept {
    writer_slot& mine = slots_[slot];
    // acquire and release: the storage is the holder's.
    if (mine.busy.exchange(true, std::memory_order_acquire)) return std::nullopt;
    std::optional<Lease> kept = std::exchange(mine.kept, std::nullopt);
    mine.busy.store(false, std::memory_order_release);
    return kept;
  }
  /// Keeps `used` in `slot`, or drops it where one is kept already.
  void give(slot_index slot, Lease&& used) noexcept {
    writer_slot& mine = slots_[slot];
    if (mine.busy.exchange(true, std::memory_order_acquire)) return;  // see `take`
    if (!mine.kept) mine.kept.emplace(std::move(used));
    mine.busy.store(false, std::memory_order_release);
  }

 private:
  static constexpr std::uint32_t slot_count = 64;
  struct alignas(interference_size) writer_slot {
    std::atomic<std::uint32_t> open{0};
    std::atomic<bool> busy{false};
    std::optional<Lease> kept;
  };

  static slot_index slot_of_thread() noexcept {
    static std::atomic<std::uint32_t> threads{0};
    // relaxed: only that numbers differ matters.
    thread_local const slot_index mine =
        threads.fetch_add(1, std::memory_order_relaxed) % slot_count;
    return mine;
  }

  writer_slot slots_[slot_count];
  alignas(interference_size) std::atomic<std::uint32_t> used_{0};
};

}  // namespace sheaf::inline v0
