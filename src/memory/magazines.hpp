/// \file
/// The two forms of a magazine: in a thread's cache, and as a body in the depot.
#pragma once

#include <atomic>
#include <cstdint>

#include <sheaf/memory/page_allocator.hpp>

namespace sheaf::inline v0 {

/// Up to 64 frame ids. Only the owning thread writes; `stats` reads `count` from any thread.
struct magazine {
  // relaxed everywhere: one thread writes, and other threads only count with it.
  std::atomic<std::uint32_t> count{0};
  std::uint32_t frames[page_allocator::magazine_size];
};

/// A magazine that lies in the depot, full, or waits empty to be used by it. Zeroed memory is a
/// valid one. `next` is read by threads that have lost the race for it, so only by `atomic_ref`.
struct page_allocator::magazine_body {
  std::uint32_t next;
  std::uint32_t frames[magazine_size];
};

/// How `tagged_stack` reads and writes the links of `bodies`. relaxed: the stack's own exchanges
/// order them.
template <class Body>
[[nodiscard]] auto next_in(Body* bodies) noexcept {
  return [bodies](std::uint32_t body) {
    return std::atomic_ref(bodies[body].next).load(std::memory_order_relaxed);
  };
}
template <class Body>
[[nodiscard]] auto set_next_in(Body* bodies) noexcept {
  return [bodies](std::uint32_t body, std::uint32_t next) {
    std::atomic_ref(bodies[body].next).store(next, std::memory_order_relaxed);
  };
}

}  // namespace sheaf::inline v0
