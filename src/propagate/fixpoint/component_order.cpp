#include "propagate/fixpoint/component_order.hpp"

#include <algorithm>
#include <numeric>

namespace sheaf::inline v0 {

namespace {
constexpr std::uint32_t closed = 0xffff'ffffu;
}

component_order::component_order(std::uint32_t vertices)
    : place_(vertices),
      vertex_(vertices),
      component_number_(vertices),
      component_(vertices),
      number_(vertices, 0),
      lowest_(vertices, 0) {
  std::iota(place_.begin(), place_.end(), 0u);
  std::iota(vertex_.begin(), vertex_.end(), 0u);
  std::iota(component_number_.begin(), component_number_.end(), 0u);
  for (std::uint32_t i = 0; i < vertices; ++i) component_[i] = {i, i + 1};
}

void component_order::note_inserted(std::uint32_t from, std::uint32_t to) {
  const range source = component_at(place_[from]);
  const range target = component_at(place_[to]);
  if (source.begin > target.begin) windows_.push_back({target.begin, source.end});
}

void component_order::note_erased(std::uint32_t from, std::uint32_t to) {
  const range source = component_at(place_[from]);
  if (source.end - source.begin > 1 && same_component(from, to)) windows_.push_back(source);
}

void component_order::refresh(const edge_lists& edges) {
  std::sort(windows_.begin(), windows_.end(),
            [](const range& a, const range& b) { return a.begin < b.begin; });
  for (std::size_t i = 0; i < windows_.size();) {
    range joined = windows_[i];
    for (++i; i < windows_.size() && windows_[i].begin < joined.end; ++i) {
      joined.end = std::max(joined.end, windows_[i].end);
    }
    order_window(edges, joined);
  }
  windows_.clear();
}

void component_order::rebuild(const edge_lists& edges) {
  windows_.clear();
  order_window(edges, {0, static_cast<std::uint32_t>(vertex_.size())});
}

void component_order::order_window(const edge_lists& edges, range window) {
  closed_vertices_.clear();
  closed_sizes_.clear();
  counter_ = 0;
  for (std::uint32_t place = window.begin; place < window.end; ++place) {
    number_[vertex_[place]] = 0;
  }
  for (std::uint32_t place = window.begin; place < window.end; ++place) {
    if (number_[vertex_[place]] == 0) walk(edges, vertex_[place], window);
  }
  // Components close after everything they lead to, so the last one closed comes first.
  std::uint32_t place = window.begin;
  std::size_t end = closed_vertices_.size();
  for (std::size_t i = closed_sizes_.size(); i-- > 0;) {
    const std::uint32_t size = closed_sizes_[i];
    end -= size;
    component_[place] = {place, place + size};
    for (std::uint32_t k = 0; k < size; ++k) {
      const std::uint32_t vertex = closed_vertices_[end + k];
      vertex_[place + k] = vertex;
      place_[vertex] = place + k;
      component_number_[place + k] = place;
    }
    place += size;
  }
}

void component_order::walk(const edge_lists& edges, std::uint32_t start, range window) {
  const auto enter = [&](std::uint32_t vertex) {
    number_[vertex] = lowest_[vertex] = ++counter_;
    open_.push_back(vertex);
    stack_.push_back({vertex, 0});
  };
  enter(start);
  while (!stack_.empty()) {
    frame& top = stack_.back();
    const std::uint32_t at = top.vertex;
    const auto arcs = edges.out(at);
    if (top.next < arcs.size()) {
      const std::uint32_t other = arcs[top.next++].vertex;
      if (place_[other] < window.begin || place_[other] >= window.end) continue;
      if (number_[other] == 0) enter(other);
      else if (number_[other] != closed) lowest_[at] = std::min(lowest_[at], number_[other]);
      continue;
    }
    stack_.pop_back();
    if (!stack_.empty()) {
      std::uint32_t& above = lowest_[stack_.back().vertex];
      above = std::min(above, lowest_[at]);
    }
    if (lowest_[at] == number_[at]) close_component(at);
  }
}

/// Members come in order of entry, so inside a component most edges lead forward too.
void component_order::close_component(std::uint32_t root) {
  std::size_t first = open_.size();
  while (open_[--first] != root) {
  }
  for (std::size_t i = first; i < open_.size(); ++i) {
    number_[open_[i]] = closed;
    closed_vertices_.push_back(open_[i]);
  }
  closed_sizes_.push_back(static_cast<std::uint32_t>(open_.size() - first));
  open_.resize(first);
}

}  // namespace sheaf::inline v0
