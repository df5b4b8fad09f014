#include <sheaf/memory/page_allocator.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <thread>
#include <utility>

#include "magazines.hpp"
#include "thread_caches.hpp"

namespace sheaf::inline v0 {
namespace {

constexpr std::uint32_t magazine_size = page_allocator::magazine_size;
/// Every id below `no_frame`.
constexpr std::uint64_t frame_count_max = index_of(no_frame);
/// Bodies beyond those that full magazines can need: as many threads may be between taking a body
/// off one stack and putting it on the other before anybody has to wait for one of them.
constexpr std::uint64_t spare_bodies = 64;
constexpr page_class page_classes[page_class_count] = {
    page_class::b64, page_class::b128, page_class::b256, page_class::b512,
    page_class::b1k, page_class::b2k,  page_class::b4k};

constexpr unsigned index(page_class size) noexcept { return static_cast<unsigned>(size); }

constexpr std::uint64_t bodies_for(std::uint64_t frames) noexcept {
  return frames / magazine_size + spare_bodies;
}

/// Under `SHEAF_PARANOID_ASSERTS` one bit says whether a frame is in use. relaxed: a single bit,
/// nothing is read through it, and a right program orders a free before the next allocation.
/// Local to this file: a member might be replaced in a shared library, so it is not inlined.
void mark_in_use([[maybe_unused]] std::uint64_t* live_bits,
                 [[maybe_unused]] frame_id frame) noexcept {
#if defined(SHEAF_PARANOID_ASSERTS) && SHEAF_PARANOID_ASSERTS
  const std::uint64_t bit = std::uint64_t{1} << (index_of(frame) % 64);
  std::atomic_ref word(live_bits[index_of(frame) / 64]);
  const std::uint64_t before = word.fetch_or(bit, std::memory_order_relaxed);
  SHEAF_PARANOID((before & bit) == 0, "allocated-frame-was-free");
#endif
}

void mark_free([[maybe_unused]] std::uint64_t* live_bits,
               [[maybe_unused]] frame_id frame) noexcept {
#if defined(SHEAF_PARANOID_ASSERTS) && SHEAF_PARANOID_ASSERTS
  const std::uint64_t bit = std::uint64_t{1} << (index_of(frame) % 64);
  std::atomic_ref word(live_bits[index_of(frame) / 64]);
  const std::uint64_t before = word.fetch_and(~bit, std::memory_order_relaxed);
  SHEAF_PARANOID((before & bit) != 0, "freed-frame-was-in-use");
#endif
}

}  // namespace

page_allocator::page_allocator(const page_allocator_options& options) noexcept
    : bytes_max_(options.bytes_max), on_grow_(options.on_grow) {}

page_allocator::~page_allocator() { thread_caches::remove(*this); }

result<std::unique_ptr<page_allocator>> page_allocator::create(
    const page_allocator_options& options) noexcept {
  if (options.bytes_max == 0 || options.reserve_per_class == 0) {
    return status(status_code::invalid_argument, subsystem::memory,
                  "page allocator needs bytes_max and reserve_per_class above 0");
  }
  std::unique_ptr<page_allocator> allocator(new (std::nothrow) page_allocator(options));
  if (allocator == nullptr) {
    return status(status_code::out_of_memory, subsystem::memory, "no memory for a page allocator");
  }
  status reserved;
  for (std::size_t bytes = options.reserve_per_class;; bytes /= 2) {
    reserved = allocator->reserve_arenas(bytes);
    if (reserved.is_ok() || bytes <= virtual_arena::step_size) break;
  }
  SHEAF_TRY(reserved);
  if (!thread_caches::add(*allocator)) {
    return make_status(status_code::too_many, subsystem::memory,
                       "too many page allocators live in this process", "at most %u",
                       allocators_max);
  }
  return allocator;
}

status page_allocator::reserve_arenas(std::size_t reserve_per_class) noexcept {
  const mutex_lock lock(grow_mutex_);
  for (guarded_class& guarded : guarded_) guarded = guarded_class{};
  for (const page_class size : page_classes) {
    const unsigned c = index(size);
    guarded_class& guarded = guarded_[c];
    const std::uint64_t useful = std::min<std::uint64_t>(
        std::max<std::uint64_t>(bytes_max_, bytes_of(size)), frame_count_max << byte_shift(size));
    result<virtual_arena> frames =
        virtual_arena::reserve(std::min<std::uint64_t>(reserve_per_class, useful));
    if (!frames) return frames.error();
    guarded.frames = std::move(*frames);
    base_[c] = guarded.frames.base();
    frames_max_[c] = std::min<std::uint64_t>(guarded.frames.reserved_size() >> byte_shift(size),
                                             frame_count_max);

    result<virtual_arena> bodies = virtual_arena::reserve(
        bodies_for(frames_max_[c]) * sizeof(magazine_body), arena_backing::small);
    if (!bodies) return bodies.error();
    guarded.bodies = std::move(*bodies);
    bodies_[c] = reinterpret_cast<magazine_body*>(guarded.bodies.base());
#if defined(SHEAF_PARANOID_ASSERTS) && SHEAF_PARANOID_ASSERTS
    result<virtual_arena> live =
        virtual_arena::reserve(frames_max_[c] / 8 + 8, arena_backing::small);
    if (!live) return live.error();
    guarded.live_bits = std::move(*live);
    live_bits_[c] = reinterpret_cast<std::uint64_t*>(guarded.live_bits.base());
#endif
  }
  return {};
}

// The paths every page takes.
// PERF: an allocation with its free takes 2.3 ns hot and 6 ns over 64 MiB at random (the C library
// 11.8 and 38), 11 ns from one thread to another (379): bench/memory/page_allocator_bench. With
// calls to helpers that a shared library could replace in between, the hot pair took 4.5 ns.

frame_id page_allocator::allocate(page_class size) noexcept {
  if (thread_cache* const cache = thread_caches::find(*this); SHEAF_LIKELY(cache != nullptr)) {
    magazine& loaded = *cache->loaded[index(size)];
    const std::uint32_t count = loaded.count.load(std::memory_order_relaxed);
    if (SHEAF_LIKELY(count != 0)) {
      loaded.count.store(count - 1, std::memory_order_relaxed);
      const frame_id frame{loaded.frames[count - 1]};
      mark_in_use(live_bits_[index(size)], frame);
      return frame;
    }
  }
  return allocate_slow(size);
}

void page_allocator::deallocate(page_class size, frame_id frame) noexcept {
  SHEAF_DASSERT(index_of(frame) < frame_limit(size), "frame-id-is-covered");
  mark_free(live_bits_[index(size)], frame);
  if (thread_cache* const cache = thread_caches::find(*this); SHEAF_LIKELY(cache != nullptr)) {
    magazine& loaded = *cache->loaded[index(size)];
    const std::uint32_t count = loaded.count.load(std::memory_order_relaxed);
    if (SHEAF_LIKELY(count != magazine_size)) {
      loaded.frames[count] = index_of(frame);
      loaded.count.store(count + 1, std::memory_order_relaxed);
      return;
    }
  }
  deallocate_slow(size, frame);
}

frame_id page_allocator::allocate_zeroed(page_class size) noexcept {
  const frame_id frame = allocate(size);
  if (SHEAF_LIKELY(frame != no_frame)) std::memset(address(size, frame), 0, bytes_of(size));
  return frame;
}

// Once in 64: magazines against the depot.

SHEAF_NOINLINE frame_id page_allocator::allocate_slow(page_class size) noexcept {
  const unsigned c = index(size);
  thread_cache* const cache = thread_caches::attach(*this);
  if (cache == nullptr) return allocate_under_limit(size);
  if (cache->loaded[c]->count.load(std::memory_order_relaxed) == 0) {
    std::swap(cache->loaded[c], cache->previous[c]);
  }
  magazine& loaded = *cache->loaded[c];
  if (loaded.count.load(std::memory_order_relaxed) == 0) {
    if (claim(size, magazine_size) != claim_outcome::ok) return allocate_under_limit(size);
    refill(*cache, size);
  }
  const std::uint32_t count = loaded.count.load(std::memory_order_relaxed);
  loaded.count.store(count - 1, std::memory_order_relaxed);
  const frame_id frame{loaded.frames[count - 1]};
  mark_in_use(live_bits_[index(size)], frame);
  return frame;
}

/// Fills the empty loaded magazine for a claim of 64 and gives up what is left of the claim.
void page_allocator::refill(thread_cache& cache, page_class size) noexcept {
  magazine& loaded = *cache.loaded[index(size)];
  const std::uint32_t count = take_claimed(size, magazine_size, loaded.frames);
  loaded.count.store(count, std::memory_order_relaxed);
  unclaim(size, magazine_size - count);
  cache.count_exchange(size);
}

/// One frame and no more, after giving up what this thread caches if that is what it takes.
frame_id page_allocator::allocate_under_limit(page_class size) noexcept {
  if (claim(size, 1) != claim_outcome::ok) {
    flush_thread();
    if (claim(size, 1) != claim_outcome::ok) return no_frame;
  }
  std::uint32_t frame = 0;
  const std::uint32_t taken = take_claimed(size, 1, &frame);
  SHEAF_ASSERT(taken == 1, "claimed-frames-exist");
  // relaxed: a count for people.
  shared_[index(size)].exchanges.fetch_add(1, std::memory_order_relaxed);
  mark_in_use(live_bits_[index(size)], frame_id{frame});
  return frame_id{frame};
}

SHEAF_NOINLINE void page_allocator::deallocate_slow(page_class size, frame_id frame) noexcept {
  const unsigned c = index(size);
  thread_cache* const cache = thread_caches::attach(*this);
  if (cache == nullptr) {
    {
      const mutex_lock lock(grow_mutex_);
      put_loose(size, index_of(frame));
    }
    unclaim(size, 1);
    // relaxed: a count for people.
    shared_[c].exchanges.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  if (cache->loaded[c]->count.load(std::memory_order_relaxed) == magazine_size) {
    magazine& previous = *cache->previous[c];
    const std::uint32_t count = previous.count.load(std::memory_order_relaxed);
    if (count != 0) {
      SHEAF_ASSERT(count == magazine_size, "previous-magazine-is-empty-or-full");
      push_full(size, previous.frames);
      previous.count.store(0, std::memory_order_relaxed);
      unclaim(size, magazine_size);
      cache->count_exchange(size);
    }
    std::swap(cache->loaded[c], cache->previous[c]);
  }
  magazine& loaded = *cache->loaded[c];
  const std::uint32_t count = loaded.count.load(std::memory_order_relaxed);
  loaded.frames[count] = index_of(frame);
  loaded.count.store(count + 1, std::memory_order_relaxed);
}

void page_allocator::flush(thread_cache& cache) noexcept {
  for (const page_class size : page_classes) {
    for (magazine* const one : {cache.loaded[index(size)], cache.previous[index(size)]}) {
      const std::uint32_t count = one->count.load(std::memory_order_relaxed);
      if (count == 0) continue;
      if (count == magazine_size) {
        push_full(size, one->frames);
      } else {
        const mutex_lock lock(grow_mutex_);
        for (std::uint32_t i = 0; i < count; ++i) put_loose(size, one->frames[i]);
      }
      one->count.store(0, std::memory_order_relaxed);
      unclaim(size, count);
      cache.count_exchange(size);
    }
  }
}

void page_allocator::flush_thread() noexcept {
  if (thread_cache* const cache = thread_caches::find(*this); cache != nullptr) flush(*cache);
}

// Claims: the accounts. A claim of n frames is n frames that exist and that nobody else may take.

page_allocator::claim_outcome page_allocator::claim(page_class size,
                                                    std::uint64_t frames) noexcept {
  const unsigned c = index(size);
  if (frames > frames_max_[c]) return claim_outcome::growth_refused;
  const std::uint64_t bytes = frames << byte_shift(size);
  // acquire, on success and failure: pairs with the release in `unclaim`, so that room made in
  // `claimed` and the frames put back before it are visible.
  std::uint64_t claimed_bytes = bytes_claimed_.load(std::memory_order_acquire);
  do {
    if (bytes > bytes_max_ - claimed_bytes) return claim_outcome::byte_limit;
  } while (!bytes_claimed_.compare_exchange_weak(claimed_bytes, claimed_bytes + bytes,
                                                 std::memory_order_acquire));

  std::atomic<std::uint64_t>& claimed = shared_[c].claimed;
  std::uint64_t count = claimed.load(std::memory_order_acquire);  // as above
  for (;;) {
    if (count + frames > frame_limit(size)) {
      if (!grow(size, frames)) {
        // release: pairs with the acquire above; keeps the rule of `unclaim`.
        bytes_claimed_.fetch_sub(bytes, std::memory_order_release);
        return claim_outcome::growth_refused;
      }
      count = claimed.load(std::memory_order_acquire);  // as above
    } else if (claimed.compare_exchange_weak(count, count + frames, std::memory_order_acquire)) {
      return claim_outcome::ok;
    }
  }
}

void page_allocator::unclaim(page_class size, std::uint64_t frames) noexcept {
  if (frames == 0) return;
  // release: pairs with the acquires in `claim`; what was put back before is there for whoever
  // claims it, and room in bytes is never seen before room in frames.
  const std::uint64_t before =
      shared_[index(size)].claimed.fetch_sub(frames, std::memory_order_release);
  SHEAF_ASSERT(before >= frames, "more-frames-freed-than-allocated");
  bytes_claimed_.fetch_sub(frames << byte_shift(size), std::memory_order_release);
}

bool page_allocator::grow(page_class size, std::uint64_t frames) noexcept {
  const unsigned c = index(size);
  const mutex_lock lock(grow_mutex_);
  // relaxed: `frame_limit` changes under this mutex alone; `claimed` is a request that the
  // caller's exchange checks again.
  const std::uint64_t limit = shared_[c].frame_limit.load(std::memory_order_relaxed);
  const std::uint64_t needed = shared_[c].claimed.load(std::memory_order_relaxed) + frames;
  if (needed <= limit) return true;
  if (needed > frames_max_[c]) return false;
  const std::uint64_t step = virtual_arena::step_size >> byte_shift(size);
  const auto whole_steps = [&](std::uint64_t count) {
    return std::min((count + step - 1) / step * step, frames_max_[c]);
  };
  const std::uint64_t generous = whole_steps(std::max(needed, limit + limit / 4));
  const std::uint64_t least = whole_steps(needed);
  return grow_to(size, generous) || (least != generous && grow_to(size, least));
}

bool page_allocator::grow_to(page_class size, std::uint64_t new_limit) noexcept {
  const unsigned c = index(size);
  guarded_class& guarded = guarded_[c];
  // What is committed and then not used, because a later part is refused, serves the next growth.
  if (!guarded.frames.commit_to(new_limit << byte_shift(size)).is_ok()) return false;
  if (!guarded.bodies.commit_to(bodies_for(new_limit) * sizeof(magazine_body)).is_ok()) {
    return false;
  }
  if (live_bits_[c] != nullptr && !guarded.live_bits.commit_to(new_limit / 8 + 8).is_ok()) {
    return false;
  }
  const auto limit = static_cast<std::uint32_t>(new_limit);
  if (on_grow_.function != nullptr && !on_grow_.function(on_grow_.context, size, limit).is_ok()) {
    return false;
  }
  // release: pairs with the acquires in `take_empty_body` and `frame_limit`.
  shared_[c].body_limit.store(static_cast<std::uint32_t>(bodies_for(new_limit)),
                              std::memory_order_release);
  shared_[c].frame_limit.store(limit, std::memory_order_release);
  return true;
}

// Frames: taking what was claimed, putting back what will be.

/// Takes 1 to `count` frames for a claim of `count`; the rest of the claim stays with the caller.
std::uint32_t page_allocator::take_claimed(page_class size, std::uint32_t count,
                                           std::uint32_t* frames) noexcept {
  if (count == magazine_size) {
    if (pop_full(size, frames)) return count;
    if (const std::uint32_t taken = take_fresh(size, count, frames); taken != 0) return taken;
  }
  // Whoever moves frames that it has not claimed (this function, `trim`) does so under the mutex.
  // So here every frame that is not claimed is in one of the three places.
  const mutex_lock lock(grow_mutex_);
  std::uint32_t taken = take_loose(size, count, frames);
  if (taken == 0) taken = take_fresh(size, count, frames);
  SHEAF_ASSERT(taken != 0, "claimed-frames-exist");
  return taken;
}

std::uint32_t page_allocator::take_fresh(page_class size, std::uint32_t count,
                                         std::uint32_t* frames) noexcept {
  shared_class& shared = shared_[index(size)];
  const std::uint32_t limit = frame_limit(size);
  // acquire: pairs with the release in `trim_class`, which gives fresh memory back before it
  // puts the old value here. The exchange publishes nothing.
  std::uint32_t begin = shared.fresh_begin.load(std::memory_order_acquire);
  std::uint32_t taken = 0;
  do {
    if (begin >= limit) return 0;
    taken = std::min(count, limit - begin);
  } while (
      !shared.fresh_begin.compare_exchange_weak(begin, begin + taken, std::memory_order_acquire));
  // A magazine is emptied from its end, so the lowest address goes there.
  for (std::uint32_t i = 0; i < taken; ++i) frames[i] = begin + (taken - 1 - i);
  return taken;
}

std::uint32_t page_allocator::take_loose(page_class size, std::uint32_t count,
                                         std::uint32_t* frames) noexcept {
  guarded_class& guarded = guarded_[index(size)];
  if (guarded.loose_count == 0 && pop_full(size, guarded.loose)) {
    guarded.loose_count = magazine_size;
  }
  const std::uint32_t taken = std::min(count, guarded.loose_count);
  guarded.loose_count -= taken;
  std::copy_n(guarded.loose + guarded.loose_count, taken, frames);
  return taken;
}

void page_allocator::put_loose(page_class size, std::uint32_t frame) noexcept {
  guarded_class& guarded = guarded_[index(size)];
  guarded.loose[guarded.loose_count++] = frame;
  if (guarded.loose_count != magazine_size) return;
  push_full(size, guarded.loose);
  guarded.loose_count = 0;
}

bool page_allocator::pop_full(page_class size, std::uint32_t* frames) noexcept {
  const unsigned c = index(size);
  const std::uint32_t body = shared_[c].full.pop(next_in(bodies_[c]));
  if (body == tagged_stack::nothing) return false;
  std::copy_n(bodies_[c][body].frames, magazine_size, frames);
  shared_[c].empty.push(body, set_next_in(bodies_[c]));
  return true;
}

void page_allocator::push_full(page_class size, const std::uint32_t* frames) noexcept {
  const unsigned c = index(size);
  const std::uint32_t body = take_empty_body(size);
  std::copy_n(frames, magazine_size, bodies_[c][body].frames);
  shared_[c].full.push(body, set_next_in(bodies_[c]));
}

/// Full magazines hold distinct frames, so they and the one about to be filled need no more than
/// `frame_limit / 64` bodies. Where none is empty or untouched, at least `spare_bodies` threads
/// are therefore between two stacks, a few instructions that wait for nothing: one finishes soon.
std::uint32_t page_allocator::take_empty_body(page_class size) noexcept {
  const unsigned c = index(size);
  shared_class& shared = shared_[c];
  for (;;) {
    const std::uint32_t body = shared.empty.pop(next_in(bodies_[c]));
    if (body != tagged_stack::nothing) return body;
    // acquire: pairs with the release in `grow_to`. The exchange publishes nothing.
    const std::uint32_t limit = shared.body_limit.load(std::memory_order_acquire);
    std::uint32_t begin = shared.body_begin.load(std::memory_order_relaxed);
    while (begin < limit) {
      if (shared.body_begin.compare_exchange_weak(begin, begin + 1, std::memory_order_relaxed)) {
        return begin;
      }
    }
    std::this_thread::yield();
  }
}

// Reservations.

status page_allocator::reserve(page_class size, std::size_t frames) noexcept {
  if (frames == 0) return {};
  if (claim(size, frames) != claim_outcome::ok) {
    flush_thread();
    const claim_outcome outcome = claim(size, frames);
    if (outcome != claim_outcome::ok) {
      return make_status(
          status_code::out_of_memory, subsystem::memory,
          outcome == claim_outcome::byte_limit ? "a reservation of pages passes the byte limit"
                                               : "no memory for a reservation of pages",
          "%zu pages of %zu bytes, %llu of %llu bytes claimed", frames, bytes_of(size),
          static_cast<unsigned long long>(bytes_claimed_.load(std::memory_order_relaxed)),
          static_cast<unsigned long long>(bytes_max_));
    }
  }
  // release: pairs with the acquire in `allocate_reserved`, so that the frames which `claim` saw
  // are visible there.
  shared_[index(size)].reserved.fetch_add(frames, std::memory_order_release);
  return {};
}

void page_allocator::unreserve(page_class size, std::size_t frames) noexcept {
  if (frames == 0) return;
  // relaxed: an account; `unclaim` publishes.
  const std::uint64_t before =
      shared_[index(size)].reserved.fetch_sub(frames, std::memory_order_relaxed);
  SHEAF_ASSERT(before >= frames, "reservation-covers-allocation");
  unclaim(size, frames);
}

frame_id page_allocator::allocate_reserved(page_class size) noexcept {
  const unsigned c = index(size);
  // acquire: pairs with the release in `reserve`.
  const std::uint64_t before = shared_[c].reserved.fetch_sub(1, std::memory_order_acquire);
  SHEAF_ASSERT(before != 0, "reservation-covers-allocation");
  // The claim of one frame is this call's now. A frame out of a magazine carries a claim of its
  // own, so the reserved one is given up for it.
  thread_cache* const cache = thread_caches::attach(*this);
  const bool is_cached =
      cache != nullptr && (cache->loaded[c]->count.load(std::memory_order_relaxed) != 0 ||
                           cache->previous[c]->count.load(std::memory_order_relaxed) != 0);
  if (is_cached || (cache != nullptr && claim(size, magazine_size) == claim_outcome::ok)) {
    if (!is_cached) refill(*cache, size);
    const frame_id frame = allocate(size);
    unclaim(size, 1);
    return frame;
  }
  std::uint32_t frame = 0;
  const std::uint32_t taken = take_claimed(size, 1, &frame);
  SHEAF_ASSERT(taken == 1, "claimed-frames-exist");
  // relaxed: a count for people.
  shared_[c].exchanges.fetch_add(1, std::memory_order_relaxed);
  mark_in_use(live_bits_[index(size)], frame_id{frame});
  return frame_id{frame};
}

/// A run is claimed like any frames and then taken from the fresh part, which grows until it holds
/// the run. Any frames satisfy a claim, so taking fresh ones leaves the accounts as they are.
frame_id page_allocator::allocate_run(page_class size, std::uint32_t count) noexcept {
  if (count == 0) return no_frame;
  if (claim(size, count) != claim_outcome::ok) {
    flush_thread();
    if (claim(size, count) != claim_outcome::ok) return no_frame;
  }
  shared_class& shared = shared_[index(size)];
  const std::uint64_t step = virtual_arena::step_size >> byte_shift(size);
  const mutex_lock lock(grow_mutex_);
  // acquire: pairs with the release in `trim_class`, as in `take_fresh`.
  std::uint32_t begin = shared.fresh_begin.load(std::memory_order_acquire);
  do {
    const std::uint64_t end = std::uint64_t{begin} + count;
    if (end <= frame_limit(size)) continue;
    const std::uint64_t limit = (end + step - 1) / step * step;
    if (limit > frames_max_[index(size)] || !grow_to(size, limit)) {
      unclaim(size, count);
      return no_frame;
    }
  } while (
      !shared.fresh_begin.compare_exchange_weak(begin, begin + count, std::memory_order_acquire));
  // relaxed: a count for people.
  shared.exchanges.fetch_add(1, std::memory_order_relaxed);
  for (std::uint32_t i = 0; i < count; ++i) {
    mark_in_use(live_bits_[index(size)], frame_id{begin + i});
  }
  return frame_id{begin};
}

status page_allocator::exhausted_status(page_class size) const noexcept {
  // relaxed: numbers for people.
  const std::uint64_t claimed = bytes_claimed_.load(std::memory_order_relaxed);
  const bool is_at_limit = bytes_of(size) > bytes_max_ - std::min(claimed, bytes_max_);
  return make_status(status_code::out_of_memory, subsystem::memory,
                     is_at_limit ? "the byte limit of the page allocator is reached"
                                 : "the system has no memory for a page",
                     "page of %zu bytes, %llu of %llu bytes claimed, frame limit %u of %llu",
                     bytes_of(size), static_cast<unsigned long long>(claimed),
                     static_cast<unsigned long long>(bytes_max_), frame_limit(size),
                     static_cast<unsigned long long>(frames_max_[index(size)]));
}

}  // namespace sheaf::inline v0
