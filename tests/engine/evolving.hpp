/// \file
/// A graph that changes while others read it: an engine, a writer's script of random commits, and
/// what every array holds at every epoch, computed beside the engine before the commit that makes
/// the epoch.
///
/// Thread safety: `step` belongs to the writer; `at` may be called from any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/support.hpp"
#include "page/random.hpp"

namespace engine_test {

using word = std::uint32_t;

class evolving {
 public:
  enum class form : std::uint8_t { source, scaled, total, running, host };
  /// An array and what it holds at one epoch.
  struct entry {
    form kind;
    array<word> handle;
    std::string name;
    std::uint32_t reads = 0;  ///< index of the operand
    word factor = 1;
    bool is_contiguous = false;
    bool is_live = true;
    std::vector<word> values = {};
  };
  using state = std::vector<entry>;

  evolving(std::uint64_t seed, readers mode);

  /// Commits one random change. Every epoch is announced before it is published.
  void step();
  /// What the arrays hold at `epoch`.
  [[nodiscard]] std::shared_ptr<const state> at(epoch which);
  /// Computes what is derived in `of` from its sources.
  static void derive(state& of);
  [[nodiscard]] array<word> first_source() const { return first_; }

 private:
  static constexpr std::uint64_t length_max = 3000;
  const model& declare();
  std::uint32_t any_of(bool derived);
  void write(transaction& txn);
  void change_graph(transaction& txn);
  void resize(transaction& txn, entry& source, std::uint64_t length);
  void follow(model& in, const entry& source);
  void add_derived(model& in, form kind, std::uint32_t reads);
  void redefine(model& in, entry& target);
  void drop(model& in);
  definition<word> definition_of(const entry& of) const;
  void announce();

  sheaf_test::random_numbers random_;
  std::uint32_t names_ = 0;
  state now_;
  array<word> first_;
  model declared_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<const state>> by_epoch_;

 public:
  engine desk;
};

}  // namespace engine_test
