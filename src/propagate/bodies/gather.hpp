/// \file
/// gather: elements by index, and the random access that segment_fold shares.
///
/// Cost: two dependent loads an element (frame, element). Elements are moved as bits, so a NaN
/// keeps its payload until `settle`.
#pragma once

#include "propagate/bodies/line.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

/// Element `index` of a paged array.
template <class T>
[[nodiscard]] SHEAF_HD T element_at(const paged_view& operand, std::uint32_t index) noexcept {
  const std::size_t frame = operand.frames[index >> operand.page_shift];
  const std::uint32_t place = index & ((std::uint32_t{1} << operand.page_shift) - 1);
  const std::byte* page = operand.base + (frame << operand.frame_shift);
  return reinterpret_cast<const T*>(page)[place];
}

template <class T>
SHEAF_BODY void gather_elements(std::byte* results, std::uint64_t elements,
                                const paged_view& operand, const std::uint32_t* indices) {
  T* const to = reinterpret_cast<T*>(results);
  if (elements == ~std::uint64_t{0}) {
    for (unsigned i = 0; i < 64; ++i) to[i] = element_at<T>(operand, indices[i]);
    return;
  }
  for (std::uint64_t left = elements; left != 0; left &= left - 1) {
    const auto i = static_cast<unsigned>(__builtin_ctzll(left));
    to[i] = element_at<T>(operand, indices[i]);
  }
}

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
