/// \file
/// Stencils in one and two dimensions, over any semiring.
///
/// `result[p]` is the fold, over the taps in declared order, of `in[p + offset]` times the tap's
/// weight: it starts with the first product and adds the others with the semiring's plus;
/// sum-product rounds once per tap (`fma`). What lies past an edge is decided by `boundary`; with
/// `skip`, an element none of whose taps is inside gives the semiring's zero.
///
/// Limits: 256 taps, offsets of at most 2^24.
///
/// Thread safety: values.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include <sheaf/graph/definition.hpp>
#include <sheaf/graph/shapes.hpp>

namespace sheaf::inline v0 {

/// A tap of a stencil over a run of elements.
template <element T>
struct tap {
  std::int32_t offset = 0;
  T weight = T{1};
};
/// A tap of a stencil over rows and columns.
template <element T>
struct grid_tap {
  std::int32_t row = 0;
  std::int32_t column = 0;
  T weight = T{1};
};
/// How the elements of an array make rows, one after the other.
struct grid {
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
};
template <element T>
struct stencil_options {
  boundary edge = boundary::clamp;
  T outside = T{0};  ///< what `boundary::constant` reads there
};

namespace detail {

template <element T>
[[nodiscard]] definition<T> stencil_of(semiring_id semiring, array<T> in, stencil_shape&& shape,
                                       const stencil_options<T>& options) {
  shape.edge = options.edge;
  shape.outside = constant_bits(options.outside);
  auto product = std::make_shared<product_definition>();
  product->operands = {in.handle()};
  product->stencil = std::move(shape);
  return definition<T>({.kind = definition_data::form::stencil,
                        .semiring = semiring,
                        .product = std::move(product)});
}

}  // namespace detail

/// One dimension: the array is one run.
template <element T>
[[nodiscard]] definition<T> stencil(semiring_id semiring, array<T> in,
                                    std::type_identity_t<std::span<const tap<T>>> taps,
                                    std::type_identity_t<stencil_options<T>> options = {}) {
  stencil_shape shape;
  shape.columns = in.size();
  for (const tap<T>& one : taps) shape.taps.push_back({0, one.offset, constant_bits(one.weight)});
  return detail::stencil_of(semiring, in, std::move(shape), options);
}
template <element T>
[[nodiscard]] definition<T> stencil(semiring_id semiring, array<T> in,
                                    std::type_identity_t<std::initializer_list<tap<T>>> taps,
                                    std::type_identity_t<stencil_options<T>> options = {}) {
  return stencil(semiring, in, std::span<const tap<T>>(taps.begin(), taps.size()), options);
}
/// Two dimensions: `in` has `size.rows * size.columns` elements, row after row. Rows may have any
/// length.
template <element T>
[[nodiscard]] definition<T> stencil(semiring_id semiring, array<T> in, grid size,
                                    std::type_identity_t<std::span<const grid_tap<T>>> taps,
                                    std::type_identity_t<stencil_options<T>> options = {}) {
  stencil_shape shape;
  shape.rows = size.rows;
  shape.columns = size.columns;
  for (const grid_tap<T>& one : taps) {
    shape.taps.push_back({one.row, one.column, constant_bits(one.weight)});
  }
  return detail::stencil_of(semiring, in, std::move(shape), options);
}
template <element T>
[[nodiscard]] definition<T> stencil(semiring_id semiring, array<T> in, grid size,
                                    std::type_identity_t<std::initializer_list<grid_tap<T>>> taps,
                                    std::type_identity_t<stencil_options<T>> options = {}) {
  return stencil(semiring, in, size, std::span<const grid_tap<T>>(taps.begin(), taps.size()),
                 options);
}

}  // namespace sheaf::inline v0
