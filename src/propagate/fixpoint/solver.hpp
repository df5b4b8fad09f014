/// \file
/// The least solution of x_v = base_v + (sum over edges u -> v of x_u * w_uv) over an idempotent,
/// monotone semiring, and how it is kept while base, edges and weights change.
///
/// A solver is a triple that fits together: base and edges as it last saw them, and their least
/// solution. It does not know where they come from.
///
/// From scratch: components in topological order; inside one, rounds over the rows that grew.
/// Growth (base elements that got better, new edges, better weights): what is new goes along the
/// edges, semi-naively: a row passes on only the lines that grew (Bancilhon and Ramakrishnan 1986).
/// Retraction: delete and rederive (Gupta, Mumick and Subrahmanian 1993), one component after the
/// other in topological order: what comes in from earlier components is final, so only what a
/// component's rows hold by way of each other has to be deleted on suspicion. In a component
///   1. what rested on a contribution that is gone is deleted, except what base or an earlier
///      component still gives (`kept`), and so on along the component's own edges;
///   2. deleted lines take what base and all edges still give;
///   3. what grew goes along the component's edges, in rounds, until nothing grows;
///   4. what is different in the end goes to later components, as losses and as gains.
/// What rests on a contribution is what equals it. That is enough where no edge of the component
/// can improve what goes along it: then an element that holds its last value by way of others held
/// it later than they. Where one can (a negative weight in min_plus), a value may rest on itself,
/// raised by a cycle up to a bound of the type, and equal nothing it came from. Such a component is
/// *wild*: in the lines in which anything is lost it is emptied and grown again.
///
/// Rows are cut into *blocks* of 64 lines, which do not depend on each other and are solved one by
/// one.
///
/// Invariants
///  1. `never-above-least`: at any time in a run, an element that is not marked as suspect is at
///     most as good as the least solution of the new system.
///  2. `no-state-between-runs`: no vertex has state and the queue is empty.
///
/// Why the bits do not depend on the way: plus and times are monotone on the finitely many values
/// of a type, so there is one least solution, and every order of growing from below it reaches it
/// (Cousot and Cousot 1977).
///
/// Thread safety: as a standard container. Cost: a run is O(edges of rows that changed or were
/// suspected, x lines), plus the windows of `component_order` where something is retracted.
/// Memory: two rows a vertex, 72 bytes a vertex, 60 an edge, and two rows for each row that a
/// single run has ever touched.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <sheaf/propagate/dirty_set.hpp>
#include <sheaf/propagate/fixpoint_kernels.hpp>

#include "propagate/fixpoint/component_order.hpp"
#include "propagate/fixpoint/edge_lists.hpp"
#include "propagate/fixpoint/row_pool.hpp"

namespace sheaf::inline v0 {

struct fixpoint_size {
  std::uint32_t vertices;
  std::uint32_t edge_capacity;
  std::uint32_t row_lines;       ///< lines a vertex
  std::uint32_t weight_bytes;    ///< of one weight; 0: every weight is the semiring's one
  std::uint32_t iterations_max;  ///< 0: one more than the vertices of a component
  bool zero_annihilates;         ///< times(zero, w) is zero for every weight
};

/// Another edge under a number.
struct edge_change {
  std::uint32_t edge;
  std::uint32_t old_from, old_to;  ///< `no_vertex`: there was none
  std::uint32_t new_from, new_to;  ///< the same
  std::uint64_t old_weight;        ///< bit patterns, low bytes first
  std::uint64_t new_weight;
};

/// What is different from what the solver saw last.
struct fixpoint_changes {
  std::vector<std::uint64_t> base_lines;  ///< rising, each once
  std::vector<row_line> base_content;     ///< of these, in the same order
  std::vector<edge_change> edges;         ///< each edge once
  bool retracts = false;                  ///< something may get worse

  void clear() noexcept {
    base_lines.clear();
    base_content.clear();
    edges.clear();
    retracts = false;
  }
  [[nodiscard]] bool empty() const noexcept { return base_lines.empty() && edges.empty(); }
};

/// How a run ended.
struct fixpoint_outcome {
  bool converged = true;
  std::uint32_t vertex = 0;      ///< one that still changed
  std::uint32_t iterations = 0;  ///< rounds made
};

/// Lines of the solution that a run changed.
struct changed_row {
  std::uint64_t first_line;  ///< that bit 0 of `lines` stands for
  line_mask lines;
};

class fixpoint_solver {
 public:
  /// Throws `std::bad_alloc`, as all that follows.
  fixpoint_solver(const fixpoint_size& size, const fixpoint_kernels& kernels);

  // What it holds, to be filled before `solve`.
  [[nodiscard]] std::byte* base_line(std::uint64_t line) noexcept { return base_[line].bytes; }
  void set_edge(std::uint32_t edge, std::uint32_t from, std::uint32_t to, std::uint64_t weight);
  [[nodiscard]] const edge_lists& edges() const noexcept { return edges_; }
  [[nodiscard]] std::uint64_t weight(std::uint32_t edge) const noexcept {
    return weights_.empty() ? 0 : weights_[edge];
  }
  [[nodiscard]] const fixpoint_size& size() const noexcept { return size_; }
  [[nodiscard]] std::uint64_t line_count() const noexcept { return rows_.size(); }

  /// From scratch.
  [[nodiscard]] fixpoint_outcome solve();
  /// From the last solution. After an outcome that did not converge, or an exception, only `solve`
  /// may follow.
  [[nodiscard]] fixpoint_outcome update(const fixpoint_changes& changes);

