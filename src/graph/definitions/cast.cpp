/// \file
/// Casts between element sizes. A line program has one element size, so what stands under such a
/// cast becomes an array of its own, and the cast another.
#include "graph/definer.hpp"

namespace sheaf::inline v0 {
namespace {

bool is_wide_cast(const expression_step& step) noexcept {
  return step.kind == expression_step::form::operation && step.op == opcode::cast &&
         size_of(step.from) != size_of(step.type);
}

std::uint64_t cast_bits(std::uint64_t bits, dtype from, dtype to) {
  return visit_dtype(from, [&]<class From>(std::type_identity<From>) {
    return visit_dtype(to, [&]<class To>(std::type_identity<To>) -> std::uint64_t {
      const From value = from_bits<From>(static_cast<bits_of<From>>(bits));
      return constant_bits(canonical(cast<To>(value)));
    });
  });
}

}  // namespace

bool definer::define_as_cast(const std::vector<expression_step>& steps) {
  if (!is_wide_cast(steps.back())) return false;
  const dtype from = steps.back().from;
  const std::vector<expression_step> below(steps.begin(), steps.end() - 1);
  if (below.size() == 1 && below[0].kind == expression_step::form::constant) return false;
  const std::uint32_t operand = whole_operand(below, from);
  if (operand == no_index) return true;
  const std::uint64_t length = data_.arrays[operand].length;
  if (length_known_ && length == 1 && record().length != 1) {
    // One element for all of a longer array: by way of an array of one.
    const std::uint32_t one = hidden_step(operator_kind::cast, {}, type_, {operand}, 1,
                                          static_cast<std::uint32_t>(from));
    define_program({operand_step(one)});
    return true;
  }
  define_step(operator_kind::cast, {}, {operand}, length, static_cast<std::uint32_t>(from));
  return true;
}

expression_step definer::operand_step(std::uint32_t array) const {
  const array_record& found = data_.arrays[array];
  return {.kind = expression_step::form::operand,
          .type = found.type,
          .array = {array_id{array}, data_.tag_of(array), found.length}};
}

bool definer::split_casts(std::vector<expression_step>& steps) {
  if (std::ranges::none_of(steps, is_wide_cast)) return true;
  std::vector<expression_step> out;
  std::vector<std::size_t> begins;  // of the values on the stack, in `out`
  for (const expression_step& step : steps) {
    if (step.kind != expression_step::form::operation) {
      begins.push_back(out.size());
      out.push_back(step);
      continue;
    }
    if (!is_wide_cast(step)) {
      begins.resize(begins.size() - step.arity + 1);
      out.push_back(step);
      continue;
    }
    const auto begin = out.begin() + static_cast<std::ptrdiff_t>(begins.back());
    const std::vector<expression_step> below(begin, out.end());
    out.erase(begin, out.end());
    if (below.size() == 1 && below[0].kind == expression_step::form::constant) {
      out.push_back({.kind = expression_step::form::constant,
                     .type = step.type,
                     .bits = cast_bits(below[0].bits, step.from, step.type)});
      continue;
    }
    const std::uint32_t operand = whole_operand(below, step.from);
    if (operand == no_index) return false;
    out.push_back(operand_step(hidden_step(operator_kind::cast, {}, step.type, {operand},
                                           data_.arrays[operand].length,
                                           static_cast<std::uint32_t>(step.from))));
  }
  steps = std::move(out);
  return true;
}

}  // namespace sheaf::inline v0
