/// \file
/// The page allocator: frames of seven sizes, 64 B to 4 KiB, named by dense 32-bit ids.
///
/// A frame's address is `base(size) + (id << byte_shift(size))`; nothing is stored with a frame,
/// so whoever needs metadata keeps a table indexed by `frame_id` and hears of growth through
/// `page_allocator_options::on_grow`.
///
/// Terms
///   magazine     64 frame ids. Each thread has two for each class, `loaded` and `previous`
///                (Bonwick and Adams, USENIX 2001): allocating and freeing touch these alone.
///   depot        the full magazines that no thread holds: one lock-free stack for each class.
///   loose        the at most 63 free frames of a class that fill no magazine.
///   fresh        frames never handed out: indexes from `fresh_begin` up to `frame_limit`.
///   claimed      frames that are handed out, in a thread's magazines, or reserved.
///
/// Invariants
///  1. `byte-limit`: over all classes, claimed bytes never exceed `bytes_max`. So neither do the
///     bytes handed out.
///  2. `claimed-frames-exist`: in each class `claimed <= frame_limit`, and every frame that is not
///     claimed is in the depot, loose or fresh. A claim is made before frames are taken and given
///     up after they are back, so whoever holds a claim finds a frame: reservations rest on this.
///  3. `frame-id-is-covered`: an id is handed out only after `frame_limit` covers it, which is
///     after `on_grow` agreed.
///  4. `previous-magazine-is-empty-or-full`: so one exchange with the depot serves at least 64
///     calls of the same kind.
///
/// The limit, exactly. The bytes counted against `bytes_max` are those handed out, reserved, and
/// held in magazines. Where fewer than 64 frames' bytes are left a thread takes single frames and
/// caches nothing further; where none is left it first returns its own magazines of all classes.
/// So with one thread the limit is exact. With several, an allocation can fail while free frames
/// lie in the magazines of *other* threads: at most two magazines for each class and thread. They
/// come back when that thread allocates them, calls `flush_thread` or `trim`, or ends.
///
/// Thread safety: every member from any thread. The destructor needs that no other thread is
/// inside a member; threads that used the allocator may live on and end later. At most
/// `allocators_max` allocators live at once in a process.
///
/// Cost: about 2 ns for an allocation with its free while a magazine has what is asked; one
/// exchange with the depot for each 64 otherwise. No system call for a page: memory is committed
/// 2 MiB or more at a time. Metadata is 4.1 B for each frame that lies in the depot, nothing for a
/// frame in use.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

#include <sheaf/base/id.hpp>
#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/macros.hpp>
#include <sheaf/base/mutex.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/base/status.hpp>
#include <sheaf/memory/tagged_stack.hpp>
#include <sheaf/memory/virtual_arena.hpp>

namespace sheaf::inline v0 {

/// Called when a class is about to get more frames, before any of the new ids can be handed out:
/// the place to make side tables large enough for ids below `new_frame_limit`. Runs under
/// `grow_mutex_`, on the thread whose allocation needs the frames, so it must not call the
/// allocator. A status other than ok makes that growth fail with nothing lost; it may be asked
/// again, for the same or for fewer frames.
struct growth_hook {
  status (*function)(void* context, page_class size,
                     std::uint32_t new_frame_limit) noexcept = nullptr;
  void* context = nullptr;
};

struct page_allocator_options {
  /// Limit on claimed bytes over all classes (see *The limit, exactly*).
  std::size_t bytes_max = std::numeric_limits<std::size_t>::max() / 2;
  /// Address space for each class. Less is reserved where `bytes_max` or 32-bit ids need no more,
  /// and half as often as needed where the system refuses; never less than one arena step.
  std::size_t reserve_per_class = std::size_t{1} << 40;
  growth_hook on_grow = {};
};

/// Counts of one class, or of all. Exact while no other thread is inside the allocator, else each
/// is a value from some moment during the call.
struct page_class_stats {
  std::uint64_t frames_in_use = 0;    ///< handed out and not yet freed
  std::uint64_t bytes_in_use = 0;     ///< the same in bytes
  std::uint64_t frames_cached = 0;    ///< free, in the magazines of threads
  std::uint64_t frames_reserved = 0;  ///< promised by `reserve` and not yet allocated
  std::uint64_t frames_created = 0;   ///< ids that ever left the fresh part
  std::uint64_t bytes_committed = 0;  ///< readable and writable; resident once touched
  std::uint64_t depot_exchanges = 0;  ///< magazines moved between a thread and the shared part
};

struct page_allocator_stats {
  std::array<page_class_stats, page_class_count> classes;
  page_class_stats total;
  std::uint64_t bytes_claimed = 0;  ///< what counts against `bytes_max`
  std::uint64_t bytes_max = 0;
  std::uint64_t system_calls = 0;   ///< made to reserve, commit and give back memory
  std::uint64_t thread_caches = 0;  ///< as many as threads have used it at one time; reused
};

/// The page allocator of one engine.
class page_allocator {
 public:
  static constexpr std::uint32_t magazine_size = 64;
  static constexpr std::uint32_t allocators_max = 64;

