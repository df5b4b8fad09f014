/// \file
/// Out of memory everywhere: the k-th allocation of a call fails (`operator new`, `malloc`, memory
/// asked of the system), for every k until the call makes no k-th one. No call throws or ends the
/// process; one that reports a failure changed nothing, and the next one gives the bits of an
/// engine in which nothing ever failed.
#include <deque>
#include <exception>
#include <functional>

#include <sheaf/engine/keyed.hpp>
#include <sheaf/engine/pending_commit.hpp>

#include "engine/failing_allocator.hpp"
#include "engine/kinds_of_operators.hpp"

namespace engine_test {
namespace {

/// What a case keeps alive beside its world.
struct extras {
  std::deque<snapshot> snapshots;
  std::deque<fork_state> forks;
  std::deque<transaction> transactions;
  std::deque<std::vector<std::byte>> images;
};

/// `set_up` runs once; `make` prepares one try of `call`, which runs with a failing allocator.
struct scenario {
  const char* name;
  std::function<void(world&, extras&)> set_up;
  std::function<std::function<status()>(world&, extras&)> make;
  bool changes_graph = false;
};

template <class T>
status status_of(const result<T>& done) {
  return done ? status() : done.error();
}

void write_and_commit(world& in, std::uint64_t seed) { committed(in.written(in.desk, seed)); }

/// A commit of `seed`'s writes, made beforehand.
std::function<status()> commit_of(world& in, std::uint64_t seed) {
  auto txn = std::make_shared<transaction>(in.written(in.desk, seed));
  return [txn] { return status_of(std::move(*txn).commit()); };
}

std::vector<scenario> scenarios_of_the_engine() {
  const auto nothing = [](world&, extras&) {};
  return {
      {"a first commit", nothing, [](world& w, extras&) { return commit_of(w, 1); }},
      {"a first commit under a snapshot",
       [](world& w, extras& kept) { kept.snapshots.push_back(w.desk.snapshot()); },
       [](world& w, extras&) { return commit_of(w, 1); }},
      {"a commit under snapshots",
       [](world& w, extras& kept) {
         for (std::uint64_t i = 1; i <= 3; ++i) {
           kept.snapshots.push_back(w.desk.snapshot());
           write_and_commit(w, i);
         }
       },
       [](world& w, extras&) { return commit_of(w, 4); }},
      {"a commit after snapshots were released",
       [](world& w, extras& kept) {
         for (std::uint64_t i = 1; i <= 3; ++i) {
           kept.snapshots.push_back(w.desk.snapshot());
           write_and_commit(w, i);
         }
         kept.snapshots.pop_front();
       },
       [](world& w, extras&) { return commit_of(w, 4); }},
      {"a tagged commit beside an open transaction",
       [](world& w, extras& kept) { kept.transactions.push_back(w.desk.begin()); },
       [](world& w, extras&) -> std::function<status()> {
         auto txn = std::make_shared<transaction>(w.desk.begin());
         txn->tag("somebody", "for no reason at all");
         w.write(*txn, 5);
         return [txn] { return status_of(std::move(*txn).commit()); };
       }},
      {"a commit with a time budget", nothing,
       [](world& w, extras&) -> std::function<status()> {
         auto txn = std::make_shared<transaction>(w.written(w.desk, 6));
         return [txn] {
           return status_of(std::move(*txn).commit_for(std::chrono::nanoseconds(0)).wait());
         };
       }},
      {"a change of the graph under snapshots",
       [](world& w, extras& kept) {
         kept.snapshots.push_back(w.desk.snapshot());
         write_and_commit(w, 10);
         kept.snapshots.push_back(w.desk.snapshot());
       },
       [](world& w, extras&) -> std::function<status()> {
         auto txn = std::make_shared<transaction>(w.desk.begin());
         const auto shown = w.shown;
         (void)w.add(txn->graph(), "added.", w.y);
         w.shown = shown;
         w.write(*txn, 11);
         return [txn] { return status_of(std::move(*txn).commit()); };
       },
       true},
  };
}

std::vector<scenario> scenarios_of_forks() {
  return {
      {"a commit in a fork",
       [](world& w, extras& kept) {
         kept.forks.push_back(w.desk.fork());
         kept.forks.push_back(kept.forks[0].fork());
       },
       [](world& w, extras& kept) -> std::function<status()> {
         auto txn = std::make_shared<fork_transaction>(w.written(kept.forks[0], 7));
         return [txn] { return status_of(std::move(*txn).commit()); };
       }},
      {"a merge of a fork of a fork",
       [](world& w, extras& kept) {
         for (std::uint64_t i = 0; i < 2; ++i) {
           kept.forks.push_back(i == 0 ? w.desk.fork() : kept.forks[0].fork());
           ASSERT_TRUE(w.written(kept.forks.back(), 8 + i).commit());
         }
         write_and_commit(w, 8);
       },
       [](world&, extras& kept) -> std::function<status()> {
         return [&kept] {
           const auto done = kept.forks.back().merge();
           // The engine's own commit came after the fork's base.
           return done || done.error().code() != status_code::conflict ? status_of(done) : status();
         };
       }},
  };
}

/// One try of `call` with the k-th allocation failing. Returns false where there was none.
bool run_short_of_memory(const std::function<status()>& call, std::uint64_t k, shortage how,
                         status& said) {
  arm_allocator(k, how);
  try {
    said = call();
  } catch (const std::exception& thrown) {
    (void)disarm_allocator();
    ADD_FAILURE() << "threw " << thrown.what();
    return true;
  }
  return disarm_allocator();
}

/// All bits of a world and what is kept beside it.
image everything(world& in, const extras& kept) {
  image out = in.bits();
  const auto add = [&](const image& more) { out.insert(out.end(), more.begin(), more.end()); };
  for (const snapshot& held : kept.snapshots) add(in.bits(held));
  for (const fork_state& held : kept.forks) {
    if (held) add(in.bits(held));
  }
  return out;
}

void sweep(const operator_kind_case& kind, const scenario& how, const engine_options& options,
           shortage missing) {
  world calm(kind, options);
  extras calm_kept;
  how.set_up(calm, calm_kept);
  ASSERT_TRUE(how.make(calm, calm_kept)().is_ok());
  const image wanted = everything(calm, calm_kept);
  for (std::uint64_t k = 1;; ++k) {
    SCOPED_TRACE(testing::Message() << kind.name << ", " << how.name << ", allocation " << k
                                    << (missing == shortage::one ? "" : " and all behind it"));
    world tried(kind, options);
    extras kept;
    how.set_up(tried, kept);
    const auto call = how.make(tried, kept);
    const image before = everything(tried, kept);
    status said;
    const bool was_short = run_short_of_memory(call, k, missing, said);
    if (!said.is_ok()) {
      expect_status(said, status_code::out_of_memory, {});
      expect_same(everything(tried, kept), before, "after the failure, the world");
      expect_glued(tried.desk);
      const status again = how.make(tried, kept)();
      EXPECT_TRUE(again.is_ok()) << again.message();
    }
    expect_same(everything(tried, kept), wanted, "the world");
    expect_glued(tried.desk);
    if (!was_short || testing::Test::HasFailure()) return;
  }
}

class AllocationFailure : public testing::TestWithParam<operator_kind_case> {};

TEST_P(AllocationFailure, AtEveryAllocationOfACallLeavesEverythingAsItWas) {
  const operator_kind_case& kind = GetParam();
  std::vector<scenario> all = scenarios_of_the_engine();
  std::ranges::copy(scenarios_of_forks(), std::back_inserter(all));
  for (const scenario& how : all) {
    if (how.changes_graph && !kind.may_change_graph) continue;
    sweep(kind, how, {.mode = readers::brief_wait}, shortage::one);
    if (HasFailure()) return;
    sweep(kind, how, {.mode = readers::wait_free}, shortage::from_there);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(EveryKind, AllocationFailure, testing::ValuesIn(operator_kinds()),
                         [](const auto& of) { return std::string(of.param.name); });

}  // namespace
}  // namespace engine_test
