/// \file
/// The plainest solver of a fixpoint: x = zero, then x_v = base_v + (sum of x_u * w_uv), all at
/// once, until nothing changes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <sheaf/algebra/semiring.hpp>
#include <sheaf/graph/plan.hpp>

namespace engine_test {

template <sheaf::element T>
struct fixpoint_input {
  std::uint32_t vertices = 0;
  std::uint64_t stride = 0;
  std::vector<T> base;
  std::vector<std::uint32_t> from, to;
  std::vector<T> weight;  ///< empty: every edge weighs one
};

/// An edge that weighs the semiring's zero gives nothing; unsigned max_plus has no such zero.
template <class S, sheaf::element T>
bool gives_nothing(T weight) {
  if (S::id == sheaf::semiring_id::max_plus && !std::is_signed_v<T>) return false;
  return weight == S::template zero<T>();
}

/// Nothing where it goes on changing for far longer than a path can be.
template <class S, sheaf::element T>
std::optional<std::vector<T>> solve_plainly(const fixpoint_input<T>& in) {
  const std::size_t size = in.base.size();
  std::vector<T> x(size, S::template zero<T>());
  for (std::uint32_t round = 0; round <= 4 * in.vertices + 8; ++round) {
    std::vector<T> next(size);
    for (std::size_t i = 0; i < size; ++i) {
      next[i] = sheaf::canonical(S::plus(S::template zero<T>(), in.base[i]));
    }
    for (std::size_t e = 0; e < in.from.size(); ++e) {
      if (in.from[e] == sheaf::no_vertex || in.to[e] == sheaf::no_vertex) continue;
      if (!in.weight.empty() && gives_nothing<S>(in.weight[e])) continue;
      for (std::uint64_t column = 0; column < in.stride; ++column) {
        const T value = x[in.from[e] * in.stride + column];
        T& into = next[in.to[e] * in.stride + column];
        const T gives = in.weight.empty() ? value : S::times(value, in.weight[e]);
        into = sheaf::canonical(S::plus(into, gives));
      }
    }
    bool same = true;
    for (std::size_t i = 0; i < size; ++i) same &= sheaf::to_bits(next[i]) == sheaf::to_bits(x[i]);
    if (same) return x;
    x = std::move(next);
  }
  return std::nullopt;
}

}  // namespace engine_test
