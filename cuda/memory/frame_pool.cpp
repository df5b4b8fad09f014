#include "cuda/memory/frame_pool.hpp"

#include <algorithm>
#include <new>

#include "cuda/memory/device_failure.hpp"

namespace sheaf::inline v0 {

/// Side arrays for `frames` frames at least. More room than frames does no harm.
device_code frame_pool::make_room(page_class size, std::uint32_t frames,
                                  device_error* why) noexcept {
  size_frames& lists = classes_[static_cast<unsigned>(size)];
  if (lists.free.size() >= frames) return device_code::ok;
  const std::size_t room = std::max<std::size_t>(frames, lists.free.size() + lists.free.size() / 2);
  try {
    lists.retired.reserve(static_cast<std::uint32_t>(room));
    lists.free.resize(room);
  } catch (const std::bad_alloc&) {
    return refuse(why, device_code::out_of_memory, "no host memory to list %u frames", frames);
  }
  return device_code::ok;
}

device_code frame_pool::reserve(const class_counts& counts, device_error* why) noexcept {
  class_counts needed{};
  for (unsigned i = 0; i < page_class_count; ++i) {
    const size_frames& frames = classes_[i];
    const std::uint64_t fresh = counts[i] - std::min(counts[i], frames.free_count);
    if (fresh == 0) continue;
    const std::uint64_t wanted = frames.fresh_begin + fresh;
    if (wanted > index_of(no_frame)) {
      return refuse(why, device_code::out_of_memory,
                       "page class %u has no ids left for %u frames", i, counts[i]);
    }
    needed[i] = static_cast<std::uint32_t>(wanted);
    // A size that cannot be had is the arena's to refuse, before lists are made for it.
    if (!arena_->may_hold(static_cast<page_class>(i), needed[i])) continue;
    const device_code code = make_room(static_cast<page_class>(i), needed[i], why);
    if (code != device_code::ok) return code;
  }
  return arena_->grow_all_to(needed, why);
}

frame_id frame_pool::allocate_fresh(page_class size, device_error* why) noexcept {
  frame_id first = no_frame;
  return allocate_run(size, 1, &first, why) == device_code::ok ? first : no_frame;
}

device_code frame_pool::allocate_run(page_class size, std::uint32_t count, frame_id* first,
                                     device_error* why) noexcept {
  size_frames& frames = classes_[static_cast<unsigned>(size)];
  const std::uint64_t end = std::uint64_t{frames.fresh_begin} + count;
  if (end > index_of(no_frame)) {
    return refuse(why, device_code::out_of_memory,
                     "page class %u has no ids left for a run of %u frames",
                     static_cast<unsigned>(size), count);
  }
  const auto wanted = static_cast<std::uint32_t>(end);
  device_code code = device_code::ok;
  if (arena_->may_hold(size, wanted)) code = make_room(size, wanted, why);
  if (code == device_code::ok) code = arena_->grow_to(size, wanted, why);
  if (code != device_code::ok) return code;
  *first = frame_id{frames.fresh_begin};
  frames.fresh_begin += count;
  return device_code::ok;
}

std::uint32_t frame_pool::collect() noexcept {
  const std::uint64_t finished = device_->finished();
  std::uint32_t count = 0;
  for (size_frames& frames : classes_) {
    count += frames.retired.collect(
        finished, [&](std::uint32_t frame) { frames.free[frames.free_count++] = frame; });
  }
  return count;
}

std::uint64_t frame_pool::trim() noexcept {
  std::uint64_t given_back = 0;
  for (unsigned i = 0; i < page_class_count; ++i) {
    size_frames& frames = classes_[i];
    const auto size = static_cast<page_class>(i);
    // The free ids, rising, tell how far down from the fresh ones everything is free.
    auto* const begin = frames.free.data();
    auto* const end = begin + frames.free_count;
    std::sort(begin, end);
    std::uint32_t used_end = frames.fresh_begin;
    std::uint32_t kept = frames.free_count;
    while (kept != 0 && begin[kept - 1] == used_end - 1) {
      --kept;
      --used_end;
    }
    frames.free_count = kept;
    frames.fresh_begin = used_end;
    // Low ids on top: what is allocated next keeps the end of the range free.
    std::reverse(begin, begin + kept);
    given_back += arena_->trim_to(size, used_end);
  }
  return given_back;
}

device_code frame_pool::deallocate_checked(page_class size, frame_id frame, zone_damage* found,
                                           device_error* why) noexcept {
  const device_code code = arena_->check(size, frame, found, why);
  if (code == device_code::ok) deallocate(size, frame);
  return code;
}

void frame_pool::reset() noexcept {
  for (size_frames& frames : classes_) {
    frames.free_count = 0;
    frames.fresh_begin = 0;
    frames.retired.collect(~std::uint64_t{0}, [](std::uint32_t) {});
  }
}

frame_pool_figures frame_pool::figures() const noexcept {
  frame_pool_figures made{};
  for (unsigned i = 0; i < page_class_count; ++i) {
    const size_frames& frames = classes_[i];
    made.retired[i] = static_cast<std::uint32_t>(frames.retired.size());
    made.in_use[i] = frames.fresh_begin - frames.free_count - made.retired[i];
    made.free[i] = arena_->frame_limit(static_cast<page_class>(i)) - frames.fresh_begin +
                   frames.free_count;
  }
  return made;
}

bool frame_pool::is_consistent() const {
  for (unsigned i = 0; i < page_class_count; ++i) {
    const size_frames& frames = classes_[i];
    if (frames.fresh_begin > arena_->frame_limit(static_cast<page_class>(i))) return false;
    std::vector<bool> seen(frames.fresh_begin);
    const auto once = [&](std::uint32_t frame) {
      if (frame >= seen.size() || seen[frame]) return false;
      seen[frame] = true;
      return true;
    };
    bool holds = true;
    for (std::uint32_t place = 0; place < frames.free_count; ++place) {
      holds = holds && once(frames.free[place]);
    }
    frames.retired.for_each([&](std::uint32_t frame) { holds = holds && once(frame); });
    if (!holds) return false;
  }
  return true;
}

}  // namespace sheaf::inline v0
