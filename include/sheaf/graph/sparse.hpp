/// \file
/// Sparse matrices over any semiring: the structure is fixed when declared, values and vector are
/// arrays that may change.
///
/// Thread safety: values. Cost: `from_csr` and `from_coo` are O(entries + rows + columns) and keep
/// the transposed structure beside the given one: 8 bytes an entry, 4 a row and 4 a column.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <sheaf/graph/definition.hpp>
#include <sheaf/graph/shapes.hpp>

namespace sheaf::inline v0 {

/// Where the entries of a matrix are. One object may serve many definitions, which then share it.
/// What is wrong with the input is a mistake of each definition that uses it.
class sparse_matrix {
 public:
  /// Row r has the entries [offsets[r], offsets[r + 1]), entry e lies in column `indices[e]`.
  /// `offsets` starts with 0, rises, and ends with the number of entries; columns need not be
  /// sorted, and one may occur twice in a row.
  [[nodiscard]] static sparse_matrix from_csr(std::uint64_t columns,
                                              std::vector<std::uint32_t> offsets,
                                              std::vector<std::uint32_t> indices);
  /// Item i lies at (row_of_item[i], column_of_item[i]). Entries are ordered by row, and inside a
  /// row as the items are; `item_of_entry` says which item an entry was.
  [[nodiscard]] static sparse_matrix from_coo(std::uint64_t rows, std::uint64_t columns,
                                              std::span<const std::uint32_t> row_of_item,
                                              std::span<const std::uint32_t> column_of_item);

  /// What is wrong with the input, or ok.
  [[nodiscard]] const status& mistake() const noexcept { return structure_->mistake; }
  [[nodiscard]] std::uint64_t rows() const noexcept {
    return structure_->offsets.empty() ? 0 : structure_->offsets.size() - 1;
  }
  [[nodiscard]] std::uint64_t columns() const noexcept { return structure_->columns; }
  [[nodiscard]] std::uint64_t entries() const noexcept { return structure_->indices.size(); }
  /// Of a matrix `from_coo`: the item each entry was. Empty for one `from_csr`.
  [[nodiscard]] std::span<const std::uint32_t> item_of_entry() const noexcept { return *items_; }
  [[nodiscard]] const std::shared_ptr<const sparse_structure>& structure() const noexcept {
    return structure_;
  }

 private:
  sparse_matrix(std::shared_ptr<const sparse_structure> structure,
                std::vector<std::uint32_t> items)
      : structure_(std::move(structure)),
        items_(std::make_shared<const std::vector<std::uint32_t>>(std::move(items))) {}

  std::shared_ptr<const sparse_structure> structure_;
  std::shared_ptr<const std::vector<std::uint32_t>> items_;
};

/// Element r is the fold over the entries e of row r, in order, of `values[e]` times
/// `x[column of e]`: it starts with the first product and adds the others with the semiring's
/// plus; sum-product rounds once per entry (`fma`). A row without entries gives the semiring's
/// zero. `values` has an element per entry, `x` one per column.
///
/// A changed element of `x` recomputes the rows with an entry in its column, a changed value its
/// row.
template <element T>
[[nodiscard]] definition<T> spmv(semiring_id semiring, const sparse_matrix& matrix,
                                 array<T> values, array<T> x) {
  auto product = std::make_shared<product_definition>();
  product->operands = {values.handle(), x.handle()};
  product->matrix = matrix.structure();
  return definition<T>({.kind = definition_data::form::spmv,
                        .semiring = semiring,
                        .product = std::move(product)});
}

}  // namespace sheaf::inline v0
