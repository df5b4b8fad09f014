#include <algorithm>
#include <sheaf/graph/sparse.hpp>
#include <sheaf/memory/huge_pages.hpp>

#include "../definer.hpp"

namespace sheaf::inline v0 {
namespace {

using ull = unsigned long long;

status refusal(status_code code, const char* text) { return {code, subsystem::graph, text, {}}; }

status check_csr(const sparse_structure& matrix) {
  const auto& offsets = matrix.offsets;
  if (offsets.size() < 2 || matrix.columns == 0) {
    return refusal(status_code::invalid_argument, "a sparse matrix without rows or columns");
  }
  if (matrix.indices.size() >= no_index || offsets.size() > no_index ||
      matrix.columns >= no_index) {
    return refusal(status_code::too_many,
                   "a sparse matrix has 2^32 entries, rows or columns, or more");
  }
  for (std::size_t row = 1; row < offsets.size(); ++row) {
    if (offsets[row] >= offsets[row - 1]) continue;
    return make_status(status_code::invalid_argument, subsystem::graph,
                       "the row offsets of a sparse matrix do not rise",
                       "offset %zu is %u after %u", row, offsets[row], offsets[row - 1]);
  }
  if (offsets.front() != 0 || offsets.back() != matrix.indices.size()) {
    return make_status(status_code::invalid_argument, subsystem::graph,
                       "the row offsets of a sparse matrix do not run from 0 to its entries",
                       "from %u to %u, with %zu entries", offsets.front(), offsets.back(),
                       matrix.indices.size());
  }
  const auto past = std::ranges::find_if(
      matrix.indices, [&](std::uint32_t column) { return column >= matrix.columns; });
  if (past != matrix.indices.end()) {
    return make_status(status_code::out_of_range, subsystem::graph,
                       "an entry lies past the columns of its matrix",
                       "entry %lld is in column %u of %llu",
                       static_cast<long long>(past - matrix.indices.begin()), *past,
                       static_cast<ull>(matrix.columns));
  }
  return {};
}

/// Two passes over the entries: count per column, then fill. The entries of a row come together, so
/// a column that a row names twice has that row as its last.
void transpose(sparse_structure& matrix) {
  const auto columns = static_cast<std::size_t>(matrix.columns);
  const auto rows = static_cast<std::uint32_t>(matrix.offsets.size() - 1);
  std::vector<std::uint32_t> last(columns, no_index);
  const auto for_each = [&](auto&& visitor) {
    std::fill(last.begin(), last.end(), no_index);
    for (std::uint32_t row = 0; row < rows; ++row) {
      for (std::uint32_t e = matrix.offsets[row]; e < matrix.offsets[row + 1]; ++e) {
        const std::uint32_t column = matrix.indices[e];
        if (last[column] == row) continue;
        last[column] = row;
        visitor(column, row);
      }
    }
  };
  matrix.reach_offsets = vector_on_huge_pages<std::uint32_t>(columns + 1);
  auto& begin = matrix.reach_offsets;
  begin.assign(columns + 1, 0);
  for_each([&](std::uint32_t column, std::uint32_t) { ++begin[column + 1]; });
  for (std::size_t i = 1; i <= columns; ++i) begin[i] += begin[i - 1];
  matrix.reach_rows = vector_on_huge_pages<std::uint32_t>(begin.back());
  matrix.reach_rows.resize(begin.back());
  std::vector<std::uint32_t> next(begin.begin(), begin.end() - 1);
  for_each([&](std::uint32_t column, std::uint32_t row) {
    matrix.reach_rows[next[column]++] = row;
  });
}

std::vector<std::uint32_t> moved_to_huge_pages(const std::vector<std::uint32_t>& from) {
  std::vector<std::uint32_t> made = vector_on_huge_pages<std::uint32_t>(from.size());
  made.assign(from.begin(), from.end());
  return made;
}

/// PERF: rows are found at random by a commit, and 40 MB of columns are 10 000 small pages, more
/// than any translation buffer holds; in a loop apart from the engine huge ones took 5 to 10 % off
/// a whole f32 product (`bench/propagate/sparse_bench`).
std::shared_ptr<const sparse_structure> finished(sparse_structure&& matrix) {
  if (matrix.mistake.is_ok()) matrix.mistake = check_csr(matrix);
  if (matrix.mistake.is_ok()) {
    matrix.offsets = moved_to_huge_pages(matrix.offsets);
    matrix.indices = moved_to_huge_pages(matrix.indices);
    transpose(matrix);
  }
  return std::make_shared<const sparse_structure>(std::move(matrix));
}

status check_coo(std::uint64_t rows, std::span<const std::uint32_t> row_of_item,
                 std::span<const std::uint32_t> column_of_item) {
  if (row_of_item.size() != column_of_item.size()) {
    return make_status(status_code::length_mismatch, subsystem::graph,
                       "the items of a sparse matrix have other numbers of rows and columns",
                       "%zu rows and %zu columns", row_of_item.size(), column_of_item.size());
  }
  if (rows >= no_index || row_of_item.size() >= no_index) {
    return refusal(status_code::too_many,
                   "a sparse matrix has 2^32 entries, rows or columns, or more");
  }
  const auto past =
      std::ranges::find_if(row_of_item, [&](std::uint32_t row) { return row >= rows; });
  if (past != row_of_item.end()) {
    return make_status(status_code::out_of_range, subsystem::graph,
                       "an item lies past the rows of its matrix", "item %lld is in row %u of %llu",
                       static_cast<long long>(past - row_of_item.begin()), *past,
                       static_cast<ull>(rows));
  }
  return {};
}

}  // namespace

sparse_matrix sparse_matrix::from_csr(std::uint64_t columns, std::vector<std::uint32_t> offsets,
                                      std::vector<std::uint32_t> indices) {
  sparse_structure matrix;
  matrix.columns = columns;
  matrix.offsets = std::move(offsets);
  matrix.indices = std::move(indices);
  return {finished(std::move(matrix)), {}};
}

sparse_matrix sparse_matrix::from_coo(std::uint64_t rows, std::uint64_t columns,
                                      std::span<const std::uint32_t> row_of_item,
                                      std::span<const std::uint32_t> column_of_item) {
  sparse_structure matrix;
  matrix.columns = columns;
  matrix.mistake = check_coo(rows, row_of_item, column_of_item);
  if (!matrix.mistake.is_ok()) return {finished(std::move(matrix)), {}};
  matrix.offsets.assign(static_cast<std::size_t>(rows) + 1, 0);
  for (const std::uint32_t row : row_of_item) ++matrix.offsets[row + std::size_t{1}];
  for (std::size_t row = 1; row <= rows; ++row) matrix.offsets[row] += matrix.offsets[row - 1];
  std::vector<std::uint32_t> next(matrix.offsets.begin(), matrix.offsets.end() - 1);
  std::vector<std::uint32_t> items(row_of_item.size());
  matrix.indices.resize(row_of_item.size());
  for (std::uint32_t item = 0; item < row_of_item.size(); ++item) {
    const std::uint32_t entry = next[row_of_item[item]]++;
    items[entry] = item;
    matrix.indices[entry] = column_of_item[item];
  }
  return {finished(std::move(matrix)), std::move(items)};
}

void definer::define_spmv(const definition_data& computed) {
  if (!semiring_fits(computed.semiring)) return;
  const product_definition& product = *computed.product;
  const sparse_structure& matrix = *product.matrix;
  if (!matrix.mistake.is_ok()) {
    return refuse(make_status(matrix.mistake.code(), subsystem::graph,
                              matrix.mistake.text().data(), "%.*s in the definition of '%s'",
                              static_cast<int>(matrix.mistake.detail().size()),
                              matrix.mistake.detail().data(), name().c_str()));
  }
  if (!take_operands(product.operands)) return;
  const std::uint64_t wanted[] = {matrix.indices.size(), matrix.columns};
  for (std::size_t k = 0; k < 2; ++k) {
    if (!has_length(k, wanted[k], k == 0 ? "an element for each entry of its matrix"
                                         : "an element for each column of its matrix")) {
      return;
    }
  }
  auto& matrices = data_.matrices;
  if (matrices.empty() || matrices.back() != product.matrix) matrices.push_back(product.matrix);
  settle(of_kind(operator_kind::spmv, computed.semiring,
                 static_cast<std::uint32_t>(matrices.size() - 1)),
         matrix.offsets.size() - 1, false);
}

}  // namespace sheaf::inline v0
