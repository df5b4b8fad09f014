/// \file
/// Dense products over any semiring: `gemv` and `matmul`, row by row.
///
/// Matrices are arrays, row after row, of any row length. Products are folds that start with their
/// first term and add the others with the semiring's plus; sum-product rounds once per term
/// (`fma`). The order of every fold is fixed, so the bits are the same on every instruction set,
/// for any number of threads, and whether one row or all were recomputed.
///
/// Thread safety: values.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include <sheaf/graph/definition.hpp>
#include <sheaf/graph/shapes.hpp>

namespace sheaf::inline v0 {

/// Element r is row r of `a` times `x`: `a` has `x.size()` columns, and as many rows as there are
/// elements left for.
///
/// The order: columns make 64 chains by their number modulo 64. A chain is folded from left to
/// right; the chains that have a column are folded by the tree of one block of
/// sheaf/algebra/fold_tree.hpp. (One chain would wait for every addition before the next.)
///
/// A change in a row of `a` recomputes that row, one in `x` all rows.
template <element T>
[[nodiscard]] definition<T> gemv(semiring_id semiring, array<T> a, array<T> x) {
  auto product = std::make_shared<product_definition>();
  product->operands = {a.handle(), x.handle()};
  return definition<T>({.kind = definition_data::form::gemv,
                        .semiring = semiring,
                        .product = std::move(product)});
}

/// Element (r, c) is the fold over k, from 0 to `inner` - 1, of `a`'s (r, k) times `b`'s (k, c).
/// `a` has `inner` columns and `b` `inner` rows; the result has the rows of `a` and the columns of
/// `b`.
///
/// A change in a row of `a` recomputes the lines that hold that row of the result, one in `b` all.
template <element T>
[[nodiscard]] definition<T> matmul(semiring_id semiring, array<T> a, array<T> b,
                                   std::uint64_t inner) {
  auto product = std::make_shared<product_definition>();
  product->operands = {a.handle(), b.handle()};
  product->dense.inner = inner;
  return definition<T>({.kind = definition_data::form::matmul,
                        .semiring = semiring,
                        .product = std::move(product)});
}

}  // namespace sheaf::inline v0
