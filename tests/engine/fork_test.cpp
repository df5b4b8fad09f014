/// \file
/// Forks: the bits of an engine with the same sources, a base that stays as it is, sharing, limits,
/// and memory that comes back.
#include "engine/fork_support.hpp"

namespace engine_test {
namespace {

TEST(Fork, HasTheBitsOfAnEngineThatGotTheSameDeltasAndLeavesTheEngineAlone) {
  kinds k, twin;
  for (std::uint64_t i = 0; i < 6; ++i) {
    write_random(k, k.desk, i);
    write_random(twin, twin.desk, i);
  }
  const auto before = k.image(k.desk);
  auto trial = k.desk.fork();
  ASSERT_TRUE(trial) << trial.error().message();
  EXPECT_TRUE(k.image(trial) == before);
  for (std::uint64_t i = 100; i < 140; ++i) {
    write_random(k, trial, i);
    write_random(twin, twin.desk, i);
    EXPECT_EQ(trial.sequence(), i - 99);
    ASSERT_TRUE(k.image(trial) == twin.image(twin.desk)) << "seed " << i;
  }
  expect_glued(trial);
  EXPECT_TRUE(k.image(k.desk) == before);
  EXPECT_EQ(trial.base(), k.desk.epoch());
}

TEST(Fork, StaysWhatItIsWhileTheEngineCommits) {
  for (const readers mode : both_modes) {
    kinds k({.mode = mode}), twin;
    auto trial = k.desk.fork();
    for (std::uint64_t i = 0; i < 30; ++i) {
      write_random(k, k.desk, 1000 + i);
      write_random(k, trial, i);
      write_random(twin, twin.desk, i);
      ASSERT_TRUE(k.image(trial) == twin.image(twin.desk)) << i;
    }
    expect_glued(trial);
    expect_glued(k.desk);
  }
}

TEST(Fork, OfAForkGoesItsOwnWay) {
  kinds k, twin;
  write_random(k, k.desk, 1), write_random(twin, twin.desk, 1);
  auto parent = k.desk.fork();
  write_random(k, parent, 2), write_random(twin, twin.desk, 2);
  auto child = parent.fork();
  ASSERT_TRUE(child);
  EXPECT_EQ(child.sequence(), 1u);
  const auto at_fork = k.image(parent);
  EXPECT_TRUE(k.image(child) == at_fork);
  write_random(k, parent, 50);
  const auto parent_after = k.image(parent);
  EXPECT_TRUE(k.image(child) == at_fork);
  for (std::uint64_t i = 3; i < 20; ++i) {
    write_random(k, child, i), write_random(twin, twin.desk, i);
    ASSERT_TRUE(k.image(child) == twin.image(twin.desk)) << i;
  }
  EXPECT_TRUE(k.image(parent) == parent_after);
  parent.drop();
  EXPECT_TRUE(k.image(child) == twin.image(twin.desk));
  write_random(k, child, 21), write_random(twin, twin.desk, 21);
  EXPECT_TRUE(k.image(child) == twin.image(twin.desk));
  expect_glued(child);
}

TEST(Fork, ChainsOfForksKeepTheirBitsHoweverDeepAndWhicheverEndGoesFirst) {
  for (const bool oldest_first : {false, true}) {
    kinds k({}, false);
    std::vector<fork_state> line;
    std::vector<std::vector<std::byte>> images;
    line.push_back(k.desk.fork());
    for (std::uint64_t depth = 0; depth < 60; ++depth) {
      write_random(k, line.back(), depth);
      images.push_back(k.image(line.back()));
      line.push_back(line.back().fork());
    }
    for (std::size_t i = 0; i < images.size(); ++i) {
      ASSERT_TRUE(k.image(line[i]) == images[i]) << i;
    }
    expect_glued(line.back());
    if (oldest_first) {
      for (std::size_t i = 0; i + 2 < line.size(); ++i) {
        line[i].drop();
        if (i % 7 == 0) write_random(k, line.back(), 500 + i);
        ASSERT_TRUE(k.image(line[i + 1]) == images[i + 1]);
      }
      expect_glued(line.back());
    } else {
      while (line.size() > 1) {
        line.pop_back();
        ASSERT_TRUE(k.image(line.back()) == images[line.size() - 1]);
      }
    }
    line.clear();
    EXPECT_EQ(k.desk.stats().fork_bytes, 0u);
  }
}

TEST(Fork, ViewsAndSnapshotsOfAForkNeverChange) {
  kinds k;
  auto trial = k.desk.fork();
  write_random(k, trial, 1);
  const auto bits = k.image(trial);
  const auto held = trial.snapshot();
  ASSERT_TRUE(held) << held.error().message();
  const auto view = trial.fetch(k.scaled);
  ASSERT_TRUE(view);
  std::vector<float> seen(k.length), again(k.length);
  view->copy_to(seen);
  for (std::uint64_t i = 2; i < 12; ++i) write_random(k, trial, i);
  EXPECT_FALSE(k.image(trial) == bits);
  EXPECT_TRUE(k.image(held) == bits);
  auto branched = held.fork();
  ASSERT_TRUE(branched) << branched.error().message();
  EXPECT_EQ(branched.sequence(), 1u);
  trial.drop();
  EXPECT_TRUE(k.image(held) == bits);
  EXPECT_TRUE(k.image(branched) == bits);
  view->copy_to(again);
  EXPECT_EQ(std::memcmp(seen.data(), again.data(), seen.size() * sizeof(float)), 0);
  write_random(k, branched, 40);
  EXPECT_TRUE(k.image(held) == bits);
  expect_glued(branched);
}

TEST(Fork, OfASnapshotIsOfThatEpochAndTakesNoFurtherPin) {
  kinds k;
  write_random(k, k.desk, 1);
  auto then = k.desk.snapshot();
  const auto bits = k.image(then);
  write_random(k, k.desk, 2);
  const auto pins = k.desk.stats().open_snapshots;
  auto trial = then.fork();
  EXPECT_EQ(k.desk.stats().open_snapshots, pins);
  EXPECT_EQ(trial.base(), then.epoch());
  then.release();
  write_random(k, k.desk, 3);
  EXPECT_TRUE(k.image(trial) == bits);
  trial.drop();
  EXPECT_EQ(k.desk.stats().open_snapshots, 0u);
}

TEST(Fork, AThousandOfAnEpochShareOnePin) {
  kinds k({.snapshots_max = 2});
  std::vector<fork_state> forks;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    forks.push_back(k.desk.fork());
    ASSERT_TRUE(forks.back()) << forks.back().error().message();
    auto txn = forks.back().begin();
    txn.set(k.a, {.index = i}, static_cast<float>(i) + 0.5f);
    committed(std::move(txn));
  }
  EXPECT_EQ(k.desk.stats().open_snapshots, 1u);
  EXPECT_EQ(k.desk.stats().open_forks, 1000u);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(forks[i].get(k.a, i).value(), static_cast<float>(i) + 0.5f);
    ASSERT_EQ(forks[i].get(k.a, (i + 1) % 1000).value(), 0.0f);
  }
}

