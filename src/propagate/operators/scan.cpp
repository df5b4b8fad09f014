#include "propagate/operators/scan.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "propagate/bodies/scan.hpp"
#include "propagate/operators/elements.hpp"

namespace sheaf::inline v0 {

namespace {

const scan_data& scan_of(const plan& graph, const plan_operation& op) noexcept {
  return graph.scans[op.payload];
}

/// Where what was running ends: the first of `heads`, which begin at element `from`, or `end`.
std::uint64_t end_of_run(const scan_data& scan, std::uint64_t heads, std::uint64_t from,
                         std::uint64_t end) noexcept {
  if (heads == 0) return end;
  const bool head_sees_it = scan.exclusive && !scan.zero_at_heads;
  const std::uint64_t head = from + static_cast<unsigned>(std::countr_zero(heads));
  return std::min(end, head + (head_sees_it ? 1 : 0));
}

/// Results that the values [first, last) of one block reach.
element_range reach_of_values(const scan_data& scan, std::uint64_t length, std::uint64_t first,
                              std::uint64_t last) noexcept {
  const std::uint64_t block = first >> scan_block_shift;
  const std::uint64_t begin = block << scan_block_shift;
  const std::uint64_t end = std::min(length, begin + scan_block_items);
  const std::uint64_t heads =
      last == begin + scan_block_items ? 0 : scan.heads_of(block) >> (last - begin);
  return {first + (scan.exclusive ? 1 : 0), end_of_run(scan, heads, last, end)};
}

/// Results that the carry of `block` reaches.
element_range reach_of_carry(const scan_data& scan, std::uint64_t length,
                             std::uint64_t block) noexcept {
  if (block == 0) return {0, 0};
  const std::uint64_t begin = block << scan_block_shift;
  return {begin, end_of_run(scan, scan.heads_of(block), begin,
                            std::min(length, begin + scan_block_items))};
}

void push_totals(dirty_map& map, const plan_node& node, const plan_operation& op, std::uint32_t,
                 std::uint32_t page, line_mask changed) noexcept {
  const plan_operand& operand = map.operand(node, 0);
  const unsigned shift = line_shift - size_shift(op.type);
  const std::uint64_t first = std::uint64_t{page} * lines_of(operand.page);
  for_each_line(changed, [&](unsigned line) {
    const std::uint64_t block = (first + line) << shift >> scan_block_shift;
    map.mark_line(node, op, block >> shift);
  });
}

line_mask pull_totals(const dirty_map& map, const plan_node& node, const plan_operation& op,
                      std::uint32_t page) noexcept {
  const plan_operand& operand = map.operand(node, 0);
  const std::uint64_t length = map.graph().length_of(operand.producer);
  const unsigned shift = line_shift - size_shift(op.type);
  const std::uint64_t operand_lines = ((length - 1) >> shift) + 1;
  const std::uint64_t per_line = std::uint64_t{scan_block_items};  // a result line's operand lines
  line_mask mask = 0;
  for (unsigned line = 0; line < lines_of(op.page); ++line) {
    const std::uint64_t first = (std::uint64_t{page} * lines_of(op.page) + line) * per_line;
    const std::uint64_t last = std::min(first + per_line, operand_lines);
    for (std::uint64_t at = first; at < last; ++at) {
      if (!is_line_changed(map, operand, at)) continue;
      mask |= line_mask{1} << line;
      break;
    }
  }
  return mask;
}

void push_scan(dirty_map& map, const plan_node& node, const plan_operation& op,
               std::uint32_t which, std::uint32_t page, line_mask changed) noexcept {
  const plan_operand& operand = map.operand(node, which);
  const scan_data& scan = scan_of(map.graph(), op);
  const std::uint64_t first = std::uint64_t{page} * lines_of(operand.page);
  const std::uint64_t length = which == 0 ? op.length : scan_blocks_of(op.length);
  for_each_line(changed, [&](unsigned line) {
    const element_range at = elements_of_line(first + line, op.type, length);
    if (which == 0) {
      mark_elements(map, node, op, reach_of_values(scan, op.length, at.first, at.last));
      return;
    }
    for (std::uint64_t block = at.first; block < at.last; ++block) {
      mark_elements(map, node, op, reach_of_carry(scan, op.length, block));
    }
  });
}

line_mask pull_scan(const dirty_map& map, const plan_node& node, const plan_operation& op,
                    std::uint32_t page) noexcept {
  const scan_data& scan = scan_of(map.graph(), op);
  const plan_operand& values = map.operand(node, 0);
  const unsigned shift = line_shift - size_shift(op.type);
  const unsigned block_lines_shift = scan_block_shift - shift;
  const std::uint64_t first_line = std::uint64_t{page} * lines_of(op.page);
  const std::uint64_t end_line =
      std::min(first_line + lines_of(op.page), ((op.length - 1) >> shift) + 1);
  line_mask mask = 0;
  for (std::uint64_t line = first_line; line < end_line; ++line) {
    const element_range mine = elements_of_line(line, op.type, op.length);
    const auto meets = [&](element_range reached) {
      return reached.first < reached.last && reached.first < mine.last &&
             mine.first < reached.last;
    };
    const std::uint64_t block = line >> block_lines_shift;
    bool reached = false;
    for (std::uint64_t from = block << block_lines_shift; from <= line && !reached; ++from) {
      if (!is_line_changed(map, values, from)) continue;
      const element_range at = elements_of_line(from, op.type, op.length);
      reached = meets(reach_of_values(scan, op.length, at.first, at.last));
    }
    if (!reached && op.operand_count > 1 &&
        is_line_changed(map, map.operand(node, 1), block >> shift)) {
      reached = meets(reach_of_carry(scan, op.length, block));
    }
    if (reached) mask |= line_mask{1} << (line - first_line);
  }
  return mask;
}

/// The first `lines` lines of block `block` of an operand: in place where its pages hold whole
/// blocks, else copied together.
const std::byte* block_of(page_runner& runner, const plan_operand& operand, std::uint64_t block,
                          unsigned lines, std::byte* copy) noexcept {
  const std::uint64_t first = block << size_shift(operand.type);  // line
  if (static_cast<unsigned>(operand.page) >= size_shift(operand.type)) {
    return line_at(runner, operand, first);
  }
  for (unsigned i = 0; i < lines; ++i) {
    std::memcpy(copy + i * line_size, line_at(runner, operand, first + i), line_size);
  }
  return copy;
}

/// Lines of a block of elements of any size, 8 at most.
struct alignas(line_size) block_buffer {
  std::byte bytes[8 * line_size];
};

line_mask run_totals(page_runner& runner, const plan_node& node, const plan_operation& op,
                     std::uint32_t page, const line_task& task) noexcept {
  const resolved_operation& body = runner.resolved(node);
  const scan_data& scan = scan_of(runner.graph(), op);
  const plan_operand& operand = runner.operand(node, 0);
  const std::uint64_t length = runner.graph().length_of(operand.producer);
  const unsigned size = size_shift(op.type);
  block_buffer copy;
  for_each_line(task.mask, [&](unsigned line) {
    const std::uint64_t first = page_runner::first_element(op, body, page, line);
    const std::uint64_t last = std::min(op.length, first + (line_size >> size));
    std::byte* results = runner.computed() + line * line_size;
    std::memcpy(results, task.old + line * line_size, line_size);
    for (std::uint64_t block = first; block < last; ++block) {
      const std::uint64_t begin = block << scan_block_shift;
      const auto count = static_cast<unsigned>(
          std::min<std::uint64_t>(scan_block_items, length - begin));
      const auto lines = static_cast<unsigned>(((count << size) + line_size - 1) / line_size);
      if (!is_any_line_changed(runner, operand, block << size, lines)) continue;
      const std::byte* items = block_of(runner, operand, block, lines, copy.bytes);
      const std::uint64_t heads = scan.heads.empty() ? 0 : scan.heads[block];
      const unsigned head = heads == 0 ? 0 : 63 - static_cast<unsigned>(std::countl_zero(heads));
      body.fold_blocks(results + ((block - first) << size), items + (std::size_t{head} << size),
                       count - head, 0, 1);
    }
  });
  return body.settle(task, runner.computed());
}

/// One page of a scan's result.
class scan_page {
 public:
  scan_page(page_runner& runner, const plan_node& node, const plan_operation& op,
            std::uint32_t page, const line_task& task) noexcept
      : runner_(runner),
        op_(op),
        body_(runner.resolved(node)),
        scan_(scan_of(runner.graph(), op)),
        values_(runner.operand(node, 0)),
        size_(size_shift(op.type)),
        first_line_(std::uint64_t{page} * lines_of(op.page)),
        asked_(task.mask) {
    if (op.operand_count > 1) carries_ = &runner.operand(node, 1);
  }

