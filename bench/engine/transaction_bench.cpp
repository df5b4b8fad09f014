/// \file
/// Many writers: eight threads that commit 64-byte transactions to lines of their own in shared
/// pages, against the same done by hand (a mutex and a memcpy); and what a group of 64 transactions
/// costs against one transaction with the same lines.
#include <benchmark/benchmark.h>

#include <sheaf/engine/engine.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <latch>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "engine/commit_queue.hpp"
#include "engine/engine_core.hpp"
#include "support/paired.hpp"

namespace {

using namespace sheaf;
using namespace sheaf_bench;

constexpr std::uint64_t elements = 1 << 16;  // 64 pages of 4 KiB, 4096 lines
constexpr std::uint64_t line_elements = 16;

[[noreturn]] void stop(const status& why) {
  std::fprintf(stderr, "benchmark stopped: %s\n", why.message().c_str());
  std::abort();
}

/// Random lines of 16 floats.
std::vector<float> random_values(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> values(4096);
  for (float& value : values) value = static_cast<float>(random() >> 40);
  return values;
}

/// Transaction `number` of writer `mine`: which of its lines, and where its values begin. Lines are
/// dealt like cards, so that every page belongs to all writers.
struct work_item {
  std::uint64_t element;
  std::size_t value;
};
work_item item_of(unsigned mine, unsigned writers, std::uint64_t number) {
  const std::uint64_t lines = elements / line_elements / writers;
  const std::uint64_t line = (number * 0x9e3779b97f4a7c15u >> 32) % lines * writers + mine;
  return {line * line_elements, number * line_elements % (4096 - line_elements)};
}

/// Runs `body(writer, number)` `each` times on every one of `writers` threads; seconds.
template <class Body>
double crew_time(unsigned writers, std::uint64_t each, Body&& body) {
  std::latch ready(static_cast<std::ptrdiff_t>(writers));
  std::vector<double> begun(writers), ended(writers);
  std::vector<std::thread> crew;
  for (unsigned mine = 0; mine < writers; ++mine) {
    crew.emplace_back([&, mine] {
      ready.arrive_and_wait();
      begun[mine] = seconds_now();
      for (std::uint64_t number = 0; number < each; ++number) body(mine, number);
      ended[mine] = seconds_now();
    });
  }
  for (std::thread& member : crew) member.join();
  return *std::max_element(ended.begin(), ended.end()) -
         *std::min_element(begun.begin(), begun.end());
}

void eight_writers(benchmark::State& state) {
  const auto writers = static_cast<unsigned>(state.range(0));
  const bool derived = state.range(1) != 0;
  constexpr std::uint64_t each = 20000;
  model declared;
  const auto target = declared.source<float>("target", elements);
  if (derived) declared.derive("twice", target * 2.0f);
  auto opened = engine::open(declared);
  if (!opened) stop(opened.error());
  engine desk = std::move(*opened);
  const std::vector<float> values = random_values(5);
  const std::unique_ptr<float[]> flat = std::make_unique<float[]>(elements);
  std::mutex flat_mutex;
  std::uint64_t flat_epoch = 0;
  std::vector<double> rates, floors, ratios;
  for (auto _ : state) {
    const double ours = crew_time(writers, each, [&](unsigned mine, std::uint64_t number) {
      const work_item item = item_of(mine, writers, number);
      auto txn = desk.begin();
      txn.range(target, {.index = item.element}, {values.data() + item.value, line_elements});
      if (auto done = std::move(txn).commit(); !done) stop(done.error());
    });
    const double floor = crew_time(writers, each, [&](unsigned mine, std::uint64_t number) {
      const work_item item = item_of(mine, writers, number);
      const std::lock_guard lock(flat_mutex);
      std::memcpy(flat.get() + item.element, values.data() + item.value, line_size);
      benchmark::DoNotOptimize(++flat_epoch);
    });
    state.SetIterationTime(ours);
    const auto count = static_cast<double>(writers * each);
    rates.push_back(count / ours);
    floors.push_back(count / floor);
    ratios.push_back(ours / floor);
  }
  const auto now = desk.snapshot();
  std::vector<float> seen(elements);
  if (auto got = now.fetch(target)) got->copy_to(seen);
  if (std::memcmp(seen.data(), flat.get(), elements * sizeof(float)) != 0) {
    std::fprintf(stderr, "the engine and the flat buffer differ\n");
    std::abort();
  }
  const engine_stats stats = desk.stats();
  state.counters["M_per_s"] = quantile(rates, 0.5) / 1e6;
  state.counters["floor_M_per_s"] = quantile(floors, 0.5) / 1e6;
  state.counters["ratio"] = quantile(ratios, 0.5);
  state.counters["group"] =
      static_cast<double>(stats.commits) / static_cast<double>(stats.groups);
  state.counters["conflicts"] = static_cast<double>(stats.conflicts + stats.failed_commits);
}
BENCHMARK(eight_writers)
    ->ArgNames({"writers", "derived"})
    ->Args({8, 0})
    ->Args({8, 1})
    ->Args({2, 0})
    ->Args({1, 0})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

/// 64 transactions of one line each that a leader finds waiting, through ten arrays, against one
/// transaction with the same 64 lines.
void group_of_64(benchmark::State& state) {
  constexpr unsigned members = 64;
  model declared;
  const auto source = declared.source<float>("source", elements);
  array<float> last = source;
  for (int i = 0; i < 10; ++i) last = declared.derive("", last + 1.0f);
  auto opened = engine_core::open(declared, {});
  if (!opened) stop(opened.error());
  const std::shared_ptr<engine_core> core = *opened;
  const std::vector<float> values = random_values(7);
  std::vector<delta> parts(members);
  delta whole;
  std::uint64_t round = 0;
  const auto fill = [&](delta& to, unsigned member) {
    const std::uint64_t line = (round * 31 + member * 61) % 4096;
    if (!to.range(source.id(), dtype::f32, merge_operator::assign, line * line_elements,
                  values.data() + (round * 7 + member) % 4000, line_elements)
             .is_ok()) {
      std::abort();
    }
  };
  std::vector<double> group_times, whole_times, ratios;
  const std::uint64_t groups_before = core->stats().groups;
  std::uint64_t runs = 0;
  for (auto _ : state) {
    ++round;
    for (unsigned i = 0; i < members; ++i) {
      parts[i].clear();
      fill(parts[i], i);
    }
    std::vector<commit_request> requests(members);
    for (unsigned i = 0; i < members; ++i) {
      requests[i].changes = &parts[i];
      requests[i].begin_epoch = core->published();
    }
    double begin = seconds_now();
    core->commit_batch(requests);
    const double group = seconds_now() - begin;
    ++round;
    whole.clear();
    for (unsigned i = 0; i < members; ++i) fill(whole, i);
    commit_request one;
    one.changes = &whole;
    one.begin_epoch = core->published();
    begin = seconds_now();
    if (auto done = core->commit(one); !done) stop(done.error());
    const double single = seconds_now() - begin;
    state.SetIterationTime(group);
    group_times.push_back(group);
    whole_times.push_back(single);
    ratios.push_back(group / single);
    ++runs;
  }
  if (core->stats().groups - groups_before != 2 * runs) {
    std::fprintf(stderr, "64 transactions were not one group\n");
    std::abort();
  }
  state.counters["group_us"] = quantile(group_times, 0.5) * 1e6;
  state.counters["one_us"] = quantile(whole_times, 0.5) * 1e6;
  state.counters["ratio"] = quantile(ratios, 0.5);
}
BENCHMARK(group_of_64)->UseManualTime()->Unit(benchmark::kMicrosecond);

}  // namespace