TEST(Fork, DropGivesEveryByteBack) {
  kinds k;
  write_random(k, k.desk, 1);
  const std::uint64_t before = k.desk.stats().frame_bytes;
  {
    auto trial = k.desk.fork();
    for (std::uint64_t i = 0; i < 20; ++i) write_random(k, trial, i);
    auto child = trial.fork();
    for (std::uint64_t i = 0; i < 20; ++i) write_random(k, child, i);
    const auto held = child.snapshot();
    (void)k.image(held);  // lazy arrays too
    EXPECT_EQ(k.desk.stats().frame_bytes, before + k.desk.stats().fork_bytes);
    EXPECT_GT(k.desk.stats().fork_bytes, 0u);
    trial.drop();
    child.drop();
    EXPECT_FALSE(trial);
    EXPECT_GT(k.desk.stats().fork_bytes, 0u) << "the snapshot keeps what it shows";
  }
  const engine_stats after = k.desk.stats();
  EXPECT_EQ(after.frame_bytes, before);
  EXPECT_EQ(after.fork_bytes, 0u);
  EXPECT_EQ(after.open_forks, 0u);
  EXPECT_EQ(after.open_snapshots, 0u);
}

TEST(Fork, OwnsOnlyThePagesThatChanged) {
  model declared;
  const auto source = declared.source<float>("source", 1 << 18);
  array<float> at = source;
  for (int i = 0; i < 10; ++i) at = declared.derive("", at + 1.0f);
  auto desk = opened(declared);
  auto trial = desk.fork();
  EXPECT_EQ(desk.stats().fork_bytes, 0u);
  for (float round = 1; round < 4; ++round) {
    auto txn = trial.begin();
    txn.set(source, {.index = 100'000}, round);
    committed(std::move(txn));
    EXPECT_EQ(desk.stats().fork_bytes, 11u * 4096) << "changed again in place";
    EXPECT_EQ(trial.get(at, 100'000).value(), round + 10);
  }
  EXPECT_EQ(trial.last_commit().pages_recomputed, 10u);
  EXPECT_EQ(trial.last_commit().lines_recomputed, 10u);
}

TEST(Fork, WritesTheLimitsOfTheEngineForbidAreRefusedAndChangeNothing) {
  kinds k({.forks_max = 2, .fork_bytes_max = 40'000}, false);
  auto first = k.desk.fork(), second = k.desk.fork();
  const auto third = k.desk.fork();
  EXPECT_FALSE(third);
  expect_status(third.error(), status_code::too_many, {"forks_max", "2"});
  second.drop();
  EXPECT_TRUE(k.desk.fork());
  const auto before = k.image(first);
  auto txn = first.begin();
  txn.range(k.a, {}, std::vector<float>(k.length, 3.0f));
  const auto refused = std::move(txn).commit();
  expect_status(refused, status_code::out_of_memory, {"fork_bytes_max", "40000"});
  EXPECT_EQ(k.desk.stats().fork_bytes, 0u);
  EXPECT_TRUE(image_of(first, k.a, k.scaled, k.groups) ==
              image_of(k.desk, k.a, k.scaled, k.groups));
  (void)before;
  auto small = first.begin();
  small.set(k.counts, {.index = 5}, 77);
  committed(std::move(small));
  EXPECT_EQ(first.get(k.most).value(), 77);
  expect_glued(first);
}

TEST(Fork, ARunOutOfFramesAnywhereInACommitLeavesTheForkAsItWas) {
  // Every budget from "nothing" to "enough": each fails at another page.
  std::uint64_t refused = 0;
  bool succeeded = false;
  for (std::size_t budget = 0; !succeeded; budget += 2048) {
    kinds k({.fork_bytes_max = budget + 24'000}, false);
    auto trial = k.desk.fork();
    auto first = trial.begin();
    first.set(k.a, {.index = 7}, 1.0f);
    if (!std::move(first).commit()) continue;
    const auto arrays = [&] {
      return image_of(trial, k.a, k.b, k.counts, k.scaled, k.groups, k.weighted, k.most);
    };
    const auto before = arrays();
    const auto bytes = k.desk.stats().fork_bytes;
    auto txn = trial.begin();
    txn.range(k.a, {}, std::vector<float>(k.length, 3.0f));
    txn.set(k.counts, {.index = 600}, 9);
    const auto done = std::move(txn).commit();
    expect_glued(trial);
    if (done) {
      succeeded = true;
      EXPECT_EQ(trial.get(k.a, 8).value(), 3.0f);
      EXPECT_EQ(trial.sequence(), 2u);
      continue;
    }
    ++refused;
    EXPECT_EQ(done.error().code(), status_code::out_of_memory);
    ASSERT_TRUE(arrays() == before) << budget;
    EXPECT_EQ(k.desk.stats().fork_bytes, bytes);
    EXPECT_EQ(trial.sequence(), 1u);
  }
  EXPECT_GT(refused, 5u);
}

TEST(Fork, AHostFunctionThatFailsLeavesTheForkAsItWasAndTheNextCommitIsFine) {
  kinds k, twin;
  auto trial = k.desk.fork();
  write_random(k, trial, 3), write_random(twin, twin.desk, 3);
  auto child = trial.fork();
  for (const bool on_child : {false, true, false, true}) {
    fork_state& target = on_child ? child : trial;
    const auto before = k.image(target);
    k.failing = true;
    auto txn = target.begin();
    txn.range(k.a, {}, std::vector<float>(k.length, 5.0f));
    const auto failed = std::move(txn).commit();
    expect_status(failed, status_code::operator_failed, {"hosted"});
    k.failing = false;
    EXPECT_TRUE(k.image(target) == before);
    EXPECT_EQ(target.sequence(), 1u);
    expect_glued(target);
  }
  for (std::uint64_t i = 4; i < 8; ++i) {
    write_random(k, trial, i), write_random(twin, twin.desk, i);
    ASSERT_TRUE(k.image(trial) == twin.image(twin.desk));
  }
}

TEST(Fork, CallsOnWhatIsOverAreRefusedWithAReason) {
  kinds k;
  fork_state none;
  expect_status(none.error(), status_code::closed, {});
  expect_status(none.fork().error(), status_code::closed, {});
  expect_status(none.get(k.a), status_code::closed, {});
  auto trial = k.desk.fork();
  auto txn = trial.begin();
  txn.set(k.a, {.index = 1}, 1.0f);
  trial.drop();
  trial.drop();
  expect_status(std::move(txn).commit(), status_code::closed, {"dropped"});
  expect_status(trial.get(k.a), status_code::closed, {"dropped"});
  expect_status(trial.snapshot().error(), status_code::closed, {});
  expect_status(trial.begin().error(), status_code::closed, {});
  expect_status(trial.merge(), status_code::closed, {});
  auto moved = k.desk.fork();
  auto to = std::move(moved);
  EXPECT_TRUE(to);
  expect_status(moved.get(k.a), status_code::closed, {});  // NOLINT: what a moved one says
  auto bad = to.begin();
  bad.set(k.sum_of_both, {.index = 0}, 1.0f);
  expect_status(std::move(bad).commit(), status_code::not_a_source, {"sum"});
  auto past = to.begin();
  past.set(k.a, {.index = 3000}, 1.0f);
  expect_status(std::move(past).commit(), status_code::out_of_range, {"3000"});
}

TEST(Fork, GoesOnAfterItsEngineClosed) {
  kinds k, twin;
  auto trial = k.desk.fork();
  k.desk.close();
  write_random(k, trial, 1), write_random(twin, twin.desk, 1);
  EXPECT_TRUE(k.image(trial) == twin.image(twin.desk));
  expect_status(trial.merge(), status_code::closed, {});
  EXPECT_TRUE(trial) << "a merge that fails leaves the fork";
  expect_status(k.desk.fork().error(), status_code::closed, {});
}

TEST(Fork, InsideAnOperatorIsReentrant) {
  model declared;
  fork_state outer;
  engine* desk = nullptr;
  status from_fork, from_commit, from_read;
  const auto source = declared.source<float>("source", 4);
  declared.derive_host<float>("host", 4, {source}, [&](host_call&) {
    if (!outer) return status();
    from_fork = desk->fork().error();
    auto txn = outer.begin();
    txn.set(source, {}, 9.0f);
    const auto done = std::move(txn).commit();
    from_commit = done ? status() : done.error();
    const auto read = outer.get(source);
    from_read = read ? status() : read.error();
    return status();
  });
  auto made = opened(declared);
  desk = &made;
  outer = made.fork();
  set_one(made, source, 0, 1.0f);
  expect_status(from_fork, status_code::reentrant, {});
  expect_status(from_commit, status_code::reentrant, {});
  expect_status(from_read, status_code::reentrant, {});
}

TEST(Fork, LazyArraysAreComputedOncePerState) {
  model declared;
  const auto source = declared.source<float>("source", 2000);
  unsigned calls = 0;
  const auto lazy = declared.derive_host<float>(
      "lazy", 2000, {source},
      [&](host_call& call) {
        ++calls;
        const auto from = call.operand<float>(0);
        const auto to = call.result<float>();
        for (std::size_t i = 0; i < to.size(); ++i) to[i] = -from[i];
        return status();
      },
      {.when = evaluation::lazy});
  auto desk = opened(declared);
  auto trial = desk.fork();
  auto txn = trial.begin();
  txn.set(source, {.index = 1234}, 4.0f);
  committed(std::move(txn));
  EXPECT_EQ(calls, 0u);
  const auto held = trial.snapshot();
  EXPECT_EQ(trial.get(lazy, 1234).value(), -4.0f);
  EXPECT_EQ(held.get(lazy, 1234).value(), -4.0f);
  EXPECT_EQ(calls, 1u);
  txn = trial.begin();
  txn.set(source, {.index = 1234}, 5.0f);
  committed(std::move(txn));
  EXPECT_EQ(trial.get(lazy, 1234).value(), -5.0f);
  EXPECT_EQ(held.get(lazy, 1234).value(), -4.0f);
  EXPECT_EQ(calls, 2u);
}

}  // namespace
}  // namespace engine_test
