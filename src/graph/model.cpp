#include <sheaf/graph/model.hpp>

#include <atomic>
#include <cstring>

#include "declaration_state.hpp"
#include "definer.hpp"
#include "dot.hpp"
#include "model_state.hpp"
#include "model_walk.hpp"
#include "plan_compiler.hpp"

namespace sheaf::inline v0 {
namespace {

using ull = unsigned long long;

template <class Value>
void hash_bytes(std::uint64_t& hash, const std::vector<Value>& values) noexcept {
  const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
  for (std::size_t i = 0; i < values.size() * sizeof(Value); ++i) {
    hash = (hash ^ bytes[i]) * 0x100'0000'01b3u;
  }
  hash = (hash ^ values.size()) * 0x100'0000'01b3u;
}

std::uint64_t hash_of(const line_program& program) noexcept {
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325u;
  hash_bytes(hash, program.code);
  hash_bytes(hash, program.constants);
  hash_bytes(hash, program.operand_types);
  hash_bytes(hash, program.calls);
  return hash;
}

/// The one status that stands for all of `found`.
status summary_of(const std::vector<status>& found, std::uint64_t not_kept) {
  if (found.size() == 1 && not_kept == 0) return found.front();
  std::string words = std::to_string(found.size() + not_kept) + " mistakes";
  char separator = ':';
  for (const status& mistake : found) {
    words += separator;
    words += ' ';
    words += mistake.text();
    if (!mistake.detail().empty()) (words += ", ") += mistake.detail();
    separator = ';';
    if (words.size() > status::detail_size_max) break;
  }
  if (words.size() > status::detail_size_max) {
    words.resize(status::detail_size_max - 3);
    words += "...";
  }
  return {found.front().code(), subsystem::graph, "the model has mistakes", words};
}

}  // namespace

std::uint32_t next_tag() noexcept {
  static std::atomic<std::uint32_t> last{0};
  std::uint32_t tag = 0;
  while (tag == 0) tag = last.fetch_add(1) + 1;
  return tag;
}

status fault_of_shape(const model_data& data, std::uint32_t array) {
  const array_record& made = data.arrays[array];
  if (SHEAF_LIKELY(made.length != 0 && made.page <= page_class::b4k &&
                   page_count_of(made.length, made.type, made.page) != 0)) {
    return {};
  }
  const std::string name = data.name_of(array_id{array});
  if (made.length == 0) {
    return make_status(status_code::invalid_argument, subsystem::graph,
                       "an array has no elements, give it a length of at least 1", "'%s'",
                       name.c_str());
  }
  if (made.page > page_class::b4k) {
    return make_status(status_code::invalid_argument, subsystem::graph, "no such page class",
                       "class %u of '%s'", static_cast<unsigned>(made.page), name.c_str());
  }
  return make_status(status_code::too_many, subsystem::graph,
                     "an array has more pages than 32 bits can number", "'%s' of %llu elements",
                     name.c_str(), static_cast<ull>(made.length));
}

page_class default_page(std::uint64_t length, dtype type) noexcept {
  auto page = page_class::b64;
  while (page != page_class::b4k && length > bytes_of(page) >> size_shift(type)) {
    page = static_cast<page_class>(static_cast<unsigned>(page) + 1);
  }
  return page;
}

void declaration_state::note(const status& mistake) {
  if (data->mistakes.size() < mistake_count_max) data->mistakes.push_back(mistake);
  else ++data->mistakes_not_kept;
}

void declaration_state::copy_data() {
  data = std::make_shared<model_data>(*data);
  shared = false;
  if (!continues) return;
  continues = false;
  needs_tag = true;
  data->redefined.clear();
  data->dropped.clear();
  data->shrunk.clear();
}

std::uint32_t declaration_state::add_array(std::string_view name, const array_record& record) {
  const std::uint32_t array = data->array_count();
  SHEAF_ASSERT(array < refused_definition, "array-ids-fit-32-bits");
  make_room(data->arrays, 1);
  array_record& made = data->arrays.emplace_back(record);
  if (record.lazy) ++data->lazy_count;
  if (SHEAF_UNLIKELY(needs_tag)) {
    data->later_tags.push_back({array, next_tag()});
    needs_tag = false;
  }
  if (!name.empty()) put_name(made, name);
  return array;
}

void declaration_state::put_name(array_record& made, std::string_view name) {
  made.name_begin = static_cast<std::uint32_t>(data->characters.size());
  made.name_size = static_cast<std::uint32_t>(name.size());
  data->characters.append(name);
  if (!name.empty() && std::memchr(name.data(), '#', name.size()) != nullptr) {
    note(make_status(status_code::invalid_argument, subsystem::graph,
                     "a name holds '#', which is kept for unnamed and inner arrays", "'%.*s'",
                     static_cast<int>(name.size()), name.data()));
  }
  if (data->characters.size() >= no_index) {
    data->characters.resize(made.name_begin);
    made.name_size = 0;
    note({status_code::too_many, subsystem::graph, "names fill more than 4 GiB", {}});
  }
}

std::uint32_t declaration_state::intern(line_program&& program) {
  std::vector<line_program>& known = data->programs;
  if (!known.empty() && known.back() == program) {
    return static_cast<std::uint32_t>(known.size() - 1);
  }
  const std::uint64_t hash = hash_of(program);
  const auto [begin, end] = programs.equal_range(hash);
  for (auto found = begin; found != end; ++found) {
    if (known[found->second] == program) return found->second;
  }
  const auto index = static_cast<std::uint32_t>(known.size());
  programs.emplace(hash, index);
  known.push_back(std::move(program));
  return index;
}

namespace {

/// Lazy arrays live in frames of their snapshot, one by one.
void set_layout(declaration_state& state, std::uint32_t array, layout wanted) {
  array_record& record = state.data->arrays[array];
  record.contiguous = wanted == layout::contiguous;
  if (!record.contiguous || !record.lazy) return;
  state.note(make_status(status_code::unsupported, subsystem::graph,
                         "a lazy array cannot be contiguous", "'%s'",
                         state.data->name_of(array_id{array}).c_str()));
}

/// The record of a new array, without a definition and with the default page where none is asked
/// for.
array_record undefined(array_kind kind, dtype type, std::uint64_t length,
                       std::optional<page_class> page) noexcept {
  return {.length = length,
          .level = 0,
          .definition = no_definition,
          .name_begin = 0,
          .name_size = 0,
          .type = type,
          .page = page ? *page : default_page(length, type),
          .kind = kind,
          .lazy = false};
}

}  // namespace

model::model() : state_(std::make_unique<state>()) {
  state_->data = std::make_shared<model_data>();
  state_->data->tag = next_tag();
}
model::model(std::shared_ptr<const model_data> from) : state_(std::make_unique<state>()) {
  // Never changed through this pointer: the first edit copies.
  state_->data = std::const_pointer_cast<model_data>(std::move(from));
  state_->shared = state_->continues = true;
}
model::~model() = default;
model::model(model&&) noexcept = default;
model& model::operator=(model&&) noexcept = default;

array_handle model::add_source(std::string_view name, std::uint64_t length, dtype type,
                               array_options options) {
  const model_data& data = state_->edit();
  array_record made = undefined(array_kind::source, type, length, options.page);
  made.contiguous = options.layout == layout::contiguous;
  const std::uint32_t array = state_->add_array(name, made);
  const status fault = fault_of_shape(data, array);
  if (!fault.is_ok()) state_->note(fault);
  return state_->handle_of(array);
}

array_handle model::add_derived(std::string_view name, const definition_data& computed, dtype type,
                                derive_options options) {
  state_->edit();
  array_record made = undefined(array_kind::derived, type, 0, page_class::b64);
  made.lazy = options.when == evaluation::lazy;
  const std::uint32_t array = state_->add_array(name, made);
  set_layout(*state_, array, options.layout);
  if (SHEAF_UNLIKELY(state_->lengths_moved)) state_->follow_lengths();
  definer(*state_, array, false, options.page).define(computed);
  return state_->handle_of(array);
}

array_handle model::add_declared(std::string_view name, std::uint64_t length, dtype type,
                                 array_options options) {
  model_data& data = state_->edit();
  array_record made = undefined(array_kind::derived, type, length, options.page);
  made.contiguous = options.layout == layout::contiguous;
  const std::uint32_t array = state_->add_array(name, made);
  ++data.undefined_count;
  const status fault = fault_of_shape(data, array);
  if (!fault.is_ok()) state_->note(fault);
  return state_->handle_of(array);
}

/// True where `declared` may be defined now, as an array of `type`; notes why not.
bool model::admit_defined(const array_handle& declared, dtype type) {
  model_data& data = state_->edit();
  const std::uint32_t array = index_of(declared.id);
  if (!data.owns(declared)) {
    const bool foreign = declared.model_tag != data.tag && declared.model_tag != 0;
    state_->note(make_status(
        foreign ? status_code::foreign_handle : status_code::unknown_array, subsystem::graph,
        "define is given an array of another model, or none", "array #%u of model %u, in model %u",
        array, declared.model_tag, data.tag));
    return false;
  }
  const array_record& record = data.arrays[array];
  const std::string name = data.name_of(declared.id);
  if (record.type != type) {
    state_->note(make_status(status_code::type_mismatch, subsystem::graph,
                             "define is given an array of another element type",
                             "'%s' is %s, not %s", name.c_str(), name_of(record.type).data(),
                             name_of(type).data()));
    return false;
  }
  if (record.kind == array_kind::source || record.definition != no_definition) {
    state_->note(make_status(status_code::invalid_argument, subsystem::graph,
                             record.kind == array_kind::source ? "a source cannot be defined"
                                                               : "an array is defined twice",
                             "'%s'", name.c_str()));
    return false;
  }
  return true;
}

void model::define_declared(const array_handle& declared, const definition_data& computed,
                            dtype type, evaluation when) {
  if (!admit_defined(declared, type)) return;
  model_data& data = *state_->data;
  const std::uint32_t array = index_of(declared.id);
  array_record& record = data.arrays[array];
  --data.undefined_count;
  record.lazy = when == evaluation::lazy;
  if (record.lazy) ++data.lazy_count;
  set_layout(*state_, array, record.contiguous ? layout::contiguous : layout::paged);
  if (state_->lengths_moved) state_->follow_lengths();
  definer(*state_, array, true, std::nullopt).define(computed);
}

void model::define_group(semiring_id semiring, std::span<const fixpoint_member_data> members,
                         dtype type, const fixpoint_group_options& options) {
  bool fits = true;
  for (const fixpoint_member_data& member : members) fits &= admit_defined(member.array, type);
  if (!fits || members.empty()) return;
  if (state_->lengths_moved) state_->follow_lengths();
  define_fixpoint_group(*state_, semiring, members, options);
  for (const fixpoint_member_data& member : members) {
    const std::uint32_t array = index_of(member.array.id);
    const bool contiguous = state_->data->arrays[array].contiguous;
    set_layout(*state_, array, contiguous ? layout::contiguous : layout::paged);
  }
}

array_handle model::add_host(std::string_view name, std::uint64_t length, dtype type,
                             std::span<const any_array> operands, host_function function,
                             derive_options options) {
  const model_data& data = state_->edit();
  array_record made = undefined(array_kind::derived, type, length, options.page);
  made.lazy = options.when == evaluation::lazy;
  const std::uint32_t array = state_->add_array(name, made);
  set_layout(*state_, array, options.layout);
  const status fault = fault_of_shape(data, array);
  if (!fault.is_ok()) {
    state_->note(fault);
    state_->data->arrays[array].definition = refused_definition;
  } else {
    definer(*state_, array, true, std::nullopt).define_host(operands, std::move(function));
  }
  return state_->handle_of(array);
}

std::vector<status> model::mistakes() const {
  state_->settle();
  model_data& data = *state_->data;
  std::vector<status> found = data.mistakes;
  found.insert(found.end(), state_->stuck_mistakes.begin(), state_->stuck_mistakes.end());
  check_whole(data, found);
  if (data.forward_declared) {
    for (const status& cycle : cycles_among(data, levels_of(data).blocked)) {
      found.push_back(cycle);
    }
  }
  if (data.mistakes_not_kept != 0) {
    found.push_back(make_status(status_code::too_many, subsystem::graph,
                                "more mistakes than are kept", "%llu more",
                                static_cast<ull>(data.mistakes_not_kept)));
  }
  return found;
}

result<std::shared_ptr<const plan>> model::compile() const {
  state_->settle();
  model_data& data = *state_->data;
  std::vector<status> found = data.mistakes;
  found.insert(found.end(), state_->stuck_mistakes.begin(), state_->stuck_mistakes.end());
  check_whole(data, found);
  level_table levels;
  if (data.forward_declared) {
    levels = levels_of(data);
    for (const status& cycle : cycles_among(data, levels.blocked)) found.push_back(cycle);
  }
  if (!found.empty()) return summary_of(found, data.mistakes_not_kept);
  return compile_plan(data, levels.levels);
}

std::string model::to_dot() const {
  state_->settle();
  return dot_of(*state_->data);
}

std::shared_ptr<const model_data> model::data() const {
  state_->settle();
  state_->shared = true;
  return state_->data;
}

const model_data& model::records() const noexcept { return *state_->data; }
std::uint32_t model::tag() const noexcept { return state_->data->tag; }
std::uint32_t model::array_count() const noexcept { return state_->data->array_count(); }

segments segments::from_ids(std::span<const std::uint32_t> segment_of_element,
                            std::uint32_t count) {
  auto table = std::make_shared<segment_table>();
  table->offsets.assign(std::size_t{count} + 1, 0);
  if (segment_of_element.size() >= no_index) {
    table->mistake = {status_code::too_many, subsystem::graph,
                      "segments name 2^32 elements or more", {}};
    return segments(std::move(table));
  }
  for (std::size_t i = 0; i < segment_of_element.size(); ++i) {
    if (segment_of_element[i] < count) {
      ++table->offsets[segment_of_element[i] + 1];
    } else if (table->mistake.is_ok()) {
      table->mistake = make_status(status_code::out_of_range, subsystem::graph,
                                   "a segment id is past the number of segments",
                                   "element %zu has segment %u of %u", i, segment_of_element[i],
                                   count);
    }
  }
  if (!table->mistake.is_ok()) return segments(std::move(table));
  for (std::size_t g = 1; g <= count; ++g) table->offsets[g] += table->offsets[g - 1];
  table->members.resize(segment_of_element.size());
  std::vector<std::uint32_t> next(table->offsets.begin(), table->offsets.end() - 1);
  for (std::uint32_t i = 0; i < segment_of_element.size(); ++i) {
    table->members[next[segment_of_element[i]]++] = i;
  }
  if (count == 0) {
    table->mistake = {status_code::invalid_argument, subsystem::graph, "no segments", {}};
  }
  return segments(std::move(table));
}

segments segments::from_csr(std::vector<std::uint32_t> offsets,
                            std::vector<std::uint32_t> members) {
  auto table = std::make_shared<segment_table>();
  table->offsets = std::move(offsets);
  table->members = std::move(members);
  const auto& o = table->offsets;
  if (o.size() < 2) {
    table->mistake = {status_code::invalid_argument, subsystem::graph, "no segments", {}};
    return segments(std::move(table));
  }
  for (std::size_t g = 1; g < o.size() && table->mistake.is_ok(); ++g) {
    if (o[g] >= o[g - 1]) continue;
    table->mistake = make_status(status_code::invalid_argument, subsystem::graph,
                                 "segment offsets do not rise",
                                 "offset %zu is %u after %u", g, o[g], o[g - 1]);
  }
  if (table->mistake.is_ok() && (o.front() != 0 || o.back() != table->members.size())) {
    table->mistake = make_status(status_code::invalid_argument, subsystem::graph,
                                 "segment offsets do not run from 0 to the number of members",
                                 "from %u to %u, with %zu members", o.front(), o.back(),
                                 table->members.size());
  }
  return segments(std::move(table));
}

}  // namespace sheaf::inline v0
