/// \file
/// scan, sort_index, top_k and histogram through an engine, beside what a host would write by hand,
/// in one run: slices alternate and `ratio` is the median of the ratios (below 1: faster than the
/// floor). One thread, 2^20 random f32, warm. Results are compared with the
/// floor's before timing.
///
/// `scan_full`: every value changes; beside a plain loop from left to right.
/// `sort_one_change`, `top_k_one_change`: one value changes; beside std::sort of all indices, and
/// std::partial_sort of the first 16.
/// `histogram_one_change`: one value changes; beside counting all values anew.
#include <benchmark/benchmark.h>

#include <sheaf/engine/engine.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include "support/paired.hpp"

namespace {

using namespace sheaf;
using namespace sheaf_bench;

constexpr std::uint64_t length = std::uint64_t{1} << 20;

[[noreturn]] void stop(const std::string& why) {
  std::fprintf(stderr, "benchmark stopped: %s\n", why.c_str());
  std::abort();
}
engine open_or_stop(const model& declared) {
  auto opened = engine::open(declared);
  if (!opened) stop(opened.error().message());
  return std::move(*opened);
}
void commit_or_stop(transaction&& txn) {
  if (auto done = std::move(txn).commit(); !done) stop(done.error().message());
}
template <element T>
std::vector<T> values_of(engine& from, const array<T>& target) {
  std::vector<T> out(target.size());
  const auto now = from.snapshot();
  auto found = now.fetch(target);
  if (!found) stop(found.error().message());
  found->copy_to(out);
  return out;
}
std::vector<float> random_values(std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> out(length);
  for (float& value : out) value = static_cast<float>(random()) * 0x1p-32f;
  return out;
}
void write_all(engine& to, const array<float>& target, const std::vector<float>& values) {
  auto txn = to.begin();
  txn.range_borrowed(target, {}, values);
  commit_or_stop(std::move(txn));
}
void write_one(engine& to, const array<float>& target, std::uint64_t index, float value) {
  auto txn = to.begin();
  txn.set(target, {.index = index}, value);
  commit_or_stop(std::move(txn));
}
void require(bool holds, const char* claim) {
  if (!holds) stop(claim);
}

/// One value after the other, at random places.
class single_changes {
 public:
  void next(engine& to, const array<float>& target, std::vector<float>* mirror = nullptr) {
    const std::uint64_t index = random_() % length;
    const float value = static_cast<float>(random_()) * 0x1p-32f;
    if (mirror != nullptr) (*mirror)[index] = value;
    write_one(to, target, index, value);
  }

 private:
  std::mt19937 random_{11};
};

/// The engine recomputes the scan whole; what its arrays cost besides is in both.
void scan_full(benchmark::State& state) {
  model declared;
  const auto x = declared.source<float>("x", length);
  const auto sums = declared.derive("sums", scan(semiring_id::sum_product, x));
  engine e = open_or_stop(declared);
  const std::vector<float> one = random_values(1), other = random_values(2);
  write_all(e, x, one);
  std::vector<float> loop(length);
  const auto floor = [&](const std::vector<float>& from) {
    float running = 0;
    for (std::uint64_t i = 0; i < length; ++i) loop[i] = running += from[i];
    benchmark::DoNotOptimize(loop.data());
  };
  floor(one);
  const std::vector<float> found = values_of(e, sums);
  for (std::uint64_t i = 0; i < 64; ++i) require(found[i] == loop[i], "the scan of a block");
  require(std::abs(found.back() - loop.back()) < loop.back() * 1e-3f, "the scan of all");
  run_pair(
      state, [&] { if (!e.recompute().is_ok()) stop("recompute"); }, [&] { floor(one); });
}
BENCHMARK(scan_full)->UseManualTime()->Unit(benchmark::kMicrosecond);

void sort_one_change(benchmark::State& state) {
  model declared;
  const auto x = declared.source<float>("x", length);
  const auto sorted = declared.derive("sorted", sort_index(x));
  engine e = open_or_stop(declared);
  std::vector<float> mirror = random_values(3);
  write_all(e, x, mirror);
  std::vector<std::uint32_t> indices(length);
  const auto floor = [&] {
    std::iota(indices.begin(), indices.end(), 0u);
    std::sort(indices.begin(), indices.end(), [&](std::uint32_t a, std::uint32_t b) {
      return mirror[a] < mirror[b] || (mirror[a] == mirror[b] && a < b);
    });
    benchmark::DoNotOptimize(indices.data());
  };
  single_changes changes;
  for (int i = 0; i < 5; ++i) changes.next(e, x, &mirror);
  floor();
  require(values_of(e, sorted) == indices, "the order after five changes");
  run_pair(state, [&] { changes.next(e, x); }, floor);
}
BENCHMARK(sort_one_change)->UseManualTime()->Unit(benchmark::kMicrosecond);

void top_k_one_change(benchmark::State& state) {
  constexpr std::uint64_t taken = 16;
  model declared;
  const auto x = declared.source<float>("x", length);
  const auto top = declared.derive("top", top_k_index(x, taken));
  engine e = open_or_stop(declared);
  std::vector<float> mirror = random_values(4);
  write_all(e, x, mirror);
  std::vector<std::uint32_t> indices(length), first(taken);
  std::iota(indices.begin(), indices.end(), 0u);
  const auto floor = [&] {
    std::partial_sort_copy(indices.begin(), indices.end(), first.begin(), first.end(),
                           [&](std::uint32_t a, std::uint32_t b) {
                             return mirror[a] > mirror[b] || (mirror[a] == mirror[b] && a < b);
                           });
    benchmark::DoNotOptimize(first.data());
  };
  single_changes changes;
  for (int i = 0; i < 5; ++i) changes.next(e, x, &mirror);
  floor();
  require(values_of(e, top) == first, "the first after five changes");
  run_pair(state, [&] { changes.next(e, x); }, floor);
}
BENCHMARK(top_k_one_change)->UseManualTime()->Unit(benchmark::kMicrosecond);

void histogram_one_change(benchmark::State& state) {
  constexpr std::uint32_t bins = 100;
  model declared;
  const auto x = declared.source<float>("x", length);
  const auto edges = even_edges<float>(0, 1, bins);
  const auto counts = declared.derive("counts", histogram(x, edges));
  engine e = open_or_stop(declared);
  std::vector<float> mirror = random_values(5);
  write_all(e, x, mirror);
  std::vector<std::uint32_t> counted(bins);
  const auto floor = [&] {
    std::fill(counted.begin(), counted.end(), 0u);
    for (const float value : mirror) {
      auto bin = static_cast<std::uint32_t>(value * static_cast<float>(bins));
      bin = std::min(bin, bins - 1);
      if (value < edges[bin]) --bin;
      else if (value >= edges[bin + 1]) ++bin;
      if (bin < bins) ++counted[bin];
    }
    benchmark::DoNotOptimize(counted.data());
  };
  single_changes changes;
  for (int i = 0; i < 5; ++i) changes.next(e, x, &mirror);
  floor();
  require(values_of(e, counts) == counted, "the counts after five changes");
  run_pair(state, [&] { changes.next(e, x); }, floor);
}
BENCHMARK(histogram_one_change)->UseManualTime()->Unit(benchmark::kMicrosecond);

}  // namespace
