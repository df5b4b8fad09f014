#include <map>
#include <set>

#include <sheaf/graph/operator_registry.hpp>

#include "declaration_state.hpp"
#include "model_walk.hpp"

namespace sheaf::inline v0 {
namespace {

void check_names(const model_data& data, std::vector<status>& found) {
  for (const auto& [later, first] : data.names.duplicates) {
    found.push_back(make_status(status_code::duplicate_name, subsystem::graph,
                                "two arrays share a name", "'%s', arrays #%u and #%u",
                                data.name_of(array_id{later}).c_str(), first, later));
  }
}

void check_defined(const model_data& data, std::vector<status>& found) {
  if (data.undefined_count == 0) return;
  for (std::uint32_t i = 0; i < data.array_count(); ++i) {
    const array_record& array = data.arrays[i];
    if (array.kind == array_kind::source || array.kind == array_kind::dropped ||
        array.definition != no_definition) {
      continue;
    }
    found.push_back(make_status(status_code::undefined_array, subsystem::graph,
                                "an array is declared and never defined", "'%s'",
                                data.name_of(array_id{i}).c_str()));
  }
}

/// The array that a reader would know `array` as.
std::uint32_t shown_array(const model_data& data, std::uint32_t array) {
  return data.arrays[array].kind == array_kind::hidden ? data.arrays[array].name_begin : array;
}

void check_dropped(const model_data& data, std::vector<status>& found) {
  if (data.dropped.empty()) return;
  std::map<std::uint32_t, std::set<std::uint32_t>> readers;  // by dropped array
  for (const definition_record& definition : data.definitions) {
    for_each_operand(data, definition, [&](std::uint32_t operand) {
      if (data.arrays[operand].kind != array_kind::dropped) return;
      readers[operand].insert(shown_array(data, definition.result));
    });
    if (definition.kind != operator_kind::delay) continue;
    const std::uint32_t followed = data.delays[definition.payload].array;
    if (data.arrays[followed].kind == array_kind::dropped) {
      readers[followed].insert(definition.result);
    }
  }
  for (const auto& [array, names] : readers) {
    std::string words;
    for (const std::uint32_t reader : names) {
      words += words.empty() ? "'" : ", '";
      words += data.name_of(array_id{reader}) + "'";
    }
    found.push_back(make_status(status_code::invalid_argument, subsystem::graph,
                                "an array is dropped that others still read",
                                "'%s' is read by %s",
                                data.name_of(array_id{array}).c_str(), words.c_str()));
  }
}

void check_laziness(const model_data& data, std::vector<status>& found) {
  if (data.lazy_count == 0) return;
  for (const definition_record& definition : data.definitions) {
    if (data.arrays[definition.result].lazy) continue;
    bool reported = false;
    for_each_operand(data, definition, [&](std::uint32_t operand) {
      if (reported || !data.arrays[operand].lazy) return;
      reported = true;
      found.push_back(make_status(status_code::eager_over_lazy, subsystem::graph,
                                  "an eager array reads a lazy one", "'%s' reads '%s'",
                                  data.name_of(array_id{definition.result}).c_str(),
                                  data.name_of(array_id{operand}).c_str()));
    });
  }
}

status fault_of(const operator_use& use, const std::string& array) {
  const operator_entry entry = operator_at(use.op);
  const int size = static_cast<int>(entry.name.size());
  if (!entry.refusal.is_ok()) {
    return make_status(entry.refusal.code(), subsystem::graph,
                       "a custom operator was refused when it was registered",
                       "'%s' uses it: %.*s: %.*s", array.c_str(),
                       static_cast<int>(entry.refusal.text().size()), entry.refusal.text().data(),
                       static_cast<int>(entry.refusal.detail().size()),
                       entry.refusal.detail().data());
  }
  if (entry.arity == 0 || operator_body(use.op, use.type, isa::scalar) == nullptr) {
    return make_status(status_code::operator_missing, subsystem::graph,
                       entry.arity == 0 ? "a custom operator is not registered"
                                        : "a custom operator has no body for the element type",
                       "'%.*s' version %u on %s, used by '%s'", size, entry.name.data(),
                       entry.version, name_of(use.type).data(), array.c_str());
  }
  if (entry.arity != use.arity) {
    return make_status(status_code::invalid_argument, subsystem::graph,
                       "a custom operator is given another number of arguments than it takes",
                       "'%.*s' version %u takes %u, '%s' gives %u", size, entry.name.data(),
                       entry.version, entry.arity, array.c_str(), use.arity);
  }
  return {};
}

/// A delay follows something that is computed or written. Loops of delays alone hold nothing but
/// their initial values, and there is no order in which to move them on.
void check_delays(const model_data& data, std::vector<status>& found) {
  for (const definition_record& definition : data.definitions) {
    if (definition.kind != operator_kind::delay) continue;
    std::uint32_t at = data.delays[definition.payload].array;
    if (data.arrays[at].lazy) {
      found.push_back(make_status(status_code::eager_over_lazy, subsystem::graph,
                                  "a delay follows a lazy array", "'%s' follows '%s'",
                                  data.name_of(array_id{definition.result}).c_str(),
                                  data.name_of(array_id{at}).c_str()));
    }
    const array_record& own = data.arrays[definition.result];
    if (data.arrays[at].kind != array_kind::dropped && data.arrays[at].length != own.length) {
      found.push_back(make_status(
          status_code::length_mismatch, subsystem::graph,
          "a delay has another length than what it follows, redefine it in the same transaction",
          "'%s' has %llu elements, '%s' has %llu",
          data.name_of(array_id{definition.result}).c_str(),
          static_cast<unsigned long long>(own.length), data.name_of(array_id{at}).c_str(),
          static_cast<unsigned long long>(data.arrays[at].length)));
    }
    // The loop is reported at its first member.
    std::size_t steps = 0;
    while (at > definition.result && is_delay(data, data.arrays[at]) &&
           ++steps <= data.delays.size()) {
      at = delay_of(data, data.arrays[at]).array;
    }
    if (at != definition.result) continue;
    found.push_back(make_status(status_code::cycle, subsystem::graph,
                                "delays follow nothing but each other", "'%s' among them",
                                data.name_of(array_id{at}).c_str()));
  }
}

void check_operators(const model_data& data, std::vector<status>& found) {
  for (const operator_use& use : data.operator_uses) {
    const status fault = fault_of(use, data.name_of(array_id{use.array}));
    if (!fault.is_ok()) found.push_back(fault);
  }
}

void check_slots(const model_data& data, std::vector<status>& found) {
  std::uint64_t slots = 0;
  for (const array_record& array : data.arrays) {
    if (array.length == 0 || array.kind == array_kind::dropped) continue;
    slots += page_count_of(array.length, array.type, array.page);
  }
  if (slots < no_index) return;
  found.push_back(make_status(status_code::too_many, subsystem::graph,
                              "the arrays have more pages than 32 bits can number", "%llu pages",
                              static_cast<unsigned long long>(slots)));
}

}  // namespace

void check_whole(const model_data& data, std::vector<status>& found) {
  check_names(data, found);
  check_defined(data, found);
  check_dropped(data, found);
  check_laziness(data, found);
  check_operators(data, found);
  if (!data.delays.empty()) check_delays(data, found);
  check_slots(data, found);
}

}  // namespace sheaf::inline v0
