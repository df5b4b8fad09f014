/// \file
/// cast, histogram, sort_index, top_k and gather by an array: bits against plain references for all
/// types, incremental against recomputed, and how far a change goes.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "page/random.hpp"
#include "propagate/rig.hpp"

namespace propagate_test {
namespace {

using sheaf_test::random_numbers;

template <element T>
T some_value(random_numbers& random) {
  switch (random() % 12) {
    case 0: return from_bits<T>(static_cast<bits_of<T>>(random() | std::uint64_t{random()} << 32));
    case 1: return static_cast<T>(-T{0});
    case 2: return std::numeric_limits<T>::max();
    case 3: return std::numeric_limits<T>::lowest();
    case 4: return std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity() : T{};
    case 5: return std::numeric_limits<T>::quiet_NaN();
    default: return static_cast<T>(static_cast<T>(random() % 201) / T{7});
  }
}

page_class some_page(random_numbers& random) {
  return static_cast<page_class>(random() % page_class_count);
}

template <element T>
void fill(rig& r, const array<T>& target, random_numbers& random) {
  for (std::uint64_t i = 0; i < target.size(); ++i) r.set(target, i, some_value<T>(random));
}

template <element T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::ranges::equal(a, b, [](T x, T y) { return same_bits(x, y); });
}

/// Writes all, then a few elements at a time; `check` after each propagation.
template <element T, class Check>
void follow_changes(rig& r, const array<T>& source, random_numbers& random, Check&& check) {
  fill(r, source, random);
  for (unsigned round = 0; round < 4; ++round) {
    r.propagate();
    r.expect_glued();
    r.expect_quiet();
    check();
    if (testing::Test::HasFatalFailure()) return;
    for (unsigned i = 0; i < 1 + random() % 3; ++i) {
      r.set(source, random() % source.size(), some_value<T>(random));
    }
  }
}

template <class Visitor>
void for_every_type(Visitor&& visitor) {
  for (unsigned type = 0; type < dtype_count; ++type) {
    visit_dtype(static_cast<dtype>(type), [&]<class T>(std::type_identity<T>) {
      visitor.template operator()<T>();
    });
    if (testing::Test::HasFatalFailure()) return;
  }
}

constexpr std::uint64_t lengths[] = {1, 7, 8, 16, 17, 63, 64, 65, 511, 512, 513, 1500, 4097};

template <element T>
void casts_of(std::uint64_t length, std::uint32_t seed) {
  random_numbers random(seed);
  model m;
  const auto a = m.source<T>("a", length, {.page = some_page(random)});
  const derive_options options{.page = some_page(random)};
  const auto f32 = m.derive("f32", cast<float>(a), options);
  const auto f64 = m.derive("f64", cast<double>(a), options);
  const auto i32 = m.derive("i32", cast<std::int32_t>(a), options);
  const auto i64 = m.derive("i64", cast<std::int64_t>(a), options);
  const auto u8 = m.derive("u8", cast<std::uint8_t>(a), options);
  const auto u32 = m.derive("u32", cast<std::uint32_t>(a), options);
  const auto u64 = m.derive("u64", cast<std::uint64_t>(a), options);
  rig r(m);
  follow_changes(r, a, random, [&] {
    const std::vector<T> values = r.values(a);
    const auto check = [&]<element To>(const array<To>& result) {
      std::vector<To> expected;
      for (const T value : values) expected.push_back(canonical(sheaf::cast<To>(value)));
      ASSERT_TRUE(same(r.values(result), expected))
          << name_of(dtype_of<T>) << " to " << name_of(dtype_of<To>) << ", length " << length;
    };
    check(f32), check(f64), check(i32), check(i64), check(u8), check(u32), check(u64);
  });
}

TEST(Cast, BetweenAllTypesIsTheScalarCast) {
  for (const std::uint64_t length : lengths) {
    for_every_type([&]<class T>() { casts_of<T>(length, static_cast<std::uint32_t>(length)); });
  }
}

TEST(Cast, BetweenSizesStandsInsideExpressions) {
  model m;
  const auto a = m.source<float>("a", 100);
  const auto one = m.source<std::uint8_t>("one", 1);
  const auto x = m.derive("x", cast<double>(a * 2.0f) + cast<double>(one) * 0.5 +
                                   cast<double>(expression<float>(3.0f)) +
                                   cast<double>(element_of(a, 99)));
  const auto back = m.derive("back", sum(cast<std::int32_t>(cast<double>(a) / 3.0)));
  rig r(m);
  for (unsigned i = 0; i < 100; ++i) r.set(a, i, static_cast<float>(i) / 3);
  r.set(one, 0, std::uint8_t{7});
  r.propagate();
  const auto values = r.values(a);
  const auto found = r.values(x);
  std::int32_t total = 0;
  for (unsigned i = 0; i < 100; ++i) {
    const double expected =
        static_cast<double>(values[i] * 2.0f) + 3.5 + 3.0 + static_cast<double>(values[99]);
    EXPECT_EQ(found[i], expected) << i;
    total += static_cast<std::int32_t>(static_cast<double>(values[i]) / 3.0);
  }
  EXPECT_EQ(r.values(back)[0], total);
  r.expect_glued();
}

template <element T>
std::vector<std::uint64_t> counted(const std::vector<T>& values, const std::vector<T>& edges,
                                   bool clamp) {
  std::vector<std::uint64_t> bins(edges.size() - 1, 0);
  for (const T value : values) {
    if (value != value) continue;
    if (clamp && value < edges.front()) ++bins.front();
    if (clamp && value >= edges.back()) ++bins.back();
    for (std::size_t b = 0; b < bins.size(); ++b) {
      if (edges[b] <= value && value < edges[b + 1]) ++bins[b];
    }
  }
  return bins;
}

template <element T>
void histograms_of(std::uint64_t length, std::uint32_t bins, std::uint32_t seed) {
  random_numbers random(seed);
  model m;
  const auto a = m.source<T>("a", length, {.page = some_page(random)});
  std::vector<T> edges = even_edges<T>(T{0}, T{28}, std::min(bins, 28u));
  if (float_element<T> && bins > 28) edges = even_edges<T>(T{0}, T{28}, bins);
  const auto dropped = m.derive("dropped", histogram(a, edges), {.page = some_page(random)});
  const auto clamped = m.derive(
      "clamped", histogram<std::uint64_t>(a, edges, outside_bins::clamp));
  rig r(m);
  follow_changes(r, a, random, [&] {
    const std::vector<T> values = r.values(a);
    const auto narrow = r.values(dropped);
    const auto expected = counted(values, edges, false);
    ASSERT_TRUE(std::ranges::equal(narrow, expected))
        << name_of(dtype_of<T>) << ", length " << length << ", bins " << bins;
    ASSERT_TRUE(r.values(clamped) == counted(values, edges, true));
  });
}

TEST(Histogram, CountsAreThoseOfAPlainLoop) {
  for (const std::uint64_t length : {1, 17, 1023, 1024, 1025, 5000}) {
    for_every_type([&]<class T>() {
      histograms_of<T>(length, 5, static_cast<std::uint32_t>(length));
      histograms_of<T>(length, 28, static_cast<std::uint32_t>(length));
    });
  }
  histograms_of<float>(9000, 300, 3);
  histograms_of<double>(70'000, 20, 5);  // more than 64 chunks: two levels of sums
  histograms_of<float>(3000, 4096, 7);
}

TEST(Histogram, EvenEdgesRiseFromLowToHigh) {
  EXPECT_EQ(even_edges<float>(1.0f, 2.0f, 4), (std::vector<float>{1, 1.25f, 1.5f, 1.75f, 2}));
  EXPECT_EQ(even_edges<std::int32_t>(-3, 4, 3), (std::vector<std::int32_t>{-3, -1, 1, 4}));
  const auto wide = even_edges<std::uint64_t>(0, ~std::uint64_t{0}, 3);
  EXPECT_EQ(wide[1], ~std::uint64_t{0} / 3);
  const auto whole = even_edges<std::int64_t>(std::numeric_limits<std::int64_t>::min(),
                                              std::numeric_limits<std::int64_t>::max(), 2);
  EXPECT_EQ(whole[1], -1);
}

TEST(Histogram, RecountsOnlyTheChunkOfAChangedValue) {
  model m;
  const auto a = m.source<float>("a", 256 * 1024);
  const auto bins = m.derive("bins", histogram(a, even_edges<float>(0, 16, 16)));
  rig r(m);
  r.propagate();
  EXPECT_EQ(r.values(bins)[0], 256u * 1024);
  r.set(a, 100'000, 3.5f);
  const work_counters work = r.propagate();
  EXPECT_EQ(work.pages_recomputed, 3u) << "a row of counts, the sum of 64 rows, the result";
  EXPECT_EQ(work.lines_recomputed, 3u);
  EXPECT_EQ(r.values(bins)[3], 1u);
  r.set(a, 100'001, 0.5f);  // the same bin as before
  EXPECT_EQ(r.propagate().lines_recomputed, 1u);
  r.expect_glued();
}

/// The order of `sort_index`, said with comparisons of values.
template <element T>
std::vector<std::uint32_t> sorted(const std::vector<T>& values, bool descending) {
  std::vector<std::uint32_t> out(values.size());
  std::iota(out.begin(), out.end(), 0u);
  const auto is_nan = [](T value) { return value != value; };
  const auto below = [](T x, T y) {
    if constexpr (float_element<T>) {
      if (x == y) return std::signbit(x) && !std::signbit(y);
    }
    return x < y;
  };
  std::stable_sort(out.begin(), out.end(), [&](std::uint32_t i, std::uint32_t j) {
    const T x = values[i], y = values[j];
    if (is_nan(x) || is_nan(y)) return !is_nan(x) && is_nan(y);
    return descending ? below(y, x) : below(x, y);
  });
  return out;
}

template <element T>
void sorts_of(std::uint64_t length, std::uint32_t seed) {
  random_numbers random(seed);
  model m;
  const auto a = m.source<T>("a", length, {.page = some_page(random)});
  const derive_options options{.page = some_page(random)};
  const std::uint64_t some = 1 + random() % length;
  const std::uint64_t few = std::min<std::uint64_t>(length, 3);
  const auto up = m.derive("up", sort_index(a), options);
  const auto down = m.derive("down", sort_index(a, order::descending));
  const auto top = m.derive("top", top_k_index(a, some), options);
  const auto least = m.derive("least", top_k_index(a, few, order::ascending));
  const auto values_of_top = m.derive("values", top_k(a, some));
  rig r(m);
  follow_changes(r, a, random, [&] {
    const std::vector<T> values = r.values(a);
    const auto rising = sorted(values, false), falling = sorted(values, true);
    ASSERT_TRUE(r.values(up) == rising) << name_of(dtype_of<T>) << ", length " << length;
    ASSERT_TRUE(r.values(down) == falling) << name_of(dtype_of<T>) << ", length " << length;
    const std::vector<std::uint32_t> first(falling.begin(), falling.begin() + some);
    ASSERT_TRUE(r.values(top) == first) << name_of(dtype_of<T>) << ", " << some << " of " << length;
    ASSERT_TRUE(std::ranges::equal(r.values(least), std::span(rising).first(few)));
    std::vector<T> expected;
    for (const std::uint32_t index : first) expected.push_back(canonical(values[index]));
    ASSERT_TRUE(same(r.values(values_of_top), expected));
  });
}

TEST(Sort, OrderIsThatOfAStableSortForEveryTypeAndLength) {
  std::uint32_t seed = 1;
  for (const std::uint64_t length : lengths) {
    for_every_type([&]<class T>() { sorts_of<T>(length, ++seed); });
  }
}

TEST(Sort, OfAChangeSortsOneRunAndMergesAlongItsPath) {
  model m;
  const auto a = m.source<float>("a", 64 * 512);  // 64 runs, 6 levels of merges
  (void)m.derive("sorted", sort_index(a));
  rig r(m);
  random_numbers random(3);
  for (unsigned i = 0; i < 64 * 512; ++i) r.set(a, i, static_cast<float>(random() % 100'000));
  r.propagate();
  r.set(a, 30'000, 50'000.5f);
  const work_counters work = r.propagate();
  // A run of 64 lines, merges of 2, 4, 8, 16, 32 times as many, and 2048 lines of indices.
  EXPECT_LE(work.lines_recomputed, 64u * (1 + 2 + 4 + 8 + 16 + 32) + 2048);
  EXPECT_LT(work.pages_recomputed, 100u);
  r.expect_glued();
}

TEST(TopK, OfAChangeCostsItsPageAndARowPerLevel) {
  model m;
  const auto a = m.source<float>("a", 64 * 512);
  const auto top = m.derive("top", top_k_index(a, 8));
  rig r(m);
  random_numbers random(3);
  for (unsigned i = 0; i < 64 * 512; ++i) r.set(a, i, static_cast<float>(random() % 100'000));
  r.propagate();
  r.set(a, 30'000, 1e6f);
  const work_counters work = r.propagate();
  EXPECT_EQ(work.pages_recomputed, 7u);
  EXPECT_EQ(work.lines_recomputed, 7u) << "8 entries are a line";
  EXPECT_EQ(r.values(top)[0], 30'000u);
  r.set(a, 29'999, -1.0f);
  EXPECT_EQ(r.propagate().lines_recomputed, 1u) << "nothing of its run is among the first";
  r.expect_glued();
}

template <element T>
void gathers_of(std::uint64_t length, std::uint32_t seed) {
  random_numbers random(seed);
  model m;
  const auto from = m.source<T>("from", length, {.page = some_page(random)});
  const auto at = m.source<std::uint32_t>("at", 1 + length / 2, {.page = some_page(random)});
  const auto picked = m.derive("picked", gather(from, at), {.page = some_page(random)});
  rig r(m);
  follow_changes(r, from, random, [&] {
    const std::vector<T> values = r.values(from);
    std::vector<T> expected;
    for (const std::uint32_t index : r.values(at)) {
      expected.push_back(index < length ? canonical(values[index]) : T{});
    }
    ASSERT_TRUE(same(r.values(picked), expected)) << name_of(dtype_of<T>) << ", " << length;
    for (unsigned i = 0; i < 3; ++i) {
      const std::uint64_t place = random() % at.size();
      const std::uint64_t index = random() % 4 == 0 ? random() : random() % length;
      r.set(at, place, static_cast<std::uint32_t>(index));
    }
  });
}

TEST(GatherAt, TakesElementsByIndicesThatChangeAndZeroPastTheEnd) {
  for (const std::uint64_t length : lengths) {
    for_every_type([&]<class T>() { gathers_of<T>(length, static_cast<std::uint32_t>(length)); });
  }
}

TEST(GatherAt, OfAChangedIndexRereadsItsLine) {
  model m;
  const auto from = m.source<float>("from", 10'000);
  const auto at = m.source<std::uint32_t>("at", 10'000);
  (void)m.derive("picked", gather(from, at));
  rig r(m);
  r.set(from, 7, 1.5f);
  r.propagate();
  r.set(at, 5000, 7u);
  EXPECT_EQ(r.propagate().lines_recomputed, 1u);
  r.expect_glued();
}

TEST(Where, IsSelect) {
  model m;
  const auto a = m.source<float>("a", 3);
  const auto x = m.derive("x", where(lt(a, 1.0f), 5.0f, a));
  rig r(m);
  r.set(a, 1, 2.0f);
  r.propagate();
  EXPECT_EQ(r.values(x), (std::vector<float>{5, 2, 5}));
}

TEST(Sequence, MistakesAreNamed) {
  const auto refused = [](auto&& declare, status_code code, const std::string& words) {
    model m;
    const auto a = m.source<float>("prices", 100);
    declare(m, a);
    const auto found = m.mistakes();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(name_of(found[0].code()), name_of(code)) << found[0].message();
    EXPECT_NE(found[0].message().find(words), std::string::npos) << found[0].message();
  };
  refused([](model& m, auto a) { m.derive("x", top_k(a, 101)); }, status_code::out_of_range,
          "101 of 'prices', which has 100, in the definition of 'x'");
  refused([](model& m, auto a) { m.derive("x", top_k_index(a, 0)); }, status_code::out_of_range,
          "0 of 'prices'");
  refused([](model& m, auto a) { m.derive("x", histogram(a, {1.0f})); },
          status_code::invalid_argument, "2 to 4097 edges: 1 in the definition of 'x'");
  refused([](model& m, auto a) { m.derive("x", histogram(a, std::vector<float>(5000, 1.0f))); },
          status_code::too_many, "5000");
  refused([](model& m, auto a) { m.derive("x", histogram(a, {1.0f, 2.0f, 2.0f})); },
          status_code::invalid_argument, "edge 2 in the definition of 'x'");
  refused([](model& m, auto a) { m.derive("x", histogram(a, {std::nanf(""), 2.0f})); },
          status_code::invalid_argument, "edge 0 in the definition of 'x'");
  refused(
      [](model& m, auto a) {
        m.derive("x", gather(a, array<std::uint32_t>()));
      },
      status_code::unknown_array, "'x'");
}

}  // namespace
}  // namespace propagate_test
