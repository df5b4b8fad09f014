/// \file
/// Where the pages of a device lie.
///
/// Thread safety: a value; what it points to belongs to whoever runs a commit.
/// Cost: of an address a look-up, a shift and an add, whatever the pages are.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

struct device_pages {
  std::byte* base[page_class_count];  ///< of each size class
  const std::uint32_t* frames;        ///< by slot: where its frame lies behind the base
  /// 0: frames are counted in pages of their class. All ones: in lines, because pages are
  /// allocations that lie anywhere (checked pages).
  std::uint32_t counts_lines;

  /// Log2 of the bytes that `frames` of a class counts.
  [[nodiscard]] SHEAF_HD unsigned frame_shift(page_class size) const noexcept {
    return line_shift + (static_cast<unsigned>(size) & ~counts_lines);
  }
  /// The page whose entry of `frames` is `frame`.
  [[nodiscard]] SHEAF_HD std::byte* at(std::uint32_t frame, page_class size) const noexcept {
    return base[static_cast<unsigned>(size)] +
           (static_cast<std::size_t>(frame) << frame_shift(size));
  }
  [[nodiscard]] SHEAF_HD std::byte* page(std::uint32_t slot, page_class size) const noexcept {
    return at(frames[slot], size);
  }
};

}  // namespace sheaf::inline v0
