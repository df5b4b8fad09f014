/// \file
/// Promise P5 (all-or-nothing) for every kind of operator: a host function fails, by a status or by
/// an exception, at its first call of a commit, at its second, and so on until the commit goes
/// through. After each failure every bit is as before; after the commit the engine has the bits,
/// the frames and the spares of one in which nothing ever failed.
#include <optional>

#include <sheaf/engine/pending_commit.hpp>

#include "engine/kinds_of_operators.hpp"

namespace engine_test {
namespace {

struct way {
  const char* name;
  engine_options options;
  bool throws;
};

const std::vector<way>& ways() {
  static const std::vector<way> all{
      {"brief_wait, status", {.mode = readers::brief_wait}, false},
      {"wait_free, exception", {.mode = readers::wait_free}, true},
      {"three threads", {.mode = readers::brief_wait, .threads = 3}, true},
  };
  return all;
}

/// Calls `visitor(kind, way)` for every kind of operator and way to fail.
template <class Visitor>
void for_each_case(Visitor&& visitor) {
  for (const operator_kind_case& kind : operator_kinds()) {
    for (const way& how : ways()) {
      SCOPED_TRACE(testing::Message() << kind.name << ", " << how.name);
      visitor(kind, how);
      if (testing::Test::HasFailure()) return;
    }
  }
}

/// What a failed commit must leave as it was. A spare that it used up may be gone.
struct figures {
  explicit figures(world& of) : stats(of.desk.stats()), keeps_extents(of.kind().keeps_extents) {}
  void expect_kept(world& of, std::uint64_t failures) const {
    const engine_stats now = of.desk.stats();
    EXPECT_EQ(now.epoch, stats.epoch);
    EXPECT_EQ(now.commits, stats.commits);
    EXPECT_EQ(now.failed_commits, stats.failed_commits + failures);
    EXPECT_EQ(now.history_bytes, stats.history_bytes);
    EXPECT_LE(now.spare_bytes, stats.spare_bytes);
    if (!keeps_extents) {
      EXPECT_LE(now.frame_bytes, stats.frame_bytes);
    }
    EXPECT_EQ(now.fork_bytes, stats.fork_bytes);
    EXPECT_EQ(now.open_snapshots, stats.open_snapshots);
    EXPECT_EQ(now.nodes, stats.nodes);
  }
  engine_stats stats;
  bool keeps_extents;
};

/// An engine before a commit that fails.
struct engine_before {
  explicit engine_before(world& of) : bits(of.bits()), numbers(of) {}
  void expect_kept(world& of, std::uint64_t failures) const {
    expect_same(of.bits(), bits, "the engine");
    numbers.expect_kept(of, failures);
    expect_glued(of.desk);
  }
  image bits;
  figures numbers;
};

void expect_equal_worlds(world& tried, world& calm) {
  expect_same(tried.bits(), calm.bits(), "the engine");
  const engine_stats a = tried.desk.stats(), b = calm.desk.stats();
  EXPECT_EQ(a.frame_bytes, b.frame_bytes);
  EXPECT_EQ(a.history_bytes, b.history_bytes);
  EXPECT_EQ(a.spare_bytes, b.spare_bytes);
  EXPECT_EQ(a.open_snapshots, b.open_snapshots);
}

/// Runs `commit`, which gives a result, with a failure at the first call of a host function, then
/// at the second, ... until it succeeds; `check` runs after each failure with their number so far.
/// Returns how often it failed.
template <class Commit, class Check>
unsigned fail_until_done(world& in, bool throws, Commit&& commit, Check&& check) {
  for (unsigned at = 1;; ++at) {
    in.blow.arm(at, throws);
    const auto done = commit();
    in.blow.arm(0, false);
    if (done) return at - 1;
    expect_status(done.error(), status_code::operator_failed, {"the fuse went"});
    check(at);
    if (testing::Test::HasFailure()) return at;
  }
}

TEST(Failure, OfAHostFunctionAtEveryCallLeavesEveryKindOfOperatorAsItWas) {
  for_each_case([](const operator_kind_case& kind, const way& how) {
    world tried(kind, how.options), calm(kind, how.options);
    std::optional<snapshot> held, calm_held;
    image held_image;
    unsigned failures = 0;
    for (std::uint64_t step = 1; step <= 6 && !testing::Test::HasFailure(); ++step) {
      if (step == 3) {
        held.emplace(tried.desk.snapshot());
        calm_held.emplace(calm.desk.snapshot());
        held_image = tried.bits(*held);
      }
      const engine_before before(tried);
      failures += fail_until_done(
          tried, how.throws, [&] { return tried.written(tried.desk, step).commit(); },
          [&](unsigned count) { before.expect_kept(tried, count); });
      committed(calm.written(calm.desk, step));
      expect_equal_worlds(tried, calm);
      if (held) {
        expect_same(tried.bits(*held), held_image, "an open snapshot");
      }
    }
    expect_glued(tried.desk);
    EXPECT_GE(failures, 6u * 3) << "the host functions before and behind the kind were not reached";
  });
}

TEST(Failure, InAForkLeavesItAndItsBaseAsTheyWere) {
  for_each_case([](const operator_kind_case& kind, const way& how) {
    world tried(kind, how.options), calm(kind, how.options);
    auto branch = tried.desk.fork();
    auto calm_branch = calm.desk.fork();
    const auto engine_image = tried.bits();
    std::optional<fork_state> child;
    image child_image;
    unsigned failures = 0;
    for (std::uint64_t step = 1; step <= 5 && !testing::Test::HasFailure(); ++step) {
      if (step == 3) {
        child.emplace(branch.fork());
        child_image = tried.bits(*child);
      }
      const auto before = tried.bits(branch);
      const std::uint64_t sequence = branch.sequence();
      const figures figures_before(tried);
      failures += fail_until_done(
          tried, how.throws, [&] { return tried.written(branch, step).commit(); },
          [&](unsigned) {
            expect_same(tried.bits(branch), before, "the fork");
            EXPECT_EQ(branch.sequence(), sequence);
            figures_before.expect_kept(tried, 0);
            const auto report = branch.audit();
            ASSERT_TRUE(report);
            EXPECT_EQ(report->lines_different, 0u);
          });
      ASSERT_TRUE(calm.written(calm_branch, step).commit());
      expect_same(tried.bits(branch), calm.bits(calm_branch), "the fork");
    }
    EXPECT_GE(failures, 5u * 3);
    expect_same(tried.bits(), engine_image, "the engine");
    if (child) {
      expect_same(tried.bits(*child), child_image, "a fork of the fork");
    }
    child.reset();

    const auto before = tried.bits();
    const auto branch_before = tried.bits(branch);
    fail_until_done(tried, how.throws, [&] { return branch.merge(); },
                    [&](unsigned) {
                      expect_same(tried.bits(), before, "the engine");
                      expect_same(tried.bits(branch), branch_before, "the fork");
                    });
    ASSERT_TRUE(calm_branch.merge());
    expect_same(tried.bits(), calm.bits(), "the engine");
    expect_glued(tried.desk);
    EXPECT_EQ(tried.desk.stats().fork_bytes, 0u);
  });
}

/// One change of the graph out of a script: the same for both worlds.
void edit(world& in, transaction& txn, std::uint64_t step, std::vector<any_array>& added) {
  switch (step) {
    case 1: added = in.add(txn.graph(), "added.", in.y); break;
    case 2:
      // In another order than declared, so that what stays gets other slots.
      txn.graph().rename(added.front(), "renamed");
      (void)txn.graph().derive("beside", in.x + in.hosted);
      break;
    case 3:
      txn.graph().redefine_host(in.hosted, {in.y}, [&in](host_call& call) {
        const auto from = call.operand<float>(0);
        const auto to = call.result<float>();
        for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i] * 0.5f;
        return in.blow.pass();
      });
      break;
    default:
      (void)txn.append(in.weight, std::vector<float>{1, 2});
      txn.append(in.ends[0], std::vector<std::uint32_t>{0, 1});
      txn.append(in.ends[1], std::vector<std::uint32_t>{1, 2});
      break;
  }
}

TEST(Failure, InAChangeOfTheGraphLeavesTheOldGraphAndItsBits) {
  for_each_case([](const operator_kind_case& kind, const way& how) {
    if (!kind.may_change_graph) return;
    world tried(kind, how.options), calm(kind, how.options);
    const snapshot held = tried.desk.snapshot();
    const auto shown_at_first = tried.shown;
    const auto held_image = tried.bits(held);
    std::vector<any_array> added, calm_added;
    unsigned failures = 0;
    for (std::uint64_t step = 1; step <= 3 && !testing::Test::HasFailure(); ++step) {
      const engine_before before(tried);
      const auto shown_before = tried.shown;
      const auto declared_before = tried.desk.declared();
      std::vector<any_array> shown_after;
      failures += fail_until_done(
          tried, how.throws,
          [&] {
            auto txn = tried.desk.begin();
            edit(tried, txn, step, added);
            tried.write(txn, step);
            shown_after = std::exchange(tried.shown, shown_before);
            return std::move(txn).commit();
          },
          [&](unsigned count) {
            before.expect_kept(tried, count);
            EXPECT_EQ(tried.desk.declared(), declared_before);
          });
      tried.shown = shown_after;
      auto txn = calm.desk.begin();
      edit(calm, txn, step, calm_added);
      calm.write(txn, step);
      committed(std::move(txn));
      expect_same(tried.bits(), calm.bits(), "the engine");
      expect_glued(tried.desk);
    }
    EXPECT_GE(failures, 3u) << "no host function was reached";
    tried.shown = shown_at_first;
    expect_same(tried.bits(held), held_image, "an open snapshot");
  });
}

TEST(Failure, AfterASuspensionArrivesOnTheHandleAndLeavesEverythingAsItWas) {
  for_each_case([](const operator_kind_case& kind, const way& how) {
    world tried(kind, how.options), calm(kind, how.options);
    for (std::uint64_t step = 1; step <= 4 && !testing::Test::HasFailure(); ++step) {
      const engine_before before(tried);
      fail_until_done(
          tried, how.throws,
          [&] {
            auto txn = tried.written(tried.desk, step);
            return std::move(txn).commit_for(std::chrono::nanoseconds(0)).wait();
          },
          [&](unsigned count) { before.expect_kept(tried, count); });
      committed(calm.written(calm.desk, step));
      expect_same(tried.bits(), calm.bits(), "the engine");
    }
    EXPECT_GT(tried.desk.stats().suspended_commits, 0u);
    expect_glued(tried.desk);
  });
}

}  // namespace
}  // namespace engine_test
