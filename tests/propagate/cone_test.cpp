/// \file
/// Counting the frames a commit may need: exact where no line is cut off, never less than what the
/// commit replaces, and without a trace afterwards.
#include <numeric>

#include "page/random.hpp"
#include "propagate/rig.hpp"

namespace propagate_test {
namespace {

/// Counts as a commit under a pin of the last epoch would.
frame_demand demand_of(rig& r) {
  r.frames().begin_commit(r.epoch() + 1, r.epoch());
  return r.run().count_cone();
}
std::uint64_t pages_of(const frame_demand& demand) {
  return std::accumulate(std::begin(demand.replaced), std::end(demand.replaced), std::uint64_t{0});
}

TEST(Cone, CountsThePagesALineReachesBySizeAndLeavesNoTrace) {
  model m;
  const auto a = m.source<float>("a", 100'000);           // 98 pages of 4 KiB
  const auto far = m.source<float>("far", 100'000);
  const auto value = m.derive("value", a * 2.0f);         // one page a line
  (void)m.derive("other", far * 2.0f);
  (void)m.derive("fine", value + a, {.page = page_class::b64});  // one line, one page
  (void)m.derive("total", sum(value));  // 6250 partials in 7 pages of 4 KiB, 98 in 512 B, ...
  rig r(m);
  r.set(a, 54'321, 1.0f);
  const frame_demand demand = demand_of(r);
  frame_demand expected;
  // a, value, line partials; then 98 block partials (392 B in a 512 B page), then 2 and 1 elements.
  expected.replaced[static_cast<unsigned>(page_class::b4k)] = 3;
  expected.replaced[static_cast<unsigned>(page_class::b512)] = 1;
  expected.replaced[static_cast<unsigned>(page_class::b64)] = 1 + 2;
  for (unsigned size = 0; size < page_class_count; ++size) {
    EXPECT_EQ(demand.replaced[size], expected.replaced[size]) << "size class " << size;
    EXPECT_EQ(demand.with_spare[size], 0u);
  }
  r.expect_quiet();
  const work_counters work = r.propagate();
  EXPECT_EQ(work.pages_recomputed, 0u) << "the marks are gone with the count";
}

TEST(Cone, CountsEveryPageOfAHostFunctionAndWhatReadsIt) {
  model m;
  const auto a = m.source<float>("a", 16);
  const auto host = m.derive_host<float>("host", 5000, {a}, [](host_call&) { return status(); });
  (void)m.derive("after", host + 1.0f);
  rig r(m);
  r.set(a, 1, 1.0f);
  const frame_demand demand = demand_of(r);
  EXPECT_EQ(demand.replaced[static_cast<unsigned>(page_class::b64)], 1u);
  EXPECT_EQ(demand.replaced[static_cast<unsigned>(page_class::b4k)], 10u);
  r.expect_quiet();
}

TEST(Cone, CountsNoPageThatThisCommitMayChangeInPlace) {
  model m;
  const auto a = m.source<float>("a", 4096);
  (void)m.derive("twice", a * 2.0f);
  rig r(m);
  r.set(a, 0, 1.0f);
  r.frames().begin_commit(r.epoch() + 1, 0);
  EXPECT_EQ(pages_of(r.run().count_cone()), 0u);
  r.expect_quiet();
}

/// A random model over sources of different page sizes; all its values rise with its sources, so
/// that no changed line is cut off.
void compare_with_propagation(std::uint32_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  sheaf_test::random_numbers random(seed);
  const auto page = [&] { return static_cast<page_class>(random() % page_class_count); };
  const std::uint64_t length = 1 + random() % 3000;
  model m;
  std::vector<array<std::uint64_t>> arrays;
  for (int i = 0; i < 3; ++i) {
    arrays.push_back(m.source<std::uint64_t>("", length, {.page = page()}));
  }
  const auto any = [&] { return arrays[random() % arrays.size()]; };
  for (int i = 0; i < 8; ++i) {
    switch (random() % 5) {
      case 0:
      case 1: arrays.push_back(m.derive("", any() + any() * 3u, {.page = page()})); break;
      case 2:
        arrays.push_back(m.derive("", combine(semiring_id::sum_product, {any(), any()})));
        break;
      case 3: (void)m.derive("", sum(any())); break;
      default: {
        std::vector<std::uint32_t> picks(length);
        for (auto& pick : picks) pick = static_cast<std::uint32_t>(random() % length);
        arrays.push_back(m.derive("", gather(any(), picks), {.page = page()}));
      }
    }
  }
  rig r(m);
  std::vector<std::pair<int, std::uint64_t>> writes;
  for (unsigned i = 0; i < 1 + random() % 20; ++i) {
    writes.emplace_back(static_cast<int>(random() % 3), random() % length);
  }
  const auto write = [&](std::uint64_t value) {
    for (const auto& [source, index] : writes) {
      r.set(arrays[static_cast<std::size_t>(source)], index, value);
    }
  };
  write(1);
  const std::uint64_t counted = pages_of(demand_of(r));
  r.expect_quiet();
  // The same lines again, this time with bodies. A gather reads one element of a marked line, which
  // may be another one: those pages are counted and not changed.
  write(2);
  const work_counters work = r.propagate();
  EXPECT_GE(counted, work.pages_recomputed - work.pages_cut_off);
  EXPECT_LE(counted, pages_of(r.run().whole_demand()));
  r.expect_glued();
}

TEST(Cone, IsNeverLessThanWhatACommitReplaces) {
  for (std::uint32_t seed = 1; seed <= 200; ++seed) compare_with_propagation(seed);
}

}  // namespace
}  // namespace propagate_test
