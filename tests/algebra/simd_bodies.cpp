/// \file
/// Compiled once per instruction set: every operation of `vec`, over arrays.
#include "algebra/simd_bodies.hpp"

#include "algebra/simd.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

using test::operands;

template <class T>
const T* as(const void* from) {
  return static_cast<const T*>(from);
}

template <class Op, element T>
void apply_op(const operands& in, void* out, std::size_t count) {
  using V = vec<T>;
  for (std::size_t i = 0; i < count; i += V::lanes) {
    const V a = V::load(as<T>(in.a) + i);
    const V b = V::load_unaligned(as<T>(in.b) + i);
    const V c = V::load(as<T>(in.c) + i);
    V result = a;
    if constexpr (Op::arity == 1) result = Op::apply(a);
    else if constexpr (Op::arity == 2) result = Op::apply(a, b);
    else result = Op::apply(a, b, c);
    sheaf::canonical(result).store(static_cast<T*>(out) + i);
  }
}

template <class... Ops>
bool apply_numbered(op_list<Ops...>, unsigned op, dtype type, const operands& in, void* out,
                    std::size_t count) {
  return visit_dtype(type, [&]<class T>(std::type_identity<T>) {
    unsigned number = 0;
    bool done = false;
    const auto attempt = [&]<class Op>(Op) {
      if (number++ != op) return;
      if constexpr (Op::supports(dtype_of<T>)) {
        apply_op<Op, T>(in, out, count);
        done = true;
      }
    };
    (attempt(Ops{}), ...);
    return done;
  });
}
bool apply(unsigned op, dtype type, const operands& in, void* out, std::size_t count) {
  return apply_numbered(all_ops{}, op, type, in, out, count);
}

template <class S, element T>
void weigh_with(unsigned part, const operands& in, void* out, std::size_t count) {
  using V = vec<T>;
  for (std::size_t i = 0; i < count; i += V::lanes) {
    const V a = V::load(as<T>(in.a) + i), b = V::load(as<T>(in.b) + i);
    const V c = V::load(as<T>(in.c) + i);
    V result = S::plus_times(a, b, c);
    if (part == 0) result = S::plus(a, b);
    if (part == 1) result = S::times(a, b);
    V::canonical(result).store_unaligned(static_cast<T*>(out) + i);
  }
}
bool weigh(semiring_id id, unsigned part, dtype type, const operands& in, void* out,
           std::size_t count) {
  return visit_semiring(id, [&]<class S>(S) {
    return visit_dtype(type, [&]<class T>(std::type_identity<T>) {
      if constexpr (S::supports(dtype_of<T>)) weigh_with<S, T>(part, in, out, count);
      return S::supports(dtype_of<T>);
    });
  });
}

void cast(dtype to, dtype from, const void* in, void* out, std::size_t count) {
  visit_dtype(to, [&]<class To>(std::type_identity<To>) {
    visit_dtype(from, [&]<class From>(std::type_identity<From>) {
      cast_elements<To, From>(static_cast<To*>(out), as<From>(in), count);
    });
  });
}

bool cast_same_width(dtype to, dtype from, const void* in, void* out, std::size_t count) {
  return visit_dtype(to, [&]<class To>(std::type_identity<To>) {
    return visit_dtype(from, [&]<class From>(std::type_identity<From>) {
      if constexpr (sizeof(To) == sizeof(From)) {
        using V = vec<From>;
        for (std::size_t i = 0; i < count; i += V::lanes) {
          const auto result = sheaf::cast<To>(V::load(as<From>(in) + i));
          sheaf::canonical(result).store(static_cast<To*>(out) + i);
        }
      }
      return sizeof(To) == sizeof(From);
    });
  });
}

template <class V>
V infix_result(unsigned number, V a, V b) {
  switch (number) {
    case 0: return a + b;
    case 1: return a - b;
    case 2: return a * b;
    case 3: return a / b;
    case 4: return -a;
    default: break;
  }
  if constexpr (integer_element<lane_of<V>>) {
    switch (number) {
      case 5: return a & b;
      case 6: return a | b;
      case 7: return a ^ b;
      case 8: return ~a;
      case 9: return a << b;
      default: return a >> b;
    }
  }
  return a;
}
bool infix(unsigned number, dtype type, const operands& in, void* out, std::size_t count) {
  if (number > 4 && is_float(type)) return false;
  return visit_dtype(type, [&]<class T>(std::type_identity<T>) {
    using V = vec<T>;
    for (std::size_t i = 0; i < count; i += V::lanes) {
      const V result = infix_result(number, V::load(as<T>(in.a) + i), V::load(as<T>(in.b) + i));
      V::canonical(result).store(static_cast<T*>(out) + i);
    }
    return true;
  });
}

template <class... Folds>
void fold_numbered(op_list<Folds...>, unsigned fold, bool line, dtype type, const void* in,
                   unsigned count, void* out) {
  visit_dtype(type, [&]<class T>(std::type_identity<T>) {
    unsigned number = 0;
    const auto attempt = [&]<class F>(F) {
      if (number++ != fold) return;
      *static_cast<T*>(out) =
          line ? fold_line<F>(as<T>(in), count) : fold_partials<F>(as<T>(in), count);
    };
    (attempt(Folds{}), ...);
  });
}
void fold(unsigned number, bool line, dtype type, const void* in, unsigned count, void* out) {
  fold_numbered(test::fold_list{}, number, line, type, in, count, out);
}

void masks(dtype type, const operands& in, std::size_t count, bool* differs, bool* nonzero,
           bool* registers_same) {
  visit_dtype(type, [&]<class T>(std::type_identity<T>) {
    using V = vec<T>;
    for (std::size_t i = 0; i < count; i += V::lanes) {
      const V a = V::load(as<T>(in.a) + i), b = V::load(as<T>(in.b) + i);
      const std::uint64_t differing = V::differs(a, b), set = V::nonzero(a);
      for (unsigned lane_index = 0; lane_index < V::lanes; ++lane_index) {
        differs[i + lane_index] = ((differing >> lane_index) & 1) != 0;
        nonzero[i + lane_index] = ((set >> lane_index) & 1) != 0;
        registers_same[i + lane_index] = V::same_bits(a, b);
      }
    }
  });
}

}  // namespace
}  // namespace SHEAF_ARCH
}  // namespace sheaf::inline v0

namespace sheaf::test {

#define SHEAF_BODIES_NAME(arch) SHEAF_ARCH_PASTE(simd_bodies_, arch)
const simd_bodies SHEAF_BODIES_NAME(SHEAF_ARCH) = {vec<std::uint8_t>::lanes, apply, weigh, cast,
                                                   cast_same_width,          infix, fold,  masks};

}  // namespace sheaf::test
