/// \file
/// The graph of a conformance run: all operators that have a body on a device, over sources of one
/// element type, all arrays of one page size.
///
/// Thread safety: none.
#pragma once

#include <cstdint>
#include <vector>

#include <sheaf/graph/model.hpp>

#include "device/engine_group.hpp"

namespace sheaf_test {

template <sheaf::element T>
struct conformance_graph {
  /// Two and a half pages, and at least 300 elements.
  conformance_graph(sheaf::page_class page, std::uint64_t seed);

  sheaf::model declared;
  std::vector<named_array> derived;
  /// Written by commits; `at` are indices into `sources[0]`, some past its end.
  std::vector<sheaf::array<T>> sources;
  sheaf::array<std::uint32_t> at;
};

}  // namespace sheaf_test
