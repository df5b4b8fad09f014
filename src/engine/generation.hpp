/// \file
/// A generation: the graph of an engine over a run of epochs, and what reads and changes it. A
/// commit that changes the graph makes the next one; snapshots keep reading theirs.
///
/// Members by discipline
///  - constant after `create`: `declared`, `graph`, `resolved`, `table` (its entries change),
///    `touched_begin`, `forks` (locks itself)
///  - constant once published: `first_epoch`
///  - the committer's alone: `runner`, `touched_bits`
///
/// Thread safety: checks and look-ups from any thread that keeps the generation alive: with a
/// `shared_ptr`, or with a pin of one of its epochs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <sheaf/base/dtype.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/graph/array.hpp>
#include <sheaf/graph/model_data.hpp>
#include <sheaf/graph/plan.hpp>
#include <sheaf/page/frame_store.hpp>
#include <sheaf/propagate/executor.hpp>

namespace sheaf::inline v0 {

class fork_workspaces;

/// Checks that `target` is an array of `declared` with elements of `type`.
[[nodiscard]] status check_handle(const model_data& declared, const array_handle& target,
                                  dtype type) noexcept;

struct generation {
  generation();
  ~generation();

  /// `frames` has a page table for `graph`.
  [[nodiscard]] static result<std::shared_ptr<generation>> create(
      std::shared_ptr<const plan> graph, std::shared_ptr<const model_data> declared,
      frame_store& frames, const executor_options& options);

  /// Checks that `target` is an array of this graph with elements of `type`.
  [[nodiscard]] status check(const array_handle& target, dtype type) const noexcept;
  /// Checks that it is a source, too.
  [[nodiscard]] result<const plan_source*> source_of(const array_handle& target,
                                                     dtype type) const noexcept;
  [[nodiscard]] std::string name_of(const array_handle& target) const;
  /// The source that a piece of a delta, checked before, names.
  [[nodiscard]] std::uint32_t source_index(array_id array) const noexcept {
    return graph->producer_of_array[index_of(array)];
  }

  std::uint64_t first_epoch = 1;
  std::shared_ptr<const model_data> declared;
  std::shared_ptr<const plan> graph;
  std::shared_ptr<const resolved_plan> resolved;
  const std::uint32_t* table = nullptr;  ///< frames by slot, of this generation's last epoch

  std::unique_ptr<fork_workspaces> forks;  ///< what commits in forks of this generation lease
  std::unique_ptr<executor> runner;
  std::vector<std::uint32_t> touched_begin;  ///< per source: first word in `touched_bits`
  std::unique_ptr<std::uint64_t[]> touched_bits;
};

}  // namespace sheaf::inline v0
