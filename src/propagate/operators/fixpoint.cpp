#include "propagate/operators/fixpoint.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "propagate/fixpoint/solver.hpp"

namespace sheaf::inline v0 {

namespace {

class fixpoint_memory final : public operator_memory {
 public:
  fixpoint_memory(const fixpoint_size& size, const fixpoint_kernels& kernels)
      : solver(size, kernels), noted(size.edge_capacity, 0) {}

  fixpoint_solver solver;
  fixpoint_changes changes;
  std::vector<std::uint8_t> noted;       ///< by edge: looked at in this run
  std::vector<std::uint32_t> looked_at;  ///< these
};

/// One run of one node.
class fixpoint_run {
 public:
  fixpoint_run(page_runner& runner, const plan_node& node, const plan_operation& op) noexcept
      : runner_(runner),
        node_(node),
        op_(op),
        shape_(runner.graph().fixpoints[op.payload]),
        kernels_(*fixpoint_kernels_of(runner.instruction_set(), op.semiring, op.type)),
        is_weighted_(shape_.is_weighted) {
    if (shape_.is_group) return;
    for (unsigned end = 0; end < 2; ++end) ends_[end] = runner.paged(runner.operand(node, end + 1));
    if (is_weighted_) weights_ = runner.paged(runner.operand(node, 3));
  }

  status from_scratch(std::unique_ptr<operator_memory>& memory, whole_result& out);
  status from_memory(fixpoint_memory& memory, whole_result& out, bool& usable);

 private:
  /// Calls `visitor(operand, page, first line of the base, lines)` for every page that holds base
  /// lines, in rising order.
  template <class Visitor>
  void for_each_base_page(const Visitor& visitor) const {
    const auto visit = [&](std::uint32_t which, std::uint64_t first, std::uint64_t lines) {
      const plan_operand& operand = runner_.operand(node_, which);
      const unsigned each = lines_of(operand.page);
      for (std::uint64_t at = 0; at < lines; at += each) {
        visitor(operand, static_cast<std::uint32_t>(at / each), first + at,
                static_cast<unsigned>(std::min<std::uint64_t>(each, lines - at)));
      }
    };
    if (!shape_.is_group) {
      return visit(0, 0, std::uint64_t{shape_.vertices} * shape_.row_lines);
    }
    for (std::uint32_t vertex = 0; vertex < shape_.vertices; ++vertex) {
      if (shape_.base_rows[vertex] == no_index) continue;
      visit(shape_.base_rows[vertex], std::uint64_t{vertex} * shape_.row_lines, shape_.row_lines);
    }
  }
  void load_base(fixpoint_solver& solver) const;
  [[nodiscard]] status load_edges(fixpoint_solver& solver) const;
  [[nodiscard]] static const std::byte* element_of(const paged_view& array, std::uint32_t index,
                                                   unsigned shift) noexcept {
    const std::size_t frame = array.frames[index >> array.page_shift];
    const std::uint32_t place = index & ((std::uint32_t{1} << array.page_shift) - 1);
    return array.base + (frame << array.frame_shift) + (std::size_t{place} << shift);
  }
  /// Both ends, or none where either says so or the weight gives nothing.
  void read_edge(std::uint32_t edge, edge_change& out) const noexcept;
  void drop_zero(edge_change& out) const noexcept;
  [[nodiscard]] status check_edge(const edge_change& change) const;
  void find_base_changes(fixpoint_memory& memory, bool trust) const;
  [[nodiscard]] status find_edge_changes(fixpoint_memory& memory, bool trust) const;
  [[nodiscard]] status look_at_edge(fixpoint_memory& memory, std::uint32_t edge) const;
  void list_parts(const fixpoint_solver& solver, whole_result& out) const;
  [[nodiscard]] status not_converged(const fixpoint_outcome& outcome) const;

