#include <cstddef>

#include "definer.hpp"

namespace sheaf::inline v0 {
namespace {

using ull = unsigned long long;

/// Plus must give one of two equal operands back, times must not fall where an operand rises.
bool has_least_fixpoint(semiring_id semiring, dtype type) noexcept {
  switch (semiring) {
    case semiring_id::min_plus:
    case semiring_id::max_plus:
    case semiring_id::max_min:
    case semiring_id::or_and:
    case semiring_id::and_or: return true;
    case semiring_id::max_times: return is_float(type);  // integer products wrap
    default: return false;
  }
}

}  // namespace

/// Operands are in scratch: base, from, to and perhaps weight.
bool definer::fixpoint_shape_fits(const definition_data& computed) {
  const auto& operands = state_.scratch;
  const auto length_of = [&](std::size_t which) {
    return data_.arrays[operands[which].array].length;
  };
  const auto name_of_operand = [&](std::size_t which) {
    return data_.name_of(array_id{operands[which].array});
  };
  const std::uint64_t each = line_size >> size_shift(type_);
  const std::uint64_t stride = (computed.count + each - 1) / each * each;
  const std::uint64_t length = length_of(0);
  if (computed.count == 0 || length % stride != 0 || length / stride >= no_vertex ||
      stride / each >= no_index) {
    refuse(make_status(status_code::length_mismatch, subsystem::graph,
                       "the base of a fixpoint is not a whole number of rows",
                       "'%s' has %llu elements, a row of %llu columns takes %llu, in the "
                       "definition of '%s'",
                       name_of_operand(0).c_str(), static_cast<ull>(length),
                       static_cast<ull>(computed.count), static_cast<ull>(stride),
                       name().c_str()));
    return false;
  }
  for (std::size_t which = 2; which < operands.size(); ++which) {
    if (length_of(which) == length_of(1)) continue;
    refuse(make_status(status_code::length_mismatch, subsystem::graph,
                       "the edge arrays of a fixpoint have different lengths",
                       "'%s' has %llu elements, '%s' has %llu, in the definition of '%s'",
                       name_of_operand(1).c_str(), static_cast<ull>(length_of(1)),
                       name_of_operand(which).c_str(), static_cast<ull>(length_of(which)),
                       name().c_str()));
    return false;
  }
  if (length_of(1) >= no_vertex) {
    refuse(make_status(status_code::too_many, subsystem::graph,
                       "a fixpoint has fewer than 2^32 - 1 edges", "%llu in the definition of '%s'",
                       static_cast<ull>(length_of(1)), name().c_str()));
    return false;
  }
  return true;
}

bool definer::check_fixpoint_semiring(semiring_id semiring) {
  if (!semiring_fits(semiring)) return false;
  if (has_least_fixpoint(semiring, type_)) return true;
  refuse(make_status(status_code::type_mismatch, subsystem::graph,
                     "a fixpoint needs a semiring whose plus is idempotent and whose times is "
                     "monotone",
                     "%s on %s in the definition of '%s'", name_of(semiring).data(),
                     name_of(type_).data(), name().c_str()));
  return false;
}

void definer::define_fixpoint(const definition_data& computed) {
  if (!check_fixpoint_semiring(computed.semiring)) return;
  for (const expression_step& operand : computed.steps) {
    take(operand.array, operand.type, false, 0);
  }
  if (refused_ || !fixpoint_shape_fits(computed)) return;
  const std::uint64_t length = data_.arrays[state_.scratch[0].array].length;
  const std::uint64_t edges = data_.arrays[state_.scratch[1].array].length;
  const std::uint64_t each = line_size >> size_shift(type_);
  const std::uint64_t row_lines = (computed.count + each - 1) / each;
  const auto payload = static_cast<std::uint32_t>(data_.fixpoints.size());
  data_.fixpoints.push_back({.vertices = static_cast<std::uint32_t>(length / each / row_lines),
                             .row_lines = static_cast<std::uint32_t>(row_lines),
                             .edge_capacity = static_cast<std::uint32_t>(edges),
                             .iterations_max = computed.iterations_max,
                             .is_weighted = computed.steps.size() == 4});
  settle(fixpoint_record(computed.semiring, payload), length, false);
}

definition_record definer::fixpoint_record(semiring_id semiring, std::uint32_t payload) const {
  return {.result = result_,
          .operand_begin = 0,
          .operand_count = 0,
          .payload = payload,
          .kind = operator_kind::fixpoint,
          .semiring = semiring,
          .uniform = false,
          .weighted = false};
}

std::uint32_t definer::define_outside(semiring_id semiring, std::span<const term_data> terms) {
  const std::uint32_t hidden = add_hidden(record().length);
  definer inner(state_, hidden, true, std::nullopt);
  inner.define({.kind = definition_data::form::combine_terms,
                .semiring = semiring,
                .first = reinterpret_cast<const std::byte*>(terms.data()),
                .count = terms.size()});
  return inner.refused_ ? no_index : hidden;
}

std::uint32_t definer::define_rows(semiring_id semiring, fixpoint_shape&& shape,
                                   std::span<const std::uint32_t> bases) {
  const std::uint64_t each = line_size >> size_shift(type_);
  const std::uint64_t length = std::uint64_t{shape.vertices} * shape.row_lines * each;
  const std::uint32_t hidden = add_hidden(length);
  definer inner(state_, hidden, true, std::nullopt);
  const auto payload = static_cast<std::uint32_t>(data_.fixpoints.size());
  data_.fixpoints.push_back(std::move(shape));
  state_.scratch.clear();
  for (const std::uint32_t base : bases) state_.scratch.push_back({0, base, no_index});
  inner.settle(inner.fixpoint_record(semiring, payload), length, false);
  return inner.refused_ ? no_index : hidden;
}

void definer::define_slice(std::uint32_t from, std::uint32_t first_line) {
  state_.scratch.assign(1, {0, from, no_index});
  definition_record made = fixpoint_record(semiring_id::sum_product, first_line);
  made.kind = operator_kind::slice;
  settle(made, record().length, false);
}

}  // namespace sheaf::inline v0
