/// \file
/// Conformance: every operator that has a body on a device, in every element type and page size, on
/// every backend, with the bits of the scalar CPU.
///
/// One graph for an element type and a page size holds all operators in all their forms and
/// semirings, each over sources; sources begin with values where rules are needed (NaN with and
/// without a payload, infinities, -0, denormals, the ends of the integers). Commits are dense,
/// sparse, of one element, of one source, of equal values, and of everything.
///
/// Thread safety: one run at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/engine_group.hpp"

namespace sheaf_test {

struct conformance_backend {
  engine_way way;
  bool is_device = false;  ///< each of its commits has to run on a device
};

struct conformance_report {
  std::uint64_t combinations = 0;  ///< operator with form and semiring x type x page size x backend
  std::uint64_t commits = 0;       ///< over all backends
  std::uint64_t device_commits = 0;
  std::vector<std::string> wrong;  ///< what differed, and where
};

/// Every element type with every page size; of these every `stride`th, for tools that are slow.
[[nodiscard]] conformance_report run_conformance(const std::vector<conformance_backend>& backends,
                                                 std::uint64_t seed, unsigned stride = 1);

}  // namespace sheaf_test
