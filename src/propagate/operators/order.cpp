#include "propagate/operators/order.hpp"

#include <algorithm>
#include <cstring>

#include "propagate/bodies/order.hpp"
#include "propagate/operators/elements.hpp"

namespace sheaf::inline v0 {

namespace {

const order_data& order_of(const plan& graph, const plan_operation& op) noexcept {
  return graph.orders[op.payload];
}
/// Words (elements of the array) of an entry.
std::uint64_t words_of(const order_data& data) noexcept {
  return data.is_last || !data.is_wide() ? 1 : 2;
}
/// The level that `data` merges.
order_data level_below(order_data data) noexcept {
  data.span /= 2;
  data.is_last = false;
  return data;
}

void mark_entries(dirty_map& map, const plan_node& node, const plan_operation& op,
                  const order_data& data, element_range entries) noexcept {
  const std::uint64_t words = words_of(data);
  mark_elements(map, node, op, {entries.first * words, entries.last * words});
}

void push_sorted(dirty_map& map, const plan_node& node, const plan_operation& op, std::uint32_t,
                 std::uint32_t page, line_mask changed) noexcept {
  const plan_operand& operand = map.operand(node, 0);
  const order_data& data = order_of(map.graph(), op);
  std::uint64_t before = ~std::uint64_t{0};
  for_each_line(changed, [&](unsigned line) {
    const std::uint64_t first = line_number(operand.page, page, line) << lane_shift(operand.type);
    const std::uint64_t row = first / data.span;  // a row's values are whole lines
    if (row == before) return;
    before = row;
    const std::uint64_t begin = row * data.stride();
    mark_entries(map, node, op, data, {begin, begin + data.entries_of(row)});
  });
}

void push_merged(dirty_map& map, const plan_node& node, const plan_operation& op, std::uint32_t,
                 std::uint32_t page, line_mask changed) noexcept {
  const plan_operand& operand = map.operand(node, 0);
  const order_data& data = order_of(map.graph(), op);
  const order_data below = level_below(data);
  const std::uint64_t length = map.graph().length_of(operand.producer);
  const std::uint64_t words = words_of(below);
  for_each_line(changed, [&](unsigned line) {
    const element_range elements =
        elements_of_line(line_number(operand.page, page, line), operand.type, length);
    const std::uint64_t last = elements.last / words;
    for (std::uint64_t at = elements.first / words; at < last;) {
      const std::uint64_t from = at / below.stride();
      const std::uint64_t from_begin = from * below.stride();
      const std::uint64_t end = std::min(last, from_begin + below.entries_of(from));
      const std::uint64_t other = from ^ 1;
      const std::uint64_t others = other < below.rows() ? below.entries_of(other) : 0;
      const std::uint64_t begin = from / 2 * data.stride();
      mark_entries(map, node, op, data,
                   {begin + (at - from_begin),
                    begin + std::min(data.entries_of(from / 2), end - from_begin + others)});
      at = end;
    }
  });
}

/// Writes entries of a result one after the other: as they are, or their indices.
template <class Entry>
class entry_writer {
 public:
  entry_writer(std::byte* to, bool indices) noexcept : to_(to), indices_(indices) {}
  void put(const Entry& entry) noexcept {
    if (indices_) {
      const std::uint32_t index = entry.index();
      std::memcpy(to_, &index, sizeof index);
      to_ += sizeof index;
    } else {
      std::memcpy(to_, &entry, sizeof entry);
      to_ += sizeof entry;
    }
  }

 private:
  std::byte* to_;
  bool indices_;
};

/// Entries from one on, page by page.
template <class Entry>
class entry_reader {
 public:
  entry_reader(const page_runner& runner, const plan_operand& operand, std::uint64_t first,
               std::uint64_t last) noexcept
      : runner_(runner), operand_(operand), next_(first), last_(last) {
    refill();
  }
  [[nodiscard]] bool is_empty() const noexcept { return at_ == end_; }
  [[nodiscard]] const Entry& front() const noexcept { return *at_; }
  void step(bool taken) noexcept { at_ += taken; }
  /// Goes on in the next page where this one is used up.
  void refill() noexcept {
    if (at_ != end_ || next_ == last_) return;
    constexpr std::uint64_t words = sizeof(Entry) / sizeof(std::uint64_t);
    const std::uint64_t count =
        std::min(last_ - next_, left_in_page(operand_, next_ * words) / words);
    at_ = reinterpret_cast<const Entry*>(element_at_index(runner_, operand_, next_ * words));
    end_ = at_ + count;
    next_ += count;
  }

