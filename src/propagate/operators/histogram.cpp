#include "propagate/operators/histogram.hpp"

#include <algorithm>
#include <cstring>

#include "propagate/operators/elements.hpp"

namespace sheaf::inline v0 {

namespace {

constexpr std::uint64_t rows_summed = 64;

const histogram_data& histogram_of(const plan& graph, const plan_operation& op) noexcept {
  return graph.histograms[op.payload];
}

/// Row `row` of a result, without the gap after its bins.
element_range bins_of_row(const histogram_data& data, const plan_operation& op,
                          std::uint64_t row) noexcept {
  const std::uint64_t first = row * data.stride;
  return {first, std::min<std::uint64_t>(op.length, first + data.bins)};
}

void push_counts(dirty_map& map, const plan_node& node, const plan_operation& op, std::uint32_t,
                 std::uint32_t page, line_mask changed) noexcept {
  const plan_operand& operand = map.operand(node, 0);
  const histogram_data& data = histogram_of(map.graph(), op);
  std::uint64_t before = ~std::uint64_t{0};
  for_each_line(changed, [&](unsigned line) {
    const std::uint64_t first = line_number(operand.page, page, line) << lane_shift(operand.type);
    const std::uint64_t row = first / data.chunk;  // a chunk is whole lines
    if (row != before) mark_elements(map, node, op, bins_of_row(data, op, row));
    before = row;
  });
}

line_mask pull_counts(const dirty_map& map, const plan_node& node, const plan_operation& op,
                      std::uint32_t page) noexcept {
  const plan_operand& operand = map.operand(node, 0);
  const histogram_data& data = histogram_of(map.graph(), op);
  const std::uint64_t length = map.graph().length_of(operand.producer);
  line_mask mask = 0;
  for (unsigned line = 0; line < lines_of(op.page);) {
    const element_range mine =
        elements_of_line(line_number(op.page, page, line), op.type, op.length);
    if (mine.first >= op.length) break;
    const std::uint64_t row = mine.first / data.stride;
    const element_range bins = bins_of_row(data, op, row);
    const element_range lines = lines_of_elements(bins, op.type);
    const std::uint64_t here = line_number(op.page, page, line);
    const std::uint64_t row_end = lines_of_elements({row * data.stride, (row + 1) * data.stride},
                                                    op.type).last;
    const auto next = static_cast<unsigned>(
        std::min<std::uint64_t>(lines_of(op.page), line + (row_end - here)));
    if (here < lines.last &&
        is_any_changed(map, operand,
                       {row * data.chunk, std::min(length, (row + 1) * data.chunk)})) {
      const auto end = static_cast<unsigned>(
          std::min<std::uint64_t>(next, line + (lines.last - here)));
      mask |= lines_between(line, end);
    }
    line = next;
  }
  return mask;
}

/// Finds the bin of a value. Even edges are found by a product and a step to either side; any by
/// halving. The edges decide, not the product.
template <element T>
class bin_finder {
 public:
  bin_finder(const histogram_data& data, T* edges) noexcept
      : edges_(edges), bins_(data.bins), clamp_(data.clamp) {
    for (std::uint32_t i = 0; i <= bins_; ++i) {
      edges[i] = from_bits<T>(static_cast<bits_of<T>>(data.edges[i]));
    }
    low_ = static_cast<double>(edges[0]);
    scale_ = static_cast<double>(bins_) / (static_cast<double>(edges[bins_]) - low_);
  }

  static constexpr std::uint32_t nowhere = 0xffff'ffffu;
  [[nodiscard]] std::uint32_t bin_of(T value) const noexcept {
    if (value != value) return nowhere;
    if (value < edges_[0]) return clamp_ ? 0 : nowhere;
    if (!(value < edges_[bins_])) return clamp_ ? bins_ - 1 : nowhere;
    // Between the edges the product is from 0 to bins, or not a number where they overflow.
    const double guess = (static_cast<double>(value) - low_) * scale_;
    const bool usable = guess >= 0 && guess < static_cast<double>(bins_);
    const std::uint32_t bin = usable ? static_cast<std::uint32_t>(guess) : bins_ - 1;
    if (!(value < edges_[bin]) && value < edges_[bin + 1]) return bin;
    return static_cast<std::uint32_t>(std::upper_bound(edges_, edges_ + bins_, value) - edges_) -
           1;
  }

