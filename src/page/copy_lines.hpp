/// \file
/// Copies of lines from one frame to another.
#pragma once

#include <cstddef>
#include <cstring>

#include <sheaf/base/line_mask.hpp>

namespace sheaf::inline v0 {

/// Copies the `lines` of a frame of class `page`; the frames are different ones. O(lines).
inline void copy_lines(std::byte* to, const std::byte* from, line_mask lines,
                       page_class page) noexcept {
  if (lines == first_lines(lines_of(page))) {
    std::memcpy(to, from, bytes_of(page));
    return;
  }
  for_each_line(lines, [&](unsigned line) {
    std::memcpy(to + line * line_size, from + line * line_size, line_size);
  });
}

}  // namespace sheaf::inline v0
