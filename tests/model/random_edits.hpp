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
  std::uint64_t unsupported = 0;  ///< refused where the engine promises nothing
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

  /// One edit, of any kind; told to the naive engine by `finish`.
  void edit();
  /// One that the commit must refuse.
  [[nodiscard]] wrong_edit mistake(const sheaf::any_array& foreign);
  /// Tells the naive engine, which from then on refers to `after`.
  void finish(const declared_graph& after) { naive_.change_graph(after.arrays); }

  /// The engine must refuse it.
  [[nodiscard]] bool must_be_refused() const;
  /// The engine may refuse it: it promises nothing here.
  [[nodiscard]] bool may_be_refused() const;
  /// Arrays whose host functions the commit calls, whatever the bits.
  [[nodiscard]] bool runs_anew(std::uint32_t array) const;
  [[nodiscard]] declared_graph take() { return std::move(graph_); }
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
  void settle();
  void note(const char* what, std::uint32_t array) const;
  void note_fitted(std::uint32_t array);
  std::uint64_t length_like(std::uint64_t length);
  std::string unused_name();

  bool is_live(std::uint32_t array) const;
  std::vector<std::uint32_t> live() const;
  std::vector<std::uint32_t> of_form(bool source) const;
  std::vector<std::uint32_t> readers_of(std::uint32_t array) const;
  std::vector<std::uint64_t> operand_lengths(std::uint32_t array) const;
  bool has_delay() const;
  wrong_edit wrong_redefinition(std::uint32_t kind);
  std::string shown(std::uint32_t array) const;

  dice& random_;
  host_switch& hosts_;
  naive_engine& naive_;
  sheaf::transaction& txn_;
  edit_coverage& covered_;
  declared_graph graph_;
  std::size_t known_count_;          ///< arrays of the graph before
  bool had_delay_;
  bool may_be_refused_ = false;
  std::set<std::uint32_t> stuck_;    ///< arrays that cannot follow
  std::set<std::uint32_t> anew_;     ///< arrays added or redefined
  std::vector<std::vector<std::uint64_t>> fitted_;  ///< operand lengths each array was defined over
};

/// What every name of `graph` finds, those of dropped arrays included.
void check_names(const sheaf::engine& engine, const declared_graph& graph);

}  // namespace model_test
