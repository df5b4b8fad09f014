/// \file
/// Promise P2 (still). Copy-on-write happens exactly when a live snapshot needs the old frame, seen
/// through the counters of a commit and the byte figures of the engine.
#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include "engine/support.hpp"

namespace engine_test {
namespace {

/// A source of four pages, twice its values, and a floor that cuts every rise off.
struct four_pages {
  explicit four_pages(const engine_options& options = {}) : desk(opened(build(), options)) {
    set_all(desk, source, 1.0f);
  }
  const model& build() {
    source = declared.source<float>("source", 4096);
    doubled = declared.derive("doubled", source * 2.0f);
    capped = declared.derive("capped", min(source, 1.0f));
    return declared;
  }
  /// Copies of the last commit.
  std::uint64_t copied() { return desk.last_commit().frames_copied; }

  model declared;
  array<float> source, doubled, capped;
  engine desk;
};

TEST(CopyOnWrite, NoFrameIsCopiedWithoutASnapshot) {
  four_pages p;
  const std::uint64_t bytes = p.desk.stats().frame_bytes;
  set_all(p.desk, p.source, 2.0f);
  EXPECT_EQ(p.copied(), 0u);
  EXPECT_EQ(p.desk.last_commit().lines_copied, 0u);
  EXPECT_EQ(p.desk.stats().frame_bytes, bytes);
  EXPECT_EQ(p.desk.stats().history_bytes, 0u);
}

TEST(CopyOnWrite, OneFrameAChangedPageIsCopiedUnderASnapshotAndNoneForACutOffPage) {
  four_pages p;
  const auto held = p.desk.snapshot();
  auto txn = p.desk.begin();
  txn.set(p.source, {.index = 0}, 3.0f);
  txn.set(p.source, {.index = 3000}, 3.0f);
  committed(std::move(txn));
  // Two source pages and two of `doubled`; `capped` stays 1.
  EXPECT_EQ(p.copied(), 4u);
  EXPECT_EQ(p.desk.last_commit().pages_cut_off, 2u);
  EXPECT_EQ(p.desk.last_commit().frames_reused, 0u);
  // A source page is copied before the delta is applied, a derived one but for its changed line.
  EXPECT_EQ(p.desk.last_commit().lines_copied, 2u * 64 + 2u * 63);
  EXPECT_EQ(p.desk.stats().history_bytes, 4u * 4096);
  EXPECT_EQ(held.get(p.doubled, 3000).value(), 2.0f);
  EXPECT_EQ(p.desk.snapshot().get(p.doubled, 3000).value(), 6.0f);
}

TEST(CopyOnWrite, AWriteOfEqualBitsCopiesNothingDerived) {
  four_pages p;
  const auto held = p.desk.snapshot();
  set_one(p.desk, p.source, 0, 1.0f);
  EXPECT_EQ(p.desk.last_commit().source_lines_changed, 0u);
  EXPECT_LE(p.copied(), 1u);
  EXPECT_EQ(p.desk.last_commit().pages_recomputed, 0u);
}

TEST(CopyOnWrite, TheSecondCommitUnderTheSameSnapshotCopiesNothing) {
  four_pages p;
  const auto held = p.desk.snapshot();
  set_one(p.desk, p.source, 0, 3.0f);
  EXPECT_EQ(p.copied(), 2u);
  set_one(p.desk, p.source, 1, 4.0f);
  EXPECT_EQ(p.copied(), 0u) << "the frame was born after the pin";
  set_one(p.desk, p.source, 2000, 4.0f);
  EXPECT_EQ(p.copied(), 2u) << "another page, which the pin still sees";
  EXPECT_EQ(held.get(p.source, 0).value(), 1.0f);
}

TEST(CopyOnWrite, NothingIsCopiedAfterTheSnapshotCloses) {
  four_pages p;
  std::optional<snapshot> held(p.desk.snapshot());
  set_one(p.desk, p.source, 0, 3.0f);
  held.reset();
  set_one(p.desk, p.source, 0, 4.0f);
  EXPECT_EQ(p.copied(), 0u);
}

TEST(CopyOnWrite, HistoryGoesWithTheLastHolderWithoutAFurtherCommit) {
  four_pages p;
  const std::uint64_t bytes = p.desk.stats().frame_bytes;
  std::optional<snapshot> held(p.desk.snapshot());
  set_all(p.desk, p.source, 5.0f);
  EXPECT_EQ(p.desk.stats().history_bytes, 8u * 4096);
  EXPECT_EQ(p.desk.stats().frame_bytes, bytes + 8u * 4096);
  held.reset();
  EXPECT_EQ(p.desk.stats().history_bytes, 0u);
  EXPECT_EQ(p.desk.stats().frame_bytes, bytes);
}

TEST(CopyOnWrite, AViewKeepsThePinAfterItsSnapshotIsReleased) {
  for (const readers mode : both_modes) {
    four_pages p({.mode = mode});
    auto held = p.desk.snapshot();
    auto view = std::make_optional(held.fetch(p.doubled).value());
    auto copy = std::make_optional(*view);
    held.release();
    const std::span<const float> page = copy->page(0);
    set_all(p.desk, p.source, 5.0f);
    set_all(p.desk, p.source, 6.0f);
    view.reset();
    EXPECT_EQ(page[17], 2.0f);
    EXPECT_EQ((*copy)[4095], 2.0f);
    EXPECT_NE(p.desk.stats().history_bytes, 0u);
    EXPECT_EQ(p.desk.stats().open_snapshots, 1u);
    copy.reset();
    EXPECT_EQ(p.desk.stats().history_bytes, 0u);
    EXPECT_EQ(p.desk.stats().open_snapshots, 0u);
  }
}

TEST(CopyOnWrite, SnapshotsOfDifferentEpochsEachSeeTheirBitsClosedInEveryOrder) {
  for (const readers mode : both_modes) {
    std::array<unsigned, 4> order{0, 1, 2, 3};
    do {
      four_pages p({.mode = mode});
      set_all(p.desk, p.source, 1.0f);
      const engine_stats start = p.desk.stats();
      std::array<std::optional<snapshot>, 4> held;
      for (unsigned i = 0; i < held.size(); ++i) {
        held[i].emplace(p.desk.snapshot());
        // Page i differs between neighbours, page 0 in all of them.
        set_one(p.desk, p.source, i * 1024, static_cast<float>(i + 10));
        set_one(p.desk, p.source, 5, static_cast<float>(i + 20));
      }
      for (const unsigned closing : order) {
        for (unsigned i = 0; i < held.size(); ++i) {
          if (!held[i]) continue;
          const float fifth = i == 0 ? 2.0f : static_cast<float>(2 * (i + 19));
          EXPECT_EQ(held[i]->get(p.doubled, 5).value(), fifth);
          for (unsigned page = 0; page < 4; ++page) {
            EXPECT_EQ(held[i]->get(p.source, page * 1024).value(),
                      page < i ? static_cast<float>(page + 10) : 1.0f);
          }
        }
        held[closing].reset();
        set_one(p.desk, p.source, 9, static_cast<float>(closing + 30));
      }
      EXPECT_EQ(p.desk.stats().history_bytes, 0u);
      if (mode == readers::brief_wait) {
        EXPECT_EQ(p.desk.stats().frame_bytes, start.frame_bytes);
      }
      expect_glued(p.desk);
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST(CopyOnWrite, WaitFreePagesPingPongAtTheCostOfChangedLines) {
  four_pages p({.mode = readers::wait_free});
  for (int round = 0; round < 3; ++round) {  // a second frame for every page
    set_all(p.desk, p.source, static_cast<float>(round + 2));
  }
  for (int round = 0; round < 10; ++round) {
    auto txn = p.desk.begin();
    txn.set(p.source, {.index = 0}, static_cast<float>(round + 100));
    txn.set(p.source, {.index = 40}, static_cast<float>(round + 100));
    committed(std::move(txn));
    const work_counters work = p.desk.last_commit();
    EXPECT_EQ(work.frames_copied, 0u);
    EXPECT_EQ(work.frames_allocated, 0u);
    EXPECT_EQ(work.frames_reused, 2u);
    // Catch-up: the lines of the commit before. The first one follows a change of every line: the
    // source takes all 64 over, `doubled` all but the two it writes.
    EXPECT_EQ(work.lines_copied, round == 0 ? 64u + 62u : 2u);
    EXPECT_EQ(p.desk.stats().history_bytes, 0u);
  }
  expect_glued(p.desk);
}

TEST(CopyOnWrite, WaitFreePagesPingPongBesideALongLivedSnapshot) {
  four_pages p({.mode = readers::wait_free});
  const auto old = p.desk.snapshot();
  const auto before = image_of(old, p.source, p.doubled, p.capped);
  for (int round = 2; round < 5; ++round) set_one(p.desk, p.source, 0, static_cast<float>(round));
  const std::uint64_t bytes = p.desk.stats().frame_bytes;
  for (int round = 0; round < 10; ++round) {
    set_one(p.desk, p.source, 0, static_cast<float>(round + 100));
    EXPECT_EQ(p.copied(), 0u);
    EXPECT_EQ(p.desk.last_commit().frames_reused, 2u);
    EXPECT_EQ(p.desk.last_commit().lines_copied, 1u);
    EXPECT_EQ(p.desk.stats().frame_bytes, bytes);
  }
  EXPECT_EQ(image_of(old, p.source, p.doubled, p.capped), before);
  expect_glued(p.desk);
}

TEST(CopyOnWrite, ASpareTakesOverWhatChangedInPlaceMeanwhile) {
  // A fallible array makes brief_wait keep spares: commits that reach it replace frames, the others
  // change in place, and the spare has to catch up with both.
  model m;
  const auto a = m.source<float>("a", 1024);
  const auto b = m.source<float>("b", 1024);
  const auto mixed = m.derive("mixed", a + b);
  (void)m.derive_host<float>("host", 1, {b}, [](host_call& call) -> status {
    call.result<float>()[0] = call.operand<float>(0)[0];
    return {};
  });
  engine e = opened(m);
  set_one(e, b, 1, 1.0f);
  set_one(e, b, 2, 2.0f);
  for (int round = 0; round < 4; ++round) {
    for (std::uint64_t i = 0; i < 64; i += 3) {
      set_one(e, a, i * 16 + static_cast<unsigned>(round), 5.0f + static_cast<float>(i));
      EXPECT_EQ(e.last_commit().frames_reused, 0u);
    }
    set_one(e, b, static_cast<unsigned>(round) + 7, 3.0f);
    EXPECT_EQ(e.last_commit().frames_reused, 2u);
    EXPECT_EQ(e.snapshot().get(mixed, 63 * 16).value(), 5.0f + 63.0f);
    expect_glued(e);
  }
}

}  // namespace
}  // namespace engine_test
