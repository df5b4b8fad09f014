/// \file
/// A step: one operation over consecutive lines, and which functor an opcode stands for.
///
/// Cost: per line its loads, the operation and its store.
#pragma once

#include "propagate/bodies/line.hpp"

#include <sheaf/algebra/elementwise.hpp>

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

/// The functor of an opcode; none for call, cast and what `is_math`.
template <opcode Op>
struct functor_of;
struct op_copy {
  static constexpr unsigned arity = 1;
  [[nodiscard]] static constexpr bool supports(dtype) noexcept { return true; }
  template <kernel_value V>
  [[nodiscard]] SHEAF_HD static V apply(V x) noexcept {
    return x;
  }
};
template <> struct functor_of<opcode::copy> { using type = op_copy; };
template <> struct functor_of<opcode::add> { using type = op_add; };
template <> struct functor_of<opcode::sub> { using type = op_sub; };
template <> struct functor_of<opcode::mul> { using type = op_mul; };
template <> struct functor_of<opcode::div> { using type = op_div; };
template <> struct functor_of<opcode::neg> { using type = op_neg; };
template <> struct functor_of<opcode::abs> { using type = op_abs; };
template <> struct functor_of<opcode::min> { using type = op_min; };
template <> struct functor_of<opcode::max> { using type = op_max; };
template <> struct functor_of<opcode::fma> { using type = op_fma; };
template <> struct functor_of<opcode::sqrt> { using type = op_sqrt; };
template <> struct functor_of<opcode::bit_and> { using type = op_and_; };
template <> struct functor_of<opcode::bit_or> { using type = op_or_; };
template <> struct functor_of<opcode::bit_xor> { using type = op_xor_; };
template <> struct functor_of<opcode::bit_not> { using type = op_not_; };
template <> struct functor_of<opcode::shl> { using type = op_shl; };
template <> struct functor_of<opcode::shr> { using type = op_shr; };
template <> struct functor_of<opcode::eq> { using type = op_eq; };
template <> struct functor_of<opcode::ne> { using type = op_ne; };
template <> struct functor_of<opcode::lt> { using type = op_lt; };
template <> struct functor_of<opcode::le> { using type = op_le; };
template <> struct functor_of<opcode::select> { using type = op_select; };

/// One instruction over `lines` lines. The destination may be an argument: a register is loaded
/// before it is stored.
template <class Functor, element T>
SHEAF_BODY void step_lines(std::byte* destination, const std::byte* const* arguments,
                           std::uint32_t lines) {
  static_assert(Functor::arity >= 1 && Functor::arity <= 3);
  const std::size_t end = std::size_t{lines} * line_size;
  const std::byte* const a = arguments[0];
  const std::byte* const b = Functor::arity > 1 ? arguments[1] : a;
  const std::byte* const c = Functor::arity > 2 ? arguments[2] : a;
  for (std::size_t line = 0; line < end; line += line_size) {
    for (std::size_t at = line; at < line + line_size; at += register_bytes<T>) {
      vec<T> value;
      if constexpr (Functor::arity == 1) {
        value = Functor::apply(load_register<T>(a + at));
      } else if constexpr (Functor::arity == 2) {
        value = Functor::apply(load_register<T>(a + at), load_register<T>(b + at));
      } else {
        value = Functor::apply(load_register<T>(a + at), load_register<T>(b + at),
                               load_register<T>(c + at));
      }
      value.store(reinterpret_cast<T*>(destination + at));
    }
  }
}

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
