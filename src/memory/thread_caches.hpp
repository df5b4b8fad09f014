/// \file
/// Finds the calling thread's magazines for an allocator, and brings threads and allocators, which
/// may end in any order, together.
///
/// Each thread has a table with one entry for each allocator slot. An entry is valid while its
/// generation is that of the allocator in the slot; generations are never reused, so the entry of
/// an allocator that is gone is never followed. The caches themselves belong to the allocator.
///
/// Invariants
///  1. A cache is attached to at most one thread, and only that thread changes its magazines while
///     it is attached; while it is not, it holds no frames.
///  2. Registry and table agree under the registry mutex: a thread's end and an allocator's
///     destruction exclude one another.
///
/// Lock order: the registry mutex is taken before `page_allocator::grow_mutex_`, and never inside
/// `growth_hook`.
///
/// Thread safety: all members, from any thread.
/// Cost: `find` is three loads and a compare.
#pragma once

#include <atomic>
#include <cstdint>

#include <sheaf/memory/page_allocator.hpp>

#include "magazines.hpp"

namespace sheaf::inline v0 {

struct alignas(interference_size) page_allocator::thread_cache {
  magazine* loaded[page_class_count];
  magazine* previous[page_class_count];
  std::atomic<std::uint64_t> exchanges[page_class_count] = {};  ///< relaxed, as `magazine::count`
  magazine magazines[page_class_count][2];
  thread_cache* next = nullptr;  ///< in the allocator's list; under the registry mutex
  bool is_attached = false;      ///< under the registry mutex

  thread_cache() noexcept {
    for (unsigned c = 0; c < page_class_count; ++c) {
      loaded[c] = &magazines[c][0];
      previous[c] = &magazines[c][1];
    }
  }
  void count_exchange(page_class size) noexcept {
    std::atomic<std::uint64_t>& counter = exchanges[static_cast<unsigned>(size)];
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
};

/// One entry of a thread's table.
struct thread_slot {
  std::uint64_t generation = 0;
  void* cache = nullptr;
};

/// The calling thread's table: never null. Initial-exec, so that reading it is one load relative
/// to the thread pointer in a shared library too; one pointer is all of the static block it takes.
extern constinit thread_local const thread_slot* thread_slots
    __attribute__((tls_model("initial-exec")));

class thread_caches {
 public:
  using thread_cache = page_allocator::thread_cache;

  /// The calling thread's cache, or null where it has none yet.
  [[nodiscard]] static thread_cache* find(const page_allocator& allocator) noexcept {
    const thread_slot& slot = thread_slots[allocator.slot_];
    if (SHEAF_UNLIKELY(slot.generation != allocator.generation_)) return nullptr;
    return static_cast<thread_cache*>(slot.cache);
  }

  /// `find`, and where there is none makes one. Null while the thread is ending or where memory
  /// for it is refused.
  [[nodiscard]] static thread_cache* attach(page_allocator& allocator) noexcept;

  /// Gives `allocator` its slot and generation; false where all slots are taken.
  [[nodiscard]] static bool add(page_allocator& allocator) noexcept;
  /// Takes the slot back and frees the caches. Their frames are of no more interest.
  static void remove(page_allocator& allocator) noexcept;

  /// Adds what the caches of `allocator` hold and have exchanged to `stats`.
  static void count(const page_allocator& allocator, page_allocator_stats& stats) noexcept;

  /// Returns the calling thread's magazines in all living allocators; runs as the thread ends.
  static void end_thread() noexcept;
};

}  // namespace sheaf::inline v0