  page_runner& runner_;
  const plan_node& node_;
  const plan_operation& op_;
  const fixpoint_shape& shape_;
  const fixpoint_kernels& kernels_;
  const bool is_weighted_;
  paged_view ends_[2] = {};
  paged_view weights_ = {};
};

void fixpoint_run::read_edge(std::uint32_t edge, edge_change& out) const noexcept {
  if (shape_.is_group) {
    const fixpoint_edge& fixed = shape_.edges[edge];
    out.new_from = fixed.from;
    out.new_to = fixed.to;
    out.new_weight = fixed.weight;
    return drop_zero(out);
  }
  std::memcpy(&out.new_from, element_of(ends_[0], edge, 2), sizeof out.new_from);
  std::memcpy(&out.new_to, element_of(ends_[1], edge, 2), sizeof out.new_to);
  if (out.new_from == no_vertex || out.new_to == no_vertex) {
    out.new_from = out.new_to = no_vertex;
  }
  out.new_weight = 0;
  if (!is_weighted_) return;
  const unsigned shift = size_shift(op_.type);
  std::memcpy(&out.new_weight, element_of(weights_, edge, shift), std::size_t{1} << shift);
  drop_zero(out);
}

void fixpoint_run::drop_zero(edge_change& out) const noexcept {
  if (is_weighted_ && kernels_.is_zero(reinterpret_cast<const std::byte*>(&out.new_weight))) {
    out.new_from = out.new_to = no_vertex;
  }
}

status fixpoint_run::check_edge(const edge_change& change) const {
  if (change.new_from == no_vertex) return {};
  if (change.new_from >= shape_.vertices || change.new_to >= shape_.vertices) {
    return make_status(status_code::operator_failed, subsystem::propagate,
                       "an edge of a fixpoint ends at no vertex",
                       "edge %u of '%s' leads from %u to %u, there are %u vertices", change.edge,
                       runner_.name_of_result(node_).c_str(), change.new_from, change.new_to,
                       shape_.vertices);
  }
  if (is_weighted_ &&
      !kernels_.is_monotone(reinterpret_cast<const std::byte*>(&change.new_weight))) {
    return make_status(status_code::operator_failed, subsystem::propagate,
                       "an edge of a fixpoint has a weight that its semiring does not take",
                       "edge %u of '%s', %s", change.edge, runner_.name_of_result(node_).c_str(),
                       name_of(op_.semiring).data());
  }
  return {};
}

status fixpoint_run::not_converged(const fixpoint_outcome& outcome) const {
  return make_status(status_code::not_converged, subsystem::propagate,
                     "a fixpoint goes on changing: a cycle improves what goes round it, or the "
                     "bound is too low",
                     "'%s', vertex %u of %u, after %u rounds",
                     runner_.name_of_result(node_).c_str(), outcome.vertex, shape_.vertices,
                     outcome.iterations);
}

void fixpoint_run::load_base(fixpoint_solver& solver) const {
  if (shape_.is_group) {  // a member may have no base
    for (std::uint64_t line = 0; line < solver.line_count(); ++line) {
      kernels_.clear(solver.base_line(line), 1);
    }
  }
  for_each_base_page([&](const plan_operand& operand, std::uint32_t page, std::uint64_t first,
                         unsigned lines) {
    std::memcpy(solver.base_line(first), runner_.page_of(operand, page), lines * line_size);
  });
}

status fixpoint_run::load_edges(fixpoint_solver& solver) const {
  for (std::uint32_t edge = 0; edge < shape_.edge_capacity; ++edge) {
    edge_change change{};
    change.edge = edge;
    read_edge(edge, change);
    SHEAF_TRY(check_edge(change));
    solver.set_edge(edge, change.new_from, change.new_to, change.new_weight);
  }
  return {};
}

status fixpoint_run::from_scratch(std::unique_ptr<operator_memory>& memory, whole_result& out) {
  const bool annihilates = op_.semiring != semiring_id::max_plus || op_.type == dtype::i32 ||
                           op_.type == dtype::i64 || is_float(op_.type);
  const fixpoint_size size{
      .vertices = shape_.vertices,
      .edge_capacity = shape_.edge_capacity,
      .row_lines = shape_.row_lines,
      .weight_bytes = is_weighted_ ? 1u << size_shift(op_.type) : 0,
      .iterations_max = shape_.iterations_max,
      .zero_annihilates = annihilates,
  };
  auto made = std::make_unique<fixpoint_memory>(size, kernels_);
  load_base(made->solver);
  SHEAF_TRY(load_edges(made->solver));
  const fixpoint_outcome outcome = made->solver.solve();
  runner_.counters().lines_relaxed += made->solver.take_lines_relaxed();
  if (!outcome.converged) return not_converged(outcome);
  out.data = made->solver.rows();
  memory = std::move(made);
  return {};
}

void fixpoint_run::find_base_changes(fixpoint_memory& memory, bool trust) const {
  fixpoint_changes& changes = memory.changes;
  for_each_base_page([&](const plan_operand& operand, std::uint32_t page, std::uint64_t first,
                         unsigned count) {
    line_mask lines = first_lines(count);
    if (trust) lines &= runner_.changed_lines(operand, page);
    if (lines == 0) return;
    const std::byte* const now = runner_.page_of(operand, page);
    for_each_line(lines, [&](unsigned line) {
      const std::byte* const was = memory.solver.base_line(first + line);
      const std::byte* const is = now + line * line_size;
      if (std::memcmp(was, is, line_size) == 0) return;
      changes.base_lines.push_back(first + line);
      std::memcpy(changes.base_content.emplace_back().bytes, is, line_size);
      changes.retracts = changes.retracts || kernels_.difference(was, is, 1).lost != 0;
    });
  });
}

status fixpoint_run::look_at_edge(fixpoint_memory& memory, std::uint32_t edge) const {
  if (memory.noted[edge] != 0) return {};
  memory.noted[edge] = 1;
  memory.looked_at.push_back(edge);
  const edge_lists& known = memory.solver.edges();
  edge_change change{};
  change.edge = edge;
  change.old_from = known.from(edge);
  change.old_to = known.to(edge);
  change.old_weight = memory.solver.weight(edge);
  read_edge(edge, change);
  const bool same_ends = change.old_from == change.new_from && change.old_to == change.new_to;
  const bool existed = change.old_from != no_vertex;
  if (same_ends && (!existed || change.old_weight == change.new_weight)) return {};
  SHEAF_TRY(check_edge(change));
  memory.changes.edges.push_back(change);
  if (!existed || memory.changes.retracts) return {};
  memory.changes.retracts =
      !same_ends || !kernels_.improves(reinterpret_cast<const std::byte*>(&change.old_weight),
                                       reinterpret_cast<const std::byte*>(&change.new_weight));
  return {};
}

status fixpoint_run::find_edge_changes(fixpoint_memory& memory, bool trust) const {
  if (shape_.is_group) return {};
  if (!trust) {
    for (std::uint32_t edge = 0; edge < shape_.edge_capacity; ++edge) {
      SHEAF_TRY(look_at_edge(memory, edge));
    }
    return {};
  }
  for (std::uint32_t which = 1; which < op_.operand_count; ++which) {
    const plan_operand& operand = runner_.operand(node_, which);
    const unsigned per_line = static_cast<unsigned>(line_size >> size_shift(operand.type));
    const std::uint32_t pages = runner_.graph().page_count_of(operand.producer);
    for (std::uint32_t page = 0; page < pages; ++page) {
      line_mask lines = runner_.changed_lines(operand, page);
      for (; lines != 0; lines &= lines - 1) {
        const std::uint64_t line = std::uint64_t{page} * lines_of(operand.page) +
                                   static_cast<unsigned>(std::countr_zero(lines));
        const std::uint64_t end =
            std::min<std::uint64_t>((line + 1) * per_line, shape_.edge_capacity);
        for (std::uint64_t edge = line * per_line; edge < end; ++edge) {
          SHEAF_TRY(look_at_edge(memory, static_cast<std::uint32_t>(edge)));
        }
      }
    }
  }
  return {};
}

/// The pages that hold the rows the solver changed.
void fixpoint_run::list_parts(const fixpoint_solver& solver, whole_result& out) const {
  const unsigned each = lines_of(op_.page);
  std::vector<page_lines>& parts = out.parts;
  for (const changed_row& row : solver.changed()) {
    line_mask left = row.lines;
    for (std::uint64_t at = row.first_line; left != 0;) {
      const auto inside = static_cast<unsigned>(at & (each - 1));
      const unsigned span = each - inside;
      const line_mask here = left & first_lines(span);
      if (here != 0) {
        parts.push_back({static_cast<std::uint32_t>(at / each), here << inside});
      }
      left = span >= 64 ? 0 : left >> span;
      at += span;
    }
  }
  std::sort(parts.begin(), parts.end(),
            [](const auto& a, const auto& b) { return a.page < b.page; });
  std::size_t count = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (count != 0 && parts[count - 1].page == parts[i].page) {
      parts[count - 1].lines |= parts[i].lines;
    } else {
      parts[count++] = parts[i];
    }
  }
  parts.resize(count);
}

status fixpoint_run::from_memory(fixpoint_memory& memory, whole_result& out, bool& usable) {
  const bool trust = memory.is_current;
  memory.changes.clear();
  find_base_changes(memory, trust);
  const status found = find_edge_changes(memory, trust);
  for (const std::uint32_t edge : memory.looked_at) memory.noted[edge] = 0;
  memory.looked_at.clear();
  SHEAF_TRY(found);
  usable = false;
  const fixpoint_outcome outcome = memory.solver.update(memory.changes);
  runner_.counters().lines_relaxed += memory.solver.take_lines_relaxed();
  if (!outcome.converged) return not_converged(outcome);
  usable = true;
  out.data = memory.solver.rows();
  out.is_all = !trust;
  if (trust) list_parts(memory.solver, out);
  return {};
}

status run_fixpoint(page_runner& runner, const plan_node& node, const plan_operation& op,
                    std::unique_ptr<operator_memory>& memory, whole_result& out) {
  bool usable = true;
  status done;
  try {
    fixpoint_run run(runner, node, op);
    if (memory == nullptr) return run.from_scratch(memory, out);
    done = run.from_memory(static_cast<fixpoint_memory&>(*memory), out, usable);
  } catch (const std::bad_alloc&) {
    usable = false;
    done = make_status(status_code::out_of_memory, subsystem::propagate,
                       "no memory for the rows of a fixpoint", "array '%s'",
                       runner.name_of_result(node).c_str());
  }
  if (!usable) memory.reset();
  return done;
}

status resolve_fixpoint(const plan&, const plan_operation& op, const kernel_table& kernels,
                        resolved_operation&) {
  if (fixpoint_kernels_of(kernels.set, op.semiring, op.type) != nullptr) return {};
  return make_status(status_code::unsupported, subsystem::propagate,
                     "this build has no fixpoint for the semiring", "%s on %s",
                     name_of(op.semiring).data(), name_of(op.type).data());
}

}  // namespace

constinit const operator_rules fixpoint_rules = {.pushed_only = true,
                                                 .by_element = false,
                                                 .push = push_whole,
                                                 .pull = nullptr,
                                                 .run = nullptr,
                                                 .resolve = resolve_fixpoint,
                                                 .run_whole = run_fixpoint};

}  // namespace sheaf::inline v0