 private:
  const T* edges_;
  std::uint32_t bins_;
  bool clamp_;
  double low_;
  double scale_;
};

/// Counts the values of a chunk that fall into bins [first, last) of one row.
template <element T, element Count>
void count_bins(const page_runner& runner, const plan_operand& operand, element_range values,
                const histogram_data& data, std::byte* counts, element_range bins) noexcept {
  T edges[4097];
  const bin_finder<T> finder(data, edges);
  auto* const to = reinterpret_cast<Count*>(counts);
  for (std::uint64_t at = values.first; at < values.last;) {
    const std::uint64_t count = std::min(left_in_page(operand, at), values.last - at);
    const T* from = reinterpret_cast<const T*>(element_at_index(runner, operand, at));
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t bin = finder.bin_of(from[i]);
      if (bin >= bins.first && bin < bins.last) ++to[bin - bins.first];
    }
    at += count;
  }
}
using count_body = void (*)(const page_runner&, const plan_operand&, element_range,
                            const histogram_data&, std::byte*, element_range) noexcept;

line_mask run_counts(page_runner& runner, const plan_node& node, const plan_operation& op,
                     std::uint32_t page, const line_task& task) noexcept {
  const resolved_operation& body = runner.resolved(node);
  const auto count = reinterpret_cast<count_body>(body.bodies[0]);
  const plan_operand& operand = runner.operand(node, 0);
  const histogram_data& data = histogram_of(runner.graph(), op);
  const std::uint64_t length = runner.graph().length_of(operand.producer);
  const unsigned shift = lane_shift(op.type);
  for (line_mask left = task.mask; left != 0;) {
    // The asked lines of one row in this page, from the first to the last, in one pass.
    const auto line = static_cast<unsigned>(std::countr_zero(left));
    const std::uint64_t first = line_number(op.page, page, line) << shift;
    const std::uint64_t row = first / data.stride;
    const std::uint64_t row_lines_end = ((row + 1) * data.stride) >> shift;
    const auto end = static_cast<unsigned>(std::min<std::uint64_t>(
        lines_of(op.page), line + row_lines_end - line_number(op.page, page, line)));
    const line_mask here = left & lines_between(line, end);
    const unsigned last = 63 - static_cast<unsigned>(std::countl_zero(here));
    std::memset(runner.computed() + line * line_size, 0, (last + 1 - line) * line_size);
    const std::uint64_t in_row = first - row * data.stride;
    count(runner, operand, {row * data.chunk, std::min(length, (row + 1) * data.chunk)}, data,
          runner.computed() + line * line_size,
          {in_row, in_row + (std::uint64_t{last + 1 - line} << shift)});
    left &= ~here;
  }
  return body.settle(task, runner.computed());
}

/// The operand rows that row `row` sums.
element_range rows_of(const histogram_data& data, std::uint64_t operand_length,
                      std::uint64_t row) noexcept {
  return {row * rows_summed, std::min(operand_length / data.stride, (row + 1) * rows_summed)};
}

void push_sums(dirty_map& map, const plan_node& node, const plan_operation& op, std::uint32_t,
               std::uint32_t page, line_mask changed) noexcept {
  const plan_operand& operand = map.operand(node, 0);
  const histogram_data& data = histogram_of(map.graph(), op);
  const std::uint64_t row_lines = data.stride >> lane_shift(op.type);
  for_each_line(changed, [&](unsigned line) {
    const std::uint64_t number = line_number(operand.page, page, line);
    const std::uint64_t to = number / row_lines / rows_summed * row_lines + number % row_lines;
    if (to << lane_shift(op.type) < op.length) map.mark_line(node, op, to);
  });
}

line_mask pull_sums(const dirty_map& map, const plan_node& node, const plan_operation& op,
                    std::uint32_t page) noexcept {
  const plan_operand& operand = map.operand(node, 0);
  const histogram_data& data = histogram_of(map.graph(), op);
  const std::uint64_t row_lines = data.stride >> lane_shift(op.type);
  const std::uint64_t length = map.graph().length_of(operand.producer);
  line_mask mask = 0;
  for (unsigned line = 0; line < lines_of(op.page); ++line) {
    const std::uint64_t number = line_number(op.page, page, line);
    if (number << lane_shift(op.type) >= op.length) break;
    const element_range rows = rows_of(data, length, number / row_lines);
    for (std::uint64_t row = rows.first; row < rows.last; ++row) {
      if (!is_line_changed(map, operand, row * row_lines + number % row_lines)) continue;
      mask |= line_mask{1} << line;
      break;
    }
  }
  return mask;
}

/// Adds a line of counts.
template <element Count>
void add_line(std::byte* to, const std::byte* from) noexcept {
  auto* const sums = reinterpret_cast<Count*>(to);
  const auto* const counts = reinterpret_cast<const Count*>(from);
  for (unsigned i = 0; i < line_size / sizeof(Count); ++i) sums[i] += counts[i];
}

line_mask run_sums(page_runner& runner, const plan_node& node, const plan_operation& op,
                   std::uint32_t page, const line_task& task) noexcept {
  const plan_operand& operand = runner.operand(node, 0);
  const histogram_data& data = histogram_of(runner.graph(), op);
  const std::uint64_t row_lines = data.stride >> lane_shift(op.type);
  const std::uint64_t length = runner.graph().length_of(operand.producer);
  for_each_line(task.mask, [&](unsigned line) {
    const std::uint64_t number = line_number(op.page, page, line);
    std::byte* const to = runner.computed() + line * line_size;
    std::memset(to, 0, line_size);
    const element_range rows = rows_of(data, length, number / row_lines);
    for (std::uint64_t row = rows.first; row < rows.last; ++row) {
      const std::byte* from = line_at(runner, operand, row * row_lines + number % row_lines);
      if (op.type == dtype::u32) add_line<std::uint32_t>(to, from);
      else add_line<std::uint64_t>(to, from);
    }
  });
  return runner.resolved(node).settle(task, runner.computed());
}

status resolve_counts(const plan& graph, const plan_operation& op, const kernel_table&,
                      resolved_operation& out) {
  visit_dtype(histogram_of(graph, op).type, [&]<class T>(std::type_identity<T>) {
    const count_body found =
        op.type == dtype::u32 ? &count_bins<T, std::uint32_t> : &count_bins<T, std::uint64_t>;
    out.bodies[0] = reinterpret_cast<void (*)()>(found);
  });
  return {};
}

}  // namespace

constinit const operator_rules bin_counts_rules = {false,       false,      push_counts,
                                                   pull_counts, run_counts, resolve_counts};
constinit const operator_rules row_sums_rules = {false,     false,    push_sums,
                                                 pull_sums, run_sums, nullptr};

}  // namespace sheaf::inline v0
