/// \file
/// Measures a subject and its floor in alternating slices of one run, so that what a noisy machine
/// does to one it does to the other. The ratio of a pair is a result; an absolute time is a hint.
///
/// Reported per benchmark: `time` (manual time) of the subject; counters `floor_us`, `ours_us`
/// (both medians) and `ratio` (median of the ratios of neighbouring slices).
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace sheaf_bench {

inline double seconds_now() {
  using clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(clock::now().time_since_epoch()).count();
}

inline double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

template <class Function>
double time_of(Function&& function, int repeats) {
  const double begin = seconds_now();
  for (int i = 0; i < repeats; ++i) function();
  return (seconds_now() - begin) / repeats;
}

/// Runs `ours` and `floor`, `repeats` calls a slice, until Google Benchmark has enough.
template <class Ours, class Floor>
void run_pair(benchmark::State& state, Ours&& ours, Floor&& floor, int repeats = 1) {
  time_of(ours, repeats);
  time_of(floor, repeats);
  std::vector<double> ours_times, floor_times, ratios;
  for (auto _ : state) {
    const double a = time_of(ours, repeats);
    const double b = time_of(floor, repeats);
    state.SetIterationTime(a);
    ours_times.push_back(a);
    floor_times.push_back(b);
    ratios.push_back(a / b);
  }
  state.counters["ours_us"] = quantile(ours_times, 0.5) * 1e6;
  state.counters["floor_us"] = quantile(floor_times, 0.5) * 1e6;
  state.counters["ratio"] = quantile(ratios, 0.5);
}

}  // namespace sheaf_bench
