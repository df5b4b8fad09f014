/// \file
/// A lock-free stack of 32-bit indexes (Treiber 1986), safe against reuse by a 32-bit tag.
///
/// The links live with the caller, who passes how to read and write them; nodes are never freed,
/// so reading the link of a node that somebody else has just popped is harmless.
///
/// Invariants
///  1. `head_` is `tag << 32 | index + 1`; an index of 0 in that form means empty.
///  2. Every successful exchange raises the tag. A pop that read `head_`, then the link of the
///     top, then was overtaken by pops and pushes that put the same index back on top therefore
///     fails its exchange instead of installing the stale link (the ABA case). It could only be
///     fooled by exactly a multiple of 2^32 exchanges between its two accesses.
///  3. `head_` changes by read-modify-write alone after construction, so each value read from it
///     is in the release sequence of every earlier push.
///
/// Thread safety: all members, from any thread.
/// Cost: one compare-exchange when nobody else is at the same stack.
#pragma once

#include <atomic>
#include <cstdint>

namespace sheaf::inline v0 {

class tagged_stack {
 public:
  static constexpr std::uint32_t nothing = 0xffff'ffffu;

  /// Puts `index` on top. `set_next(index, value)` must store the link with an atomic access.
  /// What the caller wrote before is visible to whoever pops `index`.
  template <class SetNext>
  void push(std::uint32_t index, SetNext&& set_next) noexcept {
    std::uint64_t head = head_.load(std::memory_order_relaxed);  // checked by the exchange below
    for (;;) {
      set_next(index, static_cast<std::uint32_t>(head));
      // release: pairs with the acquire loads of `head_` in `pop`.
      if (head_.compare_exchange_weak(head, with_next_tag(head, index + 1),
                                      std::memory_order_release, std::memory_order_relaxed)) {
        return;
      }
    }
  }

  /// Takes the top, or returns `nothing`. `get_next(index)` must load the link with an atomic
  /// access; it may be called for an index that another thread owns by then.
  template <class GetNext>
  [[nodiscard]] std::uint32_t pop(GetNext&& get_next) noexcept {
    // acquire, here and in a failed exchange: pairs with the release in `push`, so that the link
    // and the body of the node are those its pusher wrote.
    std::uint64_t head = head_.load(std::memory_order_acquire);
    for (;;) {
      const std::uint32_t top = static_cast<std::uint32_t>(head);
      if (top == 0) return nothing;
      const std::uint32_t next = get_next(top - 1);
      if (head_.compare_exchange_weak(head, with_next_tag(head, next), std::memory_order_acquire,
                                      std::memory_order_acquire)) {
        return top - 1;
      }
    }
  }

  /// True if a pop at this moment would find nothing; only a hint when others push.
  [[nodiscard]] bool is_empty() const noexcept {
    // relaxed: a hint, nothing is read through it.
    return static_cast<std::uint32_t>(head_.load(std::memory_order_relaxed)) == 0;
  }

 private:
  static constexpr std::uint64_t with_next_tag(std::uint64_t head, std::uint32_t top) noexcept {
    return (((head >> 32) + 1) << 32) | top;
  }
  std::atomic<std::uint64_t> head_{0};
};

}  // namespace sheaf::inline v0
