/// \file
/// Percentiles against sorted samples; the bar where nobody watches.
#include <risk_desk/latency.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "risk_desk/market.hpp"

namespace risk_desk {
namespace {

constexpr double fractions[] = {0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0};

std::uint64_t exact_percentile(const std::vector<std::uint64_t>& sorted, double fraction) {
  const double wanted = std::ceil(fraction * static_cast<double>(sorted.size()));
  return sorted[std::max<std::size_t>(static_cast<std::size_t>(wanted), 1) - 1];
}

TEST(LatencyRecorder, IsExactBelowTwoMicroseconds) {
  latency_recorder recorder;
  std::vector<std::uint64_t> values;
  splitmix64 random(1);
  for (int i = 0; i < 10'007; ++i) {
    values.push_back(random.below(2048));
    recorder.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double fraction : fractions)
    EXPECT_EQ(recorder.percentile_ns(fraction), exact_percentile(values, fraction)) << fraction;
  EXPECT_EQ(recorder.max_ns(), values.back());
  EXPECT_EQ(recorder.count(), values.size());
}

TEST(LatencyRecorder, NeverUnderstatesAndIsWithinOnePartIn1024Above) {
  latency_recorder recorder;
  std::vector<std::uint64_t> values;
  splitmix64 random(2);
  for (int i = 0; i < 50'000; ++i) {
    values.push_back(random.next() >> (28 + random.below(36)));
    recorder.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (int i = 0; i <= 1000; ++i) {
    const double fraction = i / 1000.0;
    const std::uint64_t exact = exact_percentile(values, fraction);
    EXPECT_GE(recorder.percentile_ns(fraction), exact);
    EXPECT_LE(recorder.percentile_ns(fraction), exact + exact / 1024);
  }
  EXPECT_EQ(recorder.percentile_ns(1.0), values.back());
}

TEST(LatencyRecorder, SeparatesEveryPowerOfTwoFromItsNeighbours) {
  for (unsigned bit = 0; bit < 36; ++bit)
    for (const std::int64_t step : {-1, 0, 1}) {
      const std::uint64_t value = (std::uint64_t{1} << bit) + static_cast<std::uint64_t>(step);
      latency_recorder recorder;
      recorder.record(value);
      recorder.record(latency_recorder::value_ns_max);
      EXPECT_GE(recorder.percentile_ns(0.5), value);
      EXPECT_LE(recorder.percentile_ns(0.5), value + value / 1024);
    }
}

TEST(LatencyRecorder, KeepsTheMaximumExactBeyondItsLastBucket) {
  latency_recorder recorder;
  recorder.record(5);
  recorder.record(std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(recorder.max_ns(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(recorder.percentile_ns(0.5), 5u);
  EXPECT_EQ(recorder.percentile_ns(1.0), std::numeric_limits<std::uint64_t>::max());
}

TEST(LatencyRecorder, SaysZeroBeforeTheFirstValue) {
  const latency_recorder recorder;
  EXPECT_EQ(recorder.percentile_ns(0.99), 0u);
  EXPECT_EQ(recorder.max_ns(), 0u);
}

TEST(ProgressBar, WritesNothingIntoAPipe) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    progress_bar bar(file, "ticks", 100);
    EXPECT_FALSE(bar.is_shown());
    for (std::size_t i = 0; i <= 100; ++i) bar.update(i);
  }
  EXPECT_EQ(std::ftell(file), 0);
  std::fclose(file);
}

}  // namespace
}  // namespace risk_desk
