/// \file
/// Page tables over a change of slot numbers, and the check of the store's invariants.
///
/// Way of a change: `begin_table` fills the new table from the old one and creates the fresh pages;
/// until the epoch is published nothing else is different, so `undo_table` only swaps the tables
/// back. `retire_table` renumbers what waits for a pin and buries the pages that have no slot.
#include <algorithm>
#include <new>

#include <sheaf/page/frame_store.hpp>

namespace sheaf::inline v0 {

namespace {

std::uint64_t bytes_in(const std::vector<page_run>& runs) noexcept {
  std::uint64_t bytes = 0;
  for (const page_run& run : runs) bytes += std::uint64_t{run.count} << byte_shift(run.page);
  return bytes;
}

}  // namespace

status frame_store::begin_table(std::shared_ptr<const table_change> change, std::uint64_t epoch,
                                const pin_registry& pins) noexcept {
  SHEAF_ASSERT(next_.before == nullptr, "one-table-change-at-a-time");
  status prepared;
  try {
    prepared = prepare_table(*change, epoch, pins);
  } catch (const std::bad_alloc&) {
    prepared = make_status(status_code::out_of_memory, subsystem::page,
                           "no memory for another page table", "%u pages", change->slot_count);
  }
  if (!prepared.is_ok()) {
    next_ = {};
    return prepared;
  }
  std::swap(table_, next_.before);
  slot_count_ = change->slot_count;
  move_runs();
  const status created = create_fresh(*change, epoch);
  next_.change = std::move(change);
  if (!created.is_ok()) {
    std::swap(table_, next_.before);
    slot_count_ = next_.slots_before;
    move_runs_back();
    next_ = {};
  }
  return created;
}

/// Contiguous arrays to their new slots; those whose pages go keep their extents until
/// `retire_table`, and have no slot meanwhile.
void frame_store::move_runs() noexcept {
  for (frame_run& run : runs_.all()) {
    next_.runs_before.push_back(run.slot);
    if (run.slot != none) run.slot = next_.place[run.slot];
  }
  runs_.reorder();
}

void frame_store::move_runs_back() noexcept {
  std::vector<frame_run>& runs = runs_.all();
  for (std::size_t i = 0; i < next_.runs_before.size(); ++i) runs[i].slot = next_.runs_before[i];
  runs_.reorder();
}

/// Everything that takes memory; the new table lies in `next_.before` until it is swapped in.
status frame_store::prepare_table(const table_change& change, std::uint64_t epoch,
                                  const pin_registry& pins) {
  pins.scan(scanned_);
  const std::uint64_t buried = bytes_in(change.buried);
  if (!scanned_.is_empty() && history_bytes() + buried > history_bytes_max_) {
    return make_status(status_code::history_full, subsystem::page,
                       "the pages that go do not fit the history budget",
                       "%llu bytes held, %llu more, the limit is %llu",
                       static_cast<unsigned long long>(history_bytes()),
                       static_cast<unsigned long long>(buried),
                       static_cast<unsigned long long>(history_bytes_max_));
  }
  next_.epoch = epoch;
  next_.slots_before = slot_count_;
  next_.place.assign(slot_count_, none);
  next_.is_buried.assign(slot_count_, false);
  next_.runs_before.reserve(runs_.all().size());
  std::size_t graves = graves_.size();
  for (const page_run& run : change.buried) graves += run.count;
  graves_.reserve(graves);
  free_graves_.reserve(graves);
  old_tables_.reserve(old_tables_.size() + 1);
  make_room_for_pins();
  for (const page_run& run : change.buried) next_.buried_count += run.count;
  make_room(next_.buried_count);
  next_.before = std::make_unique<std::uint32_t[]>(std::max(change.slot_count, 1u));
  std::fill_n(next_.before.get(), change.slot_count, none);
  for (const slot_run& run : change.kept) {
    std::copy_n(table_.get() + run.from, run.count, next_.before.get() + run.to);
    for (std::uint32_t i = 0; i < run.count; ++i) next_.place[run.from + i] = run.to + i;
  }
  return {};
}

status frame_store::create_fresh(const table_change& change, std::uint64_t epoch) noexcept {
  for (const page_run& run : change.fresh) {
    const std::uint32_t steps = run.contiguous ? 1 : run.count;
    for (std::uint32_t i = 0; i < steps; ++i) {
      const status created = run.contiguous
                                 ? create_run(run.slot, run.count, run.page, epoch)
                                 : create_page(run.slot + i, run.page, epoch);
      if (created.is_ok()) continue;
      free_fresh(run, i);
      for (const page_run& before : change.fresh) {
        if (&before == &run) break;
        free_fresh(before, before.count);
      }
      return created;
    }
  }
  return {};
}

void frame_store::free_fresh(const page_run& run, std::uint32_t count) noexcept {
  for (std::uint32_t i = 0; i < count; ++i) {
    allocator_->deallocate(run.page, frame_id{table_[run.slot + i]});
  }
  if (run.contiguous && count != 0) runs_.remove(run.slot);
}

void frame_store::undo_table() noexcept {
  for (const page_run& run : next_.change->fresh) free_fresh(run, run.count);
  std::swap(table_, next_.before);
  slot_count_ = next_.slots_before;
  move_runs_back();
  next_ = {};
}

/// A grave for each buried page. The reservation of `prepare_table` holds.
void frame_store::dig_graves() noexcept {
  for (const page_run& run : next_.change->buried) {
    for (std::uint32_t slot = run.slot; slot < run.slot + run.count; ++slot) {
      std::uint32_t at = static_cast<std::uint32_t>(graves_.size());
      if (free_graves_.empty()) {
        graves_.push_back({});
      } else {
        at = free_graves_.back();
        free_graves_.pop_back();
      }
      graves_[at] = {next_.before[slot], run.page};
      next_.place[slot] = at;
      next_.is_buried[slot] = true;
    }
  }
}

void frame_store::retire_table(std::uint64_t first, const pin_registry& pins) noexcept {
  dig_graves();
  for (frame_run& run : runs_.all()) {
    if (run.slot == none) runs_.move(run, none, *allocator_);
  }
  for (bucket& held : buckets_) {
    for (std::uint32_t node = held.first; node != none; node = kept_[node].next) {
      frame_swap& swap = kept_[node].swap;
      if (swap.buried) continue;
      swap.buried = next_.is_buried[swap.slot];
      swap.slot = next_.place[swap.slot];
    }
  }
  next_table done = std::move(next_);
  next_ = {};
  old_tables_.push_back(
      {first, done.epoch - 1, std::move(done.before), done.change});
  scan_all(pins);
  for (const page_run& run : done.change->buried) {
    for (std::uint32_t slot = run.slot; slot < run.slot + run.count; ++slot) {
      const std::uint32_t at = done.place[slot];
      const std::uint32_t head = graves_[at].head;
      // relaxed: see the getter
      history_bytes_.fetch_add(bytes_of(run.page), std::memory_order_relaxed);
      sort_out({at, head, meta(run.page, head).birth, done.epoch, run.page, true}, scanned_, false,
               false);
    }
  }
  release_unlinked(pins);
}

bool frame_store::keeps(const std::uint32_t* table) const noexcept {
  return std::ranges::any_of(old_tables_, [&](const old_table& held) {
    return held.entries.get() == table;
  });
}

/// The pins of this moment. Old tables that no pin needs go; the others pin their last epochs.
void frame_store::scan_all(const pin_registry& pins) noexcept {
  pins.scan(scanned_);
  std::erase_if(old_tables_, [&](const old_table& held) {
    return !scanned_.sees(held.first, held.last + 1);
  });
  for (const old_table& held : old_tables_) {
    const auto place = std::ranges::lower_bound(scanned_.epochs, held.last);
    if (place == scanned_.epochs.end() || *place != held.last) {
      scanned_.epochs.insert(place, held.last);
    }
  }
}

bool frame_store::is_consistent(std::span<const page_class> page_of_slot) const {
  std::vector<bool> seen[page_class_count];
  for (unsigned size = 0; size < page_class_count; ++size) {
    seen[size].resize(allocator_->frame_limit(static_cast<page_class>(size)));
  }
  const auto take = [&](page_class page, std::uint32_t frame) {
    std::vector<bool>& used = seen[static_cast<unsigned>(page)];
    if (frame >= used.size() || used[frame]) return false;
    used[frame] = true;
    return true;
  };
  const auto walk = [&](page_class page, std::uint32_t head) {
    std::uint64_t birth_above = ~std::uint64_t{0};
    for (std::uint32_t frame = head; frame != none; frame = meta(page, frame).older) {
      const frame_meta& here = meta(page, frame);
      if (!take(page, frame) || here.birth >= birth_above) return false;
      birth_above = here.birth;
      if (here.spare != none && !take(page, here.spare)) return false;
    }
    return true;
  };
  for (std::uint32_t slot = 0; slot < slot_count_; ++slot) {
    if (!walk(page_of_slot[slot], table_[slot])) return false;
  }
  for (const grave& dug : graves_) {
    if (!walk(dug.page, dug.head)) return false;
  }
  return std::ranges::all_of(old_tables_, [&](const old_table& held) {
    const auto holds = [&](std::uint32_t first, std::uint32_t count, page_class page) {
      for (std::uint32_t slot = first; slot < first + count; ++slot) {
        const std::uint32_t head = held.entries[slot];
        if (!seen[static_cast<unsigned>(page)][head] || meta(page, head).birth > held.last) {
          return false;
        }
      }
      return true;
    };
    return std::ranges::all_of(held.change->kept, [&](const slot_run& run) {
             return holds(run.from, run.count, run.page);
           }) &&
           std::ranges::all_of(held.change->buried, [&](const page_run& run) {
             return holds(run.slot, run.count, run.page);
           });
  });
}

}  // namespace sheaf::inline v0
