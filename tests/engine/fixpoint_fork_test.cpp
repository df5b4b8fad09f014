/// \file
/// `fixpoint` in forks: whatever order the engine, forks and forks of forks commit in, and
/// whichever of them fail in between, each has the solution of its own graph.
#include <cstdlib>

#include "engine/fixpoint_reference.hpp"
#include "engine/fork_support.hpp"
#include "model/dice.hpp"

namespace engine_test {
namespace {

using model_test::dice;
using distance = std::uint32_t;

/// Shortest ways between 16 vertices, by edges that come and go.
class ways {
 public:
  static constexpr std::uint32_t vertices = 16, edges = 40;
  static constexpr std::uint64_t stride = fixpoint_stride<distance>(1);

  ways() {
    base_ = declared_.source<distance>("base", vertices * stride);
    from_ = declared_.source<std::uint32_t>("from", edges);
    to_ = declared_.source<std::uint32_t>("to", edges);
    weight_ = declared_.source<distance>("weight", edges);
    rows_ = declared_.derive("rows",
                             fixpoint(semiring_id::min_plus, base_, from_, to_, weight_));
    desk.emplace(opened(declared_));
  }
  [[nodiscard]] static fixpoint_input<distance> empty() {
    fixpoint_input<distance> in;
    in.vertices = vertices;
    in.stride = stride;
    in.base.assign(vertices * stride, 0);
    in.from.assign(edges, 0);
    in.to.assign(edges, 0);
    in.weight.assign(edges, 0);
    return in;
  }
  /// A random commit to `branch`, and to `in` what it holds beside.
  template <class Branch>
  void change(dice& any, Branch& branch, fixpoint_input<distance>& in) const {
    auto txn = branch.begin();
    for (std::uint64_t left = any.between(1, 4); left > 0; --left) {
      const std::uint64_t e = any.below(edges);
      const auto end = [&] { return static_cast<std::uint32_t>(any.below(vertices)); };
      txn.set(from_, {.index = e}, in.from[e] = any.chance(30) ? no_vertex : end());
      txn.set(to_, {.index = e}, in.to[e] = end());
      txn.set(weight_, {.index = e}, in.weight[e] = static_cast<distance>(any.below(4)));
      const std::uint64_t i = any.below(in.base.size());
      const distance value = any.chance(80) ? ~distance{0} : static_cast<distance>(any.below(9));
      txn.set(base_, {.index = i}, in.base[i] = value);
    }
    committed(std::move(txn));
  }
  template <class Branch>
  void fail(dice& any, Branch& branch) const {
    auto txn = branch.begin();
    txn.set(base_, {.index = any.below(vertices)}, 1u);
    const std::uint64_t e = any.below(edges);
    txn.set(from_, {.index = e}, std::uint32_t{vertices});
    txn.set(to_, {.index = e}, 0u);
    const auto done = std::move(txn).commit();
    ASSERT_FALSE(done);
    expect_status(done.error(), status_code::operator_failed, {"'rows'"});
  }
  /// Works on what `fetch` gives, from a snapshot of the engine or a fork.
  template <class Branch>
  void expect_solved(const Branch& branch, const fixpoint_input<distance>& in) const {
    const auto wanted = solve_plainly<min_plus>(in);
    ASSERT_TRUE(wanted);
    const auto view = branch.fetch(rows_);
    ASSERT_TRUE(view) << view.error().message();
    std::vector<distance> found(in.base.size());
    view->copy_to(found);
    ASSERT_EQ(found, *wanted);
  }
  std::optional<engine> desk;

 private:
  model declared_;
  array<distance> base_, weight_, rows_;
  array<std::uint32_t> from_, to_;
};

TEST(FixpointFork, EveryBranchHasTheSolutionOfItsOwnGraph) {
  const char* given = std::getenv("SHEAF_SEED");
  const std::uint64_t seed = given == nullptr ? 815 : std::strtoull(given, nullptr, 10);
  for (std::uint64_t round = 0; round < 12; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed + round));
    dice any(seed + round);
    ways w;
    fixpoint_input<distance> own = ways::empty();
    std::vector<fork_state> forks;
    std::vector<fixpoint_input<distance>> theirs;
    for (int commit = 0; commit < 60; ++commit) {
      if (forks.size() < 5 && any.chance(20)) {
        const bool of_fork = !forks.empty() && any.chance(50);
        const std::size_t parent = of_fork ? any.below(forks.size()) : 0;
        auto made = of_fork ? forks[parent].fork() : w.desk->fork();
        theirs.push_back(of_fork ? theirs[parent] : own);
        forks.push_back(std::move(made));
      }
      const std::uint64_t which = any.below(forks.size() + 1);
      if (which == forks.size()) {
        if (any.chance(25)) w.fail(any, *w.desk);
        else w.change(any, *w.desk, own);
      } else {
        if (any.chance(25)) w.fail(any, forks[which]);
        else w.change(any, forks[which], theirs[which]);
      }
      if (testing::Test::HasFailure()) return;
      const snapshot now = w.desk->snapshot();
      w.expect_solved(now, own);
      for (std::size_t i = 0; i < forks.size(); ++i) w.expect_solved(forks[i], theirs[i]);
      if (testing::Test::HasFatalFailure()) return;
    }
    expect_glued(*w.desk);
    for (fork_state& fork : forks) expect_glued(fork);
  }
}

}  // namespace
}  // namespace engine_test
