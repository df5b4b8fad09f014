/// \file
/// The executor: directions, cut-off, chains, counters and thread counts.

#include "page/random.hpp"
#include "propagate/chain.hpp"
#include "propagate/rig.hpp"

namespace propagate_test {
namespace {

/// Layers of small nodes, each the sum of `fan_in` nodes of the layer before.
struct layers {
  layers(unsigned width, unsigned depth, std::uint64_t length, unsigned fan_in = 4) {
    sheaf_test::random_numbers random(7);
    std::vector<array<float>> before;
    for (unsigned i = 0; i < width; ++i) before.push_back(declared.source<float>("", length));
    sources = before;
    for (unsigned layer = 0; layer < depth; ++layer) {
      std::vector<array<float>> now;
      for (unsigned i = 0; i < width; ++i) {
        std::vector<array<float>> operands;
        for (unsigned k = 0; k < fan_in; ++k) operands.push_back(before[random() % width]);
        now.push_back(declared.derive("", combine(semiring_id::sum_product, operands)));
      }
      before = now;
    }
    last = before;
  }
  model declared;
  std::vector<array<float>> sources, last;
};

TEST(Executor, BitsAreThoseOfARecomputeWhicheverDirectionIsChosenAndTheCountersSayWhich) {
  layers net(128, 4, 1024);  // 64 lines a node
  rig r(net.declared);
  sheaf_test::random_numbers random(11);
  std::uint64_t pushed = 0, pulled = 0, full = 0;
  for (const unsigned changed : {1u, 4u, 16u, 64u, 128u, 128u * 64}) {
    for (unsigned i = 0; i < changed; ++i) {
      const std::uint64_t line = changed > 128 ? i / 128 : random() % 64;
      r.set(net.sources[i % 128], line * 16 + random() % 16,
            static_cast<float>(1 + random() % 1000) / 8);
    }
    const work_counters work = r.propagate();
    EXPECT_EQ(work.levels_pushed + work.levels_pulled + work.levels_full, 4u);
    if (changed == 1) {
      EXPECT_EQ(work.levels_pushed, 4u) << "one line is followed by its marks";
    }
    if (changed == 128 * 64) {
      EXPECT_EQ(work.levels_full, 4u) << "everything is recomputed without asking";
      EXPECT_EQ(work.page_nodes_skipped, 0u);
    }
    pushed += work.levels_pushed, pulled += work.levels_pulled, full += work.levels_full;
    const auto bits = r.image();
    r.expect_glued();
    r.expect_quiet();
    (void)r.recompute();
    EXPECT_TRUE(r.image() == bits) << changed << " lines changed";
  }
  EXPECT_GT(pushed, 0u);
  EXPECT_GT(pulled, 0u);
  EXPECT_GT(full, 0u);
}

TEST(Executor, NoMarkIsNoWork) {
  layers net(64, 3, 16);
  rig r(net.declared);
  const work_counters work = r.propagate();
  work_counters nothing;
  nothing.page_nodes_skipped = 3 * 64;
  EXPECT_EQ(work, nothing);
}

TEST(Executor, AChangeAtTheEndOfAChainOfTenThousandTouchesOnlyTheEnd) { run_chain(10'000); }

TEST(Executor, CutOffStopsAChainWhereBitsAreEqualAndCountsExactly) {
  model m;
  const auto source = m.source<float>("source", 1024);  // 64 lines: few dirty ones are followed
  array<float> at = source;
  for (int i = 0; i < 5; ++i) at = m.derive("", at + 1.0f);
  const auto capped = m.derive("capped", min(at, 10.0f));
  array<float> after = capped;
  for (int i = 0; i < 7; ++i) after = m.derive("", after * 2.0f);
  rig r(m);
  r.set(source, 0, 100.0f);   // 105, capped to 10 where it was 5
  r.set(source, 20, 100.0f);
  work_counters work = r.propagate();
  EXPECT_EQ(work.pages_recomputed, 13u);
  EXPECT_EQ(work.lines_recomputed, 26u);
  EXPECT_EQ(work.lines_cut_off, 0u);
  r.set(source, 0, 200.0f);  // capped stays 10
  r.set(source, 20, 200.0f);
  r.set(source, 40, 1.0f);   // 6, not capped
  work = r.propagate();
  EXPECT_EQ(work.source_lines_changed, 3u);
  EXPECT_EQ(work.lines_recomputed, 5u * 3 + 3 + 7u * 1);
  EXPECT_EQ(work.lines_cut_off, 2u);
  EXPECT_EQ(work.pages_cut_off, 0u);
  r.set(source, 0, 300.0f);
  work = r.propagate();
  EXPECT_EQ(work.pages_recomputed, 6u) << "nothing after the cap runs";
  EXPECT_EQ(work.pages_cut_off, 1u);
  EXPECT_EQ(work.lines_cut_off, 1u);
  EXPECT_EQ(work.page_nodes_skipped, 7u);
  EXPECT_EQ(r.values(after)[0], 1280.0f);
  r.expect_glued();
}

TEST(Executor, APageThatIsCutOffMarksNothingBesideOnesThatAreNot) {
  model m;
  std::vector<array<float>> sources;
  for (int i = 0; i < 32; ++i) sources.push_back(m.source<float>("", 16));
  for (int i = 0; i < 32; ++i) {
    const auto capped = m.derive("", min(sources[static_cast<std::size_t>(i)], 10.0f));
    (void)m.derive("", capped * 2.0f);
  }
  rig r(m);
  r.set(sources[0], 0, 100.0f);
  r.set(sources[1], 0, 1.0f);
  EXPECT_EQ(r.propagate().pages_recomputed, 4u);
  r.set(sources[0], 0, 200.0f);  // still 10 below the cap
  r.set(sources[1], 0, 2.0f);
  const work_counters work = r.propagate();
  EXPECT_EQ(work.levels_pushed, 2u);
  EXPECT_EQ(work.pages_cut_off, 1u);
  EXPECT_EQ(work.pages_recomputed, 3u);
  EXPECT_EQ(work.lines_recomputed, 3u);
  r.expect_glued();
  r.expect_quiet();
}

/// Reads at random from arrays of many pages, in all kinds of operators.
struct wide {
  wide() {
    sheaf_test::random_numbers random(3);
    a = declared.source<float>("a", 200'000);
    b = declared.source<float>("b", 200'000);
    const auto mixed = declared.derive("mixed", a * b + 1.0f);
    const auto small = declared.derive("small", mixed - a, {.page = page_class::b256});
    const auto large = declared.derive("large", combine(semiring_id::min_plus, {small, mixed, b}));
    (void)declared.derive("total", sum(large));
    std::vector<std::uint32_t> picks(200'000), ids(200'000);
    for (auto& pick : picks) pick = random() % 200'000;
    for (auto& id : ids) id = random() % 5000;
    const auto picked = declared.derive("picked", gather(large, picks));
    (void)declared.derive("groups", segment_reduce(semiring_id::sum_product, picked,
                                                   segments::from_ids(ids, 5000)));
  }
  model declared;
  array<float> a, b;
};

TEST(Executor, CountersAndBitsAreTheSameOnEveryRunAndAtEveryThreadCount) {
  wide w;
  std::vector<work_counters> counted;
  std::vector<std::byte> image;
  for (const unsigned threads : {1u, 1u, 2u, 4u}) {
    rig r(w.declared, threads);
    sheaf_test::random_numbers random(5);
    std::vector<work_counters> now;
    for (const unsigned changes : {1u, 50u, 2000u, 50'000u, 200'000u}) {
      for (unsigned i = 0; i < changes; ++i) {
        r.set(w.a, random() % 200'000, static_cast<float>(random() % 512) / 4);
        if (i % 3 == 0) r.set(w.b, random() % 200'000, static_cast<float>(random() % 512) / 4);
      }
      now.push_back(r.propagate());
    }
    r.expect_quiet();
    if (counted.empty()) {
      r.expect_glued();
      counted = now;
      image = r.image();
    }
    EXPECT_TRUE(now == counted) << threads << " threads";
    EXPECT_TRUE(r.image() == image) << threads << " threads";
  }
}

TEST(Executor, LevelsThatFollowMarksGiveTheSameOnManyThreads) {
  // Half of the nodes go as one run, the others one by one; every 6th source changes.
  constexpr unsigned width = 8192;
  model m;
  std::vector<array<float>> sources, products;
  for (unsigned i = 0; i < width; ++i) sources.push_back(m.source<float>("", 16));
  for (unsigned i = 0; i < width; ++i) {
    const auto& other = sources[i * 7919u % width];
    products.push_back(i % 2 == 0 ? m.derive("", sources[i] * other + 1.0f)
                                  : m.derive("", combine(semiring_id::max_plus,
                                                         {sources[i], other})));
  }
  for (unsigned i = 0; i < width; ++i) {
    (void)m.derive("", min(products[i], products[i * 31u % width]) * 2.0f);
  }
  std::vector<work_counters> counted;
  std::vector<std::byte> image;
  for (const unsigned threads : {1u, 2u, 4u}) {
    rig r(m, threads);
    std::vector<work_counters> now;
    for (unsigned round = 1; round <= 4; ++round) {
      for (unsigned i = round; i < width; i += 6) {
        r.set(sources[i], i % 16, static_cast<float>(i % 50 + round));
      }
      now.push_back(r.propagate());
      EXPECT_EQ(now.back().levels_pushed, 2u);
    }
    r.expect_glued();
    r.expect_quiet();
    if (counted.empty()) counted = now, image = r.image();
    EXPECT_TRUE(now == counted) << threads << " threads";
    EXPECT_TRUE(r.image() == image) << threads << " threads";
  }
}

TEST(Executor, AChangedElementOfASourceReachesOnlyItsOwnReaders) {
  model m;
  const auto from = m.source<float>("from", 1024);
  std::vector<std::uint32_t> every_line(1024);  // line i of the result reads lane i of line 0
  for (std::uint32_t i = 0; i < 1024; ++i) every_line[i] = i / 16 % 16;
  const auto picked = m.derive("picked", gather(from, every_line));
  rig r(m);
  r.set(from, 3, 1.0f);
  EXPECT_EQ(r.propagate().lines_recomputed, 4u);
  EXPECT_EQ(r.values(picked)[3 * 16], 1.0f);
  r.set(from, 5, 2.0f);  // what the commit before wrote is forgotten
  EXPECT_EQ(r.propagate().lines_recomputed, 4u);
  r.expect_glued();
  r.expect_quiet();
}

TEST(Executor, StoppedAtEveryChunkAndResumedItDoesTheSameWork) {
  for (const unsigned threads : {1u, 3u}) {
    model m;
    const unsigned width = 300;
    std::vector<array<float>> sources, products, sums;
    for (unsigned i = 0; i < width; ++i) sources.push_back(m.source<float>("", 128));
    for (unsigned i = 0; i < width; ++i) {
      products.push_back(m.derive("", sources[i] * sources[i * 7919u % width]));
    }
    for (unsigned i = 0; i < width; ++i) {
      sums.push_back(m.derive("", combine(semiring_id::sum_product,
                                          {products[i], products[(i + 1) % width]})));
    }
    const auto picked = m.derive("", gather(sums[0], {1, 5, 127}));
    const auto total = m.derive("", sum(picked));
    (void)m.derive("", total + element_of(sums[7], 3));
    rig whole(m, threads), pieces(m, threads);
    unsigned stops = 0;
    for (unsigned round = 1; round <= 6; ++round) {
      const unsigned step = round % 2 == 0 ? 1 : 60;  // most of it, and some of it
      for (unsigned i = 0; i < width; i += step) {
        whole.set(sources[i], i % 128, static_cast<float>(i % 9 + round));
        pieces.set(sources[i], i % 128, static_cast<float>(i % 9 + round));
      }
      EXPECT_TRUE(whole.propagate() == pieces.propagate_in_pieces(stops)) << "round " << round;
      EXPECT_TRUE(whole.image() == pieces.image()) << "round " << round;
      pieces.expect_quiet();
    }
    EXPECT_GT(stops, 60u);
    pieces.expect_glued();
  }
}

/// One changed element that many pages read, and many elements through an index, of a level that
/// is pushed and of one that pulls.
struct fan_out {
  static constexpr unsigned pages = 80, readers = 3000;
  model m;
  array<float> scale = m.source<float>("scale", 16);
  array<float> start = m.source<float>("start", pages * 1024);
  array<float> wide, wider, picked;
  fan_out() {
    wide = m.derive("wide", start * element_of(scale, 3));
    wider = m.derive("wider", wide + element_of(scale, 3));
    picked = m.derive("picked", gather(wide, std::vector<std::uint32_t>(readers, 5)));
    const auto dense = m.derive("", sum(wider));
    (void)m.derive("", picked * element_of(dense, 0));
  }
};

TEST(Executor, StopsInsideTheFanOutOfOnePageAndGoesOnFromThere) {
  for (const unsigned threads : {1u, 3u}) {
    const fan_out shape;
    rig whole(shape.m, threads), pieces(shape.m, threads);
    for (unsigned round = 1; round <= 3; ++round) {
      for (rig* each : {&whole, &pieces}) {
        each->set(shape.start, 5, static_cast<float>(round));
        each->set(shape.scale, 3, static_cast<float>(round));
      }
      unsigned stops = 0;
      EXPECT_TRUE(whole.propagate() == pieces.propagate_in_pieces(stops)) << "round " << round;
      EXPECT_TRUE(whole.image() == pieces.image()) << "round " << round;
      // The marks of one page, its pages run, and the marks of one element: a stop after each.
      EXPECT_GT(stops, 2 * fan_out::pages + fan_out::readers) << threads << " threads";
      pieces.expect_quiet();
    }
    pieces.expect_glued();
  }
}

/// Propagates up to the `stops`th stop, then discards; returns whether it was done before.
bool give_up_after(rig& r, unsigned stops) {
  bool is_done = false;
  for (unsigned i = 0; i < stops && !is_done; ++i) {
    const auto ran = r.run().propagate_until(std::chrono::steady_clock::now());
    EXPECT_TRUE(ran);
    is_done = !ran || *ran == progress::done;
  }
  (void)r.run().take_counters();
  r.run().discard();
  return is_done;
}

TEST(Executor, GivenUpAfterAStopInsideAFanOutItLeavesTheOldBits) {
  const fan_out shape;
  rig r(shape.m);
  pin_registry pins(4);
  r.set(shape.start, 5, 3.0f);
  (void)r.propagate();
  const auto old_wide = r.values(shape.wide);
  const auto old_picked = r.values(shape.picked);
  bool is_done = false;
  unsigned rounds = 0;
  for (unsigned stops = 1; !is_done; stops += 97, ++rounds) {
    r.set(shape.scale, 3, static_cast<float>(stops + 1));
    // Everything there is counts as visible, so every page gets a frame of its own.
    r.frames().begin_commit(r.epoch() + 1, r.epoch());
    ASSERT_TRUE(r.frames().reserve(r.run().whole_demand(), r.run().logs()).is_ok());
    is_done = give_up_after(r, stops);
    r.frames().roll_back(r.run().logs(), pins);
    r.expect_quiet();
    ASSERT_TRUE(r.values(shape.wide) == old_wide) << "after " << stops;
    ASSERT_TRUE(r.values(shape.picked) == old_picked) << "after " << stops;
    ASSERT_EQ(r.propagate().lines_recomputed, 0u) << "after " << stops;
  }
  // Each began anew.
  EXPECT_GT(rounds, fan_out::readers / 97);
}

TEST(Executor, DiscardedInTheMiddleOfALevelNothingStaysMarked) {
  model m;
  const auto a = m.source<float>("a", 200 * 16);
  for (unsigned i = 0; i < 200; ++i) (void)m.derive("", a * static_cast<float>(i));
  rig r(m);
  bool is_done = false;
  for (unsigned stops = 1; !is_done; stops += 2) {
    for (unsigned i = 0; i < 3200; i += 16) r.set(a, i, static_cast<float>(stops));
    r.frames().begin_commit(r.epoch() + 1, 0);
    is_done = give_up_after(r, stops);
    r.expect_quiet();
    ASSERT_EQ(r.propagate().lines_recomputed, 0u) << "after " << stops;
  }
}

}  // namespace
}  // namespace propagate_test
