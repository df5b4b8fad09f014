/// \file
/// Walks a whole plan and checks every invariant that `plan.hpp` states. For tests and
/// `SHEAF_PARANOID`; O(plan).
#pragma once

#include <sheaf/base/status.hpp>
#include <sheaf/graph/plan.hpp>

namespace sheaf::inline v0 {

/// Ok, or `bad_format` with the first broken invariant and where.
[[nodiscard]] status check_plan(const plan& checked);

}  // namespace sheaf::inline v0
