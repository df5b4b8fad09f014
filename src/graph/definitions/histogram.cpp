/// \file
/// histogram: a row of counts per chunk of values, then sums of 64 rows, level by level.
#include <bit>

#include <sheaf/graph/sequence.hpp>

#include "graph/definer.hpp"

namespace sheaf::inline v0 {
namespace {

constexpr std::uint64_t chunk_values_min = 1024;
constexpr std::uint64_t rows_summed = 64;

/// The first edge that is not above the one before it, or the number of edges.
std::size_t first_fall(const std::vector<std::uint64_t>& edges, dtype type) {
  return visit_dtype(type, [&]<class T>(std::type_identity<T>) {
    const auto value = [&](std::size_t i) {
      return from_bits<T>(static_cast<bits_of<T>>(edges[i]));
    };
    std::size_t i = 0;
    // Written so that a NaN falls.
    for (; i < edges.size(); ++i) {
      if (!(i == 0 ? value(0) == value(0) : value(i - 1) < value(i))) break;
    }
    return i;
  });
}

}  // namespace

void definer::define_histogram(const definition_data& computed) {
  const std::uint32_t operand = whole_operand(computed.steps, computed.from);
  if (operand == no_index) return;
  if (computed.bits.size() < 2 || computed.bits.size() > histogram_bins_max + std::size_t{1}) {
    return refuse(make_status(
        computed.bits.size() < 2 ? status_code::invalid_argument : status_code::too_many,
        subsystem::graph, "a histogram takes 2 to 4097 edges", "%zu in the definition of '%s'",
        computed.bits.size(), name().c_str()));
  }
  const std::size_t fall = first_fall(computed.bits, computed.from);
  if (fall != computed.bits.size()) {
    return refuse(make_status(status_code::invalid_argument, subsystem::graph,
                              "the edges of a histogram do not rise",
                              "edge %zu in the definition of '%s'", fall, name().c_str()));
  }
  const auto bins = static_cast<std::uint32_t>(computed.bits.size() - 1);
  const auto per_line = static_cast<std::uint32_t>(line_size / size_of(type_));
  const auto payload = static_cast<std::uint32_t>(data_.histograms.size());
  const std::uint64_t chunk = std::max(chunk_values_min, std::bit_ceil(std::uint64_t{bins} * 4));
  const std::uint64_t stride = std::bit_ceil(std::max(bins, per_line));
  data_.histograms.push_back(std::make_shared<const histogram_data>(
      histogram_data{.edges = computed.bits,
                     .type = computed.from,
                     .bins = bins,
                     .stride = static_cast<std::uint32_t>(stride),
                     .chunk = chunk,
                     .clamp = computed.clamp}));
  histogram_steps(operand, payload);
}

void definer::follow_histogram(std::uint32_t payload, std::uint32_t operand) {
  number_from(operand);
  histogram_steps(operand, payload);
}

void definer::histogram_steps(std::uint32_t operand, std::uint32_t payload) {
  const histogram_data& counted = *data_.histograms[payload];
  std::uint64_t rows = (data_.arrays[operand].length - 1) / counted.chunk + 1;
  operator_kind kind = operator_kind::bin_counts;
  std::uint32_t below = operand;
  while (rows > 1) {
    below = hidden_step(kind, {}, type_, {below}, rows * counted.stride, payload);
    kind = operator_kind::row_sums;
    rows = (rows - 1) / rows_summed + 1;
  }
  define_step(kind, {}, {below}, counted.bins, payload);
}

}  // namespace sheaf::inline v0
