#include "propagate/fixpoint/solver.hpp"

#include <algorithm>
#include <cstring>

namespace sheaf::inline v0 {

fixpoint_solver::fixpoint_solver(const fixpoint_size& size, const fixpoint_kernels& kernels)
    : size_(size),
      kernels_(kernels),
      rows_(std::uint64_t{size.vertices} * size.row_lines),
      base_(rows_.size()),
      weights_(size.weight_bytes == 0 ? 0 : size.edge_capacity, 0),
      edges_(size.vertices, size.edge_capacity),
      order_(size.vertices),
      improving_(weights_.size(), 0),
      state_(size.vertices),
      queue_(size.vertices),
      saved_(std::min(size.row_lines, page_lines_max)),
      kept_(std::min(size.row_lines, page_lines_max)),
      old_base_(std::min(size.row_lines, page_lines_max)) {}

void fixpoint_solver::set_edge(std::uint32_t edge, std::uint32_t from, std::uint32_t to,
                               std::uint64_t weight) {
  if (edges_.has(edge)) edges_.erase(edge);
  if (from != no_vertex) edges_.insert(edge, from, to);
  put_weight(edge, weight);
}

void fixpoint_solver::put_weight(std::uint32_t edge, std::uint64_t weight) {
  if (weights_.empty()) return;
  weights_[edge] = weight;
  improving_count_ -= improving_[edge];
  improving_[edge] = kernels_.can_improve(reinterpret_cast<const std::byte*>(&weight));
  improving_count_ += improving_[edge];
}

/// Whether an edge inside the component can improve what goes along it. O(the component), once a
/// run, and only where there is such an edge anywhere.
bool fixpoint_solver::is_wild(component_order::range component) {
  if (improving_count_ == 0) return false;
  const std::uint32_t first = order_.vertex_at(component.begin);
  if (state_[first].wild != 0) return state_[first].wild == 2;
  bool found = false;
  for (std::uint32_t place = component.begin; place < component.end && !found; ++place) {
    const std::uint32_t vertex = order_.vertex_at(place);
    for (const arc& edge : edges_.out(vertex)) {
      found |= improving_[edge.edge] != 0 && order_.same_component(vertex, edge.vertex);
    }
  }
  visit(first).wild = found ? 2 : 1;
  return found;
}

/// In a wild component any loss may reach anything.
void fixpoint_solver::lose_all(std::uint32_t vertex, line_mask lines) {
  (void)writable(vertex);
  lose(vertex, lines);
}

fixpoint_solver::vertex_state& fixpoint_solver::visit(std::uint32_t vertex) {
  vertex_state& state = state_[vertex];
  if (!state.is_visited) {
    visited_.push_back(vertex);
    state.is_visited = true;
  }
  return state;
}

/// The row, its content before the run put aside.
std::byte* fixpoint_solver::writable(std::uint32_t vertex) {
  vertex_state& state = visit(vertex);
  std::byte* const own = row(vertex);
  if (state.before == nullptr) {
    if (from_scratch_) {
      state.before = own;
    } else {
      std::byte* const copy = saved_.take();
      std::memcpy(copy, own, block_bytes_);
      state.before = copy;
    }
  }
  return own;
}

void fixpoint_solver::gain(std::uint32_t vertex, line_mask lines) {
  if (lines == 0) return;
  vertex_state& state = state_[vertex];
  state.grown |= lines;
  state.touched |= lines;
  queue_.insert(order_.place_of(vertex));
}

void fixpoint_solver::lose(std::uint32_t vertex, line_mask lines) {
  if (lines == 0) return;
  state_[vertex].lost |= lines;
  queue_.insert(order_.place_of(vertex));
}

void fixpoint_solver::join(std::uint32_t vertex) {
  vertex_state& state = visit(vertex);
  if (state.is_member) return;
  members_.push_back(vertex);
  state.is_member = true;
}

line_mask fixpoint_solver::relax(std::uint32_t to, std::uint32_t from, std::uint32_t edge,
                                 line_mask lines) {
  lines_relaxed_ += sheaf::line_count(lines);
  return kernels_.relax(writable(to), row(from), weight_of(edge), lines);
}

void fixpoint_solver::enter_block(std::uint32_t block) noexcept {
  block_first_ = block * page_lines_max;
  const std::uint32_t lines = std::min(size_.row_lines - block_first_, page_lines_max);
  block_lines_ = first_lines(lines);
  block_bytes_ = lines * line_size;
}

fixpoint_outcome fixpoint_solver::solve() {
  const std::uint32_t blocks = (size_.row_lines - 1) / page_lines_max + 1;
  leave_block(false);
  order_.rebuild(edges_);
  outcome_ = {};
  changed_.clear();
  retracts_ = false;
  from_scratch_ = true;
  for (std::uint32_t block = 0; block < blocks && outcome_.converged; ++block) {
    enter_block(block);
    for (std::uint32_t vertex = 0; vertex < size_.vertices; ++vertex) {
      std::byte* const own = writable(vertex);
      kernels_.clear(own, block_lines_);
      const line_mask grown = kernels_.relax(own, base_row(vertex), nullptr, block_lines_);
      lines_relaxed_ += sheaf::line_count(block_lines_);
      gain(vertex, size_.zero_annihilates ? grown : block_lines_);
    }
    outcome_.converged = run_block();
    leave_block(false);
  }
  from_scratch_ = false;
  return outcome_;
}

fixpoint_outcome fixpoint_solver::update(const fixpoint_changes& changes) {
  const std::uint32_t blocks = (size_.row_lines - 1) / page_lines_max + 1;
  SHEAF_DASSERT(visited_.empty(), "no-state-between-runs");
  outcome_ = {};
  changed_.clear();
  retracts_ = changes.retracts;
  apply_edges(changes.edges);
  if (retracts_) order_.refresh(edges_);
  for (std::uint32_t block = 0; block < blocks && outcome_.converged; ++block) {
    enter_block(block);
    for (std::size_t at = 0; at < changes.base_lines.size();) at = seed_base(changes, at);
    seed_edges(changes.edges);
    outcome_.converged = run_block();
    leave_block(true);
  }
  return outcome_;
}

void fixpoint_solver::apply_edges(std::span<const edge_change> changes) {
  for (const edge_change& change : changes) {
    if (change.old_from != no_vertex) {
      edges_.erase(change.edge);
      order_.note_erased(change.old_from, change.old_to);
    }
    put_weight(change.edge, change.new_weight);
    if (change.new_from == no_vertex) continue;
    edges_.insert(change.edge, change.new_from, change.new_to);
    order_.note_inserted(change.new_from, change.new_to);
  }
}

/// The changed base lines of one row from `at` on, as far as they lie in the block; returns where
/// the next row's begin.
std::size_t fixpoint_solver::seed_base(const fixpoint_changes& changes, std::size_t at) {
  const std::uint64_t vertex = changes.base_lines[at] / size_.row_lines;
  const std::uint64_t first = vertex * size_.row_lines + block_first_;
  const std::uint64_t end = (vertex + 1) * size_.row_lines;
  const auto which = static_cast<std::uint32_t>(vertex);
  line_mask lines = 0;
  for (; at < changes.base_lines.size() && changes.base_lines[at] < end; ++at) {
    const std::uint64_t line = changes.base_lines[at];
    if (line < first || line - first >= page_lines_max) continue;
    old_base_[line - first] = base_[line];
    base_[line] = changes.base_content[at];
    lines |= line_mask{1} << (line - first);
  }
  if (lines == 0) return at;
  std::byte* const own = writable(which);
  lines_relaxed_ += sheaf::line_count(lines);
  if (retracts_ && is_wild(which)) {
    lose_all(which, lines);
  } else if (retracts_) {
    lose(which, kernels_.retract(own, old_base_.front().bytes, base_row(which), nullptr, nullptr,
                                 lines));
  }
  gain(which, kernels_.relax(own, base_row(which), nullptr, lines));
  return at;
}

/// While only growing, a new edge may be followed at once. Else its source may hold something that
/// is about to be deleted: it waits until the source is final.
void fixpoint_solver::seed_edges(std::span<const edge_change> changes) {
  fresh_.clear();
  for (const edge_change& change : changes) {
    if (retracts_ && change.old_from != no_vertex && is_wild(change.old_to)) {
      lose_all(change.old_to, block_lines_);
    } else if (retracts_ && change.old_from != no_vertex) {
      const auto* weight =
          weights_.empty() ? nullptr : reinterpret_cast<const std::byte*>(&change.old_weight);
      lines_relaxed_ += sheaf::line_count(block_lines_);
      const std::byte* const gave = before(change.old_from);
      std::byte* const own = row(change.old_to);
      const line_mask rests = kernels_.supported(own, gave, nullptr, weight, block_lines_);
      if (rests != 0) {
        (void)writable(change.old_to);
        // A loop's own row is what `writable` has just put aside.
        lose(change.old_to, kernels_.retract(own, before(change.old_from), nullptr, weight,
                                             nullptr, rests));
      }
    }
    if (change.new_from == no_vertex) continue;
    if (!retracts_) {
      const line_mask grown = relax(change.new_to, change.new_from, change.edge, block_lines_);
      gain(change.new_to, grown);
      continue;
    }
    vertex_state& source = visit(change.new_from);
    fresh_.push_back({change.edge, source.first_fresh});
    source.first_fresh = static_cast<std::uint32_t>(fresh_.size() - 1);
    queue_.insert(order_.place_of(change.new_from));
  }
}

/// Sweeps over the order; one is enough unless an edge leads backward, which only growth allows.
bool fixpoint_solver::run_block() {
  std::uint32_t cursor = 0;
  std::uint32_t sweeps = 0;
  for (;;) {
    const std::uint32_t place = queue_.next(cursor);
    if (place == dirty_set::end) {
      if (cursor == 0) return true;
      cursor = 0;
      outcome_.iterations = std::max(outcome_.iterations, ++sweeps);
      if (is_past_limit(sweeps, size_.vertices) && queue_.next(0) != dirty_set::end) {
        outcome_.vertex = order_.vertex_at(queue_.next(0));
        return false;
      }
      continue;
    }
    const component_order::range component = order_.component_at(place);
    if (!run_component(component)) return false;
    cursor = component.end;
  }
}

/// Empties what the run left, and says what it changed.
void fixpoint_solver::leave_block(bool emit) {
  for (const std::uint32_t vertex : visited_) {
    if (emit && state_[vertex].result != 0) {
      changed_.push_back({std::uint64_t{vertex} * size_.row_lines + block_first_,
                          state_[vertex].result});
    }
    state_[vertex] = {};
  }
  visited_.clear();
  members_.clear();
  wave_.clear();
  fresh_.clear();
  saved_.give_back_all();
  kept_.give_back_all();
  queue_.drain([](std::uint32_t) {});
}

bool fixpoint_solver::run_component(component_order::range component) {
  members_.clear();
  for (std::uint32_t place = queue_.next(component.begin); place < component.end;
       place = queue_.next(place + 1)) {
    join(order_.vertex_at(place));
  }
  if (retracts_) {
    if (is_wild(component)) empty_component(component);
    else over_delete();
    rederive();
    // Growing `members_` while it is walked: by index, as far as it was.
    for (std::size_t i = 0, count = members_.size(); i < count; ++i) {
      follow_fresh(members_[i], true);
    }
  }
  if (!grow(component)) return false;
  finish_component();
  return true;
}

/// Every row falls back to what base and earlier components give, in the lines in which any row
/// lost something.
void fixpoint_solver::empty_component(component_order::range component) {
  line_mask lines = 0;
  for (const std::uint32_t vertex : members_) lines |= state_[vertex].lost;
  if (lines == 0) return;
  for (std::uint32_t place = component.begin; place < component.end; ++place) {
    const std::uint32_t vertex = order_.vertex_at(place);
    join(vertex);
    std::byte* const own = writable(vertex);
    know_kept(vertex, lines);
    kernels_.clear(own, lines);
    vertex_state& state = state_[vertex];
    (void)kernels_.relax(own, state.kept, nullptr, lines);
    state.lost |= lines;
    state.touched |= lines;
  }
}

/// Deletes what rests on what was lost, along the component's own edges.
void fixpoint_solver::over_delete() {
  wave_.clear();
  for (const std::uint32_t vertex : members_) {
    vertex_state& state = state_[vertex];
    if (state.lost == 0) continue;
    know_kept(vertex, state.lost);
    state.touched |= state.lost;
    (void)kernels_.relax(row(vertex), state.kept, nullptr, state.lost);
    state.spread = kernels_.difference(state.before, row(vertex), state.lost).lost;
    if (state.spread != 0) wave_.push_back(vertex);
  }
  for (std::size_t at = 0; at < wave_.size(); ++at) spread_losses(wave_[at]);
}

void fixpoint_solver::spread_losses(std::uint32_t vertex) {
  const line_mask lines = std::exchange(state_[vertex].spread, 0);
  for (const arc& edge : edges_.out(vertex)) {
    if (!order_.same_component(vertex, edge.vertex)) continue;
    lines_relaxed_ += sheaf::line_count(lines);
    const std::byte* const was = state_[vertex].before;
    const line_mask rests =
        kernels_.supported(row(edge.vertex), was, row(vertex), weight_of(edge.edge), lines);
    if (rests == 0) continue;
    join(edge.vertex);
    std::byte* const own = writable(edge.vertex);
    know_kept(edge.vertex, rests);
    vertex_state& other = state_[edge.vertex];
    const line_mask gone = kernels_.retract(own, was, row(vertex), weight_of(edge.edge),
                                            other.kept, rests);
    if (gone == 0) continue;
    other.lost |= gone;
    other.touched |= gone;
    if (other.spread == 0) wave_.push_back(edge.vertex);
    other.spread |= gone;
  }
}

/// Fills lines of `kept`: base and the edges that come from earlier components.
void fixpoint_solver::know_kept(std::uint32_t vertex, line_mask lines) {
  vertex_state& state = state_[vertex];
  const line_mask missing = lines & ~state.kept_lines;
  if (missing == 0) return;
  if (state.kept == nullptr) state.kept = kept_.take();
  kernels_.clear(state.kept, missing);
  (void)kernels_.relax(state.kept, base_row(vertex), nullptr, missing);
  const std::uint64_t each = sheaf::line_count(missing);
  lines_relaxed_ += each;
  for (const arc& edge : edges_.in(vertex)) {
    if (order_.same_component(vertex, edge.vertex)) continue;
    (void)kernels_.relax(state.kept, row(edge.vertex), weight_of(edge.edge), missing);
    lines_relaxed_ += each;
  }
  state.kept_lines |= missing;
}

/// Lines that lost something take what the component's own edges still give.
void fixpoint_solver::rederive() {
  for (const std::uint32_t vertex : members_) {
    const line_mask lines = state_[vertex].lost;
    if (lines == 0) continue;
    line_mask grown = 0;
    for (const arc& edge : edges_.in(vertex)) {
      if (!order_.same_component(vertex, edge.vertex)) continue;
      grown |= relax(vertex, edge.vertex, edge.edge, lines);
    }
    gain(vertex, grown);
  }
}

/// All lines along the new edges of a vertex: to its own component, or to others.
void fixpoint_solver::follow_fresh(std::uint32_t vertex, bool inside) {
  for (std::uint32_t at = state_[vertex].first_fresh; at != no_vertex;
       at = fresh_[at].next) {
    const std::uint32_t edge = fresh_[at].edge;
    const std::uint32_t to = edges_.to(edge);
    if (order_.same_component(vertex, to) != inside) continue;
    if (inside) join(to);
    gain(to, relax(to, vertex, edge, block_lines_));
  }
}

/// Rounds inside a component until nothing grows; leaves its part of the queue empty.
bool fixpoint_solver::grow(component_order::range component) {
  const std::uint32_t size = component.end - component.begin;
  for (std::uint32_t round = 1;; ++round) {
    std::uint32_t place = queue_.next(component.begin);
    if (place >= component.end) return true;
    outcome_.iterations = std::max(outcome_.iterations, round);
    if (is_past_limit(round, size)) {
      outcome_.vertex = order_.vertex_at(place);
      return false;
    }
    for (; place < component.end; place = queue_.next(place + 1)) {
      const std::uint32_t vertex = order_.vertex_at(place);
      queue_.reset_bit(place);
      join(vertex);
      const line_mask lines = std::exchange(state_[vertex].grown, 0);
      if (lines == 0 || (size == 1 && !edges_.has_loop(vertex))) continue;
      for (const arc& edge : edges_.out(vertex)) {
        if (!order_.same_component(vertex, edge.vertex)) continue;
        gain(edge.vertex, relax(edge.vertex, vertex, edge.edge, lines));
      }
    }
  }
}

/// The component is final: later ones learn what is different.
void fixpoint_solver::finish_component() {
  for (const std::uint32_t vertex : members_) {
    vertex_state& state = state_[vertex];
    row_difference different{state.touched, 0, state.touched};
    if (retracts_ && state.touched != 0) {
      different = kernels_.difference(state.before, row(vertex), state.touched);
    }
    state.result |= different.changed;
    if (different.changed != 0) pass_on(vertex, different);
    follow_fresh(vertex, false);
    state.touched = state.lost = state.kept_lines = 0;
    state.kept = nullptr;
    state.first_fresh = no_vertex;
    state.is_member = false;
  }
  kept_.give_back_all();
}

void fixpoint_solver::pass_on(std::uint32_t vertex, const row_difference& different) {
  for (const arc& edge : edges_.out(vertex)) {
    if (order_.same_component(vertex, edge.vertex)) continue;
    if (different.lost != 0 && is_wild(edge.vertex)) {
      lose_all(edge.vertex, different.lost);
    } else if (different.lost != 0) {
      lines_relaxed_ += sheaf::line_count(different.lost);
      const std::byte* const was = state_[vertex].before;
      const line_mask rests = kernels_.supported(row(edge.vertex), was, row(vertex),
                                                 weight_of(edge.edge), different.lost);
      if (rests != 0) {
        lose(edge.vertex, kernels_.retract(writable(edge.vertex), was, row(vertex),
                                           weight_of(edge.edge), nullptr, rests));
      }
    }
    if (different.gained != 0) {
      gain(edge.vertex, relax(edge.vertex, vertex, edge.edge, different.gained));
    }
  }
}

}  // namespace sheaf::inline v0