  void run() noexcept {
    for (line_mask left = asked_; left != 0;) {
      const auto line = static_cast<unsigned>(std::countr_zero(left));
      unsigned end = run_whole_blocks(line);
      if (end == line) end = run_block((first_line_ + line) >> size_);
      left &= ~first_lines(end);
    }
  }

 private:
  [[nodiscard]] std::uint64_t end_of_page() const noexcept {
    return first_line_ + lines_of(op_.page);
  }
  [[nodiscard]] const std::byte* carry_of(std::uint64_t block) const noexcept {
    return block == 0 ? nullptr : element_at_index(runner_, *carries_, block);
  }

  /// Runs the whole blocks without heads that are asked for from `line` on, as far as one page of
  /// the values goes. Returns the line after them.
  unsigned run_whole_blocks(unsigned line) noexcept {
    const std::uint64_t begin = first_line_ + line;
    const std::uint64_t first = begin >> size_;
    if (begin != first << size_ || first == 0 || !scan_.heads.empty()) return line;
    if (static_cast<unsigned>(values_.page) < size_) return line;
    const std::uint64_t values_page_lines = lines_of(values_.page);
    const std::uint64_t limit = std::min({op_.length >> scan_block_shift, end_of_page() >> size_,
                                          ((begin | (values_page_lines - 1)) + 1) >> size_});
    const line_mask one = first_lines(1u << size_);
    std::uint64_t last = first;
    while (last < limit) {
      const auto at = static_cast<unsigned>((last << size_) - first_line_);
      if ((asked_ >> at & one) != one) break;
      ++last;
    }
    if (last == first) return line;
    const auto many = reinterpret_cast<scan_blocks_body>(body_.bodies[1]);
    many(runner_.computed() + std::size_t{line} * line_size,
         block_of(runner_, values_, first, 0, copy_.bytes), carry_of(first),
         static_cast<unsigned>(last - first), scan_.exclusive);
    return static_cast<unsigned>((last << size_) - first_line_);
  }