  /// The solution, line after line.
  [[nodiscard]] const std::byte* rows() const noexcept { return rows_.front().bytes; }
  /// What the last `update` changed.
  [[nodiscard]] std::span<const changed_row> changed() const noexcept { return changed_; }
  /// Lines that contributions of edges or base were looked at for; 0 again after the call.
  [[nodiscard]] std::uint64_t take_lines_relaxed() noexcept {
    return std::exchange(lines_relaxed_, 0);
  }

 private:
  struct vertex_state {
    line_mask grown = 0;       ///< better, not yet passed on inside the component
    line_mask touched = 0;     ///< changed since the component was last finished
    line_mask lost = 0;        ///< something was deleted
    line_mask spread = 0;      ///< of these, not yet passed on inside the component
    line_mask kept_lines = 0;  ///< lines of `kept` that are known
    line_mask result = 0;      ///< different from before, as far as finished
    const std::byte* before = nullptr;  ///< the row before the run; null: not changed yet
    std::byte* kept = nullptr;          ///< what base and earlier components give
    std::uint32_t first_fresh = no_vertex;  ///< into `fresh_`: new edges that begin here
    bool is_member = false;                        ///< in `members_`
    bool is_visited = false;                       ///< in `visited_`
    std::uint8_t wild = 0;  ///< of the first vertex of a component: 1 it is not, 2 it is, 0 not
                            ///< looked yet
  };
  struct fresh_edge {
    std::uint32_t edge;
    std::uint32_t next;  ///< of the same vertex
  };

  [[nodiscard]] std::byte* row(std::uint32_t vertex) noexcept {
    return rows_[std::uint64_t{vertex} * size_.row_lines + block_first_].bytes;
  }
  [[nodiscard]] const std::byte* base_row(std::uint32_t vertex) const noexcept {
    return base_[std::uint64_t{vertex} * size_.row_lines + block_first_].bytes;
  }
  [[nodiscard]] const std::byte* weight_of(std::uint32_t edge) const noexcept {
    return weights_.empty() ? nullptr : reinterpret_cast<const std::byte*>(&weights_[edge]);
  }
  [[nodiscard]] const std::byte* before(std::uint32_t vertex) noexcept {
    const std::byte* saved = state_[vertex].before;
    return saved == nullptr ? row(vertex) : saved;
  }
  vertex_state& visit(std::uint32_t vertex);
  [[nodiscard]] std::byte* writable(std::uint32_t vertex);
  void gain(std::uint32_t vertex, line_mask lines);
  void lose(std::uint32_t vertex, line_mask lines);
  void join(std::uint32_t vertex);
  line_mask relax(std::uint32_t to, std::uint32_t from, std::uint32_t edge, line_mask lines);

  void enter_block(std::uint32_t block) noexcept;
  void apply_edges(std::span<const edge_change> changes);
  std::size_t seed_base(const fixpoint_changes& changes, std::size_t at);
  void seed_edges(std::span<const edge_change> changes);
  [[nodiscard]] bool run_block();
  void leave_block(bool emit);
  [[nodiscard]] bool run_component(component_order::range component);
  [[nodiscard]] bool is_wild(component_order::range component);
  [[nodiscard]] bool is_wild(std::uint32_t vertex) {
    return improving_count_ != 0 && is_wild(order_.component_at(order_.place_of(vertex)));
  }
  void lose_all(std::uint32_t vertex, line_mask lines);
  void empty_component(component_order::range component);
  void put_weight(std::uint32_t edge, std::uint64_t weight);
  void over_delete();
  void spread_losses(std::uint32_t vertex);
  void know_kept(std::uint32_t vertex, line_mask lines);
  void rederive();
  void follow_fresh(std::uint32_t vertex, bool inside);
  [[nodiscard]] bool grow(component_order::range component);
  void finish_component();
  void pass_on(std::uint32_t vertex, const row_difference& different);
  [[nodiscard]] bool is_past_limit(std::uint32_t rounds, std::uint32_t vertices) const noexcept {
    return rounds > (size_.iterations_max == 0 ? vertices + 1 : size_.iterations_max);
  }

  // Constant after construction.
  fixpoint_size size_;
  fixpoint_kernels kernels_;

  // The triple.
  std::vector<row_line> rows_;
  std::vector<row_line> base_;
  std::vector<std::uint64_t> weights_;  ///< bit patterns; empty where there are none
  edge_lists edges_;
  component_order order_;
  std::vector<std::uint8_t> improving_;  ///< by edge: its weight can improve
  std::uint64_t improving_count_ = 0;    ///< of numbers, whether they hold an edge or not

  // Of a run.
  std::vector<vertex_state> state_;
  dirty_set queue_;                     ///< by place: has something to pass on
  std::vector<std::uint32_t> visited_;  ///< vertices with state
  std::vector<std::uint32_t> members_;  ///< of the component at hand, as far as touched
  std::vector<std::uint32_t> wave_;     ///< vertices with losses to spread
  std::vector<fresh_edge> fresh_;
  row_pool saved_;
  row_pool kept_;
  std::vector<row_line> old_base_;      ///< one row
  std::vector<changed_row> changed_;
  fixpoint_outcome outcome_;
  std::uint32_t block_first_ = 0;       ///< first line of the block inside a row
  line_mask block_lines_ = 0;
  std::size_t block_bytes_ = 0;
  bool retracts_ = false;
  bool from_scratch_ = false;
  std::uint64_t lines_relaxed_ = 0;
};

}  // namespace sheaf::inline v0
