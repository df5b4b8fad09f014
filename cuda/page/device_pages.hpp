/// \file
/// Where the pages of a device lie.
///
/// Thread safety: a value; what it points to belongs to whoever runs a commit.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

struct device_pages {
  std::byte* base[page_class_count];  ///< of each size class
  const std::uint32_t* frames;        ///< current frame, by slot

  [[nodiscard]] SHEAF_HD std::byte* page(std::uint32_t slot, page_class size) const noexcept {
    const auto which = static_cast<unsigned>(size);
    return base[which] + (static_cast<std::size_t>(frames[slot]) << (line_shift + which));
  }
};

}  // namespace sheaf::inline v0
