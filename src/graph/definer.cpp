#include "definer.hpp"

#include <algorithm>
#include <cstring>
#include <sheaf/algebra/fold_tree.hpp>
#include <sheaf/graph/model.hpp>

#include "expression_compiler.hpp"
#include "index_tables.hpp"

namespace sheaf::inline v0 {
namespace {

using ull = unsigned long long;

/// `memcpy`, so that no object of another type is read in place.
template <class Stored>
Stored stored_at(const std::byte* first, std::size_t index) noexcept {
  Stored value;
  std::memcpy(&value, first + index * sizeof(Stored), sizeof(Stored));
  return value;
}

}  // namespace

definer::definer(declaration_state& state, std::uint32_t result, bool length_known,
                 std::optional<page_class> page)
    : state_(state),
      data_(*state.data),
      result_(result),
      type_(state.data->arrays[result].type),
      length_known_(length_known),
      page_(page) {}

void definer::refuse(const status& mistake) {
  state_.note(mistake);
  refuse_silently();
}

void definer::refuse_silently() {
  refused_ = true;
  record().definition = refused_definition;
}

void definer::define(const definition_data& computed) {
  state_.scratch.clear();
  switch (computed.kind) {
    case definition_data::form::combine: return combine_arrays(computed);
    case definition_data::form::combine_terms: return combine_terms(computed);
    case definition_data::form::program: return define_program(computed.steps);
    case definition_data::form::reduce: return define_reduce(computed);
    case definition_data::form::segment_reduce: return define_segments(computed);
    case definition_data::form::gather: return define_gather(computed);
    case definition_data::form::spmv: return define_spmv(computed);
    case definition_data::form::stencil: return define_stencil(computed);
    case definition_data::form::gemv: return define_gemv(computed);
    case definition_data::form::matmul: return define_matmul(computed);
    case definition_data::form::scan: return define_scan(computed);
    case definition_data::form::histogram: return define_histogram(computed);
    case definition_data::form::sort_index: return define_sort(computed);
    case definition_data::form::top_k: return define_top(computed);
    case definition_data::form::gather_at: return define_gather_at(computed);
    case definition_data::form::delay: return define_delay(computed);
    case definition_data::form::fixpoint: return define_fixpoint(computed);
  }
}

std::uint32_t definer::admit(const array_handle& handle, dtype type) {
  const std::uint32_t array = index_of(handle.id);
  const bool past_the_end = handle.model_tag == data_.tag && array >= data_.array_count();
  if (SHEAF_UNLIKELY(!data_.owns(handle) && !past_the_end)) {
    refuse(handle.model_tag == 0
               ? make_status(status_code::unknown_array, subsystem::graph,
                             "an operand names no array", "in the definition of '%s'",
                             name().c_str())
               : make_status(status_code::foreign_handle, subsystem::graph,
                             "an operand belongs to another model",
                             "array #%u of model %u in the definition of '%s' of model %u", array,
                             handle.model_tag, name().c_str(), data_.tag));
    return no_index;
  }
  if (SHEAF_UNLIKELY(past_the_end)) {
    refuse(make_status(status_code::unknown_array, subsystem::graph,
                       "an operand is none of the model's arrays",
                       "array #%u in the definition of '%s', the model has %u", array,
                       name().c_str(), data_.array_count()));
    return no_index;
  }
  const array_record& found = data_.arrays[array];
  if (SHEAF_UNLIKELY(found.kind == array_kind::dropped)) {
    refuse(make_status(status_code::unknown_array, subsystem::graph, "an operand was dropped",
                       "'%s' in the definition of '%s'", data_.name_of(handle.id).c_str(),
                       name().c_str()));
    return no_index;
  }
  if (SHEAF_UNLIKELY(found.type != type)) {
    refuse(make_status(status_code::type_mismatch, subsystem::graph,
                       "an operand has another element type",
                       "'%s' is %s, the definition of '%s' takes %s",
                       data_.name_of(handle.id).c_str(), name_of(found.type).data(),
                       name().c_str(), name_of(type).data()));
    return no_index;
  }
  if (SHEAF_UNLIKELY(found.definition == no_definition && found.kind != array_kind::source)) {
    data_.forward_declared = true;
  }
  if (SHEAF_UNLIKELY(found.length == 0)) {
    refuse_silently();
    return no_index;
  }
  return array;
}

std::uint32_t definer::admit_element(const array_handle& handle, dtype type,
                                     std::uint64_t index) {
  const std::uint32_t array = admit(handle, type);
  if (array == no_index) return no_index;
  const std::uint64_t length = data_.arrays[array].length;
  if (index < length && index < no_index) return array;
  refuse(make_status(status_code::out_of_range, subsystem::graph,
                     "an element past the end of its array",
                     "element %llu of '%s', which has %llu, in the definition of '%s'",
                     static_cast<ull>(index), data_.name_of(handle.id).c_str(),
                     static_cast<ull>(length), name().c_str()));
  return no_index;
}

void definer::take(const array_handle& handle, dtype type, bool broadcast, std::uint64_t index) {
  const std::uint32_t array =
      broadcast ? admit_element(handle, type, index) : admit(handle, type);
  state_.scratch.push_back(
      {0, array, broadcast ? static_cast<std::uint32_t>(index) : no_index});
}

bool definer::semiring_fits(semiring_id semiring) {
  if (static_cast<unsigned>(semiring) < semiring_count && supports(semiring, type_)) return true;
  const bool known = static_cast<unsigned>(semiring) < semiring_count;
  refuse(make_status(status_code::type_mismatch, subsystem::graph,
                     "the semiring is not defined for the element type",
                     "%s on %s in the definition of '%s'",
                     known ? name_of(semiring).data() : "an unknown semiring",
                     name_of(type_).data(), name().c_str()));
  return false;
}

/// True where `admit` would have nothing to say.
inline bool definer::is_plain(const array_handle& handle) const {
  const std::uint32_t array = index_of(handle.id);
  if (!data_.owns(handle)) return false;
  const array_record& found = data_.arrays[array];
  const bool defined = found.definition != no_definition || found.kind == array_kind::source;
  // A dropped array has no definition and is no source.
  return defined && (found.type == type_) & (found.length != 0);
}

/// The common case, and the one whose cost is measured: aligned operands of one shape.
void definer::combine_arrays(const definition_data& computed) {
  if (!semiring_fits(computed.semiring)) return;
  const std::size_t begin = data_.operand_arrays.size();
  if (computed.count == 0 || computed.count >= no_index - begin) return combine_general(computed);
  make_room(data_.operand_arrays, computed.count);
  data_.operand_arrays.resize(begin + computed.count);
  std::uint64_t length = 0;
  std::uint32_t level = 0;
  page_class page = page_class::b64;
  bool same = true;
  for (std::size_t i = 0; i < computed.count; ++i) {
    const auto handle = stored_at<array_handle>(computed.first, i);
    const std::uint32_t array = index_of(handle.id);
    if (SHEAF_UNLIKELY(!is_plain(handle)) && admit(handle, type_) == no_index) continue;
    const array_record& operand = data_.arrays[array];
    data_.operand_arrays[begin + i] = array;
    if (length == 0) length = operand.length, page = operand.page;
    same &= (length == operand.length) & (page == operand.page);
    level = std::max(level, operand.level);
  }
  const page_class result_page = length_known_ ? record().page : page_.value_or(page);
  if (SHEAF_LIKELY(!refused_ && same && result_page == page &&
                   (!length_known_ || record().length == length))) {
    if (!shape_result(length, page)) return data_.operand_arrays.resize(begin);
    return store({.result = result_,
                  .operand_begin = static_cast<std::uint32_t>(begin),
                  .operand_count = static_cast<std::uint32_t>(computed.count),
                  .payload = no_index,
                  .kind = operator_kind::combine,
                  .semiring = computed.semiring,
                  .uniform = true,
                  .weighted = false},
                 level);
  }
  data_.operand_arrays.resize(begin);
  if (!refused_) combine_general(computed);
}

void definer::combine_general(const definition_data& computed) {
  if (computed.count == 0 || computed.count >= no_index) {
    return refuse(make_status(
        computed.count == 0 ? status_code::invalid_argument : status_code::too_many,
        subsystem::graph, "combine takes at least one operand and fewer than 2^32",
        "%llu in the definition of '%s'", static_cast<ull>(computed.count), name().c_str()));
  }
  for (std::size_t i = 0; i < computed.count; ++i) {
    take(stored_at<array_handle>(computed.first, i), type_, false, 0);
  }
  std::uint64_t length = 0;
  if (refused_ || !meet_lengths(length)) return;
  settle(of_kind(operator_kind::combine, computed.semiring, no_index), length, true);
}

void definer::combine_terms(const definition_data& computed) {
  if (!semiring_fits(computed.semiring)) return;
  if (computed.count == 0 || computed.count >= no_index / 2) return combine_general(computed);
  for (std::size_t i = 0; i < computed.count; ++i) {
    const auto term = stored_at<term_data>(computed.first, i);
    take(term.value, type_, term.value_broadcast, term.value_index);
  }
  for (std::size_t i = 0; i < computed.count; ++i) {
    const auto term = stored_at<term_data>(computed.first, i);
    if (term.weight_constant) state_.scratch.push_back({term.weight_bits, no_index, no_index});
    else take(term.weight, type_, term.weight_broadcast, term.weight_bits);
  }
  std::uint64_t length = 0;
  if (refused_ || !meet_lengths(length)) return;
  settle(of_kind(operator_kind::combine, computed.semiring, no_index, true), length, true);
}

void definer::define_program(std::vector<expression_step> steps) {
  if (define_as_cast(steps) || !split_casts(steps)) return;
  state_.scratch.clear();
  result<compiled_expression> compiled = compile_expression(steps, type_);
  if (!compiled) {
    const status& fault = compiled.error();
    return refuse(make_status(fault.code(), subsystem::graph, fault.text().data(),
                              "%.*s in the definition of '%s'",
                              static_cast<int>(fault.detail().size()), fault.detail().data(),
                              name().c_str()));
  }
  for (const expression_step& operand : compiled->operands) {
    take(operand.array, operand.type, operand.broadcast, operand.bits);
  }
  if (state_.scratch.empty()) {
    return refuse(make_status(status_code::invalid_argument, subsystem::graph,
                              "an expression of constants alone has nothing to follow, "
                              "make it a source",
                              "the definition of '%s'", name().c_str()));
  }
  std::uint64_t length = 0;
  if (refused_ || !meet_lengths(length)) return;
  note_uses(std::move(compiled->uses));
  const std::uint32_t program = state_.intern(std::move(compiled->program));
  settle(of_kind(operator_kind::program, semiring_id::sum_product, program),
         length, true);
}

void definer::note_uses(std::vector<operator_use>&& uses) {
  for (operator_use& use : uses) {
    const auto same = [&](const operator_use& other) {
      return other.op == use.op && other.arity == use.arity && other.type == use.type;
    };
    if (std::ranges::any_of(data_.operator_uses, same)) continue;
    use.array = result_;
    data_.operator_uses.push_back(use);
  }
}

std::uint32_t definer::add_hidden(std::uint64_t length, dtype type) {
  const array_record& parent = record();
  return state_.add_array({}, {.length = length,
                               .level = 0,
                               .definition = no_definition,
                               .name_begin = result_,
                               .name_size = hidden_count_++,
                               .type = type,
                               .page = default_page(length, type),
                               .kind = array_kind::hidden,
                               .lazy = parent.lazy});
}

std::uint32_t definer::whole_operand(const std::vector<expression_step>& steps,
                                     dtype type) {
  if (steps.size() == 1 && steps[0].kind == expression_step::form::operand &&
      !steps[0].broadcast) {
    return admit(steps[0].array, type);
  }
  const std::uint32_t hidden = add_hidden(0, type);
  definer inner(state_, hidden, false, std::nullopt);
  inner.define_program(steps);
  if (!inner.refused_) return hidden;
  refuse_silently();
  return no_index;
}

void definer::define_fold(operator_kind kind, semiring_id semiring, std::uint32_t operand,
                          std::uint64_t length, std::uint32_t payload) {
  define_step(kind, semiring, {operand}, length, payload);
}

void definer::define_step(operator_kind kind, semiring_id semiring,
                          std::initializer_list<std::uint32_t> operands, std::uint64_t length,
                          std::uint32_t payload) {
  state_.scratch.clear();
  for (const std::uint32_t operand : operands) state_.scratch.push_back({0, operand, no_index});
  settle(of_kind(kind, semiring, payload), length, false);
}

std::uint32_t definer::hidden_step(operator_kind kind, semiring_id semiring, dtype type,
                                   std::initializer_list<std::uint32_t> operands,
                                   std::uint64_t length, std::uint32_t payload) {
  const std::uint32_t hidden = add_hidden(length, type);
  definer(state_, hidden, true, std::nullopt)
      .define_step(kind, semiring, operands, length, payload);
  return hidden;
}

void definer::define_reduce(const definition_data& computed) {
  if (!semiring_fits(computed.semiring)) return;
  std::uint32_t operand = whole_operand(computed.steps);
  if (operand == no_index) return;
  const fold_tree_shape shape = shape_of_fold_tree(data_.arrays[operand].length, type_);
  for (unsigned level = 0; level + 1 < shape.levels; ++level) {
    const std::uint32_t partials = add_hidden(shape.sizes[level]);
    definer(state_, partials, true, std::nullopt)
        .define_fold(level == 0 ? operator_kind::fold_lines : operator_kind::fold_blocks,
                     computed.semiring, operand, shape.sizes[level], no_index);
    operand = partials;
  }
  define_fold(shape.levels == 1 ? operator_kind::fold_lines : operator_kind::fold_blocks,
              computed.semiring, operand, 1, no_index);
}

const known_segments& definer::segments_of(const std::shared_ptr<const segment_table>& groups,
                                           std::uint64_t operand_length) {
  for (const known_segments& known : state_.segments) {
    if (known.groups == groups && known.operand_length == operand_length &&
        known.size_shift == size_shift(type_)) {
      return known;
    }
  }
  known_segments& made = state_.segments.emplace_back(
      known_segments{groups, operand_length, size_shift(type_), {}, {}});
  for (segment_level& level : segment_levels(*groups, operand_length, type_)) {
    made.tables.push_back(static_cast<std::uint32_t>(data_.tables.size()));
    made.lengths.push_back(level.length);
    data_.tables.push_back(std::make_shared<const index_table>(std::move(level.table)));
  }
  return made;
}

bool definer::members_fit(const segment_table& groups, std::uint32_t operand) {
  if (!groups.mistake.is_ok()) {
    refuse(make_status(groups.mistake.code(), subsystem::graph, groups.mistake.text().data(),
                       "%.*s in the definition of '%s'",
                       static_cast<int>(groups.mistake.detail().size()),
                       groups.mistake.detail().data(), name().c_str()));
    return false;
  }
  const std::uint64_t operand_length = data_.arrays[operand].length;
  const auto past = std::ranges::find_if(
      groups.members, [&](std::uint32_t member) { return member >= operand_length; });
  if (past == groups.members.end()) return true;
  refuse(make_status(status_code::out_of_range, subsystem::graph,
                     "a member of a segment is past the end of the operand",
                     "item %lld is element %u of '%s', which has %llu, in the definition "
                     "of '%s'",
                     static_cast<long long>(past - groups.members.begin()), *past,
                     data_.name_of(array_id{operand}).c_str(), static_cast<ull>(operand_length),
                     name().c_str()));
  return false;
}

void definer::define_segments(const definition_data& computed) {
  if (!semiring_fits(computed.semiring)) return;
  const segment_table& groups = *computed.groups;
  if (!groups.mistake.is_ok()) return void(members_fit(groups, no_index));
  std::uint32_t operand = whole_operand(computed.steps);
  if (operand == no_index || !members_fit(groups, operand)) return;
  const std::uint64_t operand_length = data_.arrays[operand].length;
  const known_segments& steps = segments_of(computed.groups, operand_length);
  for (std::size_t level = 0; level + 1 < steps.tables.size(); ++level) {
    const std::uint32_t partials = add_hidden(steps.lengths[level]);
    definer(state_, partials, true, std::nullopt)
        .define_fold(operator_kind::segment_fold, computed.semiring, operand,
                     steps.lengths[level], steps.tables[level]);
    operand = partials;
  }
  define_fold(operator_kind::segment_fold, computed.semiring, operand, steps.lengths.back(),
              steps.tables.back());
}

void definer::define_gather(const definition_data& computed) {
  const std::uint32_t operand = whole_operand(computed.steps);
  if (operand == no_index) return;
  const std::uint64_t operand_length = data_.arrays[operand].length;
  const auto past = std::ranges::find_if(
      computed.indices, [&](std::uint32_t index) { return index >= operand_length; });
  if (past != computed.indices.end()) {
    return refuse(make_status(status_code::out_of_range, subsystem::graph,
                              "an index of gather is past the end of the operand",
                              "index %lld is element %u of '%s', which has %llu, in the definition "
                              "of '%s'",
                              static_cast<long long>(past - computed.indices.begin()), *past,
                              data_.name_of(array_id{operand}).c_str(),
                              static_cast<ull>(operand_length), name().c_str()));
  }
  if (computed.indices.empty() || computed.indices.size() >= no_index) {
    return refuse(make_status(
        computed.indices.empty() ? status_code::length_mismatch : status_code::too_many,
        subsystem::graph, "gather takes at least one index and fewer than 2^32",
        "%llu in the definition of '%s'", static_cast<ull>(computed.indices.size()),
        name().c_str()));
  }
  const auto table = static_cast<std::uint32_t>(data_.tables.size());
  data_.tables.push_back(std::make_shared<const index_table>(
      gather_table(computed.indices, operand_length)));
  define_fold(operator_kind::gather, semiring_id::sum_product, operand, computed.indices.size(),
              table);
}

void definer::define_host(std::span<const any_array> operands, host_function&& function) {
  state_.scratch.clear();
  if (!function) {
    return refuse(make_status(status_code::invalid_argument, subsystem::graph,
                              "a host function is empty", "the definition of '%s'",
                              name().c_str()));
  }
  for (const any_array& operand : operands) {
    state_.scratch.push_back({0, admit(operand.handle(), operand.type()), no_index});
  }
  if (state_.scratch.empty()) {
    return refuse(make_status(status_code::invalid_argument, subsystem::graph,
                              "a host function without operands has nothing to follow, make it a "
                              "source",
                              "the definition of '%s'", name().c_str()));
  }
  if (refused_) return;
  const auto payload = static_cast<std::uint32_t>(data_.hosts.size());
  data_.hosts.push_back(std::move(function));
  settle(of_kind(operator_kind::host, semiring_id::sum_product, payload), record().length, false);
}

bool definer::meet_lengths(std::uint64_t& length) {
  length = length_known_ ? record().length : 1;
  std::uint32_t longest = no_index;
  for (const model_operand& operand : state_.scratch) {
    if (operand.array == no_index || operand.element != no_index || length_known_) continue;
    if (data_.arrays[operand.array].length <= length) continue;
    length = data_.arrays[operand.array].length;
    longest = operand.array;
  }
  for (model_operand& operand : state_.scratch) {
    if (operand.array == no_index || operand.element != no_index) continue;
    const std::uint64_t own = data_.arrays[operand.array].length;
    if (own == length) continue;
    if (own == 1) {
      operand.element = 0;
      operand.bits = implied_broadcast;
      continue;
    }
    const std::string beside = longest == no_index ? name() : data_.name_of(array_id{longest});
    refuse(make_status(status_code::length_mismatch, subsystem::graph,
                       "operands of different lengths meet",
                       "'%s' has %llu elements, '%s' has %llu, in the definition of '%s'",
                       beside.c_str(), static_cast<ull>(length),
                       data_.name_of(array_id{operand.array}).c_str(), static_cast<ull>(own),
                       name().c_str()));
    if (!length_known_) record().length = length;
    return false;
  }
  return true;
}

bool definer::shape_result(std::uint64_t length, std::optional<page_class> from_operands) {
  array_record& result = record();
  if (!length_known_) {
    result.length = length;
    result.page = page_   ? *page_
                  : from_operands ? *from_operands
                                  : default_page(length, type_);
  } else if (result.length != length) {
    refuse(make_status(status_code::length_mismatch, subsystem::graph,
                       "the definition has another length than the array",
                       "'%s' has %llu elements, its definition %llu", name().c_str(),
                       static_cast<ull>(result.length), static_cast<ull>(length)));
    return false;
  }
  if (result.page <= page_class::b4k && page_count_of(length, type_, result.page) != 0) {
    return true;
  }
  if (length_known_) return refuse_silently(), false;
  refuse(make_status(status_code::too_many, subsystem::graph,
                     "an array has more pages than 32 bits can number, or no such page class",
                     "'%s' of %llu elements in pages of class %u", name().c_str(),
                     static_cast<ull>(length), static_cast<unsigned>(result.page)));
  return false;
}

definition_record definer::of_kind(operator_kind kind, semiring_id semiring,
                                   std::uint32_t payload, bool weighted) const {
  return {.result = result_,
          .operand_begin = 0,
          .operand_count = 0,
          .payload = payload,
          .kind = kind,
          .semiring = semiring,
          .uniform = false,
          .weighted = weighted};
}

void definer::settle(definition_record made, std::uint64_t length, bool aligned) {
  const auto& operands = state_.scratch;
  std::optional<page_class> largest;
  std::uint32_t level = 0;
  for (const model_operand& operand : operands) {
    if (operand.array == no_index) continue;
    const array_record& found = data_.arrays[operand.array];
    level = std::max(level, found.level);
    if (aligned && operand.element == no_index) {
      largest = std::max(largest.value_or(found.page), found.page);
    }
  }
  if (!shape_result(length, largest)) return;
  const page_class page = record().page;
  made.operand_count = static_cast<std::uint32_t>(operands.size());
  made.uniform = aligned && !made.weighted &&
                 std::ranges::all_of(operands, [&](const model_operand& operand) {
                   return operand.array != no_index && operand.element == no_index &&
                          data_.arrays[operand.array].page == page;
                 });
  const std::size_t begin =
      made.uniform ? data_.operand_arrays.size() : data_.operands.size();
  if (begin + operands.size() >= no_index) {
    return refuse(make_status(status_code::too_many, subsystem::graph,
                              "a model has more than 2^32 operands", "at '%s'", name().c_str()));
  }
  made.operand_begin = static_cast<std::uint32_t>(begin);
  if (made.uniform) {
    for (const model_operand& operand : operands) data_.operand_arrays.push_back(operand.array);
  } else {
    data_.operands.insert(data_.operands.end(), operands.begin(), operands.end());
  }
  store(made, level);
}

void definer::store(definition_record made, std::uint32_t level) {
  array_record& result = record();
  result.level = level + 1;
  result.definition = static_cast<std::uint32_t>(data_.definitions.size());
  make_room(data_.definitions, 1);
  data_.definitions.push_back(made);
}

}  // namespace sheaf::inline v0
