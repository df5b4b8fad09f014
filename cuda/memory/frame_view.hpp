/// \file
/// Where a frame lies: one accessor for the plain arena and the checked one.
///
/// Thread safety: a value. Cost: a shift and an add, after one branch that is the same for all.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

/// Good until the arena gets its first frames of a class; after that the part of this class stays.
struct frame_view {
  std::byte* base[page_class_count] = {};  ///< of frame 0; checked: of the table of addresses
  bool is_checked = false;
};

/// The address of `frame` on the device that `view` belongs to.
[[nodiscard]] SHEAF_HD std::byte* frame_address(const frame_view& view, page_class size,
                                                std::uint32_t frame) noexcept {
  const auto which = static_cast<unsigned>(size);
  std::byte* const base = view.base[which];
  if (SHEAF_UNLIKELY(view.is_checked)) {
    return reinterpret_cast<std::byte* const*>(base)[frame];
  }
  return base + (static_cast<std::size_t>(frame) << (line_shift + which));
}

}  // namespace sheaf::inline v0