  /// `invalid_argument` where `bytes_max` or `reserve_per_class` is 0, `too_many` where
  /// `allocators_max` allocators live, `out_of_memory` where address space is refused.
  [[nodiscard]] static result<std::unique_ptr<page_allocator>> create(
      const page_allocator_options& options) noexcept;
  ~page_allocator();
  page_allocator(const page_allocator&) = delete;
  page_allocator& operator=(const page_allocator&) = delete;

  /// A frame with unspecified contents, or `no_frame` when the limit or memory is used up, with
  /// nothing changed (`exhausted_status` words it).
  [[nodiscard]] frame_id allocate(page_class size) noexcept;
  /// As `allocate`, with every byte zero.
  [[nodiscard]] frame_id allocate_zeroed(page_class size) noexcept;
  /// `count` frames with consecutive ids, every byte zero; the first of them. They come from the
  /// fresh part alone, so a caller that gives runs back one by one uses up address space: keep and
  /// reuse them. `no_frame` as `allocate`.
  [[nodiscard]] frame_id allocate_run(page_class size, std::uint32_t count) noexcept
      SHEAF_EXCLUDES(grow_mutex_);
  /// Gives a frame back, also one of a run. Cannot fail; makes no system call.
  void deallocate(page_class size, frame_id frame) noexcept;

  /// Promises that the next `frames` calls of `allocate_reserved(size)`, by any threads, succeed.
  /// Claims the bytes and makes the frames exist; `out_of_memory` with nothing changed otherwise.
  /// Reservations of one class add up.
  [[nodiscard]] status reserve(page_class size, std::size_t frames) noexcept;
  /// Gives back what is left of a reservation.
  void unreserve(page_class size, std::size_t frames) noexcept;
  /// Takes a frame out of the reservation of its class. To call it with none left is a bug in the
  /// caller (`reservation-covers-allocation`). Costs three shared atomic operations.
  [[nodiscard]] frame_id allocate_reserved(page_class size) noexcept;

  [[nodiscard]] std::byte* base(page_class size) const noexcept {
    return base_[static_cast<unsigned>(size)];
  }
  [[nodiscard]] std::byte* address(page_class size, frame_id frame) const noexcept {
    return base(size) + (std::size_t{index_of(frame)} << byte_shift(size));
  }
  /// One more than the highest id of that class that can be in anybody's hands: how large a side
  /// table has to be. Never shrinks.
  [[nodiscard]] std::uint32_t frame_limit(page_class size) const noexcept {
    // acquire: pairs with the release in `grow`, so what `on_grow` built is visible.
    return shared_[static_cast<unsigned>(size)].frame_limit.load(std::memory_order_acquire);
  }

  /// `out_of_memory` with the numbers, for a caller that was given `no_frame`.
  [[nodiscard]] status exhausted_status(page_class size) const noexcept;

  /// Returns the calling thread's magazines to the shared part. A thread's end does the same.
  void flush_thread() noexcept;
  /// Gives the memory of free frames back to the system and returns the bytes that were resident.
  /// Frames in the magazines of other threads stay. Other threads may allocate and free meanwhile.
  std::size_t trim() noexcept;
  [[nodiscard]] page_allocator_stats stats() const noexcept;

 private:
  friend class thread_caches;
  struct thread_cache;
  struct magazine_body;
  enum class claim_outcome : std::uint8_t { ok, byte_limit, growth_refused };

