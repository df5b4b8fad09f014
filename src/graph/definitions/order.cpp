/// \file
/// sort_index and top_k: a sorted run per page, then runs merged two by two.
#include "graph/definer.hpp"

namespace sheaf::inline v0 {
namespace {

/// Values of a run: as many as have their entries in one page.
constexpr std::uint64_t run_values(bool wide) noexcept {
  return bytes_of(page_class::b4k) / (wide ? 16 : 8);
}

}  // namespace

/// The indices of the first of `operand` in order: a hidden array where `as_hidden`, else the
/// result. no_index after noting a mistake.
std::uint32_t definer::order_steps(const definition_data& computed, std::uint32_t operand,
                                   bool as_hidden) {
  using ull = unsigned long long;
  const std::uint64_t length = data_.arrays[operand].length;
  const bool whole = computed.taken == ~std::uint64_t{0};
  if (length >= no_index) {
    refuse(make_status(status_code::too_many, subsystem::graph,
                       "an array to be sorted has more elements than an index can name",
                       "'%s' has %llu, in the definition of '%s'",
                       data_.name_of(array_id{operand}).c_str(), static_cast<ull>(length),
                       name().c_str()));
    return no_index;
  }
  if (!whole && (computed.taken == 0 || computed.taken > length)) {
    refuse(make_status(status_code::out_of_range, subsystem::graph,
                       "top_k takes at least one value and at most all",
                       "%llu of '%s', which has %llu, in the definition of '%s'",
                       static_cast<ull>(computed.taken), data_.name_of(array_id{operand}).c_str(),
                       static_cast<ull>(length), name().c_str()));
    return no_index;
  }
  order_data step{.length = length,
                  .taken = whole ? length : computed.taken,
                  .span = run_values(size_of(computed.from) == 8),
                  .type = computed.from,
                  .descending = computed.descending};
  operator_kind kind = operator_kind::sorted_runs;
  std::uint32_t below = operand;
  while (step.rows() > 1) {
    data_.orders.push_back({step, whole});
    below = hidden_step(kind, {}, dtype::u64, {below}, step.entries() * (step.is_wide() ? 2 : 1),
                        static_cast<std::uint32_t>(data_.orders.size() - 1));
    kind = operator_kind::merged_runs;
    step.span *= 2;
  }
  step.is_last = true;
  data_.orders.push_back({step, whole});
  const auto payload = static_cast<std::uint32_t>(data_.orders.size() - 1);
  if (as_hidden) return hidden_step(kind, {}, dtype::u32, {below}, step.taken, payload);
  define_step(kind, {}, {below}, step.taken, payload);
  return result_;
}

void definer::follow_order(const order_record& before, std::uint32_t operand, bool gathers) {
  number_from(operand);
  const definition_data again{.kind = definition_data::form::sort_index,
                              .descending = before.step.descending,
                              .from = before.step.type,
                              .taken = before.takes_all ? ~std::uint64_t{0} : before.step.taken};
  const std::uint32_t indices = order_steps(again, operand, gathers);
  if (gathers && indices != no_index) gather_step(operand, indices);
}

void definer::gather_step(std::uint32_t operand, std::uint32_t indices) {
  define_step(operator_kind::gather_at, {}, {operand, indices}, data_.arrays[indices].length,
              no_index);
}

void definer::define_sort(const definition_data& computed) {
  const std::uint32_t operand = whole_operand(computed.steps, computed.from);
  if (operand != no_index) order_steps(computed, operand, false);
}

void definer::define_top(const definition_data& computed) {
  const std::uint32_t operand = whole_operand(computed.steps, computed.from);
  if (operand == no_index) return;
  const std::uint32_t indices = order_steps(computed, operand, true);
  if (indices != no_index) gather_step(operand, indices);
}

void definer::define_gather_at(const definition_data& computed) {
  const std::uint32_t operand = whole_operand(computed.steps, type_);
  const std::uint32_t indices = admit(computed.at, dtype::u32);
  if (operand != no_index && indices != no_index) gather_step(operand, indices);
}

}  // namespace sheaf::inline v0
