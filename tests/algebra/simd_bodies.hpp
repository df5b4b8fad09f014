/// \file
/// What simd_bodies.cpp exports from each instruction set it is compiled for, so that a test can
/// hold the SIMD kernel values against the scalar reference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sheaf/algebra/elementwise_math.hpp>
#include <sheaf/algebra/semiring.hpp>
#include <sheaf/base/dtype.hpp>

#include "algebra/tangle.hpp"

namespace sheaf::test {

/// What may be folded by the bodies, by number.
using fold_list = op_list<tangle, op_add, op_min, op_max, op_mul>;

/// The three operands of one call: 64-byte aligned, a multiple of 64 bytes long.
struct operands {
  const void* a;
  const void* b;
  const void* c;
};

/// One instruction set's bodies. Element types are given by their tag, operations by their place in
/// `all_ops`, semirings by id.
struct simd_bodies {
  unsigned register_size;
  /// out[i] = canonical(op(a[i], b[i], c[i])); false where the type is not supported.
  bool (*apply)(unsigned op, dtype type, const operands& in, void* out, std::size_t count);
  /// part 0, 1, 2: plus(a, b), times(a, b), plus_times(a, b, c).
  bool (*weigh)(semiring_id id, unsigned part, dtype type, const operands& in, void* out,
                std::size_t count);
  /// `cast_elements`.
  void (*cast)(dtype to, dtype from, const void* in, void* out, std::size_t count);
  /// vec::cast over whole registers; false where the widths differ.
  bool (*cast_same_width)(dtype to, dtype from, const void* in, void* out, std::size_t count);
  /// Operators +, -, *, /, unary -, and on integers &, |, ^, ~, <<, >>, in this order.
  bool (*infix)(unsigned number, dtype type, const operands& in, void* out, std::size_t count);
  /// `fold_line` (level 0) or `fold_partials` of `count` items of `in`, to *out.
  void (*fold)(unsigned fold, bool line, dtype type, const void* in, unsigned count, void* out);
  /// One bit per element: differs(a, b), nonzero(a); and whether same_bits of each register agrees.
  void (*masks)(dtype type, const operands& in, std::size_t count, bool* differs, bool* nonzero,
                bool* registers_same);
};
inline constexpr unsigned infix_count = 11;

/// Null where this build does not contain the instruction set.
[[gnu::weak]] extern const simd_bodies simd_bodies_scalar;
[[gnu::weak]] extern const simd_bodies simd_bodies_avx2;
[[gnu::weak]] extern const simd_bodies simd_bodies_avx512;

}  // namespace sheaf::test
