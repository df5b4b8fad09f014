/// \file
/// Delayed arrays: sources of the plan that take over, at the beginning of a commit, the lines of
/// what they follow that changed in the commit before.
///
/// Way of a commit: `move_delays` copies the queued lines that differ and marks them, before the
/// delta is applied; after the levels ran, `note_delays` queues what changed in the followed
/// arrays. A commit that fails moves nothing on: its queue is still that of the commit before, and
/// the pages it wrote are rolled back like any other. In a commit that changes the graph, delays
/// that begin, and what is new at the end of others, get the initial value (`delay_start`).
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

void executor::state::note_delays(delay_queue& queue, delay_starts started) noexcept {
  if (schedule_->followed.empty()) return;
  queue.pages.clear();
  for (const std::uint32_t producer : schedule_->followed) {
    const array_pages followed = pages_of(producer);
    const array_id array{plan_->array_of_producer[producer]};
    const bool all = std::ranges::any_of(started, [&](const delay_start& start) {
      return start.first == 0 && graph_.sources[start.source].delayed == producer;
    });
    for (std::uint32_t page = 0; page < followed.page_count; ++page) {
      if (!all) {
        const std::uint32_t slot = dirty_.next(followed.slot + page);
        if (slot >= followed.slot + followed.page_count) break;
        page = slot - followed.slot;
      }
      const line_mask lines =
          all ? lines_with_elements(followed.length, followed.type, followed.page, page)
              : masks_[followed.slot + page];
      if (lines == 0) continue;
      SHEAF_DASSERT(queue.pages.size() < queue.pages.capacity(), "delay-queue-has-room");
      queue.pages.push_back({array, page, lines});
    }
  }
}

template <class Visitor>
void executor::state::for_each_delayed_line(const delay_queue& queue, delay_starts started,
                                            Visitor&& visitor) {
  for (const std::uint32_t index : graph_.delays) {
    const plan_source& source = graph_.sources[index];
    const std::uint64_t per_line = line_size / size_of(source.type);
    const std::uint64_t lines = (source.length - 1) / per_line + 1;
    const auto start = std::ranges::find(started, index, &delay_start::source);
    const bool is_started = start != started.end();
    const std::uint64_t first = is_started ? start->first : source.length;
    const std::uint64_t whole = is_started ? first / per_line : lines;
    const array_id array{plan_->array_of_producer[source.delayed]};
    const unsigned page_lines = lines_of(pages_of(source.delayed).page);
    auto at = std::ranges::lower_bound(queue.pages, array, {}, &delayed_page::array);
    for (; at != queue.pages.end() && at->array == array; ++at) {
      for_each_line(at->changed, [&](unsigned line) {
        const std::uint64_t number = std::uint64_t{at->page} * page_lines + line;
        if (number < whole) visitor(source, number, source.length);
      });
    }
    for (std::uint64_t number = whole; number < lines; ++number) visitor(source, number, first);
  }
}

void executor::state::mark_delays(const delay_queue& queue, delay_starts started) noexcept {
  for_each_delayed_line(
      queue, started, [&](const plan_source& to, std::uint64_t number, std::uint64_t) {
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

bool executor::state::take_over(const plan_source& to, std::uint64_t line,
                                std::uint64_t first) noexcept {
  page_runner& pages = *runners_[0];
  const array_pages followed = pages_of(to.delayed);
  const std::size_t size = size_of(to.type);
  const std::uint64_t begin = line * (line_size / size);
  const auto from_page = static_cast<std::uint32_t>(line >> static_cast<unsigned>(followed.page));
  const std::byte* from = nullptr;
  if (begin < first) {
    from = pages.page_at(followed.slot + from_page, followed.page) +
           (line & (lines_of(followed.page) - 1)) * line_size;
  }
  alignas(line_size) std::byte begun[line_size] = {};
  if (first < to.length) {
    const std::uint64_t known = begin < first ? first - begin : 0;
    const std::uint64_t end = std::min<std::uint64_t>(line_size / size, to.length - begin);
    if (known != 0) std::memcpy(begun, from, known * size);
    fill_page(begun + known * size, end - known, &to.initial, size);
    from = begun;
  }
  const std::uint32_t slot =
      to.slot + static_cast<std::uint32_t>(line >> static_cast<unsigned>(to.page));
  const auto inside = static_cast<unsigned>(line & (lines_of(to.page) - 1));
  if (std::memcmp(from, pages.page_at(slot, to.page) + inside * line_size, line_size) == 0) {
    return true;
  }
  // The page of `from` may be the delay's own only in loops of delays alone, which are refused.
  if (!pages.write_line(slot, to.page, inside, from)) return false;
  masks_[slot] |= line_mask{1} << inside;
  dirty_.insert(slot);
  const auto producer = static_cast<std::uint32_t>(&to - graph_.sources.data());
  std::uint64_t* tracked = plan_->tracked_elements(producer, changed_elements_.get());
  if (tracked != nullptr) tracked[line] = ~std::uint64_t{0};
  return true;
}

status executor::state::move_delays(const delay_queue& queue, delay_starts started) {
  if (queue.is_empty() && started.empty()) return {};
  bool has_frames = true;
  for_each_delayed_line(queue, started,
                        [&](const plan_source& to, std::uint64_t line, std::uint64_t first) {
                          has_frames = has_frames && take_over(to, line, first);
                        });
  return has_frames ? status() : branch_->failure();
}

void executor::fill_delays() noexcept { state_->fill_delays(); }
void executor::queue_all(delay_queue& queue) const { state_->queue_all(queue); }
void executor::note_delays(delay_queue& queue, std::span<const delay_start> started) noexcept {
  state_->note_delays(queue, started);
}
void executor::mark_delays(const delay_queue& queue,
                           std::span<const delay_start> started) noexcept {
  state_->mark_delays(queue, started);
}
status executor::move_delays(const delay_queue& queue, std::span<const delay_start> started) {
  return state_->move_delays(queue, started);
}
bool executor::delays_reach_fallible(const delay_queue& queue) const noexcept {
  return state_->delays_reach_fallible(queue);
}

}  // namespace sheaf::inline v0
