/// \file
/// Step bodies of custom operators, instantiated by the files `sheaf_add_operators` generates: one
/// per instruction set (`SHEAF_ARCH`), where `exported` holds the bodies, and a baseline one, which
/// registers them.
///
/// Invariant: what a file of an instruction set defines has internal linkage, but for one constant
/// table in the namespace of its set; that table is constant-initialised.
#pragma once

#include "algebra/simd.hpp"

#include <sheaf/propagate/custom_operator.hpp>

namespace sheaf::inline v0 {

/// What one file of one instruction set offers.
struct exported_operators {
  const operator_step (*bodies)[dtype_count];  ///< by place in the list, by type
  contraction_probe probe;
};

inline namespace SHEAF_ARCH {
namespace {

template <class Functor, unsigned Arity, element T>
[[gnu::flatten]] static void operator_lines(std::byte* destination,
                                            const std::byte* const* arguments,
                                            std::uint32_t lines) {
  constexpr std::size_t register_size = vec<T>::lanes * sizeof(T);
  const std::size_t end = std::size_t{lines} * line_size;
  const auto value = [arguments](unsigned k, std::size_t at) __attribute__((always_inline)) {
    return vec<T>::load(reinterpret_cast<const T*>(arguments[k] + at));
  };
  const Functor functor{};
  for (std::size_t at = 0; at < end; at += register_size) {
    T* const to = reinterpret_cast<T*>(destination + at);
    if constexpr (Arity == 1) {
      functor(value(0, at)).store(to);
    } else if constexpr (Arity == 2) {
      functor(value(0, at), value(1, at)).store(to);
    } else {
      functor(value(0, at), value(1, at), value(2, at)).store(to);
    }
  }
}

/// `a * b + c` as the flags of this file compile it: two roundings, or the operators are refused.
[[gnu::noinline, maybe_unused]] static double probe_contraction(double a, double b, double c) {
  return a * b + c;
}

template <unsigned Count>
struct body_table {
  operator_step bodies[Count][dtype_count] = {};
};

template <class Functor, element... T>
constexpr void fill_bodies(operator_step* bodies, custom_operator<Functor, T...>) noexcept {
  constexpr unsigned arity = custom_operator<Functor, T...>::arity;
  ((bodies[static_cast<unsigned>(dtype_of<T>)] = &operator_lines<Functor, arity, T>), ...);
}

template <class... Operators>
[[nodiscard]] constexpr auto make_bodies(operator_list<Operators...>) noexcept {
  body_table<sizeof...(Operators)> table;
  unsigned place = 0;
  (fill_bodies(table.bodies[place++], Operators{}), ...);
  return table;
}

}  // namespace
}  // inline namespace SHEAF_ARCH

namespace {

template <class Functor, element... T>
void register_one(custom_operator<Functor, T...>, const exported_operators* const* sets,
                  unsigned place) noexcept {
  static operator_kernels kernels[sizeof...(T)];
  operator_description description{Functor::id, custom_operator<Functor, T...>::arity, kernels, {}};
  unsigned next = 0;
  for (const dtype type : {dtype_of<T>...}) {
    operator_kernels& entry = kernels[next++];
    entry.type = type;
    for (unsigned set = 0; set < isa_count; ++set) {
      if (sets[set] == nullptr) continue;
      entry.body[set] = sets[set]->bodies[place][static_cast<unsigned>(type)];
    }
  }
  for (unsigned set = 0; set < isa_count; ++set) {
    if (sets[set] != nullptr) description.probes[set] = sets[set]->probe;
  }
  // A refusal is remembered by the registry, and every model that uses the operator reports it.
  static_cast<void>(register_operator(description));
}

/// Registers every operator of the list; `sets` by instruction set, null where the build lacks one.
template <class... Operators>
[[maybe_unused]] bool register_operators(operator_list<Operators...>,
                                         const exported_operators* const* sets) noexcept {
  unsigned place = 0;
  (register_one(Operators{}, sets, place++), ...);
  return true;
}

}  // namespace
}  // namespace sheaf::inline v0
