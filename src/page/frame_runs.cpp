#include <sheaf/page/frame_runs.hpp>

#include <algorithm>
#include <new>
#include <tuple>

#include <sheaf/base/assert.hpp>

namespace sheaf::inline v0 {

const frame_run* frame_runs::find(std::uint32_t slot) const noexcept {
  const auto after = std::upper_bound(
      order_.begin(), order_.end(), slot,
      [this](std::uint32_t value, std::uint32_t run) { return value < runs_[run].slot; });
  if (after == order_.begin()) return nullptr;
  const frame_run& found = runs_[*(after - 1)];
  return slot - found.slot < found.count ? &found : nullptr;
}

frame_run* frame_runs::find(std::uint32_t slot) noexcept {
  return const_cast<frame_run*>(static_cast<const frame_runs*>(this)->find(slot));
}

void frame_runs::add(std::uint32_t slot, std::uint32_t count, page_class page,
                     std::uint32_t first) {
  frame_run made{.slot = slot, .count = count, .page = page};
  made.free.reserve(1);
  order_.reserve(runs_.size() + 1);
  extents_.reserve(extents_.size() + 1);
  const auto gone = std::ranges::find_if(runs_, [](const frame_run& run) {
    return run.slot == none && run.extent_count == 0;
  });
  const auto place = static_cast<std::uint32_t>(gone - runs_.begin());
  if (gone == runs_.end()) {
    runs_.push_back(std::move(made));
  } else {
    *gone = std::move(made);
  }
  add_extent(first, place);
  reorder();
}

void frame_runs::reorder() noexcept {
  order_.clear();
  for (std::uint32_t i = 0; i < runs_.size(); ++i) {
    if (runs_[i].slot != none) order_.push_back(i);
  }
  std::ranges::sort(order_, {}, [this](std::uint32_t run) { return runs_[run].slot; });
}

void frame_runs::remove(std::uint32_t slot) noexcept {
  const auto index = static_cast<std::uint32_t>(find(slot) - runs_.data());
  std::erase_if(extents_, [&](const extent& known) { return known.run == index; });
  runs_[index].extent_count = 0;
  runs_[index].slot = none;
  reorder();
}

void frame_runs::move(frame_run& run, std::uint32_t place, page_allocator& to) noexcept {
  run.slot = place;
  if (place != none) return;
  const auto index = static_cast<std::uint32_t>(&run - runs_.data());
  for (const std::uint32_t first : run.free) {
    give_back(run, first, to);
    std::erase_if(extents_, [&](const extent& known) {
      return known.run == index && known.first == first;
    });
    --run.extent_count;
  }
  run.free.clear();
}

void frame_runs::give_back(const frame_run& run, std::uint32_t first,
                           page_allocator& to) noexcept {
  for (std::uint32_t i = 0; i < run.count; ++i) to.deallocate(run.page, frame_id{first + i});
}

void frame_runs::add_extent(std::uint32_t first, std::uint32_t run) {
  const page_class page = runs_[run].page;
  const auto at = std::upper_bound(extents_.begin(), extents_.end(), std::tuple(page, first),
                                   [](const auto& value, const extent& known) {
                                     return value < std::tuple(known.page, known.first);
                                   });
  extents_.insert(at, {first, 0, run, page});
  ++runs_[run].extent_count;
}

status frame_runs::prepare(frame_run& run, page_allocator& from) noexcept {
  if (run.prepared != none) return {};
  if (!run.free.empty()) {
    run.prepared = run.free.back();
    run.free.pop_back();
    return {};
  }
  const frame_id first = from.allocate_run(run.page, run.count);
  if (first == no_frame) return from.exhausted_status(run.page);
  try {
    run.free.reserve(run.free.capacity() + 1);  // so that giving it back cannot fail
    extents_.reserve(extents_.size() + 1);
    add_extent(index_of(first), static_cast<std::uint32_t>(&run - runs_.data()));
  } catch (const std::bad_alloc&) {
    for (std::uint32_t i = 0; i < run.count; ++i) {
      from.deallocate(run.page, frame_id{index_of(first) + i});
    }
    return status(status_code::out_of_memory, subsystem::page,
                  "no memory to keep track of a contiguous array's versions");
  }
  run.prepared = index_of(first);
  return {};
}

void frame_runs::put_back() noexcept {
  for (frame_run& run : runs_) {
    run.is_wanted = false;
    if (run.prepared == none) continue;
    run.free.push_back(run.prepared);
    run.prepared = none;
  }
}

bool frame_runs::free_frame(page_class page, std::uint32_t frame, page_allocator& to) noexcept {
  const auto after = std::upper_bound(extents_.begin(), extents_.end(), std::tuple(page, frame),
                                      [](const auto& value, const extent& known) {
                                        return value < std::tuple(known.page, known.first);
                                      });
  if (after == extents_.begin()) return false;
  extent& found = *(after - 1);
  frame_run& run = runs_[found.run];
  if (found.page != page || frame - found.first >= run.count) return false;
  if (++found.freed != run.count) return true;
  found.freed = 0;
  if (run.slot != none) {
    run.free.push_back(found.first);
  } else {
    give_back(run, found.first, to);
    extents_.erase(after - 1);
    --run.extent_count;
  }
  return true;
}

std::uint64_t frame_runs::free_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const frame_run& run : runs_) bytes += run.free.size() * run.count * bytes_of(run.page);
  return bytes;
}

}  // namespace sheaf::inline v0
