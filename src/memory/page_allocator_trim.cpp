/// \file
/// The parts of the page allocator that look at all of it: giving memory back, and counting.
///
/// Invariant: while `trim_class` holds frames that nobody has claimed, it holds `grow_mutex_`, as
/// `take_claimed` requires. Other threads go on meanwhile with their magazines; one that needs
/// more waits at the mutex.

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>

#include <sheaf/memory/page_allocator.hpp>

#include "magazines.hpp"
#include "thread_caches.hpp"

namespace sheaf::inline v0 {
namespace {

/// Calls `visitor(begin, end)` for each longest run of set bits among the first `count`.
template <class Visitor>
void for_each_run(const std::uint64_t* words, std::uint32_t count, Visitor&& visitor) {
  const auto is_set = [words](std::uint32_t bit) {
    return (words[bit / 64] >> (bit % 64) & 1) != 0;
  };
  for (std::uint32_t bit = 0; bit < count;) {
    if (words[bit / 64] >> (bit % 64) == 0) {
      bit = (bit / 64 + 1) * 64;
      continue;
    }
    if (!is_set(bit)) {
      ++bit;
      continue;
    }
    const std::uint32_t begin = bit;
    while (bit < count && is_set(bit)) ++bit;
    visitor(begin, bit);
  }
}

std::size_t release_resident(virtual_arena& arena, std::size_t offset, std::size_t size) noexcept {
  const std::size_t resident = arena.resident_size(offset, size);
  return resident != 0 && arena.release(offset, size) != 0 ? resident : 0;
}

/// Gives back the memory of the frames whose bit is set, of the first `count`.
std::size_t release_runs(virtual_arena& arena, const std::uint64_t* is_free, std::uint32_t count,
                         unsigned shift) noexcept {
  std::size_t returned = 0;
  for_each_run(is_free, count, [&](std::uint32_t begin, std::uint32_t end) {
    returned +=
        release_resident(arena, std::size_t{begin} << shift, std::size_t{end - begin} << shift);
  });
  return returned;
}

}  // namespace

std::size_t page_allocator::trim_class(page_class size) noexcept {
  const unsigned c = static_cast<unsigned>(size);
  guarded_class& guarded = guarded_[c];
  shared_class& shared = shared_[c];
  const std::uint32_t limit = frame_limit(size);
  const unsigned shift = byte_shift(size);

  // Fresh frames first: nobody finds one while `fresh_begin` is at the limit.
  const std::uint32_t fresh = shared.fresh_begin.exchange(limit, std::memory_order_relaxed);
  std::size_t returned = release_resident(guarded.frames, std::size_t{fresh} << shift,
                                          std::size_t{limit - fresh} << shift);
  // release: pairs with the acquire in `take_fresh`. A plain store, since under the mutex nobody
  // else changes what equals the limit.
  shared.fresh_begin.store(fresh, std::memory_order_release);

  const std::size_t word_count = (std::size_t{fresh} + 63) / 64;
  if (word_count == 0 || (shared.full.is_empty() && guarded.loose_count == 0)) return returned;
  const std::unique_ptr<std::uint64_t[]> is_free(new (std::nothrow) std::uint64_t[word_count]{});
  if (is_free == nullptr) return returned;
  const auto mark = [&](const std::uint32_t* frames, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      is_free[frames[i] / 64] |= std::uint64_t{1} << (frames[i] % 64);
    }
  };
  // The popped bodies form a chain of their own, which puts them back in the order they had.
  std::uint32_t held = tagged_stack::nothing;
  for (;;) {
    const std::uint32_t body = shared.full.pop(next_in(bodies_[c]));
    if (body == tagged_stack::nothing) break;
    mark(bodies_[c][body].frames, magazine_size);
    set_next_in(bodies_[c])(body, held);
    held = body;
  }
  mark(guarded.loose, guarded.loose_count);
  returned += release_runs(guarded.frames, is_free.get(), fresh, shift);
  while (held != tagged_stack::nothing) {
    const std::uint32_t body = held;
    held = next_in(bodies_[c])(body);
    shared.full.push(body, set_next_in(bodies_[c]));
  }
  return returned;
}

std::size_t page_allocator::trim() noexcept {
  flush_thread();
  const mutex_lock lock(grow_mutex_);
  std::size_t returned = 0;
  for (unsigned c = 0; c < page_class_count; ++c) returned += trim_class(page_class(c));
  return returned;
}

page_allocator_stats page_allocator::stats() const noexcept {
  page_allocator_stats stats;
  thread_caches::count(*this, stats);
  const mutex_lock lock(grow_mutex_);
  // relaxed everywhere: counts for people, each from some moment during the call.
  stats.bytes_claimed = bytes_claimed_.load(std::memory_order_relaxed);
  stats.bytes_max = bytes_max_;
  for (unsigned c = 0; c < page_class_count; ++c) {
    page_class_stats& one = stats.classes[c];
    const shared_class& shared = shared_[c];
    const guarded_class& guarded = guarded_[c];
    one.frames_reserved = shared.reserved.load(std::memory_order_relaxed);
    const std::uint64_t claimed = shared.claimed.load(std::memory_order_relaxed);
    one.frames_in_use = claimed - std::min(claimed, one.frames_reserved + one.frames_cached);
    one.bytes_in_use = one.frames_in_use << byte_shift(page_class(c));
    one.frames_created = shared.fresh_begin.load(std::memory_order_relaxed);
    one.bytes_committed = guarded.frames.committed_size();
    one.depot_exchanges += shared.exchanges.load(std::memory_order_relaxed);
    stats.system_calls += guarded.frames.system_call_count() + guarded.bodies.system_call_count() +
                          guarded.live_bits.system_call_count();
    stats.total.frames_in_use += one.frames_in_use;
    stats.total.bytes_in_use += one.bytes_in_use;
    stats.total.frames_cached += one.frames_cached;
    stats.total.frames_reserved += one.frames_reserved;
    stats.total.frames_created += one.frames_created;
    stats.total.bytes_committed += one.bytes_committed;
    stats.total.depot_exchanges += one.depot_exchanges;
  }
  return stats;
}

}  // namespace sheaf::inline v0
