/// \file
/// Forks in random programs: each beside a copy of the naive engine that gets the same writes.
///
/// Thread safety: none.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <sheaf/engine/engine.hpp>

#include "model/dice.hpp"
#include "model/model_builder.hpp"
#include "model/naive_engine.hpp"

namespace model_test {

/// What forks did in programs.
struct fork_coverage {
  std::uint64_t forks = 0;
  std::uint64_t of_forks = 0;
  std::uint64_t commits = 0;
  std::uint64_t failed_hosts = 0;
  std::uint64_t merges = 0;
  std::uint64_t merges_into_forks = 0;
  std::uint64_t compared = 0;
};

struct held_fork {
  sheaf::fork_state handle;
  std::unique_ptr<naive_engine> naive;
  const declared_graph* graph = nullptr;  ///< of the epoch it was made from
  std::uint64_t sequence = 0;
};

class random_forks {
 public:
  random_forks(dice& random, host_switch& hosts, fork_coverage& covered)
      : random_(random), hosts_(hosts), covered_(covered) {}

  /// Holds `made`, a fork of the state that `naive` had with `graph` and `columns`. `graph` stays
  /// alive.
  void hold(sheaf::fork_state made, const naive_engine& naive, const declared_graph& graph,
            const std::vector<column>& columns);
  [[nodiscard]] bool is_full() const { return forks_.size() >= forks_max; }
  [[nodiscard]] bool is_empty() const { return forks_.empty(); }

  void fork_a_fork();
  /// Random writes; `failing`: a host function that fails, or no_array.
  void commit(std::uint32_t failing);
  void merge_two();
  void compare();
  /// A fork picked at random, and its place for `forget`.
  [[nodiscard]] held_fork& pick(std::size_t& at);
  void forget(std::size_t at);
  /// Drops one; its last state is compared before.
  void drop();

 private:
  static constexpr std::size_t forks_max = 6;
  void finish(held_fork& target, const sheaf::result<std::uint64_t>& done,
              std::uint32_t failing);
  void compare(const held_fork& held);

  dice& random_;
  host_switch& hosts_;
  fork_coverage& covered_;
  std::vector<held_fork> forks_;
};

}  // namespace model_test
