#include <sheaf/graph/stencil.hpp>

#include <algorithm>
#include <cstdlib>

#include "../definer.hpp"

namespace sheaf::inline v0 {
namespace {

/// Sorted by row, neighbouring columns joined.
std::vector<stencil_span> spans_of(const std::vector<stencil_tap>& taps) {
  std::vector<stencil_span> spans;
  spans.reserve(taps.size());
  for (const stencil_tap& one : taps) spans.push_back({one.row, one.column, one.column});
  std::ranges::sort(spans, [](const stencil_span& a, const stencil_span& b) {
    return a.row != b.row ? a.row < b.row : a.first < b.first;
  });
  std::size_t kept = 0;
  for (const stencil_span& one : spans) {
    if (kept != 0 && spans[kept - 1].row == one.row && one.first <= spans[kept - 1].last + 1) {
      spans[kept - 1].last = one.last;
    } else {
      spans[kept++] = one;
    }
  }
  spans.resize(kept);
  return spans;
}

}  // namespace

void definer::define_stencil(const definition_data& computed) {
  using ull = unsigned long long;
  if (!semiring_fits(computed.semiring)) return;
  const stencil_shape& said = computed.product->stencil;
  if (!take_operands(computed.product->operands)) return;
  const std::uint64_t length = data_.arrays[state_.scratch[0].array].length;
  if (said.rows == 0 || said.columns == 0 || length / said.rows != said.columns ||
      length % said.rows != 0) {
    return refuse(make_status(status_code::length_mismatch, subsystem::graph,
                              "the rows and columns of a stencil are not those of its operand",
                              "%llu x %llu over '%s', which has %llu, in the definition of '%s'",
                              static_cast<ull>(said.rows), static_cast<ull>(said.columns),
                              data_.name_of(array_id{state_.scratch[0].array}).c_str(),
                              static_cast<ull>(length), name().c_str()));
  }
  if (said.taps.empty() || said.taps.size() > stencil_taps_max) {
    return refuse(make_status(
        said.taps.empty() ? status_code::invalid_argument : status_code::too_many,
        subsystem::graph, "a stencil takes 1 to 256 taps", "%zu in the definition of '%s'",
        said.taps.size(), name().c_str()));
  }
  if (said.edge > boundary::skip) {
    return refuse(make_status(status_code::invalid_argument, subsystem::graph,
                              "no such boundary rule", "%u in the definition of '%s'",
                              static_cast<unsigned>(said.edge), name().c_str()));
  }
  const auto is_far = [](std::int32_t offset) {
    return offset > stencil_radius_max || offset < -stencil_radius_max;
  };
  const auto far = std::ranges::find_if(said.taps, [&](const stencil_tap& one) {
    return is_far(one.row) || is_far(one.column);
  });
  if (far != said.taps.end()) {
    return refuse(make_status(status_code::out_of_range, subsystem::graph,
                              "a tap of a stencil lies more than 2^24 away",
                              "tap %lld at (%d, %d) in the definition of '%s'",
                              static_cast<long long>(far - said.taps.begin()), far->row,
                              far->column, name().c_str()));
  }
  auto shape = std::make_shared<stencil_shape>(said);
  shape->spans = spans_of(shape->taps);
  data_.stencils.push_back(std::move(shape));
  settle(of_kind(operator_kind::stencil, computed.semiring,
                 static_cast<std::uint32_t>(data_.stencils.size() - 1)),
         length, false);
}

}  // namespace sheaf::inline v0
