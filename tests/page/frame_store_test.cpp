#include <sheaf/page/frame_store.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <vector>

#include "page/random.hpp"

namespace sheaf {
namespace {

constexpr page_class small = page_class::b256;  // four lines
constexpr std::uint64_t small_bytes = 256;

/// A store of `slots` small pages with one log and a registry of pins.
struct stage {
  explicit stage(std::uint32_t slots = 2, frame_store_options options = {}) : pins(16) {
    options.slot_count = slots;
    store = frame_store::create(options).value();
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      EXPECT_TRUE(store->create_page(slot, small).is_ok());
    }
  }
  std::uint64_t in_use() const { return store->allocator().stats().total.bytes_in_use; }
  bool consistent() const {
    const std::vector<page_class> pages(store->slot_count(), small);
    return store->is_consistent(pages);
  }
  status reserve(std::uint64_t pages) {
    frame_demand demand;
    demand.replaced[static_cast<unsigned>(small)] = pages;
    return store->reserve(demand, logs);
  }
  /// Fills lines of the current frame of `slot`, as an operator or a delta would.
  void write(std::uint32_t slot, line_mask lines, unsigned char value) {
    std::byte* page = store->current(slot, small);
    for_each_line(lines, [&](unsigned line) {
      std::memset(page + line * line_size, value, line_size);
    });
    store->note_changed(slot, small, lines);
  }
  /// One commit that changes `lines` of `slot` to `value`.
  void commit(std::uint32_t slot, line_mask lines, unsigned char value, bool keep_spares = false,
              bool never_in_place = false) {
    const std::uint64_t before = published++;
    pin_view view;
    pins.scan(view);
    const std::uint64_t newest =
        never_in_place ? before : view.epochs.empty() ? 0 : view.epochs.back();
    store->begin_commit(published, newest);
    ASSERT_TRUE(reserve(store->slot_count()).is_ok());
    if (!store->changes_in_place(slot, small)) (void)store->replace(slot, small, lines, log);
    write(slot, lines, value);
    copied = log.frames_copied;
    reused = log.frames_reused;
    lines_copied = log.lines_copied;
    store->end_commit(logs, pins, keep_spares);
    store->reclaim(pins);
    log.clear();
    EXPECT_TRUE(consistent());
  }
  pin_registry::pinned pin() { return pins.open(published, readers::brief_wait).value(); }
  void unpin(const pin_registry::pinned& pin) { pins.close(pin.slot); }
  unsigned char seen(std::uint32_t slot, unsigned line, const pin_registry::pinned& pin) {
    const std::byte* page = store->visible(store->frames(), slot, small, pin.epoch, pins, pin.slot);
    return std::to_integer<unsigned char>(page[line * line_size]);
  }

