/// \file
/// The kernel manifest: shapes of line programs that have compiled bodies.
///
/// A shape is written once, as a type: `node<opcode::add, node<opcode::mul, in<0>, in<1>>, in<2>>`.
/// From it come both the instructions that a program must have to match (what the expression
/// compiler emits: operands and constants numbered by first appearance, a result in the register of
/// its stack depth, unused references repeat the first) and the fused body, so the two cannot
/// disagree. Bits are those of the interpreter: the same functors in the same order.
///
/// Cost: a load a register and operand (broadcasts are spread into one line each, once a call), the
/// operations, and settling.
#pragma once

#include "propagate/bodies/program.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

/// What a fused body reads at one place.
template <element T>
struct shape_inputs {
  const std::byte* data[4];
  std::size_t reach[4];  ///< all ones where aligned, 0 where one spread line serves every line
  vec<T> constants[2];
};

template <unsigned Index>
struct in {
  static constexpr bool is_leaf = true;
  static constexpr unsigned operand_count = Index + 1;
  static constexpr unsigned constant_count = 0;
  static constexpr unsigned instruction_count = 0;
  static constexpr value_ref reference = operand_ref_begin + Index;
  template <element T>
  [[nodiscard]] SHEAF_HD static vec<T> value(const shape_inputs<T>& inputs,
                                             std::size_t at) noexcept {
    // A spread line is as long as a line: only the place within the line counts.
    return load_register<T>(inputs.data[Index] + (at & inputs.reach[Index]));
  }
};

template <unsigned Index>
struct constant {
  static constexpr bool is_leaf = true;
  static constexpr unsigned operand_count = 0;
  static constexpr unsigned constant_count = Index + 1;
  static constexpr unsigned instruction_count = 0;
  static constexpr value_ref reference = constant_ref_begin + Index;
  template <element T>
  [[nodiscard]] SHEAF_HD static vec<T> value(const shape_inputs<T>& inputs, std::size_t) noexcept {
    return inputs.constants[Index];
  }
};

[[nodiscard]] consteval unsigned largest(unsigned a, unsigned b, unsigned c) noexcept {
  const unsigned ab = a < b ? b : a;
  return ab < c ? c : ab;
}

/// Instructions in the order they run.
template <unsigned Size>
struct instruction_list {
  instruction code[Size];
  unsigned count = 0;
};

template <opcode Op, class A, class B = A, class C = A>
struct node {
  static constexpr unsigned arity = arity_of(Op);
  static constexpr bool is_leaf = false;
  static constexpr unsigned operand_count =
      largest(A::operand_count, B::operand_count, C::operand_count);
  static constexpr unsigned constant_count =
      largest(A::constant_count, B::constant_count, C::constant_count);
  static constexpr unsigned instruction_count =
      1 + A::instruction_count + (arity > 1 ? B::instruction_count : 0) +
      (arity > 2 ? C::instruction_count : 0);

  template <element T>
  [[nodiscard]] SHEAF_HD static vec<T> value(const shape_inputs<T>& inputs,
                                             std::size_t at) noexcept {
    using functor = typename functor_of<Op>::type;
    const vec<T> a = A::template value<T>(inputs, at);
    if constexpr (arity == 1) {
      return functor::apply(a);
    } else {
      const vec<T> b = B::template value<T>(inputs, at);
      if constexpr (arity == 2) return functor::apply(a, b);
      else return functor::apply(a, b, C::template value<T>(inputs, at));
    }
  }

  /// Appends the instructions that leave this value in register `depth`.
  template <unsigned Size>
  static constexpr void emit(instruction_list<Size>& to, dtype type, unsigned depth) noexcept {
    unsigned next = depth;
    const value_ref a = emit_argument<A>(to, type, next);
    const value_ref b = arity > 1 ? emit_argument<B>(to, type, next) : a;
    const value_ref c = arity > 2 ? emit_argument<C>(to, type, next) : a;
    to.code[to.count++] = {Op, type, static_cast<std::uint8_t>(depth), a, b, c, 0, 0};
  }

 private:
  template <class Argument, unsigned Size>
  static constexpr value_ref emit_argument(instruction_list<Size>& to, dtype type,
                                           unsigned& next) noexcept {
    if constexpr (Argument::is_leaf) {
      return Argument::reference;
    } else {
      Argument::emit(to, type, next);
      return static_cast<value_ref>(next++);
    }
  }
};

