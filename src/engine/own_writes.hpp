/// \file
/// A transaction's own writes on top of what its snapshot has.
#pragma once

#include <cstdint>

#include <sheaf/page/delta.hpp>

namespace sheaf::inline v0 {

/// Merges what `changes` does to elements [first, first + count) of `array` into `elements`, which
/// hold them, in order. O(changes of that array).
void apply_own_writes(const delta& changes, array_id array, std::uint64_t first,
                      std::uint64_t count, void* elements) noexcept;

}  // namespace sheaf::inline v0
