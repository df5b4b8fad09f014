/// \file
/// The work counters of commits: exact, the same on every run and at every thread count.

#include "engine/support.hpp"
#include "page/random.hpp"

namespace engine_test {
namespace {

/// A few arrays of many pages, and commits of growing size; the counters of each.
std::vector<work_counters> counted(const engine_options& options) {
  model m;
  const auto a = m.source<float>("a", 150'000);
  const auto b = m.source<float>("b", 150'000, {.page = page_class::b512});
  const auto mixed = m.derive("mixed", a * b + 1.0f);
  const auto floor = m.derive("floor", max(mixed, 2.0f));
  (void)m.derive("total", sum(floor));
  std::vector<std::uint32_t> ids(150'000);
  for (std::uint32_t i = 0; i < ids.size(); ++i) ids[i] = i % 977;
  (void)m.derive("groups",
                 segment_reduce(semiring_id::sum_product, mixed, segments::from_ids(ids, 977)));
  (void)m.derive_host<float>("host", 1, {b}, [](host_call& call) -> status {
    call.result<float>()[0] = call.operand<float>(0)[5];
    return {};
  });
  engine e = opened(m, options);
  sheaf_test::random_numbers random(17);
  std::vector<work_counters> out{e.last_commit()};
  for (const unsigned changes : {0u, 1u, 30u, 3000u, 100'000u}) {
    auto txn = e.begin();
    for (unsigned i = 0; i < changes; ++i) {
      const float value = static_cast<float>(random() % 64) / 4;
      txn.set(i % 2 == 0 ? a : b, {.index = random() % 150'000}, value);
    }
    committed(std::move(txn));
    out.push_back(e.last_commit());
  }
  expect_glued(e);
  return out;
}

/// What depends on open snapshots and modes rather than on the work.
void forget_frames(std::vector<work_counters>& all) {
  for (work_counters& work : all) {
    work.frames_copied = work.frames_reused = work.lines_copied = work.frames_allocated = 0;
    work.bytes_moved = 0;
  }
}

TEST(Counters, AreTheSameOnEveryRunAndAtEveryThreadCount) {
  for (const readers mode : both_modes) {
    const auto once = counted({.mode = mode});
    EXPECT_TRUE(counted({.mode = mode}) == once);
    EXPECT_TRUE(counted({.mode = mode, .threads = 2}) == once);
    EXPECT_TRUE(counted({.mode = mode, .threads = 4}) == once);
  }
}

TEST(Counters, OfTheWorkDoNotDependOnTheMode) {
  auto brief = counted({});
  auto free = counted({.mode = readers::wait_free});
  forget_frames(brief);
  forget_frames(free);
  EXPECT_TRUE(brief == free);
}

TEST(Counters, OfACommitAreExact) {
  model m;
  const auto a = m.source<float>("a", 64 * 1024);
  const auto twice = m.derive("twice", a * 2.0f);
  (void)m.derive("capped", min(twice, 8.0f));
  engine e = opened(m);
  auto txn = e.begin();
  txn.set(a, {.index = 0}, 1.0f);
  txn.set(a, {.index = 16}, 0.0f);  // equal bits
  txn.set(a, {.index = 1024}, 100.0f);
  committed(std::move(txn));
  work_counters expected;
  expected.source_pages_touched = 2;
  expected.source_lines_changed = 2;
  expected.pages_recomputed = 4;
  expected.lines_recomputed = 4;
  expected.page_nodes_skipped = 124;
  expected.levels_pushed = 2;
  work_counters found = e.last_commit();
  expected.bytes_moved = found.bytes_moved;
  EXPECT_TRUE(found == expected);
  EXPECT_GT(found.bytes_moved, 4u * 2 * 64);
  set_one(e, a, 1024, 200.0f);  // `capped` stays 8
  found = e.last_commit();
  EXPECT_EQ(found.lines_recomputed, 2u);
  EXPECT_EQ(found.lines_cut_off, 1u);
  EXPECT_EQ(found.pages_cut_off, 1u);
  EXPECT_EQ(found.page_nodes_skipped, 126u);
}

TEST(Counters, AnEmptyCommitHasNoWorkAndTheTotalAddsUp) {
  model m;
  const auto a = m.source<float>("a", 4096);
  (void)m.derive("twice", a * 2.0f);
  engine e = opened(m);
  work_counters total = e.last_commit();
  EXPECT_EQ(total.pages_recomputed, 4u) << "open computes every page";
  EXPECT_EQ(total.levels_full, 1u);
  for (int round = 0; round < 3; ++round) {
    set_one(e, a, static_cast<unsigned>(round) * 1024, 1.0f);
    total += e.last_commit();
  }
  EXPECT_TRUE(e.stats().work == total);
  EXPECT_EQ(committed(e.begin()), epoch{5});
  work_counters nothing;
  nothing.page_nodes_skipped = 4;
  EXPECT_TRUE(e.last_commit() == nothing);
  EXPECT_EQ(e.stats().commits, 4u);
}

}  // namespace
}  // namespace engine_test