  /// Runs what is asked for of one block; returns the line after it.
  unsigned run_block(std::uint64_t block) noexcept {
    const std::uint64_t begin = block << size_;  // line
    const std::uint64_t end = std::min(begin + (1u << size_), end_of_page());
    const auto from = static_cast<unsigned>(std::max(begin, first_line_) - first_line_);
    const auto to = static_cast<unsigned>(end - first_line_);
    const line_mask here = asked_ & lines_between(from, to);
    const unsigned last = 63 - static_cast<unsigned>(std::countl_zero(here));
    const auto lines = static_cast<unsigned>(first_line_ + last + 1 - begin);
    const std::uint64_t first_element = block << scan_block_shift;
    const auto count = static_cast<unsigned>(
        std::min<std::uint64_t>(lines * (line_size >> size_), op_.length - first_element));
    const auto one = reinterpret_cast<scan_block_body>(body_.bodies[0]);
    std::memset(out_.bytes, 0, sizeof out_.bytes);
    one({out_.bytes, block_of(runner_, values_, block, lines, copy_.bytes), carry_of(block),
         scan_.heads_of(block), count, scan_.exclusive, scan_.zero_at_heads});
    for_each_line(here, [&](unsigned line) {
      std::memcpy(runner_.computed() + line * line_size,
                  out_.bytes + (first_line_ + line - begin) * line_size, line_size);
    });
    return to;
  }

  page_runner& runner_;
  const plan_operation& op_;
  const resolved_operation& body_;
  const scan_data& scan_;
  const plan_operand& values_;
  const plan_operand* carries_ = nullptr;
  const unsigned size_;
  const std::uint64_t first_line_;
  const line_mask asked_;
  block_buffer copy_;
  block_buffer out_;
};

line_mask run_scan(page_runner& runner, const plan_node& node, const plan_operation& op,
                   std::uint32_t page, const line_task& task) noexcept {
  scan_page(runner, node, op, page, task).run();
  return runner.resolved(node).settle(task, runner.computed());
}

status resolve_totals(const plan&, const plan_operation& op, const kernel_table& kernels,
                      resolved_operation& out) {
  out.fold_blocks =
      kernels.fold_blocks[static_cast<unsigned>(op.semiring)][static_cast<unsigned>(op.type)];
  return {};
}

status resolve_scan(const plan&, const plan_operation& op, const kernel_table&,
                    resolved_operation& out) {
  visit_dtype(op.type, [&]<class T>(std::type_identity<T>) {
    visit_semiring(op.semiring, [&]<class S>(S) {
      if constexpr (semiring<S, T>) {
        out.bodies[0] = reinterpret_cast<void (*)()>(&scan_one_block<S, T>);
        out.bodies[1] = reinterpret_cast<void (*)()>(&scan_many_blocks<S, T>);
      }
    });
  });
  SHEAF_ASSERT(out.bodies[0] != nullptr, "plan-operation-has-a-body");
  return {};
}

}  // namespace

constinit const operator_rules scan_totals_rules = {false,       false,      push_totals,
                                                    pull_totals, run_totals, resolve_totals};
constinit const operator_rules scan_rules = {false,     false,    push_scan,
                                             pull_scan, run_scan, resolve_scan};

}  // namespace sheaf::inline v0
