/// \file
/// A stack of frame ids in device memory, for kernels.
///
/// Phases. Within a phase all threads only pop, or all only push; a phase ends with its kernel, and
/// `settle` runs before the next one begins. That rule is why one atomic add is enough, and why
/// there is no ABA: while ids are popped no place of the array is written, and while they are
/// pushed none is read. (A pop beside a push could read a place before the pusher wrote it; a
/// tagged list avoids that with a compare-exchange an id, which thousands of threads at one word
/// turn into a queue.)
///
/// Invariants
///  1. `stack-ids-once`: an id on the stack is popped once. The threads of a phase that pops take
///     disjoint places, since `count` only falls.
///  2. In a phase that pops, `count` may fall below zero: by what was asked for and not there.
///     `settle` makes it zero. A phase asks for fewer than 2^31 frames.
///  3. `stack-within-capacity`: a frame is on one stack at most, so an array with room for all
///     frames of its class is never full; what would not fit is not stored, and `overflowed` says
///     so.
///
/// Thread safety: as the phases say, any number of threads of one device; or of the host, which is
/// how the tests play the device.
/// Cost: one atomic for as many ids as a caller asks for (frame_stack.cuh: for a warp).
#pragma once

#include <cstdint>

#include <sheaf/base/id.hpp>
#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

struct frame_stack {
  std::uint32_t* ids;      ///< the first `count` are on the stack, the last of them on top
  std::uint32_t capacity;  ///< below 2^31
  std::int32_t count;
  std::uint32_t overflowed;  ///< ids that found no room
  std::uint32_t reserved;
};

/// Adds to a word that others add to, too; the value before. Orders nothing: phases do.
[[nodiscard]] SHEAF_HD std::int32_t add_unordered(std::int32_t* word, std::int32_t value) noexcept {
#if defined(__CUDA_ARCH__)
  return atomicAdd(word, value);
#else
  // relaxed: what ids mean is ordered by the end of the phase.
  return __atomic_fetch_add(word, value, __ATOMIC_RELAXED);
#endif
}

/// Takes up to `wanted` places off the top: the number of them, whose ids are
/// `ids[*first - 1]` downwards.
[[nodiscard]] SHEAF_HD std::uint32_t take_places(frame_stack& stack, std::uint32_t wanted,
                                                 std::int32_t* first) noexcept {
  const auto asked = static_cast<std::int32_t>(wanted);
  const std::int32_t before = add_unordered(&stack.count, -asked);
  *first = before;
  if (before <= 0) return 0;
  return before < asked ? static_cast<std::uint32_t>(before) : wanted;
}

/// Pops up to `wanted` frames into `into`; how many there were.
[[nodiscard]] SHEAF_HD std::uint32_t pop_frames(frame_stack& stack, std::uint32_t wanted,
                                                std::uint32_t* into) noexcept {
  std::int32_t first = 0;
  const std::uint32_t got = take_places(stack, wanted, &first);
  for (std::uint32_t i = 0; i < got; ++i) into[i] = stack.ids[first - 1 - static_cast<int>(i)];
  return got;
}
/// Pops one frame, or gives `no_frame`.
[[nodiscard]] SHEAF_HD frame_id pop_frame(frame_stack& stack) noexcept {
  std::uint32_t frame = 0;
  return pop_frames(stack, 1, &frame) == 1 ? frame_id{frame} : no_frame;
}

/// Stores an id at a place its caller got by adding to `count`.
SHEAF_HD void store_at(frame_stack& stack, std::int32_t place, std::uint32_t frame) noexcept {
  if (SHEAF_LIKELY(static_cast<std::uint32_t>(place) < stack.capacity)) {
    stack.ids[place] = frame;
    return;
  }
  const std::int32_t before = add_unordered(reinterpret_cast<std::int32_t*>(&stack.overflowed), 1);
  static_cast<void>(before);
}
/// Pushes `count` frames.
SHEAF_HD void push_frames(frame_stack& stack, std::uint32_t count,
                          const std::uint32_t* frames) noexcept {
  const std::int32_t first = add_unordered(&stack.count, static_cast<std::int32_t>(count));
  for (std::uint32_t i = 0; i < count; ++i) {
    store_at(stack, first + static_cast<std::int32_t>(i), frames[i]);
  }
}

/// Between phases, by one thread: the count is that of the ids in the array.
SHEAF_HD void settle(frame_stack& stack) noexcept {
  if (stack.count < 0) stack.count = 0;
  if (stack.count > static_cast<std::int32_t>(stack.capacity)) {
    stack.count = static_cast<std::int32_t>(stack.capacity);
  }
}

}  // namespace sheaf::inline v0
