/// \file
/// Contiguous arrays: one flat span at every epoch, two versions that take turns, and promise P2
/// for them, beside a paged twin that must hold the same bits.

#include "engine/support.hpp"

namespace engine_test {
namespace {

constexpr std::uint64_t length = 5000;  // five pages, the last one cut

struct twins {
  explicit twins(const engine_options& options = {}) : desk(opened(build(), options)) {}
  const model& build() {
    flat = declared.source<float>("flat", length, {.layout = layout::contiguous});
    paged = declared.source<float>("paged", length);
    flat_twice = declared.derive("flat_twice", flat * 2.0f, {.layout = layout::contiguous});
    paged_twice = declared.derive("paged_twice", paged * 2.0f);
    return declared;
  }
  void set(std::uint64_t index, float value) {
    auto txn = desk.begin();
    txn.set(flat, {.index = index}, value);
    txn.set(paged, {.index = index}, value);
    committed(std::move(txn));
  }

  model declared;
  array<float> flat, paged, flat_twice, paged_twice;
  engine desk;
};

/// The flat span of `target` holds what its pages do, and lies at one address.
template <element T>
void expect_flat(const snapshot& now, const array<T>& target) {
  const auto found = now.fetch(target);
  ASSERT_TRUE(found) << found.error().message();
  const auto flat = found->flat();
  ASSERT_TRUE(flat) << flat.error().message();
  ASSERT_EQ(flat->size(), target.size());
  const T* expected = flat->data();
  for (const std::span<const T> page : found->pages()) {
    ASSERT_EQ(page.data(), expected);
    expected += page.size();
  }
}

void expect_twins(const snapshot& now, const twins& t) {
  expect_flat(now, t.flat);
  expect_flat(now, t.flat_twice);
  EXPECT_EQ(image_of(now, t.flat), image_of(now, t.paged));
  EXPECT_EQ(image_of(now, t.flat_twice), image_of(now, t.paged_twice));
}

TEST(Contiguous, OneSpanHoldsTheWholeArrayAtEveryEpochThatIsOpen) {
  for (const readers mode : both_modes) {
    twins t({.mode = mode});
    std::vector<snapshot> held;
    for (std::uint64_t i = 0; i < 6; ++i) {
      t.set(i * 900, static_cast<float>(i + 1));
      held.push_back(t.desk.snapshot());
    }
    for (const snapshot& now : held) expect_twins(now, t);
    EXPECT_EQ(held[2].get(t.flat, 2 * 900).value(), 3.0f);
    EXPECT_EQ(held[2].get(t.flat, 3 * 900).value(), 0.0f);
    expect_glued(t.desk);
  }
}

TEST(Contiguous, TwoVersionsTakeTurnsAndCatchUpByTheLinesThatDiffer) {
  twins t;
  for (int round = 0; round < 3; ++round) {  // the first flip of each array makes its second extent
    const auto now = t.desk.snapshot();
    t.set(7, static_cast<float>(round + 1));
  }
  const auto now = t.desk.snapshot();
  t.set(4000, 9.0f);
  const work_counters work = t.desk.last_commit();
  EXPECT_EQ(work.runs_copied, 0u);
  // One line of each contiguous array differs; the paged twins copy their page, all lines but one.
  EXPECT_EQ(work.lines_copied, 1u + 1u + 64u + 63u);
  expect_twins(t.desk.snapshot(), t);
}

TEST(Contiguous, AThirdVersionPinnedAtOnceCostsACountedCopyAndIsReusedLater) {
  twins t;
  std::vector<snapshot> held;
  std::uint64_t copied = 0;
  for (int i = 0; i < 4; ++i) {
    held.push_back(t.desk.snapshot());
    t.set(1, static_cast<float>(i + 1));
    copied += t.desk.last_commit().runs_copied;
  }
  EXPECT_EQ(copied, 2u * 4);  // nothing was spare: every version is held
  for (const snapshot& now : held) expect_twins(now, t);
  held.clear();
  const std::uint64_t bytes = t.desk.stats().frame_bytes;
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 4; ++i) {
      held.push_back(t.desk.snapshot());
      t.set(1, static_cast<float>(100 * round + i));
    }
    for (const snapshot& now : held) expect_twins(now, t);
    held.clear();
  }
  t.set(1, 0.5f);
  EXPECT_LE(t.desk.stats().frame_bytes, bytes + 4 * 4096) << "extents leak";
}

