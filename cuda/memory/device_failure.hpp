/// \file
/// How the code of a device says why it did not do what it was asked: a `device_code` and words in
/// the caller's `device_error`. A plugin links nothing of the library, so `status` is not for it.
///
/// Thread safety: free functions on what they are given.
#pragma once

#include <cstdarg>
#include <cstdio>

#include <sheaf/memory/device_ops.hpp>

namespace sheaf::inline v0 {

/// Writes `code` and the words into `why`, which may be null; returns `code`.
[[gnu::format(printf, 3, 4)]] inline device_code refuse(device_error* why, device_code code,
                                                        const char* format, ...) noexcept {
  if (why != nullptr) {
    why->code = code;
    va_list words;
    va_start(words, format);
    std::vsnprintf(why->text, sizeof(why->text), format, words);
    va_end(words);
  }
  return code;
}

}  // namespace sheaf::inline v0
