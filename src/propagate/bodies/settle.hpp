/// \file
/// settle: the end of a page body alone, for lines that something else computed.
#pragma once

#include "propagate/bodies/line.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

template <element T>
SHEAF_BODY line_mask settle_page(const line_task& task, const std::byte* computed) {
  return settle_lines<T>(task, [computed](std::size_t at) SHEAF_INLINE_LAMBDA {
    return load_register<T>(computed + at);
  });
}

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