  pin_registry pins;
  std::unique_ptr<frame_store> store;
  frame_log log;
  frame_log* list[1] = {&log};
  std::span<frame_log* const> logs{list};
  std::atomic<std::uint64_t> published{1};
  std::uint64_t copied = 0, reused = 0, lines_copied = 0;
};

TEST(FrameStore, ANewPageIsZeroAndBornAtEpochOne) {
  stage s;
  const auto pin = s.pin();
  for (unsigned line = 0; line < 4; ++line) EXPECT_EQ(s.seen(0, line, pin), 0);
  s.store->begin_commit(2, 1);
  EXPECT_FALSE(s.store->changes_in_place(0, small));
  s.store->begin_commit(2, 0);
  EXPECT_TRUE(s.store->changes_in_place(0, small));
  EXPECT_TRUE(s.store->all_in_place());
  EXPECT_EQ(s.in_use(), 2 * small_bytes);
}

TEST(FrameStore, AReplacedPageKeepsItsOtherLinesAndThePinItsOldOnes) {
  stage s;
  s.commit(0, 0b1111, 7);
  const auto old = s.pin();
  s.commit(0, 0b0010, 9);
  EXPECT_EQ(s.copied, 1u);
  EXPECT_EQ(s.lines_copied, 3u);
  const auto now = s.pin();
  EXPECT_EQ(s.seen(0, 0, now), 7);
  EXPECT_EQ(s.seen(0, 1, now), 9);
  EXPECT_EQ(s.seen(0, 1, old), 7);
  EXPECT_EQ(s.store->history_bytes(), small_bytes);
  s.unpin(old);
  s.store->reclaim(s.pins);
  EXPECT_EQ(s.store->history_bytes(), 0u);
  EXPECT_EQ(s.in_use(), 2 * small_bytes);
  EXPECT_EQ(s.seen(0, 1, now), 9);
}

TEST(FrameStore, AFrameBornAfterTheNewestPinChangesInPlace) {
  stage s;
  const auto old = s.pin();
  s.commit(0, 0b0001, 5);
  EXPECT_EQ(s.copied, 1u);
  s.commit(0, 0b0001, 6);
  EXPECT_EQ(s.copied, 0u);
  s.commit(1, 0b0001, 6);
  EXPECT_EQ(s.copied, 1u);
  EXPECT_EQ(s.seen(0, 0, old), 0);
}

TEST(FrameStore, ASupersededFrameMovesToTheOlderPinThatStillSeesIt) {
  stage s;
  const auto first = s.pin();   // epoch 1
  s.commit(1, 1, 1);            // epoch 2, the other page
  const auto second = s.pin();  // epoch 2 sees the same frame of page 0
  s.commit(0, 1, 8);            // epoch 3
  EXPECT_EQ(s.store->history_bytes(), 2 * small_bytes);
  s.unpin(second);
  s.store->reclaim(s.pins);
  EXPECT_EQ(s.seen(0, 0, first), 0);
  EXPECT_EQ(s.store->history_bytes(), 2 * small_bytes);
  s.unpin(first);
  s.store->reclaim(s.pins);
  EXPECT_EQ(s.store->history_bytes(), 0u);
  EXPECT_TRUE(s.consistent());
}

TEST(FrameStore, AVersionBetweenTwoPinsGoesWhenItsOwnPinGoes) {
  stage s;
  std::vector<pin_registry::pinned> held;
  for (unsigned char i = 0; i < 4; ++i) {
    held.push_back(s.pin());
    s.commit(0, 0b1111, static_cast<unsigned char>(i + 1));
  }
  EXPECT_EQ(s.store->history_bytes(), 4 * small_bytes);
  s.unpin(held[1]);
  s.store->reclaim(s.pins);
  EXPECT_EQ(s.store->history_bytes(), 3 * small_bytes);
  EXPECT_EQ(s.seen(0, 0, held[0]), 0);
  EXPECT_EQ(s.seen(0, 0, held[2]), 2);
  EXPECT_EQ(s.seen(0, 0, held[3]), 3);
  EXPECT_TRUE(s.consistent());
}

TEST(FrameStore, ASpareCatchesUpWithTheLinesThatDiffer) {
  stage s;
  s.commit(0, 0b1111, 1, true, true);
  EXPECT_EQ(s.copied, 1u);
  EXPECT_EQ(s.lines_copied, 0u) << "all lines are overwritten";
  EXPECT_EQ(s.store->spare_bytes(), small_bytes);
  EXPECT_EQ(s.store->history_bytes(), 0u);
  s.commit(0, 0b0001, 2, true, true);
  EXPECT_EQ(s.reused, 1u);
  EXPECT_EQ(s.lines_copied, 3u) << "the spare missed four lines, one is overwritten";
  s.commit(0, 0b0100, 3, true, true);
  EXPECT_EQ(s.reused, 1u);
  EXPECT_EQ(s.lines_copied, 1u);
  const auto now = s.pin();
  EXPECT_EQ(s.seen(0, 0, now), 2);
  EXPECT_EQ(s.seen(0, 1, now), 1);
  EXPECT_EQ(s.seen(0, 2, now), 3);
  EXPECT_EQ(s.in_use(), 3 * small_bytes);
}

TEST(FrameStore, DemandLeavesOutPagesInPlaceAndAsksNoFrameWhereThereIsASpare) {
  stage s(3);
  s.commit(0, 1, 1, true, true);  // page 0 gets a spare
  (void)s.pin();
  s.commit(1, 1, 1);  // page 1 is born after the pin
  s.store->begin_commit(4, 2);
  frame_demand demand;
  for (std::uint32_t slot = 0; slot < 3; ++slot) s.store->add_demand(slot, small, demand);
  EXPECT_EQ(demand.replaced[static_cast<unsigned>(small)], 2u);
  EXPECT_EQ(demand.with_spare[static_cast<unsigned>(small)], 1u);
  ASSERT_TRUE(s.store->reserve(demand, s.logs).is_ok());
  (void)s.store->replace(0, small, 0, s.log);
  (void)s.store->replace(2, small, 0, s.log);
  s.store->end_commit(s.logs, s.pins, true);
  s.log.clear();
  EXPECT_TRUE(s.consistent());
}

TEST(FrameStore, AFailedCommitGivesFramesAndBitsBack) {
  stage s;
  s.commit(0, 0b1111, 7);
  const std::uint64_t bytes = s.in_use();
  const std::uint32_t frame = s.store->frames()[0];
  for (int attempt = 0; attempt < 3; ++attempt) {
    s.store->begin_commit(s.published + 1, s.published);
    ASSERT_TRUE(s.reserve(2).is_ok());
    std::byte* page = s.store->replace(0, small, 0b0010, s.log);
    std::memset(page, 0xee, small_bytes);
    (void)s.store->replace(1, small, 0, s.log);
    s.store->roll_back(s.logs, s.pins);
    EXPECT_EQ(s.store->frames()[0], frame);
    EXPECT_EQ(s.in_use(), bytes);
    EXPECT_EQ(s.store->history_bytes(), 0u);
    EXPECT_TRUE(s.log.swaps.empty());
    EXPECT_TRUE(s.consistent());
  }
  const auto now = s.pin();
  EXPECT_EQ(s.seen(0, 1, now), 7);
}

TEST(FrameStore, AReservationPastALimitChangesNothing) {
  stage s(2, {.bytes_max = 3 * small_bytes, .history_bytes_max = 8 * small_bytes});
  s.store->begin_commit(2, 1);
  EXPECT_EQ(s.reserve(2).code(), status_code::out_of_memory);
  EXPECT_TRUE(s.reserve(1).is_ok()) << "the refused reservation holds nothing";
  (void)s.store->replace(0, small, 0, s.log);
  s.store->end_commit(s.logs, s.pins, false);
  s.log.clear();
  EXPECT_EQ(s.in_use(), 2 * small_bytes);
  EXPECT_EQ(s.reserve(9).code(), status_code::history_full);
}

TEST(FrameStore, AReservationThatFailsForOneSizeHoldsNoneOfTheOthers) {
  stage s(2, {.bytes_max = 4 * small_bytes});
  frame_demand demand;
  demand.replaced[static_cast<unsigned>(page_class::b64)] = 8;
  demand.replaced[static_cast<unsigned>(page_class::b4k)] = 1;
  EXPECT_EQ(s.store->reserve(demand, s.logs).code(), status_code::out_of_memory);
  EXPECT_TRUE(s.reserve(2).is_ok());
  s.store->begin_commit(2, 1);
  s.store->end_commit(s.logs, s.pins, false);
}

/// A store of two runs of two small pages each.
struct two_runs {
  explicit two_runs(frame_store_options options = {}) : pins(16) {
    options.slot_count = 4;
    store = frame_store::create(options).value();
    for (const std::uint32_t slot : {0u, 2u}) {
      EXPECT_TRUE(store->create_run(slot, 2, small).is_ok());
    }
  }
  std::uint64_t pages_in_use() const {
    return store->allocator().stats().total.bytes_in_use / small_bytes;
  }
  frame_demand demand(std::uint32_t first_slot, std::uint32_t last_slot) {
    frame_demand made;
    for (std::uint32_t slot = first_slot; slot <= last_slot; ++slot) {
      store->add_demand(slot, small, made);
    }
    const std::uint64_t runs = last_slot / 2 - first_slot / 2 + 1;
    EXPECT_EQ(made.replaced[static_cast<unsigned>(small)], 2 * runs) << "a run counts whole";
    return made;
  }
  pin_registry pins;
  std::unique_ptr<frame_store> store;
  frame_log log;
  frame_log* list[1] = {&log};
  std::span<frame_log* const> logs{list};
};

TEST(FrameStore, AReservationThatFailsCountsItsRunsAgainTheNextTime) {
  for (const bool is_history : {true, false}) {
    // Either limit leaves room for one of the runs, but not for both.
    two_runs s(is_history ? frame_store_options{.history_bytes_max = 3 * small_bytes}
                          : frame_store_options{.bytes_max = 7 * small_bytes});
    s.store->begin_commit(2, 1);
    const std::uint64_t after = is_history ? 4 : 6;  // the first run keeps the extent it got
    for (int round = 0; round < 3; ++round) {
      EXPECT_EQ(s.store->reserve(s.demand(0, 3), s.logs).code(),
                is_history ? status_code::history_full : status_code::out_of_memory);
      EXPECT_EQ(s.pages_in_use(), after);
    }
    EXPECT_TRUE(s.store->reserve(s.demand(0, 0), s.logs).is_ok());
    EXPECT_EQ(s.pages_in_use(), 6u);
    (void)s.store->replace(1, small, 0, s.log);
    EXPECT_EQ(s.log.runs_copied, 1u);
    s.store->end_commit(s.logs, s.pins, false);
  }
}

TEST(FrameStore, ARunWithASpareReservesNoExtent) {
  two_runs s;
  for (const std::uint64_t epoch : {2u, 3u, 4u}) {
    s.store->begin_commit(epoch, epoch - 1);
    ASSERT_TRUE(s.store->reserve(s.demand(2, 3), s.logs).is_ok());
    EXPECT_EQ(s.pages_in_use(), 6u) << "epoch " << epoch;
    (void)s.store->replace(3, small, 0, s.log);
    EXPECT_EQ(s.log.frames_reused, epoch == 2 ? 0u : 1u);
    s.store->end_commit(s.logs, s.pins, false);
    s.log.clear();
  }
}

TEST(FrameStore, AnUnlinkedFrameWaitsInLimboForTheLastWalker) {
  for (const bool spares : {false, true}) {
    stage s;
    const auto pin = s.pin();
    s.commit(0, 0b1111, 1, spares);
    s.unpin(pin);
    const auto walker = s.pin();
    s.pins.enter_walk(walker.slot);
    s.store->reclaim(s.pins);
    EXPECT_EQ(s.in_use(), 3 * small_bytes) << "a walker may stand on the frame";
    EXPECT_EQ(s.store->history_bytes(), small_bytes);
    s.pins.leave_walk(walker.slot);
    s.store->reclaim(s.pins);
    EXPECT_EQ(s.in_use(), 2 * small_bytes);
    EXPECT_EQ(s.store->history_bytes(), 0u);
  }
}

/// Random commits, failures, pins and reads against a copy of every epoch.
void run_against_copies(std::uint32_t seed, bool keep_spares) {
  SCOPED_TRACE(testing::Message() << "seed " << seed << ", spares " << keep_spares);
  constexpr std::uint32_t slots = 3;
  using image = std::vector<unsigned char>;  // by slot and line
  stage s(slots);
  sheaf_test::random_numbers random(seed);
  image now(slots * 4, 0);
  std::vector<std::pair<pin_registry::pinned, image>> held;
  std::uint64_t number = 1;
  for (int step = 0; step < 120; ++step) {
    const auto choice = random() % 10;
    if (choice < 2 && held.size() < 6) {
      held.emplace_back(s.pin(), now);
    } else if (choice < 4 && !held.empty()) {
      const auto which = static_cast<std::ptrdiff_t>(random() % held.size());
      s.unpin(held[static_cast<std::size_t>(which)].first);
      held.erase(held.begin() + which);
      if (random() % 2 == 0) s.store->reclaim(s.pins);
    } else {
      pin_view view;
      s.pins.scan(view);
      const bool fails = random() % 4 == 0;
      const std::uint64_t before = s.published;
      s.store->begin_commit(++number, fails || random() % 2 == 0 ? before
                                      : view.epochs.empty()     ? 0
                                                                : view.epochs.back());
      ASSERT_TRUE(s.reserve(slots).is_ok());
      image next = now;
      for (std::uint32_t slot = 0; slot < slots; ++slot) {
        const line_mask lines = random() % 16;
        if (lines == 0) continue;
        const auto value = static_cast<unsigned char>(random());
        if (!s.store->changes_in_place(slot, small)) {
          (void)s.store->replace(slot, small, lines, s.log);
        }
        s.write(slot, lines, value);
        for_each_line(lines, [&](unsigned line) { next[slot * 4 + line] = value; });
      }
      if (fails) {
        s.store->roll_back(s.logs, s.pins);
      } else {
        s.published = number;
        now = next;
        s.store->end_commit(s.logs, s.pins, keep_spares);
        s.store->reclaim(s.pins);
        s.log.clear();
      }
    }
    ASSERT_TRUE(s.consistent());
    const auto look = s.pin();
    held.emplace_back(look, now);
    for (const auto& [pin, expected] : held) {
      for (std::uint32_t at = 0; at < slots * 4; ++at) {
        ASSERT_EQ(s.seen(at / 4, at % 4, pin), expected[at]) << "step " << step;
      }
    }
    held.pop_back();
    s.unpin(look);
  }
  for (const auto& [pin, expected] : held) s.unpin(pin);
  s.store->reclaim(s.pins);
  EXPECT_EQ(s.store->history_bytes(), 0u);
  EXPECT_EQ(s.in_use(), slots * small_bytes + s.store->spare_bytes());
}

TEST(FrameStore, EveryPinSeesTheBitsOfItsEpochInRandomRuns) {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    run_against_copies(seed, seed % 2 == 0);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace sheaf
