/// \file
/// Builds the index tables of `gather` and `segment_fold` (see `plan.hpp`).
///
/// The transpose lists, per element of the operand, the result elements that read it: each once,
/// rising. Cost: O(items + operand elements).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <sheaf/base/dtype.hpp>
#include <sheaf/graph/definition.hpp>
#include <sheaf/graph/plan.hpp>

namespace sheaf::inline v0 {

/// Result element i is operand element `indices[i]`; all below `operand_length`.
[[nodiscard]] index_table gather_table(std::vector<std::uint32_t> indices,
                                       std::uint64_t operand_length);

/// One step of a segment reduction: its table, and how many partials it leaves, group after group.
struct segment_level {
  index_table table;
  std::uint64_t length;
};
/// All steps of `segment_reduce` over an operand of `operand_length` elements of `type`. The first
/// folds up to a line's worth of members, the next ones up to 64 partials. Members are in range.
[[nodiscard]] std::vector<segment_level> segment_levels(const segment_table& groups,
                                                        std::uint64_t operand_length, dtype type);

}  // namespace sheaf::inline v0
