/// \file
/// Graph changes in random programs: the engine and a naive engine get the same edits and writes in
/// one transaction; refusals change nothing.
///
/// Thread safety: none.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <sheaf/engine/engine.hpp>

#include "model/random_edits.hpp"

namespace model_test {

/// The graphs a program has had; the last is the engine's. They stay where they are.
using graph_list = std::vector<std::unique_ptr<const declared_graph>>;

/// Transactions that a program has committed, and those that the engine refused.
struct commit_figures {
  std::uint64_t commits = 0;
  std::uint64_t failed = 0;
};

class random_graphs {
 public:
  random_graphs(dice& random, host_switch& hosts, sheaf::engine& engine, naive_engine& naive,
                graph_list& graphs, commit_figures& figures, const sheaf::any_array& foreign,
                edit_coverage& covered)
      : random_(random),
        hosts_(hosts),
        engine_(engine),
        naive_(naive),
        graphs_(graphs),
        figures_(figures),
        foreign_(foreign),
        covered_(covered) {}

  /// Edits and writes in one transaction. `history_may_be_full`: a limit may refuse it. True where
  /// another graph is published.
  bool change(bool history_may_be_full);
  /// An edit that must be refused.
  void make_mistake();
  /// A transaction that began before a change, of values or of the graph, and commits after it.
  void overlap(bool history_may_be_full);
  /// A change of the graph was rolled back: its frames may be kept as spares.
  [[nodiscard]] bool has_rolled_back() const { return has_rolled_back_; }
  /// The bytes of frames that an engine opened with the newest graph takes.
  [[nodiscard]] std::uint64_t frame_bytes_of_newest() const;

 private:
  bool must_fail(const random_edits& edits, const naive_engine& next) const;
  void refused(const sheaf::status& why, const random_edits& edits, bool unfit,
               bool history_may_be_full);
  void commit_late_writes(sheaf::transaction txn,
                          const std::vector<naive_engine::change>& written, bool changed,
                          bool history_may_be_full);
  void commit_late_edit(sheaf::transaction txn, std::uint32_t renamed, const std::string& name,
                        bool changed, bool history_may_be_full);

  dice& random_;
  host_switch& hosts_;
  sheaf::engine& engine_;
  naive_engine& naive_;
  graph_list& graphs_;
  commit_figures& figures_;
  const sheaf::any_array& foreign_;
  edit_coverage& covered_;
  bool has_rolled_back_ = false;
  std::vector<sheaf::any_array> lost_;  ///< handles that transactions gave which were refused
};

}  // namespace model_test