 private:
  const page_runner& runner_;
  const plan_operand& operand_;
  std::uint64_t next_;
  std::uint64_t last_;
  const Entry* at_ = nullptr;
  const Entry* end_ = nullptr;
};

template <class Entry>
Entry entry_at(const page_runner& runner, const plan_operand& operand,
               std::uint64_t index) noexcept {
  constexpr std::uint64_t words = sizeof(Entry) / sizeof(std::uint64_t);
  Entry entry;
  std::memcpy(&entry, element_at_index(runner, operand, index * words), sizeof entry);
  return entry;
}

/// What is asked for of one row: entries [first, last) of the row, to be written to `to`.
struct row_request {
  const page_runner& runner;
  const plan_operand& operand;
  const order_data& data;
  std::uint64_t row;
  std::uint64_t first;
  std::uint64_t last;
  std::byte* to;
};
using row_body = void (*)(const row_request&) noexcept;

template <element T>
void sort_row(const row_request& asked) noexcept {
  using Entry = entry_of<T>;
  Entry entries[bytes_of(page_class::b4k) / sizeof(Entry)];
  const std::uint64_t begin = asked.row * asked.data.span;
  const std::uint64_t count = asked.data.values_of(asked.row);
  for (std::uint64_t at = 0; at < count;) {
    const std::uint64_t here = std::min(left_in_page(asked.operand, begin + at), count - at);
    const T* values =
        reinterpret_cast<const T*>(element_at_index(asked.runner, asked.operand, begin + at));
    for (std::uint64_t i = 0; i < here; ++i) {
      entries[at + i] = entry_for(values[i], begin + at + i, asked.data.descending);
    }
    at += here;
  }
  const std::uint64_t taken = asked.data.entries_of(asked.row);
  if (taken * 8 < count) std::partial_sort(entries, entries + taken, entries + count);
  else std::sort(entries, entries + count);
  entry_writer<Entry> writer(asked.to, asked.data.is_last);
  for (std::uint64_t i = asked.first; i < asked.last; ++i) writer.put(entries[i]);
}

/// How many of the first `rank` merged entries come from row a: the co-ranking of "merge path"
/// (Green, McColl, Bader 2012). O(log entries).
template <class Entry>
std::uint64_t rank_in_first(const row_request& asked, std::uint64_t a, std::uint64_t a_count,
                            std::uint64_t b, std::uint64_t b_count) noexcept {
  const std::uint64_t rank = asked.first;
  std::uint64_t low = rank > b_count ? rank - b_count : 0;
  std::uint64_t high = std::min(rank, a_count);
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    const bool is_before =
        entry_at<Entry>(asked.runner, asked.operand, a + middle) <
        entry_at<Entry>(asked.runner, asked.operand, b + (rank - 1 - middle));
    if (is_before) low = middle + 1;
    else high = middle;
  }
  return low;
}

template <class Entry>
void merge_rows(const row_request& asked) noexcept {
  const order_data below = level_below(asked.data);
  const std::uint64_t left = asked.row * 2;
  const bool has_right = left + 1 < below.rows();
  const std::uint64_t a = left * below.stride();
  const std::uint64_t b = a + below.stride();
  const std::uint64_t a_count = below.entries_of(left);
  const std::uint64_t b_count = has_right ? below.entries_of(left + 1) : 0;
  const std::uint64_t from_a = rank_in_first<Entry>(asked, a, a_count, b, b_count);
  const std::uint64_t from_b = asked.first - from_a;
  entry_reader<Entry> first(asked.runner, asked.operand, a + from_a, a + a_count);
  entry_reader<Entry> second(asked.runner, asked.operand, b + from_b, b + b_count);
  entry_writer<Entry> writer(asked.to, asked.data.is_last);
  std::uint64_t wanted = asked.last - asked.first;
  while (wanted != 0 && !first.is_empty() && !second.is_empty()) {
    for (; wanted != 0 && !first.is_empty() && !second.is_empty(); --wanted) {
      const Entry x = first.front();
      const Entry y = second.front();
      const bool takes_first = x < y;
      writer.put(takes_first ? x : y);
      first.step(takes_first);
      second.step(!takes_first);
    }
    first.refill();
    second.refill();
  }
  entry_reader<Entry>& rest = first.is_empty() ? second : first;
  for (; wanted != 0; --wanted, rest.refill()) {
    writer.put(rest.front());
    rest.step(true);
  }
}

line_mask run_rows(page_runner& runner, const plan_node& node, const plan_operation& op,
                   std::uint32_t page, const line_task& task) noexcept {
  const resolved_operation& body = runner.resolved(node);
  const auto row_of = reinterpret_cast<row_body>(body.bodies[0]);
  const plan_operand& operand = runner.operand(node, 0);
  const order_data& data = order_of(runner.graph(), op);
  const std::uint64_t words = words_of(data);
  const std::size_t entry_bytes = words << size_shift(op.type);
  for (line_mask left = task.mask; left != 0;) {
    const auto line = static_cast<unsigned>(std::countr_zero(left));
    const auto lines = static_cast<unsigned>(std::countr_one(left >> line));
    const std::uint64_t number = line_number(op.page, page, line);
    const std::uint64_t first = (number << lane_shift(op.type)) / words;
    const std::uint64_t last =
        std::min((number + lines) << lane_shift(op.type), op.length) / words;
    std::byte* to = runner.computed() + line * line_size;
    for (std::uint64_t at = first; at < last;) {
      const std::uint64_t row = at / data.stride();
      const std::uint64_t begin = row * data.stride();
      const std::uint64_t end = std::min(last, begin + data.entries_of(row));
      row_of({runner, operand, data, row, at - begin, end - begin, to});
      to += (end - at) * entry_bytes;
      at = end;
    }
    left &= ~lines_between(line, line + lines);
  }
  return body.settle(task, runner.computed());
}

status resolve_sorted(const plan& graph, const plan_operation& op, const kernel_table&,
                      resolved_operation& out) {
  visit_dtype(order_of(graph, op).type, [&]<class T>(std::type_identity<T>) {
    out.bodies[0] = reinterpret_cast<void (*)()>(row_body{&sort_row<T>});
  });
  return {};
}

status resolve_merged(const plan& graph, const plan_operation& op, const kernel_table&,
                      resolved_operation& out) {
  const row_body found = order_of(graph, op).is_wide() ? row_body{&merge_rows<wide_entry>}
                                                       : row_body{&merge_rows<narrow_entry>};
  out.bodies[0] = reinterpret_cast<void (*)()>(found);
  return {};
}

}  // namespace

constinit const operator_rules sorted_runs_rules = {true,    false,    push_sorted,
                                                    nullptr, run_rows, resolve_sorted};
constinit const operator_rules merged_runs_rules = {true,    false,    push_merged,
                                                    nullptr, run_rows, resolve_merged};

}  // namespace sheaf::inline v0
