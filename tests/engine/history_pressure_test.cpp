/// \file
/// Old versions past their budget: the reader of the oldest is told, commits wait, then give up;
/// nothing is revoked and nothing is lost.
#include <atomic>
#include <thread>

#include "engine/support.hpp"

namespace engine_test {
namespace {

using namespace std::chrono_literals;

struct crowded {
  explicit crowded(engine_options options = {}) : desk(opened(build(), limited(options))) {}
  static engine_options limited(engine_options options) {
    options.history_bytes_max = std::size_t{6} * 4096;
    return options;
  }
  const model& build() {
    source = declared.source<float>("source", 4096);  // four pages
    return declared;
  }
  model declared;
  array<float> source;
  engine desk;
};

TEST(HistoryPressure, TheReaderOfTheOldestIsToldAndTheCommitGivesUpAfterItsWait) {
  std::vector<epoch> told;
  crowded c({.history_wait_max = 3ms, .on_history_pressure = [&](epoch oldest) {
               told.push_back(oldest);
             }});
  const auto oldest = c.desk.snapshot();
  set_all(c.desk, c.source, 1.0f);
  const auto newer = c.desk.snapshot();
  EXPECT_FALSE(oldest.is_pressed());
  auto txn = c.desk.begin();
  txn.range(c.source, {}, std::vector<float>(4096, 2.0f));
  const auto begun = std::chrono::steady_clock::now();
  expect_status(std::move(txn).commit(), status_code::history_full, {"history"});
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 3ms);
  EXPECT_EQ(told, std::vector<epoch>{oldest.epoch()});
  EXPECT_TRUE(oldest.is_pressed());
  EXPECT_FALSE(newer.is_pressed());
  EXPECT_EQ(c.desk.stats().history_waits, 1u);
  EXPECT_EQ(oldest.get(c.source, 4000).value(), 0.0f);
  EXPECT_EQ(newer.get(c.source, 4000).value(), 1.0f);
}

/// Runs `commit` beside the snapshot `oldest`, which is released as soon as it is pressed.
template <class Commit>
void release_when_pressed(snapshot& oldest, Commit&& commit) {
  std::atomic<bool> is_done{false};
  std::thread writer([&] {
    commit();
    is_done = true;
  });
  while (!oldest.is_pressed() && !is_done) std::this_thread::yield();
  EXPECT_FALSE(is_done) << "it did not wait";
  oldest.release();
  writer.join();
}

TEST(HistoryPressure, ACommitGoesOnAsSoonAsTheOldestIsReleased) {
  crowded c({.history_wait_max = 20s});
  auto oldest = c.desk.snapshot();
  set_all(c.desk, c.source, 1.0f);
  release_when_pressed(oldest, [&] {
    auto held = c.desk.snapshot();
    set_all(c.desk, c.source, 2.0f);
  });
  EXPECT_EQ(c.desk.snapshot().get(c.source, 0).value(), 2.0f);
  EXPECT_FALSE(c.desk.snapshot().is_pressed());
  EXPECT_EQ(c.desk.stats().history_waits, 1u);
  expect_glued(c.desk);
}

TEST(HistoryPressure, AGraphChangeGoesOnAsSoonAsTheOldestIsReleased) {
  crowded c({.history_wait_max = 20s});
  auto oldest = c.desk.snapshot();
  set_all(c.desk, c.source, 1.0f);
  array<float> added;
  release_when_pressed(oldest, [&] {
    auto held = c.desk.snapshot();
    auto txn = c.desk.begin();
    added = txn.graph().derive("added", c.source + 1.0f);
    txn.range(c.source, {}, std::vector<float>(4096, 2.0f));
    committed(std::move(txn));
  });
  EXPECT_EQ(values_of(c.desk.snapshot(), added), std::vector<float>(4096, 3.0f));
  EXPECT_EQ(c.desk.stats().history_waits, 1u);
  expect_glued(c.desk);
}

TEST(HistoryPressure, TheCallbackMayNeitherCallTheEngineNorThrowItDown) {
  engine* engine_under_test = nullptr;
  status said;
  crowded c({.history_wait_max = 0us, .on_history_pressure = [&](epoch) {
               said = engine_under_test->snapshot().error();
               throw 7;
             }});
  engine_under_test = &c.desk;
  const auto first = c.desk.snapshot();
  set_all(c.desk, c.source, 1.0f);
  const auto second = c.desk.snapshot();
  auto txn = c.desk.begin();
  txn.range(c.source, {}, std::vector<float>(4096, 2.0f));
  expect_status(std::move(txn).commit(), status_code::history_full, {});
  expect_status(said, status_code::reentrant, {});
  EXPECT_EQ(c.desk.stats().callback_failures, 1u);
}

}  // namespace
}  // namespace engine_test
