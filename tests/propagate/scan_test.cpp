/// \file
/// Scans: bits against the reference order and against plain loops, incremental against recomputed,
/// and how far a change goes.
#include <sheaf/algebra/scan_order.hpp>

#include "page/random.hpp"
#include "propagate/rig.hpp"

namespace propagate_test {
namespace {

template <element T>
T some_value(sheaf_test::random_numbers& random) {
  switch (random() % 16) {
    case 0: return from_bits<T>(static_cast<bits_of<T>>(random() | std::uint64_t{random()} << 32));
    case 1: return static_cast<T>(-T{0});
    case 2: return std::numeric_limits<T>::max();
    default: return static_cast<T>(static_cast<T>(random() % 2001) / T{7});
  }
}

/// How a scan is cut into segments, for the engine and for the reference.
struct cut {
  scan_options options;
  std::vector<bool> heads;
};

cut some_cut(std::uint64_t length, unsigned way, sheaf_test::random_numbers& random) {
  cut out{{.exclusive = random() % 2 == 0}, std::vector<bool>(length, false)};
  out.heads[0] = true;
  if (way == 1) {
    for (unsigned i = 0; i < 1 + length / 50; ++i) {
      const auto start = static_cast<std::uint32_t>(random() % length);
      out.options.starts.push_back(start);
      out.heads[start] = true;
    }
  } else if (way == 2) {
    std::vector<std::uint32_t> ids(length);
    for (std::uint64_t i = 1; i < length; ++i) {
      ids[i] = random() % 90 == 0 ? (ids[i - 1] + 1 + random() % 3) % 5 : ids[i - 1];
      out.heads[i] = ids[i] != ids[i - 1];
    }
    out.options.groups = segments::from_ids(ids, 5);
  }
  return out;
}

template <element T>
std::vector<T> expected(semiring_id ring, const std::vector<T>& values, const cut& how) {
  return visit_semiring(ring, [&]<class S>(S) -> std::vector<T> {
    if constexpr (semiring<S, T>) {
      return scan_in_order<S>(std::span<const T>(values), how.heads, how.options.exclusive);
    }
    return {};
  });
}

template <element T>
void scan_of_every_shape(std::uint64_t length, std::uint32_t seed) {
  sheaf_test::random_numbers random(seed);
  const auto page = [&] { return static_cast<page_class>(random() % page_class_count); };
  auto ring = static_cast<semiring_id>(random() % semiring_count);
  while (!supports(ring, dtype_of<T>)) ring = static_cast<semiring_id>(random() % semiring_count);
  model m;
  const auto a = m.source<T>("a", length, {.page = page()});
  std::vector<array<T>> results;
  std::vector<cut> cuts;
  for (unsigned way = 0; way < 3; ++way) {
    cuts.push_back(some_cut(length, way, random));
    results.push_back(m.derive("s" + std::to_string(way), scan(ring, a, cuts[way].options),
                               {.page = page()}));
  }
  rig r(m);
  for (unsigned round = 0; round < 4; ++round) {
    const std::uint64_t writes = round == 0 ? length : 1 + random() % 5;
    for (std::uint64_t i = 0; i < writes; ++i) {
      r.set(a, round == 0 ? i : random() % length, some_value<T>(random));
    }
    r.propagate();
    r.expect_glued();
    r.expect_quiet();
    const std::vector<T> values = r.values(a);
    for (unsigned way = 0; way < 3; ++way) {
      const std::vector<T> want = expected(ring, values, cuts[way]);
      const std::vector<T> found = r.values(results[way]);
      for (std::uint64_t i = 0; i < length; ++i) {
        ASSERT_TRUE(same_bits(found[i], want[i]))
            << name_of(ring) << " on " << name_of(dtype_of<T>) << ", length " << length
            << ", way " << way << ", round " << round << ", element " << i << ", seed " << seed;
      }
    }
  }
}

TEST(Scan, BitsAreThoseOfTheReferenceForEveryTypeSizeSegmentAndChange) {
  std::uint32_t seed = 1;
  for (const std::uint64_t length : {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 1000, 1024, 1025,
                                     4095, 4096, 4097, 5000}) {
    for (unsigned type = 0; type < dtype_count; ++type, ++seed) {
      visit_dtype(static_cast<dtype>(type), [&]<class T>(std::type_identity<T>) {
        scan_of_every_shape<T>(length, seed);
      });
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Scan, OfIntegersIsThePlainLoop) {
  constexpr std::uint64_t length = 70'000;  // three levels of totals
  model m;
  const auto a = m.source<std::uint32_t>("a", length);
  const auto sums = m.derive("sums", scan(semiring_id::sum_product, a));
  const auto before = m.derive("before", scan(semiring_id::sum_product, a, {.exclusive = true}));
  const auto highest =
      m.derive("highest", scan(semiring_id::max_plus, a * 3u, {.exclusive = true}));
  rig r(m);
  sheaf_test::random_numbers random(5);
  for (std::uint64_t i = 0; i < length; ++i) r.set(a, i, random());
  r.propagate();
  const auto values = r.values(a), found = r.values(sums), shifted = r.values(before),
             tops = r.values(highest);
  std::uint32_t sum = 0, top = 0;
  for (std::uint64_t i = 0; i < length; ++i) {
    ASSERT_EQ(shifted[i], sum) << i;
    ASSERT_EQ(tops[i], top) << i;
    sum += values[i];
    top = std::max(top, values[i] * 3);
    ASSERT_EQ(found[i], sum) << i;
  }
}

TEST(Scan, RecomputesOnlyFromTheChangedBlockOn) {
  constexpr std::uint64_t length = 64 * 1024;  // f32: 4096 lines, 1024 blocks, two levels
  model m;
  const auto a = m.source<float>("a", length);
  (void)m.derive("sums", scan(semiring_id::sum_product, a));
  rig r(m);
  for (std::uint64_t i = 0; i < length; ++i) r.set(a, i, 1.0f);
  r.propagate();
  r.set(a, length - 64 * 3, 2.0f);
  // The result: 12 lines of the last three blocks. Totals: 1 and 1; carries: 1 and 1 (a line of
  // carries is 16 blocks, so those before the change are asked too, and found equal).
  const work_counters late = r.propagate();
  EXPECT_EQ(late.lines_recomputed - late.lines_cut_off, 12u + 2 + 1);
  EXPECT_LE(late.lines_recomputed, 12u + 4 + 64);
  r.set(a, 0, 3.0f);
  const work_counters early = r.propagate();
  EXPECT_GE(early.lines_recomputed - early.lines_cut_off, length / 16);
  r.expect_glued();
}

TEST(Scan, OfAMaximumStopsWhereTheRunningValueDoesNotChange) {
  constexpr std::uint64_t length = 64 * 1024;
  model m;
  const auto a = m.source<float>("a", length);
  const auto highest = m.derive("highest", scan(semiring_id::max_plus, a));
  rig r(m);
  for (std::uint64_t i = 0; i < length; ++i) r.set(a, i, static_cast<float>(i / 100));
  r.propagate();
  r.set(a, 1000, 10.5f);  // above its surroundings, below what follows soon
  const work_counters work = r.propagate();
  EXPECT_LE(work.lines_recomputed, 100u);
  EXPECT_EQ(r.values(highest)[1001], 10.5f);
  EXPECT_EQ(r.values(highest)[1100], 11.0f);
  r.expect_glued();
}

TEST(Scan, OfASegmentEndsAtTheNextOne) {
  constexpr std::uint64_t length = 64 * 1024;
  model m;
  const auto a = m.source<double>("a", length);
  const auto sums = m.derive("sums", scan(semiring_id::sum_product, a, {.starts = {512, 1024}}));
  rig r(m);
  for (std::uint64_t i = 0; i < length; ++i) r.set(a, i, 0.5);
  r.propagate();
  r.set(a, 600, 2.0);
  const work_counters work = r.propagate();
  EXPECT_EQ(r.values(sums)[1023], 512 * 0.5 + 1.5);
  EXPECT_EQ(r.values(sums)[1024], 0.5);
  EXPECT_LE(work.lines_recomputed - work.lines_cut_off, (1024u - 600) / 8 + 8);
  r.expect_glued();
}

TEST(Scan, MistakesAreNamed) {
  const auto refused = [](auto&& declare, status_code code, const std::string& words) {
    model m;
    const auto a = m.source<float>("prices", 100);
    declare(m, a);
    const auto found = m.mistakes();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(name_of(found[0].code()), name_of(code)) << found[0].message();
    EXPECT_NE(found[0].message().find(words), std::string::npos) << found[0].message();
  };
  refused([](model& m, auto a) { m.derive("x", scan(semiring_id::or_and, a)); },
          status_code::type_mismatch, "or_and on f32 in the definition of 'x'");
  refused(
      [](model& m, auto a) {
        m.derive("x", scan(semiring_id::sum_product, a, {.starts = {7, 100}}));
      },
      status_code::out_of_range, "element 100 of 'prices', which has 100");
  refused(
      [](model& m, auto a) {
        m.derive("x", scan(semiring_id::sum_product, a,
                           {.groups = segments::from_csr({0, 1, 2}, {4, 4})}));
      },
      status_code::invalid_argument, "element 4 of 'prices'");
  refused(
      [](model& m, auto a) {
        m.derive("x", scan(semiring_id::sum_product, a,
                           {.groups = segments::from_csr({0, 1}, {100})}));
      },
      status_code::out_of_range, "item 0 is element 100 of 'prices'");
  refused(
      [](model& m, auto a) {
        const auto x = m.declare<float>("x", 99);
        m.define(x, scan(semiring_id::sum_product, a));
      },
      status_code::length_mismatch, "'x' has 99 elements, its definition 100");
}

}  // namespace
}  // namespace propagate_test