template <class Shape, element T>
[[nodiscard]] consteval auto code_of_shape() noexcept {
  instruction_list<Shape::instruction_count> list{};
  Shape::emit(list, dtype_of<T>, 0);
  return list;
}

template <class Shape, element T>
SHEAF_BODY line_mask run_shape(const line_task& task, const operand_view* operands,
                               const std::uint64_t* constants) {
  static_assert(Shape::operand_count <= 4 && Shape::constant_count <= 2);
  alignas(line_size) std::byte lines[Shape::operand_count][line_size];
  shape_inputs<T> inputs;
  for (unsigned o = 0; o < Shape::operand_count; ++o) {
    const bool aligned = operands[o].step != 0;
    if (!aligned) spread(lines[o], load_element<bits_of<T>>(operands[o].data), 1);
    inputs.data[o] = aligned ? operands[o].data : lines[o];
    inputs.reach[o] = aligned ? ~std::size_t{0} : line_size - 1;
  }
  for (unsigned c = 0; c < Shape::constant_count; ++c) {
    inputs.constants[c] = vec<T>(from_bits<T>(static_cast<bits_of<T>>(constants[c])));
  }
  return settle_lines<T>(task, [&inputs](std::size_t at) SHEAF_INLINE_LAMBDA {
    return Shape::template value<T>(inputs, at);
  });
}

template <class Shape, element T>
inline constexpr auto shape_code = code_of_shape<Shape, T>();

template <class Shape, element T>
[[nodiscard]] constexpr manifest_entry entry_of(const char* name) noexcept {
  return {name, shape_code<Shape, T>.code, Shape::instruction_count, Shape::operand_count,
          &run_shape<Shape, T>};
}

using product = node<opcode::mul, in<0>, in<1>>;

/// Shapes for every type that has an entry at all.
#define SHEAF_SHAPES_OF_ALL(T)                                                                \
  entry_of<node<opcode::add, in<0>, in<1>>, T>("a+b"),                                        \
      entry_of<node<opcode::sub, in<0>, in<1>>, T>("a-b"), entry_of<product, T>("a*b"),       \
      entry_of<node<opcode::add, product, in<2>>, T>("a*b+c"),                                \
      entry_of<node<opcode::sub, product, in<2>>, T>("a*b-c"),                                \
      entry_of<node<opcode::mul, product, in<2>>, T>("a*b*c"),                                \
      entry_of<node<opcode::mul, in<0>, node<opcode::sub, in<1>, in<2>>>, T>("a*(b-c)"),      \
      entry_of<node<opcode::neg, in<0>>, T>("-a"),                                            \
      entry_of<node<opcode::mul, in<0>, constant<0>>, T>("a*constant"),                       \
      entry_of<node<opcode::mul, constant<0>, in<0>>, T>("constant*a"),                       \
      entry_of<node<opcode::add, in<0>, constant<0>>, T>("a+constant"),                       \
      entry_of<node<opcode::add, node<opcode::mul, in<0>, constant<0>>, in<1>>, T>(           \
          "a*constant+b")
#define SHEAF_SHAPES_OF_FLOATS(T)                                 \
  entry_of<node<opcode::div, in<0>, in<1>>, T>("a/b"),            \
      entry_of<node<opcode::fma, in<0>, in<1>, in<2>>, T>("fma(a,b,c)"), \
      entry_of<node<opcode::min, in<0>, in<1>>, T>("min(a,b)"),   \
      entry_of<node<opcode::max, in<0>, in<1>>, T>("max(a,b)")

// NOLINTNEXTLINE(misc-definitions-in-headers): one copy per instruction set is the point.
static constexpr manifest_entry manifest[] = {
    SHEAF_SHAPES_OF_ALL(float),         SHEAF_SHAPES_OF_FLOATS(float),
    SHEAF_SHAPES_OF_ALL(double),        SHEAF_SHAPES_OF_FLOATS(double),
    SHEAF_SHAPES_OF_ALL(std::int32_t),  SHEAF_SHAPES_OF_ALL(std::int64_t),
};

#undef SHEAF_SHAPES_OF_ALL
#undef SHEAF_SHAPES_OF_FLOATS

}  // namespace
}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
