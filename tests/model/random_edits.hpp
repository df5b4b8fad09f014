/// \file
/// Random edits of a graph: told to a transaction, and to copies of the recipes and of the naive
/// engine that the change would leave.
///
/// Thread safety: none.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <sheaf/engine/engine.hpp>

#include "model/dice.hpp"
#include "model/graph_rules.hpp"
#include "model/model_builder.hpp"
#include "model/naive_engine.hpp"

namespace model_test {

/// What edits did in programs.
struct edit_coverage {
  std::uint64_t changes = 0;  ///< committed
  std::uint64_t added = 0;
  std::uint64_t redefined = 0;
  std::uint64_t renamed = 0;
  std::uint64_t dropped = 0;
  std::uint64_t resized = 0;
  std::uint64_t appended = 0;
  std::uint64_t unfit = 0;        ///< refused, as they had to be
  std::uint64_t mistakes = 0;
  std::uint64_t failed_hosts = 0;
  std::uint64_t late_writes = 0;  ///< of a transaction from before a change, committed after it
  std::uint64_t late_conflicts = 0;
  std::uint64_t late_edits = 0;
};

/// What the engine must say of an edit that is wrong.
struct wrong_edit {
  sheaf::status_code code;
  std::string name;  ///< of the array its message names; empty: none
};

class random_edits {
 public:
  random_edits(dice& random, host_switch& hosts, const declared_graph& before,
               naive_engine& naive, sheaf::transaction& txn, edit_coverage& covered);

  /// One edit, of any kind.
  void edit();
  /// After the last one: lengths follow. False where the commit must refuse it.
  [[nodiscard]] bool settle();
  /// One that the commit must refuse.
  [[nodiscard]] wrong_edit mistake(const sheaf::any_array& foreign);

  /// Arrays whose host functions the commit calls, whatever the bits.
  [[nodiscard]] bool runs_anew(std::uint32_t array) const;
  [[nodiscard]] const declared_graph& graph() const { return graph_; }

 private:
  void add();
  void redefine();
  void rename();
  void drop();
  void resize();
  void append();
  void resize_one(std::uint32_t array, std::uint64_t length);
  void drop_one(std::uint32_t array);
  bool fits() const;
  void note(const char* what, std::uint32_t array) const;
  std::uint64_t length_like(std::uint64_t length);
  std::string unused_name();

  bool is_live(std::uint32_t array) const;
  std::vector<std::uint32_t> editable() const;
  std::vector<std::uint32_t> of_form(bool source) const;
  std::vector<std::uint32_t> readers_of(std::uint32_t array) const;
  wrong_edit wrong_redefinition(std::uint32_t kind);
  std::string shown(std::uint32_t array) const;

  dice& random_;
  host_switch& hosts_;
  naive_engine& naive_;
  sheaf::transaction& txn_;
  edit_coverage& covered_;
  declared_graph graph_;
  std::size_t known_count_;          ///< arrays of the graph before
  std::set<std::uint32_t> anew_;     ///< arrays added or redefined
  operand_lengths known_;            ///< that definitions have followed
};

/// What every name of `graph` finds, those of dropped arrays included.
void check_names(const sheaf::engine& engine, const declared_graph& graph);

}  // namespace model_test
