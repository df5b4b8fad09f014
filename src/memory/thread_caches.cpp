#include "thread_caches.hpp"

#include <new>

namespace sheaf::inline v0 {
namespace {

constexpr std::uint32_t slot_count = page_allocator::allocators_max;

/// The table of a thread that has no cache yet, and of one whose end has begun.
constexpr thread_slot no_slots[slot_count] = {};
constexpr thread_slot ended_slots[slot_count] = {};

struct allocator_registry {
  mutex guard;
  std::uint64_t next_generation SHEAF_GUARDED_BY(guard) = 1;
  std::uint64_t generations[slot_count] SHEAF_GUARDED_BY(guard) = {};  ///< 0: the slot is free
  page_allocator* owners[slot_count] SHEAF_GUARDED_BY(guard) = {};
};
constinit allocator_registry registry;

/// Its destructor runs as the thread ends, once `arm` has been called on that thread.
struct thread_end {
  void arm() noexcept {}
  ~thread_end() { thread_caches::end_thread(); }
};
thread_local thread_end at_thread_end;

/// The calling thread's table for writing, or null while the thread is ending or memory is short.
thread_slot* own_slots() noexcept {
  if (thread_slots == ended_slots) return nullptr;
  if (thread_slots == no_slots) {
    const auto* const fresh = new (std::nothrow) thread_slot[slot_count];
    if (fresh == nullptr) return nullptr;
    at_thread_end.arm();
    thread_slots = fresh;
  }
  return const_cast<thread_slot*>(thread_slots);
}

}  // namespace

constinit thread_local const thread_slot* thread_slots __attribute__((tls_model("initial-exec"))) =
    no_slots;

thread_caches::thread_cache* thread_caches::attach(page_allocator& allocator) noexcept {
  if (thread_cache* const found = find(allocator); found != nullptr) return found;
  thread_slot* const slots = own_slots();
  if (slots == nullptr) return nullptr;
  const mutex_lock lock(registry.guard);
  thread_cache* cache = allocator.caches_;
  while (cache != nullptr && cache->is_attached) cache = cache->next;
  if (cache == nullptr) {
    cache = new (std::nothrow) thread_cache;
    if (cache == nullptr) return nullptr;
    cache->next = allocator.caches_;
    allocator.caches_ = cache;
  }
  cache->is_attached = true;
  slots[allocator.slot_] = {allocator.generation_, cache};
  return cache;
}

bool thread_caches::add(page_allocator& allocator) noexcept {
  const mutex_lock lock(registry.guard);
  for (std::uint32_t i = 0; i < slot_count; ++i) {
    if (registry.generations[i] != 0) continue;
    allocator.slot_ = i;
    allocator.generation_ = registry.next_generation++;
    registry.generations[i] = allocator.generation_;
    registry.owners[i] = &allocator;
    return true;
  }
  return false;
}

void thread_caches::remove(page_allocator& allocator) noexcept {
  if (allocator.generation_ == 0) return;
  const mutex_lock lock(registry.guard);
  registry.generations[allocator.slot_] = 0;
  registry.owners[allocator.slot_] = nullptr;
  while (allocator.caches_ != nullptr) {
    thread_cache* const cache = allocator.caches_;
    allocator.caches_ = cache->next;
    delete cache;
  }
}

void thread_caches::count(const page_allocator& allocator, page_allocator_stats& stats) noexcept {
  const mutex_lock lock(registry.guard);
  for (const thread_cache* cache = allocator.caches_; cache != nullptr; cache = cache->next) {
    ++stats.thread_caches;
    for (unsigned c = 0; c < page_class_count; ++c) {
      for (const magazine& one : cache->magazines[c]) {
        stats.classes[c].frames_cached += one.count.load(std::memory_order_relaxed);
      }
      stats.classes[c].depot_exchanges += cache->exchanges[c].load(std::memory_order_relaxed);
    }
  }
}

void thread_caches::end_thread() noexcept {
  const thread_slot* const slots = thread_slots;
  thread_slots = ended_slots;
  if (slots == no_slots || slots == ended_slots) return;
  {
    const mutex_lock lock(registry.guard);
    for (std::uint32_t i = 0; i < slot_count; ++i) {
      if (slots[i].generation == 0 || slots[i].generation != registry.generations[i]) continue;
      auto* const cache = static_cast<thread_cache*>(slots[i].cache);
      registry.owners[i]->flush(*cache);
      cache->is_attached = false;
    }
  }
  delete[] slots;
}

}  // namespace sheaf::inline v0
