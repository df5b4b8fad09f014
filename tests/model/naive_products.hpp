/// \file
/// spmv, stencil, gemv and matmul in the plainest way, element by element, by the rules that
/// sheaf/graph states. No pages, no lines.
///
/// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <sheaf/algebra/scalar.hpp>
#include <sheaf/algebra/semiring.hpp>
#include <sheaf/graph/shapes.hpp>

namespace model_test {

/// A semiring's operations on `T`, found at run time.
template <class T>
struct naive_ring {
  T zero;
  T (*plus)(T a, T b);
  T (*times)(T a, T b);
  T (*plus_times)(T sum, T a, T b);
};
template <class T>
naive_ring<T> ring_of(sheaf::semiring_id id) {
  return sheaf::visit_semiring(id, []<class S>(S) -> naive_ring<T> {
    if constexpr (S::supports(sheaf::dtype_of<T>)) {
      return {S::template zero<T>(), [](T a, T b) { return S::plus(a, b); },
              [](T a, T b) { return S::times(a, b); },
              [](T sum, T a, T b) { return S::plus_times(sum, a, b); }};
    } else {
      return {};
    }
  });
}

/// A fold that may have no terms.
template <class T>
class running_fold {
 public:
  explicit running_fold(const naive_ring<T>& ring) : ring_(ring) {}
  void add(T value, T weight) {
    sum_ = has_terms_ ? ring_.plus_times(sum_, value, weight) : ring_.times(value, weight);
    has_terms_ = true;
  }
  [[nodiscard]] T value() const { return sheaf::canonical(has_terms_ ? sum_ : ring_.zero); }

 private:
  const naive_ring<T>& ring_;
  T sum_{};
  bool has_terms_ = false;
};

template <class T>
std::vector<T> naive_spmv(sheaf::semiring_id semiring, const std::vector<std::uint32_t>& offsets,
                          const std::vector<std::uint32_t>& columns, const std::vector<T>& values,
                          const std::vector<T>& x) {
  const naive_ring<T> ring = ring_of<T>(semiring);
  std::vector<T> out;
  for (std::size_t row = 0; row + 1 < offsets.size(); ++row) {
    running_fold<T> fold(ring);
    for (std::uint32_t e = offsets[row]; e < offsets[row + 1]; ++e) {
      fold.add(values[e], x[columns[e]]);
    }
    out.push_back(fold.value());
  }
  return out;
}

/// In 64 chains by column modulo 64; those that have a column are folded by halves.
template <class T>
std::vector<T> naive_gemv(sheaf::semiring_id semiring, const std::vector<T>& a,
                          const std::vector<T>& x) {
  const naive_ring<T> ring = ring_of<T>(semiring);
  std::vector<T> out;
  for (std::size_t row = 0; row < a.size() / x.size(); ++row) {
    std::vector<T> chains;
    for (std::size_t c = 0; c < x.size(); ++c) {
      const T left = a[row * x.size() + c];
      if (c < 64) chains.push_back(ring.times(left, x[c]));
      else chains[c % 64] = ring.plus_times(chains[c % 64], left, x[c]);
    }
    for (std::size_t stride = 32; stride != 0; stride /= 2) {
      for (std::size_t i = 0; i < stride && i + stride < chains.size(); ++i) {
        chains[i] = ring.plus(chains[i], chains[i + stride]);
      }
    }
    out.push_back(sheaf::canonical(chains[0]));
  }
  return out;
}

template <class T>
std::vector<T> naive_matmul(sheaf::semiring_id semiring, const std::vector<T>& a,
                            const std::vector<T>& b, std::size_t inner) {
  const naive_ring<T> ring = ring_of<T>(semiring);
  const std::size_t columns = b.size() / inner;
  std::vector<T> out;
  for (std::size_t row = 0; row < a.size() / inner; ++row) {
    for (std::size_t c = 0; c < columns; ++c) {
      running_fold<T> fold(ring);
      for (std::size_t k = 0; k < inner; ++k) fold.add(a[row * inner + k], b[k * columns + c]);
      out.push_back(fold.value());
    }
  }
  return out;
}

template <class T>
struct naive_tap {
  std::int32_t row;
  std::int32_t column;
  T weight;
};

/// The place on an axis that the rule reads; none where nothing of the array is read.
inline std::optional<std::int64_t> place_on(std::int64_t place, std::int64_t size,
                                            sheaf::boundary edge) {
  if (place >= 0 && place < size) return place;
  if (edge == sheaf::boundary::clamp) return place < 0 ? 0 : size - 1;
  if (edge == sheaf::boundary::wrap) return ((place % size) + size) % size;
  return std::nullopt;
}

template <class T>
std::vector<T> naive_stencil(sheaf::semiring_id semiring, std::int64_t rows, std::int64_t columns,
                             const std::vector<T>& in,
                             const std::vector<naive_tap<T>>& taps, sheaf::boundary edge,
                             T outside) {
  const naive_ring<T> ring = ring_of<T>(semiring);
  std::vector<T> out;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      running_fold<T> fold(ring);
      for (const naive_tap<T>& tap : taps) {
        const auto from_row = place_on(r + tap.row, rows, edge);
        const auto from_column = place_on(c + tap.column, columns, edge);
        if (from_row && from_column) {
          fold.add(in[static_cast<std::size_t>(*from_row * columns + *from_column)], tap.weight);
        } else if (edge == sheaf::boundary::constant) {
          fold.add(outside, tap.weight);
        }
      }
      out.push_back(fold.value());
    }
  }
  return out;
}

}  // namespace model_test
