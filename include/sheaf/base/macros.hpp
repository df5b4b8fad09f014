/// \file
/// Compiler contracts every other header relies on.
///
/// Invariants
///  1. No Sheaf header is compiled under `-ffast-math`: promise P1 (the same bits everywhere)
///     cannot hold there, so the build stops here.
///  2. A function marked `SHEAF_HD` is always inlined. Files compiled for one instruction set may
///     therefore include it without leaving a weak symbol behind that the linker could hand to a
///     file compiled for another (a test with `nm` checks that none is left).
#pragma once

#if defined(__FAST_MATH__)
#error "sheaf: -ffast-math breaks promise P1 (the same bits on every backend); compile without it"
#endif

#if defined(__CUDACC__)
#define SHEAF_HD __host__ __device__ __forceinline__
#else
#define SHEAF_HD [[gnu::always_inline]] inline
#endif

#define SHEAF_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define SHEAF_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define SHEAF_NOINLINE [[gnu::noinline]]
#define SHEAF_RESTRICT __restrict__

namespace sheaf::inline v0 {

/// Two hot words of different threads stay this far apart (adjacent-line prefetch pairs lines).
inline constexpr unsigned long interference_size = 128;

}  // namespace sheaf::inline v0
