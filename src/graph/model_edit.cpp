/// \file
/// Edits of arrays that are declared already: redefine, rename, drop, resize.
///
/// A definition taken back stays as a gap until the model is looked at as a whole; then tables are
/// written anew without gaps, so that compiler and checks know none.
#include <algorithm>

#include "definer.hpp"
#include "model_state.hpp"
#include "model_walk.hpp"

namespace sheaf::inline v0 {

std::uint32_t declaration_state::admit_edit(const array_handle& target, const char* call) {
  const std::uint32_t array = index_of(target.id);
  if (!data->owns(target)) {
    const bool foreign = target.model_tag != 0 && target.model_tag != data->tag;
    note(make_status(foreign ? status_code::foreign_handle : status_code::unknown_array,
                     subsystem::graph, "an edit is given an array of another model, or none",
                     "%s of array #%u of model %u, in model %u", call, array, target.model_tag,
                     data->tag));
    return no_index;
  }
  if (data->arrays[array].kind != array_kind::dropped) return array;
  note(make_status(status_code::unknown_array, subsystem::graph,
                   "an edit is given an array that was dropped", "%s of '%s'", call,
                   data->name_of(target.id).c_str()));
  return no_index;
}

bool declaration_state::has_reader(std::uint32_t array) const {
  return std::ranges::any_of(data->definitions, [&](const definition_record& made) {
    bool reads = false;
    if (made.result == no_index) return false;
    for_each_operand(*data, made, [&](std::uint32_t operand) { reads |= operand == array; });
    return reads;
  });
}

void declaration_state::take_back(std::uint32_t array) {
  data->forward_declared = true;
  for (auto at = std::ranges::find(stuck, array); at != stuck.end();
       at = std::ranges::find(stuck, array)) {
    stuck_mistakes.erase(stuck_mistakes.begin() + (at - stuck.begin()));
    stuck.erase(at);
  }
  const std::uint32_t definition = data->arrays[array].definition;
  data->arrays[array].definition = no_definition;
  if (definition >= refused_definition) return;
  const operator_kind kind = data->definitions[definition].kind;
  data->definitions[definition].result = no_index;
  has_gaps = true;
  std::vector<std::uint32_t> inner;
  for_each_operand(*data, data->definitions[definition], [&](std::uint32_t operand) {
    const array_record& read = data->arrays[operand];
    const std::uint32_t owner =
        data->arrays[array].kind == array_kind::hidden ? data->arrays[array].name_begin : array;
    if (read.kind != array_kind::hidden) return;
    // The rows of a fixpoint of several arrays belong to all of them, and their bases to the rows.
    const bool is_inner = kind == operator_kind::slice      ? !has_reader(operand)
                          : kind == operator_kind::fixpoint ? true
                                                            : read.name_begin == owner ||
                                                                  read.name_begin == array;
    if (is_inner) inner.push_back(operand);
  });
  for (const std::uint32_t hidden : inner) {
    if (data->arrays[hidden].kind == array_kind::hidden) bury(hidden);
  }
}

void declaration_state::bury(std::uint32_t array) {
  const array_record before = data->arrays[array];
  if (before.kind == array_kind::derived && before.definition == no_definition) {
    --data->undefined_count;
  }
  if (before.lazy) --data->lazy_count;
  take_back(array);
  array_record& record = data->arrays[array];
  if (record.kind == array_kind::hidden) record.name_begin = record.name_size = 0;
  record.kind = array_kind::dropped;
  record.lazy = false;
  data->dropped.push_back(array);
  data->names = {};
}

void declaration_state::note_length(std::uint32_t array, std::uint64_t before) {
  if (data->arrays[array].length == before) return;
  if (settled_lengths.empty()) {
    for (const array_record& record : data->arrays) settled_lengths.push_back(record.length);
    settled_lengths[array] = before;
  }
  lengths_moved = true;
}

void declaration_state::settle() {
  if (lengths_moved || (!stuck.empty() && !shared)) follow_lengths();
  if (has_gaps) close_gaps();
  index_names(*data);
}

namespace {

/// Writes a table anew with the entries that are used, in the order of their first use.
template <class Entry>
class gap_closer {
 public:
  explicit gap_closer(std::vector<Entry>& entries)
      : before_(entries), place_(entries.size(), no_index) {}
  std::uint32_t keep(std::uint32_t entry) {
    if (place_[entry] == no_index) {
      place_[entry] = static_cast<std::uint32_t>(after_.size());
      after_.push_back(std::move(before_[entry]));
    }
    return place_[entry];
  }
  void finish() { before_ = std::move(after_); }