TEST(Contiguous, AFailedCommitLeavesTheSpanAndTheNextOneIsFine) {
  model declared;
  bool fails = false;
  const auto flat = declared.source<float>("flat", length, {.layout = layout::contiguous});
  const auto hosted = declared.derive_host<float>(
      "hosted", length, {flat},
      [&](host_call& call) {
        const auto from = call.operand<float>(0);
        const auto to = call.result<float>();
        if (fails) return status(status_code::invalid_argument, subsystem::engine, "told to");
        for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i] + 1.0f;
        return status();
      },
      {.layout = layout::contiguous});
  engine desk = opened(declared);
  for (int i = 1; i <= 5; ++i) {
    set_one(desk, flat, 11, static_cast<float>(i));
    const auto before = image_of(desk, flat, hosted);
    fails = true;
    auto txn = desk.begin();
    txn.set(flat, {.index = 12}, 99.0f);
    expect_status(std::move(txn).commit(), status_code::operator_failed, {"hosted"});
    fails = false;
    const auto now = desk.snapshot();
    EXPECT_EQ(image_of(now, flat, hosted), before);
    expect_flat(now, flat);
    expect_flat(now, hosted);
  }
  expect_glued(desk);
}

TEST(Contiguous, WithoutMemoryForAnotherVersionACommitFailsAndChangesNothing) {
  twins t({.memory_bytes_max = std::size_t{40} * 4096});
  t.set(3, 1.0f);
  std::vector<snapshot> held;
  bool refused = false;
  for (int i = 0; i < 10 && !refused; ++i) {
    held.push_back(t.desk.snapshot());
    const auto before = image_of(t.desk, t.flat, t.flat_twice, t.paged, t.paged_twice);
    auto txn = t.desk.begin();
    txn.set(t.flat, {.index = 4999}, static_cast<float>(i + 2));
    const auto done = std::move(txn).commit();
    if (done) continue;
    refused = true;
    expect_status(done, status_code::out_of_memory, {});
    EXPECT_EQ(image_of(t.desk, t.flat, t.flat_twice, t.paged, t.paged_twice), before);
  }
  EXPECT_TRUE(refused);
  held.clear();
  t.set(4999, 7.0f);
  expect_twins(t.desk.snapshot(), t);
}

TEST(Contiguous, ManyThreadsReplaceARunOnce) {
  model declared;
  const auto flat =
      declared.source<float>("flat", 1 << 18, {.layout = layout::contiguous});
  const auto twice = declared.derive("twice", flat * 2.0f + 1.0f, {.layout = layout::contiguous});
  const auto thrice = declared.derive("thrice", twice * 3.0f, {.layout = layout::contiguous});
  engine desk = opened(declared, {.threads = 4});
  for (int round = 1; round <= 20; ++round) {
    const auto held = desk.snapshot();
    const auto before = image_of(held, flat, twice, thrice);
    set_all(desk, flat, static_cast<float>(round));
    EXPECT_EQ(image_of(held, flat, twice, thrice), before);
    expect_flat(desk.snapshot(), thrice);
  }
  expect_glued(desk);
}

TEST(Contiguous, RandomCommitsUnderRandomSnapshotsKeepEveryBit) {
  for (const readers mode : both_modes) {
    std::uint64_t state = 88172645463325252u;
    const auto dice = [&](std::uint64_t below) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      return state % below;
    };
    twins t({.mode = mode, .threads = 2});
    struct held_epoch {
      snapshot now;
      std::vector<std::byte> image;
    };
    std::vector<held_epoch> held;
    for (int step = 0; step < 600; ++step) {
      if (dice(3) == 0 && held.size() < 5) {
        auto now = t.desk.snapshot();
        auto image = image_of(now, t.flat, t.flat_twice);
        held.push_back({std::move(now), std::move(image)});
      }
      if (dice(4) == 0 && !held.empty()) {
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(dice(held.size())));
      }
      t.set(dice(length), static_cast<float>(dice(1000)));
      for (const held_epoch& epoch : held) {
        ASSERT_EQ(image_of(epoch.now, t.flat, t.flat_twice), epoch.image) << "step " << step;
      }
    }
    expect_twins(t.desk.snapshot(), t);
    expect_glued(t.desk);
  }
}

TEST(Contiguous, AFlatSpanOfAPagedArrayAndALazyContiguousOneAreRefused) {
  twins t;
  const auto now = t.desk.snapshot();
  const auto found = now.fetch(t.paged);
  ASSERT_TRUE(found);
  expect_status(found->flat(), status_code::unsupported, {"contiguous"});
  model declared;
  const auto a = declared.source<float>("a", 10);
  (void)declared.derive("late", a * 2.0f,
                        {.when = evaluation::lazy, .layout = layout::contiguous});
  expect_status(engine::open(declared), status_code::unsupported, {"late"});
}

}  // namespace
}  // namespace engine_test
