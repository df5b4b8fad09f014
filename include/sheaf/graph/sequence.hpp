/// \file
/// Definitions over the order of elements and of epochs: running folds, histograms, sorting, the
/// first k, gathering by an array of indices, delay.
///
/// Thread safety: values.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <sheaf/algebra/scalar.hpp>
#include <sheaf/graph/definition.hpp>

namespace sheaf::inline v0 {

struct scan_options {
  /// Element i is the fold of what comes before it, not of what comes up to it. Where nothing does,
  /// it is the semiring's zero.
  bool exclusive = false;
  /// Elements where a segment begins, in any order, each below the operand's length: the scan
  /// restarts there. Element 0 always begins one.
  std::vector<std::uint32_t> starts = {};
  /// The scan restarts where the next element belongs to another group. An element is in one group
  /// at most; elements in none form segments too.
  std::optional<segments> groups = {};
};

/// Element i is the fold of the elements up to i with the semiring's plus, in the fixed order of
/// `sheaf/algebra/scan_order.hpp`. As long as `values`.
///
/// Cost: O(n). A change at element i recomputes from the block of 64 that holds it on, as far as
/// running values change: all of the rest for sums, little for min, max or `or`.
template <expression_operand X>
[[nodiscard]] auto scan(semiring_id semiring, X&& values, scan_options options = {}) {
  using T = expression_value<X>;
  return definition<T>({.kind = definition_data::form::scan,
                        .semiring = semiring,
                        .steps = expression<T>(std::forward<X>(values)).steps(),
                        .groups = options.groups ? options.groups->table() : nullptr,
                        .indices = std::move(options.starts),
                        .exclusive = options.exclusive});
}

/// The most bins of a histogram.
inline constexpr std::uint32_t histogram_bins_max = 4096;

/// What becomes of values below the first edge, or at or above the last.
enum class outside_bins : std::uint8_t {
  drop,   ///< counted nowhere
  clamp,  ///< counted in the first and in the last bin
};

/// Edges of `bins` even bins from `low` to `high`: edge i is low + (high - low) * i / bins, for
/// floats in double and rounded once to `T`, for integers rounded down.
template <element T>
[[nodiscard]] std::vector<T> even_edges(T low, T high, std::uint32_t bins) {
  std::vector<T> edges;
  for (std::uint64_t i = 0; i < bins; ++i) {
    if constexpr (float_element<T>) {
      const double width = static_cast<double>(high) - static_cast<double>(low);
      edges.push_back(static_cast<T>(static_cast<double>(low) + width * static_cast<double>(i) /
                                                                    static_cast<double>(bins)));
    } else {
      const auto width = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
      const std::uint64_t part = width / bins * i + width % bins * i / bins;
      edges.push_back(static_cast<T>(static_cast<std::uint64_t>(low) + part));
    }
  }
  if (bins != 0) edges.push_back(high);
  return edges;
}

/// Element b counts the values with edges[b] <= value < edges[b + 1]. Edges rise; there are at
/// least 2 and at most `histogram_bins_max` + 1. A NaN is counted nowhere. Counts wrap.
///
/// Cost: a changed value recounts its chunk (1024 values, or four times the bins if that is more)
/// and the sums above; the rows of counts of all chunks are kept: at most n / 4 of them, or one.
template <element Count = std::uint32_t, expression_operand X>
  requires(std::same_as<Count, std::uint32_t> || std::same_as<Count, std::uint64_t>)
[[nodiscard]] definition<Count> histogram(X&& values,
                                          const std::vector<expression_value<X>>& edges,
                                          outside_bins outside = outside_bins::drop) {
  using T = expression_value<X>;
  std::vector<std::uint64_t> bits;
  for (const T edge : edges) bits.push_back(constant_bits(edge));
  return definition<Count>({.kind = definition_data::form::histogram,
                            .steps = expression<T>(std::forward<X>(values)).steps(),
                            .clamp = outside == outside_bins::clamp,
                            .from = dtype_of<T>,
                            .bits = std::move(bits)});
}

/// Which way a sort goes.
enum class order : std::uint8_t { ascending, descending };

/// Element r is the index of the value that comes at rank r. Stable: equal values in the order of
/// their indices, both ways. Floats are ordered by IEEE 754 with -0 before +0; NaNs are equal and
/// come last, both ways. Fewer than 2^32 - 1 values.
///
/// Cost: sorted runs of one page, merged two by two; every level is kept (8 bytes a value and
/// level, 16 for values of 8 bytes). A changed page sorts itself again and merges along its path,
/// the last merge over half of all values or more: O(n), without the log n comparisons of each.
template <expression_operand X>
[[nodiscard]] definition<std::uint32_t> sort_index(X&& values, order way = order::ascending) {
  using T = expression_value<X>;
  return definition<std::uint32_t>({.kind = definition_data::form::sort_index,
                                    .steps = expression<T>(std::forward<X>(values)).steps(),
                                    .descending = way == order::descending,
                                    .from = dtype_of<T>,
                                    .taken = ~std::uint64_t{0}});
}

/// The first `count` elements of `sort_index`; `count` is at least 1 and at most as many as there
/// are values.
///
/// Cost: a changed page costs O(page + count * log2(pages)).
template <expression_operand X>
[[nodiscard]] definition<std::uint32_t> top_k_index(X&& values, std::uint64_t count,
                                                    order way = order::descending) {
  using T = expression_value<X>;
  return definition<std::uint32_t>({.kind = definition_data::form::sort_index,
                                    .steps = expression<T>(std::forward<X>(values)).steps(),
                                    .descending = way == order::descending,
                                    .from = dtype_of<T>,
                                    .taken = count});
}

/// The values that `top_k_index` names, in its order.
template <expression_operand X>
[[nodiscard]] auto top_k(X&& values, std::uint64_t count, order way = order::descending) {
  using T = expression_value<X>;
  return definition<T>({.kind = definition_data::form::top_k,
                        .steps = expression<T>(std::forward<X>(values)).steps(),
                        .descending = way == order::descending,
                        .from = dtype_of<T>,
                        .taken = count});
}

/// Element i is `from[at[i]]`, or zero bits where `at[i]` is past the end of `from`. As long as
/// `at`, whose elements may change.
///
/// Cost: a changed index rereads its line. A change of `from` rereads every element of the result,
/// since which of them name a changed element is not kept; give `gather` the indices at declaration
/// where they never change.
template <element T, std::same_as<array<std::uint32_t>> Indices>
[[nodiscard]] definition<T> gather(array<T> from, Indices at) {
  return definition<T>({.kind = definition_data::form::gather_at,
                        .steps = expression<T>(from).steps(),
                        .at = at.handle()});
}

/// What `followed` was at the epoch before; at epoch 1, `initial` everywhere. It is state, not a
/// function of the present: loops are allowed through it, every commit moves it on by one epoch
/// (an empty commit too), and `audit` takes it as it is. Never lazy, nor over a lazy array.
///
/// Cost: the lines of `followed` that changed in the last commit are copied in the next.
template <element T>
[[nodiscard]] definition<T> delay(array<T> followed, T initial = T{}) {
  return definition<T>({.kind = definition_data::form::delay,
                        .bits = {constant_bits(canonical(initial))},
                        .at = followed.handle()});
}

}  // namespace sheaf::inline v0
