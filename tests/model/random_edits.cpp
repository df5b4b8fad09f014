#include "model/random_edits.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "model/compare.hpp"
#include "model/random_model.hpp"

namespace model_test {

using sheaf::array;
using sheaf::status_code;

random_edits::random_edits(dice& random, host_switch& hosts, const declared_graph& before,
                           naive_engine& naive, sheaf::transaction& txn, edit_coverage& covered)
    : random_(random),
      hosts_(hosts),
      naive_(naive),
      txn_(txn),
      covered_(covered),
      graph_(before),
      known_count_(before.arrays.size()) {
  for (std::uint32_t i = 0; i < graph_.arrays.size(); ++i) {
    known_.push_back(operand_lengths_of(graph_.arrays, i));
  }
}

bool random_edits::is_live(std::uint32_t array) const {
  return graph_.arrays[array].form != array_form::dropped;
}
std::vector<std::uint32_t> random_edits::editable() const {
  std::vector<std::uint32_t> found;
  for (std::uint32_t i = 0; i < graph_.arrays.size(); ++i) {
    if (is_live(i) && !graph_.arrays[i].is_fixed) found.push_back(i);
  }
  return found;
}
std::vector<std::uint32_t> random_edits::of_form(bool source) const {
  std::vector<std::uint32_t> found = editable();
  std::erase_if(found, [&](std::uint32_t i) {
    return (graph_.arrays[i].form == array_form::source) != source;
  });
  return found;
}
std::vector<std::uint32_t> random_edits::readers_of(std::uint32_t array) const {
  std::vector<std::uint32_t> found = editable();
  std::erase_if(found, [&](std::uint32_t i) {
    return std::ranges::count(needs_of(graph_.arrays[i]), array) == 0;
  });
  return found;
}
std::string random_edits::shown(std::uint32_t array) const {
  const std::string& name = graph_.arrays[array].name;
  return name.empty() ? "#" + std::to_string(index_of(graph_.handles[array].id())) : name;
}

bool random_edits::runs_anew(std::uint32_t array) const { return anew_.contains(array); }

void random_edits::note(const char* what, std::uint32_t array) const {
  if (std::getenv("SHEAF_MODEL_TRACE") == nullptr) return;
  std::fprintf(stderr, "    %s #%u, %llu elements\n", what, array,
               static_cast<unsigned long long>(graph_.arrays[array].length));
}

bool random_edits::fits() const {
  const bool reads_dropped = std::ranges::any_of(editable(), [&](std::uint32_t i) {
    return std::ranges::any_of(needs_of(graph_.arrays[i]),
                               [&](std::uint32_t read) { return !is_live(read); });
  });
  if (reads_dropped || !naive_.writes_fit(graph_.arrays)) return false;
  std::vector<array_recipe> trial = graph_.arrays;
  operand_lengths known = known_;
  return follow_lengths(trial, known);
}

/// Handles are told the new sizes, as `find` would.
bool random_edits::settle() {
  if (!fits() || !follow_lengths(graph_.arrays, known_)) return false;
  for (std::size_t i = 0; i < graph_.arrays.size(); ++i) {
    sheaf::array_handle handle = graph_.handles[i].handle();
    handle.size = graph_.arrays[i].length;
    graph_.handles[i] = sheaf::any_array(handle, graph_.arrays[i].type);
  }
  return true;
}

void random_edits::edit() {
  const std::uint64_t choice = random_.below(100);
  // What is defined finds its operands as they are by then.
  if (choice < 42 && settle()) return choice < 20 ? add() : redefine();
  if (choice < 52) return rename();
  if (choice < 64) return drop();
  if (choice < 86) return resize();
  append();
}

void random_edits::add() {
  std::vector<array_recipe> made = random_addition(random_, graph_.arrays);
  const auto first = static_cast<std::uint32_t>(graph_.arrays.size());
  for (array_recipe& recipe : made) graph_.arrays.push_back(std::move(recipe));
  declare_more(txn_.graph(), graph_.arrays, graph_.handles, hosts_);
  for (std::uint32_t i = first; i < graph_.arrays.size(); ++i) {
    note("add", i);
    known_.push_back(operand_lengths_of(graph_.arrays, i));
    anew_.insert(i);
  }
  ++covered_.added;
}

void random_edits::redefine() {
  const std::vector<std::uint32_t> derived = of_form(false);
  if (derived.empty()) return add();
  const std::uint32_t at = random_.pick(derived);
  array_recipe& old = graph_.arrays[at];
  const bool has_eager_reader = std::ranges::any_of(
      readers_of(at), [&](std::uint32_t reader) { return !graph_.arrays[reader].lazy; });
  const std::vector<bool> hidden = reached_from(graph_.arrays, at);
  for (int attempt = 0; attempt < 30; ++attempt) {
    array_recipe made = random_redefinition(random_, graph_.arrays, hidden);
    if (made.type != old.type || made.form == array_form::delay) continue;
    if (made.lazy && has_eager_reader) continue;
    if (made.form == array_form::host && made.lazy != old.lazy) continue;  // it stays as it was
    made.name = old.name;
    made.page = old.page;
    made.version = old.version + 1;
    old = std::move(made);
    redefine_one(txn_.graph(), graph_.arrays, graph_.handles, at, hosts_);
    note("redefine", at);
    known_[at] = operand_lengths_of(graph_.arrays, at);
    anew_.insert(at);
    ++covered_.redefined;
    return;
  }
}

std::string random_edits::unused_name() {
  if (random_.chance(8)) return {};
  const auto is_used = [&](const std::string& name) {
    return std::ranges::any_of(graph_.arrays, [&](const array_recipe& recipe) {
      return recipe.form != array_form::dropped && recipe.name == name;
    });
  };
  const array_recipe& any = random_.pick(graph_.arrays);  // dropped ones free their names
  if (!any.name.empty() && !is_used(any.name)) return any.name;
  for (;;) {
    const std::string name = "r" + std::to_string(random_.below(1'000'000));
    if (!is_used(name)) return name;
  }
}

void random_edits::rename() {
  const std::uint32_t at = random_.pick(editable());
  graph_.arrays[at].name = unused_name();
  note("rename", at);
  txn_.graph().rename(graph_.handles[at], graph_.arrays[at].name);
  ++covered_.renamed;
}

void random_edits::drop_one(std::uint32_t at) {
  note("drop", at);
  txn_.graph().drop(graph_.handles[at]);
  graph_.arrays[at].form = array_form::dropped;
  ++covered_.dropped;
}

/// Alone, with everything that reads it, or, which is wrong, without that.
void random_edits::drop() {
  const std::uint32_t at = random_.pick(editable());
  std::vector<std::uint32_t> gone;
  const std::vector<bool> reached = reached_from(graph_.arrays, at);
  for (const std::uint32_t i : editable()) {
    if (reached[i]) gone.push_back(i);
  }
  const std::vector<std::uint32_t> sources = of_form(true);
  if (graph_.arrays[at].form == array_form::source && sources.size() == 1) return rename();
  if (gone.size() > 1) {
    if (random_.chance(50) || gone.size() > 4) return rename();
    if (random_.chance(20)) return drop_one(at);
  }
  if (random_.chance(50)) std::ranges::reverse(gone);
  for (const std::uint32_t i : gone) drop_one(i);
}

std::uint64_t random_edits::length_like(std::uint64_t length) {
  if (length > 100'000) return length + random_.below(200) - 100;
  switch (random_.below(4)) {
    case 0: return length + random_.between(1, 40);
    case 1: return length - random_.below(std::min<std::uint64_t>(length, 40));
    case 2: return random_.between(1, 12) * 64 + random_.below(3) - 1;
    default: return random_.between(1, 1500);
  }
}

void random_edits::resize_one(std::uint32_t at, std::uint64_t length) {
  array_recipe& recipe = graph_.arrays[at];
  recipe.page = recipe.page.value_or(sheaf::default_page(recipe.length, recipe.type));
  recipe.length = length;
  note("resize", at);
  sheaf::visit_dtype(recipe.type, [&]<class T>(std::type_identity<T>) {
    graph_.handles[at] = txn_.resize(array<T>(graph_.handles[at].handle()), length);
  });
  require(graph_.handles[at].size() == length, "the size of the handle of a resized array");
  if (recipe.form == array_form::source && at < known_count_) naive_.resize(at, length);
  if (recipe.form == array_form::host) anew_.insert(at);
  ++covered_.resized;
}

/// One source or host array, or all sources of one length.
void random_edits::resize() {
  std::vector<std::uint32_t> found = of_form(true);
  if (random_.chance(20)) {
    std::vector<std::uint32_t> hosts = of_form(false);
    std::erase_if(hosts, [&](auto i) { return graph_.arrays[i].form != array_form::host; });
    if (!hosts.empty()) {
      const std::uint32_t at = random_.pick(hosts);
      return resize_one(at, length_like(graph_.arrays[at].length));
    }
  }
  const std::uint32_t at = random_.pick(found);
  const std::uint64_t before = graph_.arrays[at].length;
  const std::uint64_t length = length_like(before);
  if (random_.chance(30)) found = {at};
  for (const std::uint32_t i : found) {
    if (graph_.arrays[i].length == before) resize_one(i, length);
  }
}

void random_edits::append() {
  const std::uint32_t at = random_.pick(of_form(true));
  array_recipe& recipe = graph_.arrays[at];
  const std::uint64_t end = recipe.length;
  sheaf::visit_dtype(recipe.type, [&]<class T>(std::type_identity<T>) {
    std::vector<T> values(random_.between(0, 30));
    for (T& value : values) value = random_.value<T>();
    const array<T> longer = txn_.append(array<T>(graph_.handles[at].handle()), values);
    if (values.empty()) return;
    graph_.handles[at] = longer;
    recipe.page = recipe.page.value_or(sheaf::default_page(recipe.length, recipe.type));
    recipe.length += values.size();
    note("append to", at);
    if (at < known_count_) naive_.resize(at, recipe.length);
    for (std::size_t i = 0; i < values.size(); ++i) {
      naive_.write(at, sheaf::merge_operator::assign, end + i, sheaf::to_bits(values[i]));
    }
  });
  ++covered_.appended;
}

wrong_edit random_edits::mistake(const sheaf::any_array& foreign) {
  ++covered_.mistakes;
  sheaf::model& graph = txn_.graph();
  const std::vector<std::uint32_t> all = editable();
  const std::uint32_t at = random_.pick(all);
  const std::uint32_t source = random_.pick(of_form(true));
  const auto kind = static_cast<std::uint32_t>(random_.below(10));
  switch (kind) {
    case 0: {
      const std::uint32_t other = random_.pick(all);
      const std::string& taken = graph_.arrays[other].name;
      if (other == at || taken.empty()) break;
      graph.rename(graph_.handles[at], taken);
      return {status_code::duplicate_name, taken};
    }
    case 1:
      graph.rename(graph_.handles[at], "a#b");
      return {status_code::invalid_argument, "a#b"};
    case 2: {
      const auto dropped = std::ranges::find(graph_.arrays, array_form::dropped,
                                             &array_recipe::form);
      if (dropped == graph_.arrays.end()) break;
      graph.drop(graph_.handles[static_cast<std::size_t>(dropped - graph_.arrays.begin())]);
      return {status_code::unknown_array, ""};
    }
    case 3: graph.drop(foreign); return {status_code::foreign_handle, ""};
    case 4: {
      const std::vector<std::uint32_t> readers = readers_of(source);
      if (readers.empty() || of_form(true).size() == 1) break;
      graph.drop(graph_.handles[source]);
      return {status_code::invalid_argument, shown(source)};
    }
    case 5: graph.drop(sheaf::any_array()); return {status_code::unknown_array, ""};
    default: return wrong_redefinition(kind);
  }
  graph.rename(graph_.handles[at], "#");
  return {status_code::invalid_argument, "#"};
}

/// Of a source, in a circle, past an end; a length that cannot be.
wrong_edit random_edits::wrong_redefinition(std::uint32_t kind) {
  sheaf::model& graph = txn_.graph();
  const std::uint32_t source = random_.pick(of_form(true));
  std::vector<std::uint32_t> derived = of_form(false);
  std::erase_if(derived, [&](auto i) { return graph_.arrays[i].form == array_form::circle; });
  const std::uint32_t at = derived.empty() || kind < 7 ? source : random_.pick(derived);
  const std::vector<bool> reached = reached_from(graph_.arrays, at);
  const auto tell = [&]<class T>(std::type_identity<T>) -> wrong_edit {
    const array<T> target(graph_.handles[at].handle());
    using other = std::conditional_t<std::is_same_v<T, double>, float, double>;
    if (at == source) {
      if (random_.chance(50)) {
        graph.resize(target, 0);
      } else {
        graph.redefine(target, sheaf::reduce(sheaf::semiring_id::max_min, target));
      }
      return {status_code::invalid_argument, shown(at)};
    }
    if (kind == 7) {
      std::vector<std::uint32_t> circle = editable();
      std::erase_if(circle, [&](std::uint32_t i) {
        const array_recipe& recipe = graph_.arrays[i];
        return !reached[i] || recipe.type != graph_.arrays[at].type ||
               recipe.lazy != graph_.arrays[at].lazy || recipe.length != graph_.arrays[at].length;
      });
      const array<T> through(graph_.handles[random_.pick(circle)].handle());
      graph.redefine(target, through + through);
      return {status_code::cycle, shown(at)};
    }
    if (kind == 8) {
      graph.redefine(array<other>(target.handle()),
                     sheaf::expression<other>(other{1}) + other{2});
      return {status_code::type_mismatch, shown(at)};
    }
    if (graph_.arrays[at].form != array_form::host) {
      graph.resize(target, 7);
      return {status_code::not_a_source, shown(at)};
    }
    graph.resize(target, 0);
    return {status_code::invalid_argument, shown(at)};
  };
  return sheaf::visit_dtype(graph_.arrays[at].type, tell);
}

void check_names(const sheaf::engine& engine, const declared_graph& graph) {
  for (std::size_t i = 0; i < graph.arrays.size(); ++i) {
    const array_recipe& recipe = graph.arrays[i];
    if (recipe.name.empty()) continue;
    const bool is_live = recipe.form != array_form::dropped;
    const bool is_taken = !is_live && std::ranges::any_of(graph.arrays, [&](const auto& other) {
      return other.form != array_form::dropped && other.name == recipe.name;
    });
    if (is_taken) continue;
    sheaf::visit_dtype(recipe.type, [&]<class T>(std::type_identity<T>) {
      const auto found = engine.find<T>(recipe.name);
      if (is_live) {
        require(found, "the array called '" + recipe.name + "'");
        require(found->id() == graph.handles[i].id() && found->size() == recipe.length,
                "what the name '" + recipe.name + "' finds");
      } else {
        require(!found && found.error().code() == status_code::unknown_array,
                "the name of a dropped array finds something: '" + recipe.name + "'");
      }
    });
  }
}

}  // namespace model_test
