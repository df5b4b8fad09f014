/// \file
/// spmv, stencil, gemv and matmul in the model test: random recipes that are valid by construction,
/// what the naive engine computes of them, and how a model is told.
///
/// Thread safety: none.
#pragma once

#include <cstdint>
#include <vector>

#include <sheaf/graph/dense.hpp>
#include <sheaf/graph/sparse.hpp>
#include <sheaf/graph/stencil.hpp>

#include "model/dice.hpp"
#include "model/naive_products.hpp"

namespace model_test {

struct product_recipe {
  enum class form : std::uint8_t { spmv, stencil, gemv, matmul };
  form kind = form::stencil;
  std::uint64_t length = 0;             ///< of the result
  std::vector<std::uint32_t> offsets;   ///< spmv
  std::vector<std::uint32_t> indices;   ///< spmv
  std::uint64_t columns = 0;            ///< spmv, stencil
  sheaf::boundary edge = sheaf::boundary::clamp;
  std::uint64_t outside = 0;                    ///< bits
  std::vector<naive_tap<std::uint64_t>> taps;   ///< weights as bits
  std::uint64_t inner = 0;                      ///< matmul
};

/// A recipe over a first operand of `first` elements and a second of `second` (spmv: values and x;
/// gemv: matrix and vector). A stencil reads the first alone. `bits` makes weights.
template <class Bits>
product_recipe random_product(dice& random, std::uint64_t first, std::uint64_t second,
                              Bits&& bits) {
  product_recipe made;
  const auto divisor_of = [&](std::uint64_t length) {
    for (int attempt = 0; attempt < 20; ++attempt) {
      const std::uint64_t one = random.between(1, length);
      if (length % one == 0) return one;
    }
    return random.chance(50) ? length : std::uint64_t{1};
  };
  switch (random.below(4)) {
    case 0: {
      made.kind = product_recipe::form::spmv;
      made.columns = second;
      made.offsets = {0};
      const std::uint64_t most = random.chance(20) ? 200 : 6;
      while (made.indices.size() < first) {
        const std::uint64_t left = first - made.indices.size();
        for (std::uint64_t e = std::min(left, random.between(0, most)); e != 0; --e) {
          made.indices.push_back(static_cast<std::uint32_t>(random.below(second)));
        }
        made.offsets.push_back(static_cast<std::uint32_t>(made.indices.size()));
      }
      made.length = made.offsets.size() - 1;
      return made;
    }
    case 1:
      if (first % second != 0) break;
      made.kind = product_recipe::form::gemv;
      made.length = first / second;
      return made;
    case 2: {
      made.kind = product_recipe::form::matmul;
      made.inner = divisor_of(first);
      made.length = (first / made.inner) * (second / made.inner);
      const bool is_small = made.length <= 20'000 && made.length * made.inner <= 1'000'000;
      if (second % made.inner != 0 || !is_small) break;
      return made;
    }
    default: break;
  }
  made = {};
  made.columns = divisor_of(first);
  made.length = first;
  made.edge = static_cast<sheaf::boundary>(random.below(4));
  made.outside = bits();
  const auto reach = static_cast<std::int32_t>(random.chance(20) ? 30 : random.between(0, 2));
  const auto offset = [&] {
    return static_cast<std::int32_t>(random.below(2 * static_cast<std::uint64_t>(reach) + 1)) -
           reach;
  };
  for (std::uint64_t k = random.between(1, 5); k != 0; --k) {
    made.taps.push_back({made.columns == first ? 0 : offset(), offset(), bits()});
  }
  return made;
}

template <class T>
T element_of_bits(std::uint64_t bits) {
  return sheaf::from_bits<T>(static_cast<sheaf::bits_of<T>>(bits));
}

template <class T>
std::vector<T> compute_product(const product_recipe& recipe, sheaf::semiring_id semiring,
                               const std::vector<T>& first, const std::vector<T>& second) {
  switch (recipe.kind) {
    case product_recipe::form::spmv:
      return naive_spmv(semiring, recipe.offsets, recipe.indices, first, second);
    case product_recipe::form::gemv: return naive_gemv(semiring, first, second);
    case product_recipe::form::matmul: return naive_matmul(semiring, first, second, recipe.inner);
    case product_recipe::form::stencil: break;
  }
  std::vector<naive_tap<T>> taps;
  for (const auto& tap : recipe.taps) {
    taps.push_back({tap.row, tap.column, element_of_bits<T>(tap.weight)});
  }
  return naive_stencil(semiring, static_cast<std::int64_t>(recipe.length / recipe.columns),
                       static_cast<std::int64_t>(recipe.columns), first, taps, recipe.edge,
                       element_of_bits<T>(recipe.outside));
}

template <class T>
sheaf::definition<T> define_product(const product_recipe& recipe, sheaf::semiring_id semiring,
                                    sheaf::array<T> first, sheaf::array<T> second) {
  switch (recipe.kind) {
    case product_recipe::form::spmv:
      return sheaf::spmv(semiring,
                         sheaf::sparse_matrix::from_csr(recipe.columns, recipe.offsets,
                                                        recipe.indices),
                         first, second);
    case product_recipe::form::gemv: return sheaf::gemv(semiring, first, second);
    case product_recipe::form::matmul: return sheaf::matmul(semiring, first, second, recipe.inner);
    case product_recipe::form::stencil: break;
  }
  const sheaf::stencil_options<T> options{recipe.edge, element_of_bits<T>(recipe.outside)};
  std::vector<sheaf::tap<T>> line_taps;
  std::vector<sheaf::grid_tap<T>> taps;
  for (const auto& tap : recipe.taps) {
    line_taps.push_back({tap.column, element_of_bits<T>(tap.weight)});
    taps.push_back({tap.row, tap.column, element_of_bits<T>(tap.weight)});
  }
  if (recipe.columns == recipe.length) return sheaf::stencil(semiring, first, line_taps, options);
  return sheaf::stencil(semiring, first,
                        sheaf::grid{recipe.length / recipe.columns, recipe.columns}, taps, options);
}

}  // namespace model_test
