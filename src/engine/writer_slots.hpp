/// \file
/// What the threads that write keep apart from one another: how many transactions of each are open,
/// the storage it used last, and its count of shares of the owner.
///
/// A thread has one slot of 64, by its number; threads that share one only lose speed. A
/// transaction remembers its slot and may end on another thread.
///
/// Thread safety: all from any thread; `drop_shares` with nobody at `share`.
/// Cost: `enter`, `leave`, `share` and the end of a share one atomic addition each, on lines of the
/// thread's own; `is_alone` a look at slots in use until two open transactions are found.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

template <class Lease, class Owner>
class writer_slots {
 public:
  using slot_index = std::uint32_t;

  writer_slots() = default;
  writer_slots(const writer_slots&) = delete;
  writer_slots& operator=(const writer_slots&) = delete;
  ~writer_slots() { drop_shares(); }

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
  /// True where at most one transaction is open, of those that began before this call: whoever
  /// enters after its slot was read here then reads an epoch published before the call, or a later
  /// one (all `seq_cst`).
  [[nodiscard]] bool is_alone() const noexcept {
    std::uint64_t total = 0;
    const std::uint32_t used = used_.load();
    for (std::uint32_t slot = 0; slot < used && total < 2; ++slot) {
      total += slots_[slot].open.load();
    }
    return total < 2;
  }

  /// A share of `owner`, counted apart from those of other slots; a plain one where memory is
  /// short. The slots hold the owner until `drop_shares`.
  [[nodiscard]] std::shared_ptr<Owner> share(const std::shared_ptr<Owner>& owner) noexcept {
    writer_slot& mine = slots_[slot_of_thread()];
    // acquire: pairs with the exchange in `make_share`.
    const std::shared_ptr<Owner>* kept = mine.share.load(std::memory_order_acquire);
    if (SHEAF_UNLIKELY(kept == nullptr)) kept = make_share(mine, owner);
    return kept == nullptr ? owner : *kept;
  }
  void drop_shares() noexcept {
    for (writer_slot& slot : slots_) delete slot.share.exchange(nullptr);
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
    std::atomic<const std::shared_ptr<Owner>*> share{nullptr};
  };
  /// Keeps the count that is allocated with it on lines of its own.
  struct alignas(interference_size) share_holder {
    std::shared_ptr<Owner> owner;
  };

  [[nodiscard]] SHEAF_NOINLINE static const std::shared_ptr<Owner>* make_share(
      writer_slot& slot, const std::shared_ptr<Owner>& owner) noexcept {
    const std::shared_ptr<Owner>* seen = nullptr;
    try {
      const auto holder = std::make_shared<share_holder>(share_holder{owner});
      auto made = std::make_unique<const std::shared_ptr<Owner>>(holder, owner.get());
      // acq_rel: publishes the share, or sees the one another thread made first.
      if (!slot.share.compare_exchange_strong(seen, made.get(), std::memory_order_acq_rel)) {
        return seen;
      }
      return made.release();
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }

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
