#include <sheaf/page/frame_store.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

#include "page/copy_lines.hpp"

namespace sheaf::inline v0 {

namespace {

/// Capacity for `count` elements, growing by half at least so that asking often costs little.
template <class T>
void ensure_room(std::vector<T>& in, std::uint64_t count) {
  if (in.capacity() >= count) return;
  in.reserve(std::max<std::uint64_t>(count, in.capacity() + in.capacity() / 2));
}

/// Where the system refuses the address space for side tables of 2^32 frames, half is asked for,
/// down to this many frames.
constexpr std::uint64_t frames_per_table_min = std::uint64_t{1} << 20;

template <class T>
std::atomic_ref<T> shared(T& value) noexcept {
  return std::atomic_ref<T>(value);
}

}  // namespace

void frame_log::clear() noexcept {
  swaps.clear();
  std::fill(std::begin(reserved_used), std::end(reserved_used), 0u);
  std::fill(std::begin(spares_used), std::end(spares_used), 0u);
  frames_copied = frames_reused = lines_copied = runs_copied = 0;
}

frame_store::frame_store(const frame_store_options& options)
    : slot_count_(options.slot_count),
      history_bytes_max_(options.history_bytes_max),
      pins_max_(options.pins_max),
      table_(std::make_unique<std::uint32_t[]>(std::max(options.slot_count, 1u))) {
  std::fill_n(table_.get(), slot_count_, none);
  make_room_for_pins();
}

/// So that looking at the pins takes no memory. Every old table, and one that is about to become
/// one, pins an epoch, too.
void frame_store::make_room_for_pins() {
  const std::size_t pins = std::size_t{pins_max_} + old_tables_.size() + 1;
  scanned_.epochs.reserve(pins);
  // Of the pins of the last look, and of this one; and where only an opening pin protects.
  buckets_.reserve(2 * (pins + 1));
}

result<std::unique_ptr<frame_store>> frame_store::create(
    const frame_store_options& options) noexcept {
  std::unique_ptr<frame_store> store;
  try {
    store.reset(new frame_store(options));
  } catch (const std::bad_alloc&) {
    return make_status(status_code::out_of_memory, subsystem::page,
                       "no memory for a page table", "%u pages", options.slot_count);
  }
  for (unsigned size = 0; size < page_class_count; ++size) {
    std::uint64_t frames = std::uint64_t{1} << 32;
    auto arena = virtual_arena::reserve(frames * sizeof(frame_meta), arena_backing::small);
    while (!arena && (frames >>= 1) >= frames_per_table_min) {
      arena = virtual_arena::reserve(frames * sizeof(frame_meta), arena_backing::small);
    }
    if (!arena) return arena.error();
    store->meta_arenas_[size] = std::move(*arena);
    store->meta_[size] = reinterpret_cast<frame_meta*>(store->meta_arenas_[size].base());
  }
  page_allocator_options allocator_options;
  allocator_options.bytes_max = options.bytes_max;
  allocator_options.on_grow = {.function = grow_meta_hook, .context = store.get()};
  auto allocator = page_allocator::create(allocator_options);
  if (!allocator) return allocator.error();
  store->allocator_ = std::move(*allocator);
  return store;
}

status frame_store::grow_meta_hook(void* context, page_class page,
                                   std::uint32_t frame_limit) noexcept {
  auto* store = static_cast<frame_store*>(context);
  return store->meta_arenas_[static_cast<unsigned>(page)].commit_to(std::size_t{frame_limit} *
                                                                    sizeof(frame_meta));
}

status frame_store::create_page(std::uint32_t slot, page_class page,
                                std::uint64_t birth) noexcept {
  const frame_id frame = allocator_->allocate_zeroed(page);
  if (frame == no_frame) return allocator_->exhausted_status(page);
  meta(page, index_of(frame)) = {.birth = birth, .difference = 0, .older = none, .spare = none};
  table_[slot] = index_of(frame);
  return {};
}

status frame_store::create_run(std::uint32_t slot, std::uint32_t count, page_class page,
                               std::uint64_t birth) noexcept {
  const frame_id first = allocator_->allocate_run(page, count);
  if (first == no_frame) return allocator_->exhausted_status(page);
  try {
    runs_.add(slot, count, page, index_of(first));
  } catch (const std::bad_alloc&) {
    for (std::uint32_t i = 0; i < count; ++i) {
      allocator_->deallocate(page, frame_id{index_of(first) + i});
    }
    return status(status_code::out_of_memory, subsystem::page,
                  "no memory to keep track of a contiguous array's versions");
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    meta(page, index_of(first) + i) = {
        .birth = birth, .difference = 0, .older = none, .spare = none};
    table_[slot + i] = index_of(first) + i;
  }
  return {};
}

bool frame_store::run_changes_in_place(std::uint32_t slot, page_class page) const noexcept {
  // acquire: pairs with the release in `install`; the birth and content of the frame are visible.
  const std::uint32_t frame = shared(table_[slot]).load(std::memory_order_acquire);
  return shared(meta(page, frame).birth).load(std::memory_order_relaxed) > newest_pinned_;
}

bool frame_store::add_run_demand(std::uint32_t slot, frame_demand& to) noexcept {
  frame_run* run = runs_.find(slot);
  if (run == nullptr) return false;
  if (run->is_wanted) return true;
  run->is_wanted = true;
  // No page of a run takes a frame from the reservation: see `reserve`.
  to.replaced[static_cast<unsigned>(run->page)] += run->count;
  to.with_spare[static_cast<unsigned>(run->page)] += run->count;
  return true;
}

const std::byte* frame_store::visible(const std::uint32_t* table, std::uint32_t slot,
                                      page_class page, std::uint64_t epoch, pin_registry& pins,
                                      pin_registry::slot_index pin) const noexcept {
  std::uint32_t& head = const_cast<std::uint32_t&>(table[slot]);  // atomic_ref takes no const
  // acquire: pairs with the release in `replace`; the metadata of the frame is visible with it.
  std::uint32_t frame = shared(head).load(std::memory_order_acquire);
  // relaxed: ordered by the load above; see invariant 6 for a frame reused in between.
  if (shared(meta(page, frame).birth).load(std::memory_order_relaxed) > epoch) {
    pins.enter_walk(pin);
    frame = shared(head).load();
    while (shared(meta(page, frame).birth).load(std::memory_order_relaxed) > epoch) {
      // acquire: pairs with the releases in `replace` and `unlink`.
      frame = shared(meta(page, frame).older).load(std::memory_order_acquire);
      SHEAF_ASSERT(frame != none, "pin-protects");
    }
    pins.leave_walk(pin);
  }
  return base(page) + (std::size_t{frame} << byte_shift(page));
}

void frame_store::begin_commit(std::uint64_t epoch, std::uint64_t newest_pinned) noexcept {
  epoch_ = epoch;
  newest_pinned_ = newest_pinned;
}

status frame_store::reserve(const frame_demand& demand,
                            std::span<frame_log* const> logs) noexcept {
  std::uint64_t bytes = 0;
  std::uint64_t pages = 0;
  for (unsigned size = 0; size < page_class_count; ++size) {
    bytes += demand.replaced[size] * bytes_of(static_cast<page_class>(size));
    pages += demand.replaced[size];
  }
  if (history_bytes() + bytes > history_bytes_max_) {
    runs_.put_back();
    return make_status(status_code::history_full, subsystem::page,
                       "the versions this commit would supersede do not fit the history budget",
                       "%llu bytes held, up to %llu more needed, the limit is %llu",
                       static_cast<unsigned long long>(history_bytes()),
                       static_cast<unsigned long long>(bytes),
                       static_cast<unsigned long long>(history_bytes_max_));
  }
  try {
    for (frame_log* log : logs) log->swaps.reserve(pages);
    make_room(pages + next_.buried_count);
  } catch (const std::bad_alloc&) {
    runs_.put_back();
    return make_status(status_code::out_of_memory, subsystem::page,
                       "no memory to keep track of replaced pages", "%llu pages",
                       static_cast<unsigned long long>(pages));
  }
  for (frame_run& run : runs_.all()) {
    if (!run.is_wanted || run.slot == none) continue;
    if (meta(run.page, table_[run.slot]).spare != none) continue;
    if (status got = runs_.prepare(run, *allocator_); !got.is_ok()) {
      runs_.put_back();
      return got;
    }
  }
  for (unsigned size = 0; size < page_class_count; ++size) {
    const std::uint64_t count = demand.replaced[size] - demand.with_spare[size];
    if (count == 0) continue;
    if (status got = allocator_->reserve(static_cast<page_class>(size), count); !got.is_ok()) {
      unreserve_rest();
      return got;
    }
    reserved_[size] = count;
  }
  return {};
}

/// So that nothing takes memory once `pages` more pages were superseded, until the next call: each
/// superseded page is kept, becomes a spare, or goes to limbo with the spare it has.
void frame_store::make_room(std::uint64_t pages) {
  const std::uint64_t superseded = kept_count_ + pages;
  ensure_room(kept_, superseded);
  ensure_room(to_spare_, superseded);
  ensure_room(limbo_, limbo_.size() + 2 * superseded);
}

void frame_store::settle_log(const frame_log& log) noexcept {
  for (unsigned size = 0; size < page_class_count; ++size) {
    reserved_[size] -= log.reserved_used[size];
    spare_bytes_ -= log.spares_used[size] * bytes_of(static_cast<page_class>(size));
  }
}

void frame_store::unreserve_rest() noexcept {
  runs_.put_back();
  for (unsigned size = 0; size < page_class_count; ++size) {
    if (reserved_[size] == 0) continue;
    allocator_->unreserve(static_cast<page_class>(size), reserved_[size]);
    reserved_[size] = 0;
  }
}

std::byte* frame_store::replace(std::uint32_t slot, page_class page, line_mask overwritten,
                                frame_log& log) noexcept {
  if (SHEAF_UNLIKELY(!runs_.is_empty())) {
    if (frame_run* run = runs_.find(slot); run != nullptr) {
      replace_run(*run, log);
      return current(slot, page);
    }
  }
  const std::uint32_t old = table_[slot];
  frame_meta& old_meta = meta(page, old);
  SHEAF_DASSERT(old_meta.birth <= newest_pinned_, "copy-on-write");
  const line_mask all = first_lines(lines_of(page));
  line_mask carried = all & ~overwritten;
  std::uint32_t fresh = old_meta.spare;
  if (fresh != none) {
    carried &= old_meta.difference;
    old_meta.spare = none;
    ++log.spares_used[static_cast<unsigned>(page)];
    ++log.frames_reused;
  } else {
    fresh = index_of(allocator_->allocate_reserved(page));
    ++log.reserved_used[static_cast<unsigned>(page)];
    ++log.frames_copied;
  }
  install(slot, page, fresh, carried, log);
  return current(slot, page);
}

/// Under the guard, by the worker that first writes to a page of the run.
void frame_store::replace_run(frame_run& run, frame_log& log) noexcept {
  const std::lock_guard lock(runs_.guard());
  if (meta(run.page, table_[run.slot]).birth == epoch_) return;
  const bool has_spare = meta(run.page, table_[run.slot]).spare != none;
  SHEAF_ASSERT(has_spare || run.prepared != none, "reservation-covers-allocation");
  const auto size = static_cast<unsigned>(run.page);
  ++(has_spare ? log.frames_reused : log.runs_copied);
  for (std::uint32_t i = 0; i < run.count; ++i) {
    frame_meta& old_meta = meta(run.page, table_[run.slot + i]);
    if (has_spare) {
      const std::uint32_t fresh = old_meta.spare;
      old_meta.spare = none;
      ++log.spares_used[size];
      install(run.slot + i, run.page, fresh, old_meta.difference, log);
    } else {
      install(run.slot + i, run.page, run.prepared + i, first_lines(lines_of(run.page)), log);
    }
  }
  if (!has_spare) run.prepared = frame_runs::none;
}

/// Makes `fresh` the current frame of `slot`, with the `carried` lines of the one before.
void frame_store::install(std::uint32_t slot, page_class page, std::uint32_t fresh,
                          line_mask carried, frame_log& log) noexcept {
  const std::uint32_t old = table_[slot];
  log.lines_copied += static_cast<std::uint64_t>(std::popcount(carried));
  std::byte* to = base(page) + (std::size_t{fresh} << byte_shift(page));
  copy_lines(to, base(page) + (std::size_t{old} << byte_shift(page)), carried, page);
  frame_meta& fresh_meta = meta(page, fresh);
  // relaxed: published by the release below; a walker that still holds this frame from before sees
  // one birth or the other, both after its epoch.
  shared(fresh_meta.birth).store(epoch_, std::memory_order_relaxed);
  shared(fresh_meta.older).store(old, std::memory_order_relaxed);
  fresh_meta.difference = 0;
  fresh_meta.spare = none;
  log.swaps.push_back({slot, old, meta(page, old).birth, epoch_, page});
  // release: pairs with the acquire in `visible`.
  shared(table_[slot]).store(fresh, std::memory_order_release);
}

void frame_store::roll_back(std::span<frame_log* const> logs, const pin_registry& pins) noexcept {
  for (frame_log* log : logs) roll_back_one(*log);
  unreserve_rest();
  release_unlinked(pins);
}

void frame_store::roll_back_one(frame_log& log) noexcept {
  for (auto swap = log.swaps.rbegin(); swap != log.swaps.rend(); ++swap) {
    const std::uint32_t fresh = table_[swap->slot];
    shared(table_[swap->slot]).store(swap->old_frame);
    limbo_.push_back({swap->page, fresh});
    history_bytes_.fetch_add(bytes_of(swap->page), std::memory_order_relaxed);  // see the getter
  }
  settle_log(log);
  log.clear();
}

void frame_store::end_commit(std::span<frame_log* const> logs, const pin_registry& pins,
                             bool keep_spares) noexcept {
  bool any = false;
  for (frame_log* log : logs) {
    settle_log(*log);
    any |= !log->swaps.empty();
  }
  unreserve_rest();
  if (!any) return;
  scan_all(pins);
  for (frame_log* log : logs) {
    for (const frame_swap& swap : log->swaps) {
      // relaxed: see the getter
      history_bytes_.fetch_add(bytes_of(swap.page), std::memory_order_relaxed);
      sort_out(swap, scanned_, true, keep_spares);
    }
  }
  release_unlinked(pins);
}

void frame_store::reclaim(const pin_registry& pins) noexcept {
  if (buckets_.empty() && limbo_.empty() && old_tables_.empty()) return;
  scan_all(pins);
  std::uint32_t moving = none;
  std::erase_if(buckets_, [&](const bucket& held) {
    const bool alive = held.pin != 0 && std::binary_search(scanned_.epochs.begin(),
                                                           scanned_.epochs.end(), held.pin);
    if (alive) return false;
    std::uint32_t last = held.first;
    while (kept_[last].next != none) last = kept_[last].next;
    kept_[last].next = std::exchange(moving, held.first);
    return true;
  });
  while (moving != none) {
    const frame_swap swap = kept_[moving].swap;
    const std::uint32_t freed = std::exchange(moving, kept_[moving].next);
    kept_[freed].next = std::exchange(free_kept_, freed);
    --kept_count_;
    sort_out(swap, scanned_, false, false);
  }
  release_unlinked(pins);
}

void frame_store::sort_out(const frame_swap& swap, const pin_view& pins, bool is_new,
                           bool keep_spares) {
  if (pins.sees(swap.old_birth, swap.superseded)) {
    keep(swap, pins.newest_within(swap.old_birth, swap.superseded));
    return;
  }
  unlink(swap);
  if ((is_new && keep_spares && !swap.buried) || can_be_run_spare(swap)) {
    to_spare_.push_back(swap);
  } else {
    limbo_.push_back({swap.page, swap.old_frame});
  }
}

/// Of a run the frame before the current one becomes its spare whenever its last reader leaves.
bool frame_store::can_be_run_spare(const frame_swap& swap) const noexcept {
  if (SHEAF_LIKELY(runs_.is_empty()) || swap.buried || runs_.find(swap.slot) == nullptr) {
    return false;
  }
  const frame_meta& newest = meta(swap.page, table_[swap.slot]);
  return newest.birth == swap.superseded && newest.spare == none;
}

void frame_store::keep(const frame_swap& swap, std::uint64_t pin) {
  auto place = std::lower_bound(buckets_.begin(), buckets_.end(), pin,
                                [](const bucket& b, std::uint64_t key) { return b.pin < key; });
  if (place == buckets_.end() || place->pin != pin) {
    place = buckets_.insert(place, bucket{pin, none});
  }
  std::uint32_t node = free_kept_;
  if (node == none) {
    node = static_cast<std::uint32_t>(kept_.size());
    kept_.push_back({});
  } else {
    free_kept_ = kept_[node].next;
  }
  kept_[node] = {swap, std::exchange(place->first, node)};
  ++kept_count_;
}

/// What names a superseded frame: the link of the version after it, or its grave.
std::uint32_t* frame_store::link_to(const frame_swap& swap) noexcept {
  std::uint32_t* link = swap.buried ? &graves_[swap.slot].head : &table_[swap.slot];
  while (*link != swap.old_frame) {
    SHEAF_ASSERT(*link != none, "frame-has-one-place");
    link = &meta(swap.page, *link).older;
  }
  return link;
}

void frame_store::unlink(const frame_swap& swap) noexcept {
  SHEAF_DASSERT(meta(swap.page, swap.old_frame).birth == swap.old_birth, "frame-has-one-place");
  std::uint32_t* link = link_to(swap);
  shared(*link).store(meta(swap.page, swap.old_frame).older);
  if (swap.buried && graves_[swap.slot].head == none) free_graves_.push_back(swap.slot);
  // A superseded frame takes its own spare along: nobody could use it any more.
  frame_meta& old_meta = meta(swap.page, swap.old_frame);
  if (old_meta.spare != none) {
    limbo_.push_back({swap.page, old_meta.spare});
    history_bytes_.fetch_add(bytes_of(swap.page), std::memory_order_relaxed);  // see the getter
    spare_bytes_ -= bytes_of(swap.page);
    old_meta.spare = none;
  }
}

void frame_store::release_unlinked(const pin_registry& pins) noexcept {
  if ((limbo_.empty() && to_spare_.empty()) || pins.is_walked()) {
    for (const frame_swap& swap : to_spare_) limbo_.push_back({swap.page, swap.old_frame});
    to_spare_.clear();
    return;
  }
  std::uint64_t bytes = 0;
  for (const frame_swap& swap : to_spare_) {
    frame_meta& newest = meta(swap.page, table_[swap.slot]);
    SHEAF_DASSERT(newest.birth == swap.superseded && newest.spare == none, "frame-has-one-place");
    newest.spare = swap.old_frame;
    bytes += bytes_of(swap.page);
    spare_bytes_ += bytes_of(swap.page);
  }
  to_spare_.clear();
  for (const limbo_frame& held : limbo_) {
    free_frame(held.page, held.frame);
    bytes += bytes_of(held.page);
  }
  limbo_.clear();
  history_bytes_.fetch_sub(bytes, std::memory_order_relaxed);  // see the getter
}

void frame_store::free_frame(page_class page, std::uint32_t frame) noexcept {
  if (SHEAF_UNLIKELY(!runs_.is_empty()) && runs_.free_frame(page, frame, *allocator_)) return;
  allocator_->deallocate(page, frame_id{frame});
}

}  // namespace sheaf::inline v0