  /// What all threads share of one class. One pair of cache lines: an exchange touches most of it.
  struct alignas(interference_size) shared_class {
    tagged_stack full;                          ///< bodies with 64 frames: the depot
    tagged_stack empty;                         ///< bodies with none
    std::atomic<std::uint64_t> claimed{0};      ///< frames
    std::atomic<std::uint64_t> reserved{0};     ///< frames, part of `claimed`
    std::atomic<std::uint32_t> fresh_begin{0};  ///< frames from here to `frame_limit` are fresh
    std::atomic<std::uint32_t> frame_limit{0};
    std::atomic<std::uint32_t> body_begin{0};  ///< bodies from here to `body_limit` are untouched
    std::atomic<std::uint32_t> body_limit{0};
    std::atomic<std::uint64_t> exchanges{0};  ///< made without a thread cache
  };
  /// What `grow_mutex_` protects of one class.
  struct guarded_class {
    virtual_arena frames;
    virtual_arena bodies;
    virtual_arena live_bits;  ///< a bit for each frame in use, under `SHEAF_PARANOID_ASSERTS`
    std::uint32_t loose_count = 0;
    std::uint32_t loose[magazine_size];
  };

  page_allocator(const page_allocator_options& options) noexcept;
  [[nodiscard]] status reserve_arenas(std::size_t reserve_per_class) noexcept;

  [[nodiscard]] thread_cache* attached_cache() noexcept;
  [[nodiscard]] frame_id allocate_slow(page_class size) noexcept;
  [[nodiscard]] frame_id allocate_under_limit(page_class size) noexcept;
  void deallocate_slow(page_class size, frame_id frame) noexcept;
  void refill(thread_cache& cache, page_class size) noexcept;
  void flush(thread_cache& cache) noexcept SHEAF_EXCLUDES(grow_mutex_);

  [[nodiscard]] claim_outcome claim(page_class size, std::uint64_t frames) noexcept
      SHEAF_EXCLUDES(grow_mutex_);
  void unclaim(page_class size, std::uint64_t frames) noexcept;
  [[nodiscard]] bool grow(page_class size, std::uint64_t frames) noexcept
      SHEAF_EXCLUDES(grow_mutex_);
  [[nodiscard]] bool grow_to(page_class size, std::uint64_t new_limit) noexcept
      SHEAF_REQUIRES(grow_mutex_);

  [[nodiscard]] std::uint32_t take_claimed(page_class size, std::uint32_t count,
                                           std::uint32_t* frames) noexcept
      SHEAF_EXCLUDES(grow_mutex_);
  [[nodiscard]] std::uint32_t take_fresh(page_class size, std::uint32_t count,
                                         std::uint32_t* frames) noexcept;
  [[nodiscard]] std::uint32_t take_loose(page_class size, std::uint32_t count,
                                         std::uint32_t* frames) noexcept
      SHEAF_REQUIRES(grow_mutex_);
  void put_loose(page_class size, std::uint32_t frame) noexcept SHEAF_REQUIRES(grow_mutex_);
  [[nodiscard]] bool pop_full(page_class size, std::uint32_t* frames) noexcept;
  void push_full(page_class size, const std::uint32_t* frames) noexcept;
  [[nodiscard]] std::uint32_t take_empty_body(page_class size) noexcept;
  [[nodiscard]] std::size_t trim_class(page_class size) noexcept SHEAF_REQUIRES(grow_mutex_);

  // Constant after construction.
  std::uint64_t generation_ = 0;  ///< of this allocator; never 0, never used by another
  std::uint32_t slot_ = 0;        ///< its place in every thread's table
  std::byte* base_[page_class_count] = {};
  magazine_body* bodies_[page_class_count] = {};
  std::uint64_t* live_bits_[page_class_count] = {};
  std::uint64_t frames_max_[page_class_count] = {};
  std::uint64_t bytes_max_ = 0;
  growth_hook on_grow_;

  shared_class shared_[page_class_count];
  alignas(interference_size) std::atomic<std::uint64_t> bytes_claimed_{0};

  // Protected by `grow_mutex_`.
  mutable mutex grow_mutex_;
  guarded_class guarded_[page_class_count] SHEAF_GUARDED_BY(grow_mutex_);

  // Protected by the registry mutex of thread_caches.hpp, which is taken before `grow_mutex_`.
  thread_cache* caches_ = nullptr;
};

}  // namespace sheaf::inline v0
