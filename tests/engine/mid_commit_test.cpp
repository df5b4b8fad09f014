/// \file
/// Snapshots opened in the middle of a commit.
#include <atomic>
#include <chrono>
#include <future>
#include <latch>
#include <thread>

#include "engine/support.hpp"

namespace engine_test {
namespace {

/// A commit that stands still inside its host function until told to go on.
struct stopped_commit {
  explicit stopped_commit(readers mode) : desk(opened(build(), {.mode = mode})) {
    set_all(desk, source, 1.0f);
    stops = true;
    committer = std::thread([this] {
      const std::vector<float> twos(source.size(), 2.0f);
      auto txn = desk.begin();
      txn.range(source, {}, twos);
      const auto done = std::move(txn).commit();
      if (!done) outcome = done.error();
    });
    inside.wait();
  }
  ~stopped_commit() { (void)go_on(); }
  /// Lets the commit end and returns what it said.
  status go_on() {
    if (committer.joinable()) {
      outside.count_down();
      committer.join();
    }
    return outcome;
  }
  const model& build() {
    source = declared.source<float>("source", 5000);
    aside = declared.source<float>("aside", 16);
    before = declared.derive("before", source * 2.0f);
    host = declared.derive_host<float>("host", 5000, {before}, [this](host_call& call) -> status {
      const auto in = call.operand<float>(0);
      std::copy(in.begin(), in.end(), call.result<float>().begin());
      if (stops.exchange(false)) {
        inside.count_down();
        outside.wait();
        if (fails) return status(status_code::failed, subsystem::engine, "as asked");
      }
      return {};
    });
    after = declared.derive("after", host + source);
    return declared;
  }

  model declared;
  array<float> source, aside, before, host, after;
  std::atomic<bool> stops{false}, fails{false};
  std::latch inside{1}, outside{1};
  status outcome;
  engine desk;
  std::thread committer;
};

TEST(MidCommit, AnOpenerNeverWaitsForACommitThatCanFail) {
  for (const readers mode : both_modes) {
    stopped_commit s(mode);
    auto opening = std::async(std::launch::async, [&] { return s.desk.snapshot(); });
    const bool waited = opening.wait_for(std::chrono::seconds(30)) != std::future_status::ready;
    EXPECT_FALSE(waited);
    if (waited) (void)s.go_on();
    const auto held = opening.get();
    ASSERT_TRUE(held);
    EXPECT_EQ(held.epoch(), epoch{2});
    const auto image = image_of(held, s.source, s.before, s.host, s.after);
    EXPECT_EQ(held.get(s.source, 4999).value(), 1.0f);
    EXPECT_EQ(held.get(s.before, 4999).value(), 2.0f);
    EXPECT_EQ(held.get(s.after, 4999).value(), 3.0f);
    EXPECT_TRUE(s.go_on().is_ok());
    EXPECT_EQ(s.desk.epoch(), epoch{3});
    set_all(s.desk, s.source, 7.0f);
    EXPECT_EQ(image_of(held, s.source, s.before, s.host, s.after), image);
    EXPECT_EQ(s.desk.snapshot().get(s.after, 4999).value(), 21.0f);
    EXPECT_EQ(s.desk.stats().snapshot_waits, 0u);
  }
}

TEST(MidCommit, ASnapshotTakenBesideACommitThatFailsKeepsItsBits) {
  for (const readers mode : both_modes) {
    stopped_commit s(mode);
    s.fails = true;
    const auto held = s.desk.snapshot();
    const auto view = held.fetch(s.source);
    ASSERT_TRUE(view);
    const std::span<const float> page = view->page(1);
    const auto image = image_of(held, s.source, s.before, s.host, s.after);
    expect_status(s.go_on(), status_code::operator_failed, {"host", "as asked"});
    EXPECT_EQ(page[0], 1.0f);
    EXPECT_EQ(image_of(held, s.source, s.before, s.host, s.after), image);
    EXPECT_EQ(image_of(s.desk, s.source, s.before, s.host, s.after), image);
    set_all(s.desk, s.source, 9.0f);
    EXPECT_EQ(image_of(held, s.source, s.before, s.host, s.after), image);
    expect_glued(s.desk);
  }
}

TEST(MidCommit, AWriterWaitsForTheCommitBeforeIt) {
  stopped_commit s(readers::wait_free);
  auto second = std::async(std::launch::async, [&] { return set_one(s.desk, s.aside, 0, 8.0f); });
  EXPECT_EQ(second.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  EXPECT_TRUE(s.go_on().is_ok());
  EXPECT_EQ(second.get(), epoch{4});
  EXPECT_EQ(s.desk.snapshot().get(s.aside, 0).value(), 8.0f);
  EXPECT_EQ(s.desk.snapshot().get(s.after, 0).value(), 6.0f);
}

/// Snapshots opened all the time beside commits that change a big array. Each must show one
/// epoch: every element equal, the derived array twice that, the epoch the one its value came with.
void read_beside_commits(readers mode, bool must_wait) {
  model m;
  const auto big = m.source<std::uint32_t>("big", 1u << 20);
  const auto twice = m.derive("twice", big * 2u);
  engine e = opened(m, {.mode = mode});
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::uint32_t value = 1; !stop; ++value) {
      // The epoch that shows `value` is value + 1.
      EXPECT_EQ(set_all(e, big, value).value, value + 1);
    }
  });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  bool waited = !must_wait;
  bool is_one_epoch = true;
  for (int round = 0; round < 300 || !waited; ++round) {
    if (std::chrono::steady_clock::now() > deadline) break;
    // Seldom, for it queues behind the writer and so falls between two commits.
    if (round % 100 == 99) waited |= e.stats().snapshot_waits != 0;
    const auto now = e.snapshot();
    const auto value = static_cast<std::uint32_t>(now.epoch().value - 1);
    const auto first = now.fetch(big).value();
    const auto second = now.fetch(twice).value();
    for (std::uint64_t i = 0; i < big.size(); i += 997) {
      is_one_epoch &= first[i] == value && second[i] == value * 2;
    }
  }
  stop = true;
  writer.join();
  EXPECT_TRUE(is_one_epoch);
  if (must_wait) {
    EXPECT_GT(e.stats().snapshot_waits, 0u);
  } else {
    EXPECT_EQ(e.stats().snapshot_waits, 0u);
  }
  EXPECT_EQ(e.stats().history_bytes, 0u);
  expect_glued(e);
}

TEST(MidCommit, BriefWaitOpenersWaitForACommitInPlaceAndSeeOneEpoch) {
  read_beside_commits(readers::brief_wait, true);
}

TEST(MidCommit, WaitFreeOpenersNeverWaitAndSeeOneEpoch) {
  read_beside_commits(readers::wait_free, false);
}

}  // namespace
}  // namespace engine_test