 private:
  std::vector<Entry>& before_;
  std::vector<Entry> after_;
  std::vector<std::uint32_t> place_;
};

/// What no definition uses any more of programs, tables, shapes and host functions goes.
void close_payloads(model_data& data) {
  gap_closer programs(data.programs);
  gap_closer tables(data.tables);
  gap_closer matrices(data.matrices);
  gap_closer stencils(data.stencils);
  gap_closer dense(data.dense);
  gap_closer hosts(data.hosts);
  gap_closer scans(data.scans);
  gap_closer histograms(data.histograms);
  gap_closer orders(data.orders);
  gap_closer delays(data.delays);
  gap_closer fixpoints(data.fixpoints);
  for (definition_record& made : data.definitions) {
    const auto keep = [&made](auto& closer) { made.payload = closer.keep(made.payload); };
    switch (made.kind) {
      case operator_kind::program: keep(programs); break;
      case operator_kind::segment_fold:
      case operator_kind::gather: keep(tables); break;
      case operator_kind::spmv: keep(matrices); break;
      case operator_kind::stencil: keep(stencils); break;
      case operator_kind::gemv:
      case operator_kind::matmul: keep(dense); break;
      case operator_kind::host: keep(hosts); break;
      case operator_kind::scan_totals:
      case operator_kind::scan: keep(scans); break;
      case operator_kind::bin_counts:
      case operator_kind::row_sums: keep(histograms); break;
      case operator_kind::sorted_runs:
      case operator_kind::merged_runs: keep(orders); break;
      case operator_kind::delay: keep(delays); break;
      case operator_kind::fixpoint: keep(fixpoints); break;
      case operator_kind::combine:
      case operator_kind::fold_lines:
      case operator_kind::fold_blocks:
      case operator_kind::cast:
      case operator_kind::gather_at:
      case operator_kind::slice: break;  // their payload is no index, or none
    }
  }
  const auto finish = [](auto&... closers) { (closers.finish(), ...); };
  finish(programs, tables, matrices, stencils, dense, hosts, scans, histograms, orders, delays,
         fixpoints);
}

}  // namespace

void declaration_state::close_gaps() {
  if (!has_gaps) return;
  std::vector<definition_record> definitions;
  std::vector<std::uint32_t> arrays;
  std::vector<model_operand> operands;
  for (definition_record made : data->definitions) {
    if (made.result == no_index) continue;
    const std::size_t begin = made.uniform ? arrays.size() : operands.size();
    if (made.uniform) {
      const auto first = data->operand_arrays.begin() + made.operand_begin;
      arrays.insert(arrays.end(), first, first + made.operand_count);
    } else {
      const auto first = data->operands.begin() + made.operand_begin;
      operands.insert(operands.end(), first, first + made.operand_count);
    }
    made.operand_begin = static_cast<std::uint32_t>(begin);
    data->arrays[made.result].definition = static_cast<std::uint32_t>(definitions.size());
    definitions.push_back(made);
  }
  data->definitions = std::move(definitions);
  data->operand_arrays = std::move(arrays);
  data->operands = std::move(operands);
  close_payloads(*data);
  programs.clear();
  segments.clear();
  has_gaps = false;
}

array_handle model::redefine_array(const array_handle& target, const definition_data& computed,
                                   dtype type, std::optional<evaluation> when) {
  model_data& data = state_->edit();
  const std::uint32_t array = state_->admit_redefinition(target, type);
  if (array == no_index) return target;
  if (state_->lengths_moved) state_->follow_lengths();
  state_->take_back(array);
  array_record& record = data.arrays[array];
  if (when && (*when == evaluation::lazy) != record.lazy) {
    record.lazy = !record.lazy;
    if (record.lazy) ++data.lazy_count;
    else --data.lazy_count;
  }
  if (record.lazy && record.contiguous) {
    state_->note(make_status(status_code::unsupported, subsystem::graph,
                             "a lazy array cannot be contiguous", "'%s'",
                             data.name_of(target.id).c_str()));
  }
  const std::uint64_t before = record.length;
  definer(*state_, array, false, record.page).define(computed);
  data.redefined.push_back(array);
  state_->note_length(array, before);
  return state_->handle_of(array);
}

array_handle model::redefine_array(const array_handle& target, std::span<const any_array> operands,
                                   host_function function, dtype type,
                                   std::optional<std::uint64_t> length) {
  model_data& data = state_->edit();
  const std::uint32_t array = state_->admit_redefinition(target, type);
  if (array == no_index) return target;
  if (state_->lengths_moved) state_->follow_lengths();
  state_->take_back(array);
  const std::uint64_t before = data.arrays[array].length;
  data.arrays[array].length = length.value_or(before);
  const status fault = fault_of_shape(data, array);
  if (!fault.is_ok()) {
    state_->note(fault);
    data.arrays[array].definition = refused_definition;
    return state_->handle_of(array);
  }
  definer(*state_, array, true, std::nullopt).define_host(operands, std::move(function));
  data.redefined.push_back(array);
  state_->note_length(array, before);
  return state_->handle_of(array);
}

std::uint32_t declaration_state::admit_redefinition(const array_handle& target, dtype type) {
  const std::uint32_t array = admit_edit(target, "redefine");
  if (array == no_index) return no_index;
  const array_record& record = data->arrays[array];
  const std::string name = data->name_of(target.id);
  if (record.type != type) {
    note(make_status(status_code::type_mismatch, subsystem::graph,
                     "redefine is given an array of another element type", "'%s' is %s, not %s",
                     name.c_str(), name_of(record.type).data(), name_of(type).data()));
    return no_index;
  }
  if (record.kind == array_kind::source) {
    note(make_status(status_code::invalid_argument, subsystem::graph,
                     "a source cannot be redefined, drop it and declare another", "'%s'",
                     name.c_str()));
    return no_index;
  }
  if (record.definition == no_definition) --data->undefined_count;
  return array;
}

void model::rename_array(const array_handle& target, std::string_view name) {
  model_data& data = state_->edit();
  const std::uint32_t array = state_->admit_edit(target, "rename");
  if (array == no_index) return;
  state_->put_name(data.arrays[array], name);
  data.names = {};
}

void model::drop_array(const array_handle& target) {
  state_->edit();
  const std::uint32_t array = state_->admit_edit(target, "drop");
  if (array != no_index) state_->bury(array);
}

array_handle model::resize_array(const array_handle& target, std::uint64_t length) {
  model_data& data = state_->edit();
  const std::uint32_t array = state_->admit_edit(target, "resize");
  if (array == no_index) return target;
  array_record& record = data.arrays[array];
  const bool by_host = record.definition < refused_definition &&
                       data.definitions[record.definition].kind == operator_kind::host;
  if (record.kind != array_kind::source && !by_host) {
    state_->note(make_status(status_code::not_a_source, subsystem::graph,
                             "the length of a derived array follows from its definition",
                             "resize of '%s'", data.name_of(target.id).c_str()));
    return state_->handle_of(array);
  }
  const std::uint64_t before = record.length;
  record.length = length;
  const status fault = fault_of_shape(data, array);
  if (!fault.is_ok()) {
    state_->note(fault);
    record.length = before;
  }
  if (record.length < before) data.shrunk.emplace_back(array, record.length);
  state_->note_length(array, before);
  return state_->handle_of(array);
}

result<array_handle> find_array(const model_data& data, std::string_view name, dtype type) {
  const array_id found = data.find(name);
  const std::string words(name);
  if (found == no_array) {
    return make_status(status_code::unknown_array, subsystem::graph, "no array has the name",
                       "'%s'", words.c_str());
  }
  const array_record& record = data.record(found);
  if (record.type != type) {
    return make_status(status_code::type_mismatch, subsystem::graph,
                       "the array has another element type", "'%s' holds %s, not %s",
                       words.c_str(), name_of(record.type).data(), name_of(type).data());
  }
  return array_handle{found, data.tag_of(index_of(found)), record.length};
}

}  // namespace sheaf::inline v0
