/// \file
/// What `spmv`, `stencil`, `gemv` and `matmul` know before any value arrives: plain data, fixed at
/// declaration, shared by the model and its plans.
///
/// Thread safety: values; immutable once shared.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <sheaf/base/status.hpp>
#include <sheaf/graph/array.hpp>

namespace sheaf::inline v0 {

/// Where the entries of a sparse matrix are, by row (CSR) and by column.
struct sparse_structure {
  std::uint64_t columns = 0;
  std::vector<std::uint32_t> offsets;  ///< row r has the entries [offsets[r], offsets[r + 1])
  std::vector<std::uint32_t> indices;  ///< column per entry
  std::vector<std::uint32_t> reach_offsets;  ///< per column, plus one
  std::vector<std::uint32_t> reach_rows;     ///< rows that name the column, rising, each once
  status mistake;  ///< what is wrong with the input, reported by the definition that uses it
};

/// What a tap reads that lies past an edge of the array.
enum class boundary : std::uint8_t {
  clamp,     ///< the nearest element inside
  wrap,      ///< the element as far from the other edge: the array is periodic
  constant,  ///< a stated value
  skip,      ///< nothing: the tap takes no part, and the first that is inside starts the fold
};

/// Result element (r, c) reads element (r + row, c + column), weighed.
struct stencil_tap {
  std::int32_t row;
  std::int32_t column;
  std::uint64_t weight;  ///< bit pattern
};
/// Neighbouring columns that taps of one row name: those of [first, last].
struct stencil_span {
  std::int32_t row;
  std::int32_t first;
  std::int32_t last;
};
struct stencil_shape {
  std::uint64_t rows = 1;
  std::uint64_t columns = 0;
  boundary edge = boundary::clamp;
  std::uint64_t outside = 0;        ///< of `constant`: bit pattern
  std::vector<stencil_tap> taps;    ///< in the order of the fold
  std::vector<stencil_span> spans;  ///< what the taps read, each place once
};
/// Limits of a stencil: its body keeps a line per tap on its stack.
inline constexpr std::size_t stencil_taps_max = 256;
inline constexpr std::int32_t stencil_radius_max = 1 << 24;

/// A product of row-major matrices: `rows` x `inner` times `inner` x `columns`.
struct dense_shape {
  std::uint64_t rows = 0;
  std::uint64_t inner = 0;
  std::uint64_t columns = 1;  ///< of gemv: 1
  friend bool operator==(const dense_shape&, const dense_shape&) = default;
};

/// What a definition of one of these kinds says.
struct product_definition {
  std::vector<array_handle> operands;
  std::shared_ptr<const sparse_structure> matrix = {};  ///< of spmv
  stencil_shape stencil = {};
  dense_shape dense = {};
};

}  // namespace sheaf::inline v0
