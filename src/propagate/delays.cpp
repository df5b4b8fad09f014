/// \file
/// Delayed arrays: sources of the plan that take over, at the beginning of a commit, the lines of
/// what they follow that changed in the commit before.
///
/// Way of a commit: `move_delays` copies the queued lines that differ and marks them, before the
/// delta is applied; after the levels ran, `note_delays` queues what changed in the followed
/// arrays. A commit that fails moves nothing on: its queue is still that of the commit before, and
/// the pages it wrote are rolled back like any other.
///
/// Cost: O(queued lines); where nothing is followed, one test.
#include <algorithm>
#include <cstring>

#include "propagate/executor_state.hpp"

namespace sheaf::inline v0 {

namespace {

/// Lines of `page` of an array that hold elements.
line_mask lines_with_elements(std::uint64_t length, dtype type, page_class size,
                              std::uint32_t page) noexcept {
  const std::uint64_t lines = (((length << size_shift(type)) - 1) >> line_shift) + 1;
  const std::uint64_t before = std::uint64_t{page} * lines_of(size);
  return first_lines(
      static_cast<unsigned>(std::min<std::uint64_t>(lines - before, lines_of(size))));
}

void fill_page(std::byte* page, std::uint64_t elements, const void* value,
               std::size_t size) noexcept {
  for (std::uint64_t i = 0; i < elements; ++i) std::memcpy(page + i * size, value, size);
}

}  // namespace

/// Where a producer's pages are.
executor::state::array_pages executor::state::pages_of(std::uint32_t producer) const noexcept {
  if (graph_.is_source(producer)) {
    const plan_source& source = graph_.sources[producer];
    return {source.slot, source.page_count, source.page, source.type, source.length};
  }
  const plan_node& node = graph_.node_of(producer);
  const plan_operation& op = graph_.operation_of(node);
  return {node.slot, op.page_count, op.page, op.type, op.length};
}

void executor::state::fill_delays() noexcept {
  for (const std::uint32_t index : graph_.delays) {
    const plan_source& source = graph_.sources[index];
    if (source.initial == 0) continue;
    const std::size_t size = size_of(source.type);
    const std::uint64_t per_page = bytes_of(source.page) / size;
    for (std::uint32_t page = 0; page < source.page_count; ++page) {
      fill_page(frames_.current(source.slot + page, source.page),
                std::min<std::uint64_t>(per_page, source.length - page * per_page),
                &source.initial, size);
    }
  }
}

void executor::state::queue_all(delay_queue& queue) const {
  queue.pages.clear();
  std::uint64_t pages = 0;
  for (const std::uint32_t producer : schedule_->followed) pages += pages_of(producer).page_count;
  queue.pages.reserve(pages);
  for (const std::uint32_t producer : schedule_->followed) {
    const array_pages followed = pages_of(producer);
    for (std::uint32_t page = 0; page < followed.page_count; ++page) {
      queue.pages.push_back(
          {array_id{plan_->array_of_producer[producer]}, page,
           lines_with_elements(followed.length, followed.type, followed.page, page)});
    }
  }
}

void executor::state::note_delays(delay_queue& queue) noexcept {
  if (schedule_->followed.empty()) return;
  queue.pages.clear();
  for (const std::uint32_t producer : schedule_->followed) {
    const array_pages followed = pages_of(producer);
    const std::uint32_t end = followed.slot + followed.page_count;
    for (std::uint32_t slot = dirty_.next(followed.slot); slot < end;
         slot = dirty_.next(slot + 1)) {
      if (masks_[slot] == 0) continue;
      SHEAF_DASSERT(queue.pages.size() < queue.pages.capacity(), "delay-queue-has-room");
      queue.pages.push_back({array_id{plan_->array_of_producer[producer]}, slot - followed.slot,
                             masks_[slot]});
    }
  }
}

template <class Visitor>
void executor::state::for_each_delayed_line(const delay_queue& queue, Visitor&& visitor) {
  for (const std::uint32_t index : graph_.delays) {
    const plan_source& source = graph_.sources[index];
    const array_id array{plan_->array_of_producer[source.delayed]};
    const array_pages followed = pages_of(source.delayed);
    auto at = std::ranges::lower_bound(queue.pages, array, {}, &delayed_page::array);
    for (; at != queue.pages.end() && at->array == array; ++at) {
      for_each_line(at->changed, [&](unsigned line) {
        const std::uint64_t number = std::uint64_t{at->page} * lines_of(followed.page) + line;
        visitor(source, followed.slot + at->page, followed.page, line, number);
      });
    }
  }
}

void executor::state::mark_delays(const delay_queue& queue) noexcept {
  for_each_delayed_line(queue, [&](const plan_source& to, std::uint32_t, page_class, unsigned,
                                   std::uint64_t number) {
    const auto slot =
        to.slot + static_cast<std::uint32_t>(number >> static_cast<unsigned>(to.page));
    masks_[slot] |= line_mask{1} << (number & (lines_of(to.page) - 1));
    dirty_.insert(slot);
  });
}

bool executor::state::delays_reach_fallible(const delay_queue& queue) const noexcept {
  if (queue.is_empty()) return false;
  return std::ranges::any_of(graph_.delays, [&](std::uint32_t source) {
    return graph_.reaches_fallible[source] != 0;
  });
}

status executor::state::move_delays(const delay_queue& queue) {
  if (queue.is_empty()) return {};
  page_runner& pages = *runners_[0];
  bool has_frames = true;
  for_each_delayed_line(queue, [&](const plan_source& to, std::uint32_t from_slot,
                                   page_class from_page, unsigned line, std::uint64_t number) {
    const auto page = static_cast<std::uint32_t>(number >> static_cast<unsigned>(to.page));
    const auto inside = static_cast<unsigned>(number & (lines_of(to.page) - 1));
    const std::byte* from = pages.page_at(from_slot, from_page) + line * line_size;
    const std::byte* old = pages.page_at(to.slot + page, to.page) + inside * line_size;
    if (!has_frames || std::memcmp(from, old, line_size) == 0) return;
    // The page of `from` may be the delay's own only in loops of delays alone, which are refused.
    has_frames = pages.write_line(to.slot + page, to.page, inside, from);
    if (!has_frames) return;
    const std::uint32_t slot = to.slot + page;
    masks_[slot] |= line_mask{1} << inside;
    dirty_.insert(slot);
    const auto producer = static_cast<std::uint32_t>(&to - graph_.sources.data());
    std::uint64_t* tracked = plan_->tracked_elements(producer, changed_elements_.get());
    if (tracked != nullptr) tracked[number] = ~std::uint64_t{0};
  });
  return has_frames ? status() : branch_->failure();
}

void executor::fill_delays() noexcept { state_->fill_delays(); }
void executor::queue_all(delay_queue& queue) const { state_->queue_all(queue); }
void executor::note_delays(delay_queue& queue) noexcept { state_->note_delays(queue); }
void executor::mark_delays(const delay_queue& queue) noexcept { state_->mark_delays(queue); }
status executor::move_delays(const delay_queue& queue) { return state_->move_delays(queue); }
bool executor::delays_reach_fallible(const delay_queue& queue) const noexcept {
  return state_->delays_reach_fallible(queue);
}

}  // namespace sheaf::inline v0
