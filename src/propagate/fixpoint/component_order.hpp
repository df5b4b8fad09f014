/// \file
/// The vertices of a fixpoint in an order in which edges lead forward, but for those inside a
/// *component*: a run of consecutive places that holds whole strongly connected groups.
///
/// The order follows the edges lazily. An edge taken away leaves it valid, only its components may
/// be coarser than need be; an edge that leads backward makes it wrong inside the window of places
/// between its ends, and only there. `refresh` orders such windows again, by Tarjan's algorithm
/// (Tarjan 1972, with its stack on the heap) on the edges inside the window: what leads into a
/// window or out of it leads to the same side as before.
///
/// Invariants
///  1. `order-is-a-permutation`: `vertex_at(place_of(v)) == v`.
///  2. `edges-lead-forward`: with no window noted, an edge leads to the same component or a later
///     one.
///
/// Thread safety: as a standard container. Cost: `refresh` O(vertices and edges in the windows).
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "propagate/fixpoint/edge_lists.hpp"

namespace sheaf::inline v0 {

class component_order {
 public:
  /// Places [begin, end).
  struct range {
    std::uint32_t begin, end;
  };

  /// Every vertex a component of its own, in order of number; right where there is no edge.
  explicit component_order(std::uint32_t vertices);

  [[nodiscard]] std::uint32_t place_of(std::uint32_t vertex) const noexcept {
    return place_[vertex];
  }
  [[nodiscard]] std::uint32_t vertex_at(std::uint32_t place) const noexcept {
    return vertex_[place];
  }
  [[nodiscard]] range component_at(std::uint32_t place) const noexcept {
    return component_[component_number_[place]];
  }
  [[nodiscard]] bool same_component(std::uint32_t a, std::uint32_t b) const noexcept {
    return component_number_[place_[a]] == component_number_[place_[b]];
  }

  /// Says that there is a new edge.
  void note_inserted(std::uint32_t from, std::uint32_t to);
  /// Says that an edge is gone: its component may fall apart.
  void note_erased(std::uint32_t from, std::uint32_t to);
  /// Orders the noted windows again.
  void refresh(const edge_lists& edges);
  /// Orders everything again.
  void rebuild(const edge_lists& edges);

 private:
  struct frame {
    std::uint32_t vertex;
    std::uint32_t next;  ///< into its out arcs
  };
  void order_window(const edge_lists& edges, range window);
  void walk(const edge_lists& edges, std::uint32_t start, range window);
  void close_component(std::uint32_t root);

  std::vector<std::uint32_t> place_;             ///< by vertex
  std::vector<std::uint32_t> vertex_;            ///< by place
  std::vector<std::uint32_t> component_number_;  ///< by place: the first place of its component
  std::vector<range> component_;                 ///< by first place
  std::vector<range> windows_;                   ///< noted, in no order, may overlap

  // Scratch of `order_window`, by vertex.
  std::vector<std::uint32_t> number_;  ///< order of entry from 1 on; 0: not met; `closed`
  std::vector<std::uint32_t> lowest_;
  std::vector<std::uint32_t> open_;
  std::vector<frame> stack_;
  std::vector<std::uint32_t> closed_vertices_;  ///< components in the order they close
  std::vector<std::uint32_t> closed_sizes_;
  std::uint32_t counter_ = 0;
};

}  // namespace sheaf::inline v0
