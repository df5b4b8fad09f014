/// \file
/// How definitions follow that are one step over whole arrays, or a chain of steps.
///
/// | kind      | shape over operands of other lengths |
/// |-----------|---------------------------------------|
/// | cast, gather by array | as long as the operand, as the indices |
/// | stencil   | one dimension: as long as the operand; two: rows of the same columns |
/// | gemv      | rows as long as the vector |
/// | matmul    | rows and columns of the same inner length |
/// | spmv      | the structure stays: values for its entries, a vector that holds its columns |
/// | fixpoint  | as many vertices as the base has rows; the edge arrays of one length |
/// | scan      | segments stay, the last one goes on; those past the end are gone |
/// | histogram | edges stay |
/// | sort_index, top_k | all values; as many as before, which must be there |
///
/// A step whose kept elements may read what is no line that changed is computed whole: its
/// array counts as redefined.
#include <algorithm>
#include <optional>

#include "definer.hpp"
#include "length_follower.hpp"
#include "model_walk.hpp"

namespace sheaf::inline v0 {
namespace {

using ull = unsigned long long;

bool is_chain_step(operator_kind kind) noexcept {
  switch (kind) {
    case operator_kind::scan_totals:
    case operator_kind::scan:
    case operator_kind::bin_counts:
    case operator_kind::row_sums:
    case operator_kind::sorted_runs:
    case operator_kind::merged_runs: return true;
    default: return false;
  }
}

}  // namespace

void length_follower::follow_step(const definition_record& made, std::uint64_t length,
                                  std::uint32_t payload, bool whole) {
  forget(made.result);
  definer(state_, made.result, false, data().arrays[made.result].page)
      .follow_step(made, length, payload);
  if (whole) data().redefined.push_back(made.result);
}

status length_follower::uneven(const definition_record& made, std::uint32_t operand,
                               std::uint64_t inner, const char* what) {
  return make_status(status_code::length_mismatch, subsystem::graph, what,
                     "'%s' has %llu elements, not a multiple of %llu, in the definition of '%s'",
                     shown_operand(operand).c_str(), static_cast<ull>(length_of(operand)),
                     static_cast<ull>(inner), shown(made.result).c_str());
}

void length_follower::follow_gather_at(const definition_record& made) {
  const std::uint32_t indices = operand_array(made, 1);
  const array_record& record = data().arrays[indices];
  if (record.kind == array_kind::hidden && record.name_begin == made.result) {
    return follow_chain(made);  // the last step of top_k
  }
  follow_step(made, record.length, made.payload, false);
}

/// Where an array only grows, an element that read past the old end reads something that changed,
/// but at a periodic edge.
void length_follower::follow_stencil(const definition_record& made) {
  const stencil_shape& before = *data().stencils[made.payload];
  const std::uint32_t operand = operand_array(made, 0);
  const std::uint64_t length = length_of(operand);
  const bool is_run = before.rows == 1 && std::ranges::all_of(before.taps, [](const auto& tap) {
    return tap.row == 0;
  });
  if (!is_run && length % before.columns != 0) {
    return stick(made.result, uneven(made, operand, before.columns,
                                     "an array is not a whole number of rows of its stencil"));
  }
  auto shape = std::make_shared<stencil_shape>(before);
  if (is_run) shape->columns = length;
  else shape->rows = length / before.columns;
  const bool grows = length >= before.rows * before.columns;
  const bool whole = !grows || before.edge == boundary::wrap;
  data().stencils.push_back(std::move(shape));
  follow_step(made, length, static_cast<std::uint32_t>(data().stencils.size() - 1), whole);
}

void length_follower::follow_spmv(const definition_record& made) {
  const sparse_structure& before = *data().matrices[made.payload];
  const std::uint32_t values = operand_array(made, 0);
  const std::uint32_t vector = operand_array(made, 1);
  if (length_of(values) != before.indices.size()) {
    return stick(made.result,
                 make_status(status_code::length_mismatch, subsystem::graph,
                             "the entries of a sparse matrix are fixed, redefine its product in "
                             "the same transaction",
                             "'%s' has %llu elements, the matrix of '%s' has %zu entries",
                             shown(values).c_str(), static_cast<ull>(length_of(values)),
                             shown(made.result).c_str(), before.indices.size()));
  }
  const std::uint64_t columns = length_of(vector);
  if (columns == before.columns) return;
  const auto& reach = before.reach_offsets;
  if (columns >= no_index || (columns < before.columns && reach[columns] != reach.back())) {
    return stick(made.result,
                 make_status(status_code::out_of_range, subsystem::graph,
                             "an entry of a sparse matrix lies past the end of the vector",
                             "'%s' has %llu elements, the matrix of '%s' has %llu columns",
                             shown(vector).c_str(), static_cast<ull>(columns),
                             shown(made.result).c_str(), static_cast<ull>(before.columns)));
  }
  auto matrix = std::make_shared<sparse_structure>(before);
  matrix->columns = columns;
  matrix->reach_offsets.resize(static_cast<std::size_t>(columns) + 1, reach.back());
  data().matrices.push_back(std::move(matrix));
  follow_step(made, length_of(made.result),
              static_cast<std::uint32_t>(data().matrices.size() - 1), false);
}

std::uint32_t length_follower::dense_payload(const dense_shape& shape) {
  data().dense.push_back(shape);
  return static_cast<std::uint32_t>(data().dense.size() - 1);
}

void length_follower::follow_gemv(const definition_record& made) {
  const std::uint32_t matrix = operand_array(made, 0);
  const std::uint64_t inner = length_of(operand_array(made, 1));
  if (length_of(matrix) % inner != 0) {
    return stick(made.result,
                 uneven(made, matrix, inner,
                        "a matrix has no whole number of rows as long as the vector"));
  }
  const std::uint64_t rows = length_of(matrix) / inner;
  // A vector of another length changed, and so every row did.
  follow_step(made, rows, dense_payload({rows, inner, 1}), false);
}

void length_follower::follow_matmul(const definition_record& made) {
  const std::uint64_t inner = data().dense[made.payload].inner;
  for (std::uint32_t which = 0; which < 2; ++which) {
    const std::uint32_t operand = operand_array(made, which);
    if (length_of(operand) % inner == 0) continue;
    return stick(made.result,
                 uneven(made, operand, inner,
                        which == 0
                            ? "a matrix has no whole number of rows of the inner length"
                            : "a matrix has no whole number of columns of the inner length"));
  }
  const std::uint64_t rows = length_of(operand_array(made, 0)) / inner;
  const std::uint64_t columns = length_of(operand_array(made, 1)) / inner;
  if (rows > ~std::uint64_t{0} / columns) {
    return stick(made.result,
                 make_status(status_code::too_many, subsystem::graph,
                             "a product has more elements than 64 bits can number",
                             "%llu x %llu in the definition of '%s'", static_cast<ull>(rows),
                             static_cast<ull>(columns), shown(made.result).c_str()));
  }
  // Where columns come or go the second operand changed, and so every row did.
  follow_step(made, rows * columns, dense_payload({rows, inner, columns}), false);
}

/// It runs whole whenever an operand changed.
void length_follower::follow_fixpoint(const definition_record& made) {
  fixpoint_shape shape = data().fixpoints[made.payload];
  if (shape.is_group) return refuse(made);
  const std::uint32_t base = operand_array(made, 0);
  const std::uint32_t edges = operand_array(made, 1);
  const std::uint64_t each = line_size >> size_shift(data().arrays[made.result].type);
  const std::uint64_t stride = shape.row_lines * each;
  const std::uint64_t length = length_of(base);
  if (length % stride != 0) {
    return stick(made.result, uneven(made, base, stride,
                                     "the base of a fixpoint is not a whole number of rows"));
  }
  for (std::uint32_t which = 2; which < made.operand_count; ++which) {
    const std::uint32_t other = operand_array(made, which);
    if (length_of(other) == length_of(edges)) continue;
    return stick(made.result,
                 make_status(status_code::length_mismatch, subsystem::graph,
                             "the edge arrays of a fixpoint have different lengths",
                             "'%s' has %llu elements, '%s' has %llu, in the definition of '%s'",
                             shown(edges).c_str(), static_cast<ull>(length_of(edges)),
                             shown(other).c_str(), static_cast<ull>(length_of(other)),
                             shown(made.result).c_str()));
  }
  if (length / stride >= no_vertex || length_of(edges) >= no_vertex) {
    return stick(made.result,
                 make_status(status_code::too_many, subsystem::graph,
                             "a fixpoint has fewer than 2^32 - 1 vertices and edges",
                             "%llu and %llu in the definition of '%s'",
                             static_cast<ull>(length / stride), static_cast<ull>(length_of(edges)),
                             shown(made.result).c_str()));
  }
  shape.vertices = static_cast<std::uint32_t>(length / stride);
  shape.edge_capacity = static_cast<std::uint32_t>(length_of(edges));
  data().fixpoints.push_back(std::move(shape));
  follow_step(made, length, static_cast<std::uint32_t>(data().fixpoints.size() - 1), false);
}

length_follower::step_chain length_follower::chain_of(const definition_record& made) {
  step_chain chain;
  const array_record& record = data().arrays[made.result];
  chain.owner = record.kind == array_kind::hidden ? record.name_begin : made.result;
  std::vector<std::uint32_t> open{chain.owner};
  while (!open.empty()) {
    const definition_record& step = data().definitions[data().arrays[open.back()].definition];
    open.pop_back();
    for_each_operand(data(), step, [&](std::uint32_t operand) {
      const array_record& read = data().arrays[operand];
      const bool is_step = read.kind == array_kind::hidden && read.name_begin == chain.owner &&
                           read.definition < refused_definition &&
                           is_chain_step(data().definitions[read.definition].kind);
      if (!is_step) {
        chain.operand = operand;
      } else if (std::ranges::find(chain.hidden, operand) == chain.hidden.end()) {
        chain.hidden.push_back(operand);
        open.push_back(operand);
      }
    });
  }
  return chain;
}

status length_follower::fault_of_order(const order_record& before, const step_chain& chain) {
  const std::uint64_t length = length_of(chain.operand);
  if (length >= no_index) {
    return make_status(status_code::too_many, subsystem::graph,
                       "an array to be sorted has more elements than an index can name",
                       "'%s' has %llu, in the definition of '%s'",
                       shown_operand(chain.operand).c_str(), static_cast<ull>(length),
                       shown(chain.owner).c_str());
  }
  if (before.takes_all || before.step.taken <= length) return {};
  return make_status(status_code::out_of_range, subsystem::graph,
                     "top_k takes at least one value and at most all",
                     "%llu of '%s', which has %llu, in the definition of '%s'",
                     static_cast<ull>(before.step.taken), shown_operand(chain.operand).c_str(),
                     static_cast<ull>(length), shown(chain.owner).c_str());
}

void length_follower::follow_chain(const definition_record& made) {
  const step_chain chain = chain_of(made);
  redone_.insert(chain.owner);
  redone_.insert(chain.hidden.begin(), chain.hidden.end());
  const definition_record last = data().definitions[data().arrays[chain.owner].definition];
  std::optional<order_record> order;
  if (last.kind == operator_kind::gather_at) {
    const std::uint32_t indices = operand_array(last, 1);
    order = data().orders[data().definitions[data().arrays[indices].definition].payload];
  } else if (last.kind == operator_kind::sorted_runs || last.kind == operator_kind::merged_runs) {
    order = data().orders[last.payload];
  }
  if (order) {
    const status fault = fault_of_order(*order, chain);
    if (!fault.is_ok()) return stick(chain.owner, fault);
  }
  forget(chain.owner);
  for (const std::uint32_t hidden : chain.hidden) {
    forget(hidden);
    data().arrays[hidden].definition = no_definition;
    state_.bury(hidden);
  }
  definer again(state_, chain.owner, false, data().arrays[chain.owner].page);
  if (order) {
    again.follow_order(*order, chain.operand, last.kind == operator_kind::gather_at);
  } else if (last.kind == operator_kind::scan) {
    again.follow_scan(last.semiring, last.payload, chain.operand);
  } else {
    again.follow_histogram(last.payload, chain.operand);
  }
  data().redefined.push_back(chain.owner);
}

void definer::follow_step(const definition_record& before, std::uint64_t length,
                          std::uint32_t payload) {
  state_.scratch.clear();
  for (std::uint32_t i = 0; i < before.operand_count; ++i) {
    state_.scratch.push_back(data_.operands[before.operand_begin + i]);
  }
  definition_record made = before;
  made.operand_begin = made.operand_count = 0;
  made.payload = payload;
  settle(made, length, false);
}

void definer::number_from(std::uint32_t operand) {
  const array_record& read = data_.arrays[operand];
  const bool is_inner = read.kind == array_kind::hidden && read.name_begin == result_;
  if (is_inner) hidden_count_ = std::max(hidden_count_, read.name_size + 1);
}

}  // namespace sheaf::inline v0
