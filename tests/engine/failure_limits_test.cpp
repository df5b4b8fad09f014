/// \file
/// Promise P5 where a limit or the data end a commit: byte limits of every size for every kind of
/// operator, iterations of a fixpoint that do not end, edges that end nowhere, keyed rows.
#include <deque>

#include <sheaf/engine/keyed.hpp>
#include <sheaf/engine/pending_commit.hpp>

#include "engine/kinds_of_operators.hpp"

namespace engine_test {
namespace {

/// The same commit in a world with a limit and, where that went through, in one without.
/// Returns whether it was refused: then it is refused again, by the same figures.
bool commit_in_both(world& limited, world& calm, std::uint64_t seed, status_code code) {
  const image before = limited.bits();
  const auto done = limited.written(limited.desk, seed).commit();
  if (!done) {
    expect_status(done, code, {});
    // A contiguous array keeps the extent it got before another one was refused.
    const auto second = limited.written(limited.desk, seed).commit();
    const auto third = limited.written(limited.desk, seed).commit();
    expect_status(second, code, {});
    expect_status(third, code, {second ? "" : second.error().message()});
    expect_same(limited.bits(), before, "the engine");
    expect_glued(limited.desk);
    return true;
  }
  committed(calm.written(calm.desk, seed));
  expect_same(limited.bits(), calm.bits(), "the engine");
  return false;
}

/// Five commits, each under one more snapshot; then, without snapshots, one that must work.
void commit_under_limit(const operator_kind_case& kind, const engine_options& limits,
                        bool with_hosts, status_code code, unsigned& refused) {
  world limited(kind, limits, with_hosts), calm(kind, {}, with_hosts);
  std::deque<snapshot> held;
  std::deque<image> images;
  for (std::uint64_t step = 1; step <= 5 && !testing::Test::HasFailure(); ++step) {
    held.push_back(limited.desk.snapshot());
    images.push_back(limited.bits(held.back()));
    refused += commit_in_both(limited, calm, step, code);
    const engine_stats stats = limited.desk.stats();
    EXPECT_LE(stats.frame_bytes, limits.memory_bytes_max);
    EXPECT_LE(stats.history_bytes, limits.history_bytes_max);
    for (std::size_t i = 0; i < held.size(); ++i) {
      expect_same(limited.bits(held[i]), images[i], "an open snapshot");
    }
  }
  held.clear();
  limited.desk.trim();
  EXPECT_EQ(limited.desk.stats().history_bytes, 0u);
  const bool is_refused = commit_in_both(limited, calm, 6, code);
  if (!limited.can_fail()) {
    EXPECT_FALSE(is_refused) << "nothing that is changed in place needs memory";
  }
}

TEST(FailureLimits, AByteLimitOfAnySizeRefusesWholeCommitsOnly) {
  for (const operator_kind_case& kind : operator_kinds()) {
    for (const bool with_hosts : {false, true}) {
      const std::uint64_t least = world(kind, {}, with_hosts).desk.stats().frame_bytes;
      unsigned refused = 0, tries = 0;
      for (std::uint64_t part = 0; part <= 12; ++part) {
        SCOPED_TRACE(testing::Message() << kind.name << ", " << part << "/6 more than " << least);
        commit_under_limit(kind, {.memory_bytes_max = least + least * part / 6}, with_hosts,
                           status_code::out_of_memory, refused);
        tries += 5;
        if (HasFailure()) return;
      }
      EXPECT_GT(refused, 5u) << kind.name;
      EXPECT_LT(refused, tries - 5) << kind.name;
    }
  }
}

TEST(FailureLimits, AHistoryLimitOfAnySizeRefusesWholeCommitsOnly) {
  for (const operator_kind_case& kind : operator_kinds()) {
    const std::uint64_t most = world(kind, {}, false).desk.stats().frame_bytes;
    unsigned refused = 0;
    for (std::uint64_t part = 0; part <= 12; ++part) {
      SCOPED_TRACE(testing::Message() << kind.name << ", " << part << "/12 of " << most);
      commit_under_limit(kind, {.history_bytes_max = most * part / 12,
                                .history_wait_max = std::chrono::microseconds(0)},
                         false, status_code::history_full, refused);
      if (HasFailure()) return;
    }
    EXPECT_GT(refused, 10u) << kind.name;
  }
}

TEST(FailureLimits, AByteLimitOfForksRefusesWholeCommitsOnly) {
  for (const operator_kind_case& kind : operator_kinds()) {
    const std::uint64_t most = world(kind).desk.stats().frame_bytes;
    unsigned refused = 0;
    for (std::uint64_t part = 0; part <= 12; ++part) {
      SCOPED_TRACE(testing::Message() << kind.name << ", " << part << "/12 of " << most);
      const std::uint64_t bytes_max = most * part / 12;
      world limited(kind, {.fork_bytes_max = bytes_max}), calm(kind);
      fork_state branch = limited.desk.fork(), calm_branch = calm.desk.fork();
      for (std::uint64_t step = 1; step <= 4 && !HasFailure(); ++step) {
        const image before = limited.bits(branch);
        const engine_stats stats = limited.desk.stats();
        const auto done = limited.written(branch, step).commit();
        if (!done) {
          ++refused;
          expect_status(done.error(), status_code::out_of_memory, {"fork_bytes_max"});
          expect_same(limited.bits(branch), before, "the fork");
          EXPECT_EQ(limited.desk.stats().fork_bytes, stats.fork_bytes);
          EXPECT_EQ(limited.desk.stats().frame_bytes, stats.frame_bytes);
          continue;
        }
        EXPECT_LE(limited.desk.stats().fork_bytes, bytes_max);
        ASSERT_TRUE(calm.written(calm_branch, step).commit());
        expect_same(limited.bits(branch), calm.bits(calm_branch), "the fork");
      }
      const auto report = branch.audit();
      ASSERT_TRUE(report);
      EXPECT_EQ(report->lines_different, 0u);
      branch.drop();
      EXPECT_EQ(limited.desk.stats().fork_bytes, 0u);
    }
    EXPECT_GT(refused, 5u) << kind.name;
  }
}

/// Data that no fixpoint takes: a cycle that improves for ever, an edge that ends nowhere.
struct bad_edges {
  status_code code;
  std::uint32_t to;
  float weight;
};

template <class Transaction>
void write_bad_edges(const world& in, Transaction& txn, const bad_edges& bad) {
  for (std::uint32_t edge = 0; edge < 2; ++edge) {
    txn.set(in.ends[0], {.index = edge}, edge);
    txn.set(in.ends[1], {.index = edge}, edge == 0 ? bad.to : 0);
    txn.set(in.weight, {.index = edge}, bad.weight);
  }
}

TEST(FailureLimits, AFixpointThatDoesNotEndLeavesEveryStateItWasGivenIn) {
  const operator_kind_case& kind = operator_kinds()[7];
  ASSERT_STREQ(kind.name, "fixpoints");
  for (const bad_edges& bad : {bad_edges{status_code::not_converged, 1, -1.0f},
                               bad_edges{status_code::operator_failed, 99, 1.0f}}) {
    world tried(kind), calm(kind);
    fork_state branch = tried.desk.fork();
    for (std::uint64_t step = 1; step <= 8 && !HasFailure(); ++step) {
      const image before = tried.bits(), branch_before = tried.bits(branch);
      auto txn = tried.written(tried.desk, step + 100);
      write_bad_edges(tried, txn, bad);
      const auto done = step % 2 == 0
                            ? std::move(txn).commit()
                            : std::move(txn).commit_for(std::chrono::nanoseconds(0)).wait();
      expect_status(done, bad.code, {});
      auto in_branch = tried.written(branch, step + 100);
      write_bad_edges(tried, in_branch, bad);
      expect_status(std::move(in_branch).commit(), bad.code, {});
      auto change = tried.desk.begin();
      const auto shown = tried.shown;
      (void)tried.add(change.graph(), "added.", tried.y);
      tried.shown = shown;
      write_bad_edges(tried, change, bad);
      expect_status(std::move(change).commit(), bad.code, {});
      expect_same(tried.bits(), before, "the engine");
      expect_same(tried.bits(branch), branch_before, "the fork");
      for (world* each : {&tried, &calm}) {
        committed(each->written(each->desk, step));
      }
      expect_same(tried.bits(), calm.bits(), "the engine");
      expect_glued(tried.desk);
    }
  }
}

TEST(FailureLimits, AKeyWhoseCommitFailedIsAsItWas) {
  for (const readers mode : both_modes) {
    model declared;
    bool fails = false;
    const auto rows = declared.keyed_source<std::uint64_t>("rows", 32);
    const auto price = declared.source<float>("price", 32);
    const auto doubled = declared.derive("doubled", price * 2.0f);
    (void)declared.derive_host<float>("check", 1, {doubled}, [&](host_call&) -> status {
      if (fails) throw std::runtime_error("told to");
      return {};
    });
    engine desk = opened(declared, {.mode = mode});
    for (std::uint64_t key = 1; key <= 32; ++key) {
      for (const bool bad : {true, false}) {
        auto txn = desk.begin();
        const auto row = insert(txn, rows, key);
        ASSERT_TRUE(row) << row.error().message();
        txn.set(price, {.index = *row}, static_cast<float>(key));
        if (key > 2) {
          ASSERT_TRUE(erase(txn, rows, key - 2));
        }
        fails = bad;
        EXPECT_EQ(bool{std::move(txn).commit()}, !bad);
        fails = false;
        const auto now = desk.snapshot();
        EXPECT_EQ(find(now, rows, key)->has_value(), !bad);
        if (key > 2) {
          EXPECT_EQ(find(now, rows, key - 2)->has_value(), bad);
        }
      }
      const auto row = find(desk.snapshot(), rows, key);
      EXPECT_EQ(desk.snapshot().get(doubled, **row).value(), 2 * static_cast<float>(key));
    }
    expect_glued(desk);
  }
}

}  // namespace
}  // namespace engine_test
