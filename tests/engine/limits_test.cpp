/// \file
/// Promise P6 (bounded). Every limit of an engine: past it a call gets a status, nothing is lost,
/// and it works again once there is room.
#include <optional>

#include "engine/support.hpp"

namespace engine_test {
namespace {

constexpr std::uint64_t page = 4096;

/// A source of four pages and its double: eight pages.
struct eight_pages {
  explicit eight_pages(const engine_options& options) : desk(opened(build(), options)) {}
  const model& build() {
    source = declared.source<float>("source", 4096);
    doubled = declared.derive("doubled", source * 2.0f);
    return declared;
  }
  /// Changes the first element of `count` pages.
  result<epoch> change(unsigned count, float value) {
    auto txn = desk.begin();
    for (unsigned i = 0; i < count; ++i) txn.set(source, {.index = i * 1024u}, value);
    return std::move(txn).commit();
  }
  model declared;
  array<float> source, doubled;
  engine desk;
};

/// A commit that is refused changes nothing and spends its epoch; without `held` it works.
void expect_refused(eight_pages& p, unsigned pages, std::optional<snapshot>& held,
                    status_code code, std::initializer_list<std::string_view> words) {
  const auto before = image_of(p.desk, p.source, p.doubled);
  const engine_stats stats = p.desk.stats();
  const auto refused = p.change(pages, 77.0f);
  ASSERT_FALSE(refused);
  expect_status(refused.error(), code, words);
  EXPECT_EQ(image_of(p.desk, p.source, p.doubled), before);
  EXPECT_EQ(p.desk.epoch().value, stats.epoch);
  EXPECT_EQ(p.desk.stats().frame_bytes, stats.frame_bytes);
  EXPECT_EQ(p.desk.stats().history_bytes, stats.history_bytes);
  EXPECT_EQ(p.desk.stats().failed_commits, stats.failed_commits + 1);
  expect_glued(p.desk);
  held.reset();
  const auto done = p.change(pages, 77.0f);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_GT(done->value, stats.epoch + 1);
  EXPECT_EQ(p.desk.snapshot().get(p.doubled, (pages - 1) * 1024u).value(), 154.0f);
  expect_glued(p.desk);
}

TEST(Limits, OpenPastTheMemoryLimitIsOutOfMemory) {
  model m;
  (void)m.source<float>("source", 4096);
  EXPECT_TRUE(engine::open(m, {.memory_bytes_max = 4 * page}));
  const auto opened = engine::open(m, {.memory_bytes_max = 4 * page - 1});
  ASSERT_FALSE(opened);
  expect_status(opened.error(), status_code::out_of_memory, {"16383"});
}

TEST(Limits, ACommitThatCannotHaveItsFramesIsOutOfMemoryUntilTheSnapshotCloses) {
  eight_pages p({.memory_bytes_max = 13 * page});
  std::optional<snapshot> held(p.desk.snapshot());
  ASSERT_TRUE(p.change(2, 5.0f));  // four more frames: 12
  expect_refused(p, 3, held, status_code::out_of_memory, {"53248", "limit"});
}

TEST(Limits, ASecondCommitUnderTheSameSnapshotNeedsNoFurtherFrames) {
  eight_pages p({.memory_bytes_max = 16 * page, .history_bytes_max = 8 * page});
  const auto held = p.desk.snapshot();
  ASSERT_TRUE(p.change(4, 5.0f));
  for (int round = 0; round < 3; ++round) {
    const auto done = p.change(4, 6.0f + static_cast<float>(round));
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(p.desk.last_commit().frames_copied, 0u);
  }
  EXPECT_EQ(held.get(p.source).value(), 0.0f);
}

TEST(Limits, WaitFreeNeedsTwoFramesAPageAndNoThird) {
  eight_pages p({.mode = readers::wait_free, .memory_bytes_max = 16 * page});
  for (int round = 0; round < 4; ++round) {
    const auto done = p.change(4, 5.0f + static_cast<float>(round));
    ASSERT_TRUE(done) << done.error().message();
  }
  EXPECT_EQ(p.desk.last_commit().frames_reused, 8u);
  expect_glued(p.desk);
}

TEST(Limits, HistoryPastItsBudgetIsHistoryFullUntilTheSnapshotCloses) {
  eight_pages p({.history_bytes_max = 5 * page});
  std::optional<snapshot> held(p.desk.snapshot());
  ASSERT_TRUE(p.change(2, 5.0f));
  EXPECT_EQ(p.desk.stats().history_bytes, 4 * page);
  expect_refused(p, 4, held, status_code::history_full, {"16384 bytes held", "20480"});
}

TEST(Limits, ASmallChangeFarFromABigArraySucceedsWhereTheWholePlanDoesNotFit) {
  for (const bool fallible : {false, true}) {
    model m;
    const auto big = m.source<float>("big", 64 * 1024);
    const auto far = m.derive("far", big + 1.0f);
    const auto small = m.source<float>("small", 16);
    const auto near = m.derive("near", small + 1.0f);
    if (fallible) {
      (void)m.derive_host<float>("host", 16, {near}, [](host_call&) { return status(); });
    }
    const std::size_t all = 128 * page + 3 * 64;
    engine e = opened(m, {.memory_bytes_max = all + 4 * 64, .history_bytes_max = 4 * 64});
    const auto held = e.snapshot();
    set_one(e, small, 3, 4.0f);
    EXPECT_EQ(e.last_commit().frames_copied, 2u);
    auto txn = e.begin();
    txn.set(big, {}, 1.0f);
    EXPECT_FALSE(std::move(txn).commit());
    EXPECT_EQ(held.get(near, 3).value(), 1.0f);
    EXPECT_EQ(e.snapshot().get(near, 3).value(), 5.0f);
    EXPECT_EQ(e.snapshot().get(far, 0).value(), 1.0f);
    expect_glued(e);
  }
}

TEST(Limits, TheConeOfAShortArrayInALargePageCountsNoPagesItLacks) {
  // One line of a 4 KiB page holds elements; what is derived has one page of one line, and a
  // neighbour that a line past the end must not reach.
  model m;
  const auto a = m.source<float>("a", 16, {.page = page_class::b4k});
  const auto tight = m.derive("tight", a * 2.0f, {.page = page_class::b64});
  const auto total = m.derive("total", sum(a));
  const auto picked = m.derive("picked", gather(a, {3, 3, 15}));
  const auto big = m.source<float>("big", 16 * 1024);
  const auto beside = m.derive("beside", big + 1.0f);
  const std::size_t all = 33 * page + 3 * 64;
  engine e = opened(m, {.memory_bytes_max = all + page + 3 * 64});
  const auto held = e.snapshot();
  set_one(e, a, 15, 4.0f);
  EXPECT_EQ(e.last_commit().frames_copied, 4u);
  const auto now = e.snapshot();
  EXPECT_EQ(now.get(tight, 15).value(), 8.0f);
  EXPECT_EQ(now.get(total).value(), 4.0f);
  EXPECT_EQ(now.get(picked, 2).value(), 4.0f);
  EXPECT_EQ(held.get(picked, 2).value(), 0.0f);
  EXPECT_EQ(now.get(beside, 0).value(), 1.0f);
  expect_glued(e);
}

TEST(Limits, MoreSnapshotsThanAllowedAreTooMany) {
  eight_pages p({.snapshots_max = 3});
  auto first = p.desk.snapshot();
  auto second = p.desk.snapshot();
  auto third = p.desk.snapshot();
  const auto fourth = p.desk.snapshot();
  EXPECT_FALSE(fourth);
  expect_status(fourth.error(), status_code::too_many, {"3"});
  expect_status(fourth.get(p.source).error(), status_code::too_many, {});
  const auto view = second.fetch(p.source).value();
  second.release();
  EXPECT_FALSE(p.desk.snapshot()) << "the view keeps its pin";
  first.release();
  EXPECT_TRUE(p.desk.snapshot());
  EXPECT_TRUE(p.change(1, 3.0f));
  EXPECT_EQ(third.get(p.source).value(), 0.0f);
}

TEST(Limits, ATransactionPastItsBytesIsTooManyAndChangesNothing) {
  eight_pages p({.transaction_bytes_max = 8192});
  std::vector<float> values(4096, 3.0f);
  auto txn = p.desk.begin();
  txn.set(p.source, {}, 1.0f);
  txn.range(p.source, {}, values);
  EXPECT_EQ(txn.error().code(), status_code::too_many);
  const auto done = std::move(txn).commit();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), status_code::too_many);
  EXPECT_EQ(p.desk.epoch(), epoch{1});
  auto next = p.desk.begin();  // borrowed columns are the host's, and storage that was given back
  next.range_borrowed(p.source, {}, values);
  committed(std::move(next));
  EXPECT_EQ(p.desk.snapshot().get(p.doubled, 4095).value(), 6.0f);
  auto last = p.desk.begin();
  std::uint32_t sets = 0;
  while (last.error().is_ok() && sets < 100'000) last.set(p.source, {.index = sets++ % 4096}, 9.0f);
  EXPECT_EQ(last.error().code(), status_code::too_many);
  EXPECT_GT(sets, 500u);
  EXPECT_FALSE(std::move(last).commit());
  EXPECT_EQ(p.desk.snapshot().get(p.source, 0).value(), 3.0f);
}

}  // namespace
}  // namespace engine_test
