/// \file
/// Assertions in three levels. They state invariants of this library; a bad input is never an
/// assertion but a `status`.
///
/// | macro | on when | cost allowed |
/// |---|---|---|
/// | `SHEAF_ASSERT(condition, name)` | always | a compare on a cold path |
/// | `SHEAF_DASSERT(condition, name)` | `SHEAF_DEBUG_ASSERTS` (Debug builds) | a compare |
/// | `SHEAF_PARANOID(condition, name)` | `SHEAF_PARANOID_ASSERTS` | walks whole structures |
///
/// `name` is the invariant's name as the documents use it; the process aborts with it.
#pragma once

#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

/// Prints `invariant`, `condition` and the place to standard error, then aborts.
[[noreturn]] void assertion_failed(const char* invariant, const char* condition, const char* file,
                                   int line) noexcept;

}  // namespace sheaf::inline v0

#define SHEAF_ASSERT(condition, name)                                                     \
  (SHEAF_LIKELY(condition) ? static_cast<void>(0)                                         \
                           : ::sheaf::assertion_failed(name, #condition, __FILE__, __LINE__))

#if !defined(SHEAF_DEBUG_ASSERTS) && !defined(NDEBUG)
#define SHEAF_DEBUG_ASSERTS 1
#endif

#if defined(SHEAF_DEBUG_ASSERTS) && SHEAF_DEBUG_ASSERTS
#define SHEAF_DASSERT(condition, name) SHEAF_ASSERT(condition, name)
#else
#define SHEAF_DASSERT(condition, name) static_cast<void>(0)
#endif

#if defined(SHEAF_PARANOID_ASSERTS) && SHEAF_PARANOID_ASSERTS
#define SHEAF_PARANOID(condition, name) SHEAF_ASSERT(condition, name)
#else
#define SHEAF_PARANOID(condition, name) static_cast<void>(0)
#endif
