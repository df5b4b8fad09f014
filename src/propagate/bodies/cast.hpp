/// \file
/// Casts between element sizes, compiled once per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sheaf/base/dtype.hpp>
#include <sheaf/base/isa.hpp>

namespace sheaf::inline v0 {

/// `count` elements at `from`, each cast and canonical, to `to`.
using cast_body = void (*)(std::byte* to, const std::byte* from, std::uint32_t count);

/// Null where the sizes are equal: those are steps of line programs.
struct cast_table {
  cast_body cast[dtype_count][dtype_count];  ///< [from][to]
};

/// The bodies of an instruction set that this build and machine have.
[[nodiscard]] const cast_table& casts_of(isa set) noexcept;

}  // namespace sheaf::inline v0
