/// \file
/// Forks: one changed line through ten arrays in a fork that is then dropped, further commits of a
/// living fork, and what ten thousand forks of a gibibyte weigh.
///
/// The floor of a fork's life copies the eleven pages that change, by hand, and recomputes one line
/// of each; that of a further commit recomputes the lines in place.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <sheaf/engine/engine.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include "support/paired.hpp"
#include "support/resident.hpp"

namespace {

using namespace sheaf;
using namespace sheaf_bench;

constexpr unsigned steps = 10;
constexpr std::uint64_t page_floats = 1024;
constexpr int slices = 300;  // pairs of them, of 200 calls each

[[noreturn]] void stop(const char* what, const status& why) {
  std::fprintf(stderr, "benchmark stopped: %s: %s\n", what, why.message().c_str());
  std::abort();
}

/// source -> + 1 -> ... ten times.
struct chain {
  explicit chain(std::uint64_t length) : length(length) {
    arrays.push_back(declared.source<float>("source", length));
    for (unsigned i = 0; i < steps; ++i) {
      arrays.push_back(declared.derive("", arrays.back() + 1.0f));
    }
    auto opened = engine::open(declared);
    if (!opened) stop("open", opened.error());
    desk.emplace(std::move(*opened));
    std::mt19937 random(7);
    std::vector<float> values(length);
    for (float& value : values) value = static_cast<float>(random() % 4096);
    auto txn = desk->begin();
    txn.range_borrowed(arrays[0], {}, values);
    if (auto done = std::move(txn).commit(); !done) stop("commit", done.error());
  }
  void change(fork_state& trial, std::uint64_t index, float value) const {
    auto txn = trial.begin();
    txn.set(arrays[0], {.index = index}, value);
    if (auto done = std::move(txn).commit(); !done) stop("commit in a fork", done.error());
  }
  std::uint64_t length;
  model declared;
  std::vector<array<float>> arrays;
  std::optional<engine> desk;
};

/// The same by hand over flat arrays: copies of the pages that change, and the changed lines.
struct by_hand {
  explicit by_hand(std::uint64_t length) : arrays(steps + 1, std::vector<float>(length)) {
    std::mt19937 random(7);
    for (float& value : arrays[0]) value = static_cast<float>(random() % 4096);
    for (unsigned k = 1; k <= steps; ++k) {
      for (std::uint64_t i = 0; i < length; ++i) arrays[k][i] = arrays[k - 1][i] + 1.0f;
    }
    pages.resize((steps + 1) * page_floats);
  }
  void copy_pages(std::uint64_t index) {
    const std::uint64_t first = index / page_floats * page_floats;
    for (unsigned k = 0; k <= steps; ++k) {
      std::memcpy(pages.data() + k * page_floats, arrays[k].data() + first,
                  page_floats * sizeof(float));
    }
  }
  float change(std::uint64_t index, float value) {
    const std::uint64_t inside = index % page_floats;
    pages[inside] = value;
    const std::uint64_t line = inside / 16 * 16;
    for (unsigned k = 1; k <= steps; ++k) {
      const float* from = pages.data() + (k - 1) * page_floats + line;
      float* to = pages.data() + k * page_floats + line;
      for (unsigned i = 0; i < 16; ++i) to[i] = from[i] + 1.0f;
      benchmark::ClobberMemory();
    }
    return pages[steps * page_floats + inside];
  }
  std::vector<std::vector<float>> arrays;
  std::vector<float> pages;
};

/// Fork, one changed line through ten arrays, drop. Warm: arrays of one page; cold: random pages of
/// arrays of 16 MiB.
void fork_change_drop(benchmark::State& state) {
  const auto length = static_cast<std::uint64_t>(state.range(0));
  chain ours(length);
  by_hand floor(length);
  std::mt19937 random(11), same(11);
  float left = 0, right = 0;
  const auto subject = [&] {
    const std::uint64_t index = random() % length;
    fork_state trial = ours.desk->fork();
    ours.change(trial, index, static_cast<float>(random() % 4096) + 0.5f);
    left = *trial.get(ours.arrays[steps], index);
    trial.drop();
  };
  const auto hand = [&] {
    const std::uint64_t index = same() % length;
    floor.copy_pages(index);
    right = floor.change(index, static_cast<float>(same() % 4096) + 0.5f);
    benchmark::DoNotOptimize(right);
  };
  run_pair(state, subject, hand, 200);
  if (left != right) stop("the fork and the hand-written loop differ", {});
}
BENCHMARK(fork_change_drop)
    ->ArgName("elements")->Arg(page_floats)->Arg(1 << 22)->UseManualTime()
    ->Iterations(slices)->Unit(benchmark::kMicrosecond);

/// Further commits of one living fork: lines change in place.
void change_again(benchmark::State& state) {
  chain ours(page_floats);
  by_hand floor(page_floats);
  fork_state trial = ours.desk->fork();
  floor.copy_pages(0);
  std::mt19937 random(11), same(11);
  float left = 0, right = 0;
  const auto subject = [&] {
    const std::uint64_t index = random() % page_floats;
    ours.change(trial, index, static_cast<float>(random() % 4096) + 0.5f);
    left = *trial.get(ours.arrays[steps], index);
  };
  const auto hand = [&] {
    const std::uint64_t index = same() % page_floats;
    right = floor.change(index, static_cast<float>(same() % 4096) + 0.5f);
    benchmark::DoNotOptimize(right);
  };
  run_pair(state, subject, hand, 200);
  if (left != right) stop("the fork and the hand-written loop differ", {});
}
BENCHMARK(change_again)->UseManualTime()->Iterations(slices)->Unit(benchmark::kMicrosecond);

void fork_and_drop(benchmark::State& state) {
  chain ours(page_floats);
  const fork_state keeps_the_pin = ours.desk->fork();
  for (auto _ : state) {
    fork_state trial = ours.desk->fork();
    benchmark::DoNotOptimize(trial.sequence());
  }
}
BENCHMARK(fork_and_drop);

/// Bytes per fork of 10 000 forks of 1 GiB, unchanged and changed: of the heap and of the process,
/// frames apart.
void ten_thousand_forks(benchmark::State& state) {
  constexpr std::uint64_t length = (std::uint64_t{1} << 30) / sizeof(float) / (steps + 1);
  constexpr std::size_t count = 10'000;
  chain ours(length);
  std::mt19937_64 random(3);
  for (auto _ : state) {
    {
      fork_state warm = ours.desk->fork();  // the workspace, which all forks share
      ours.change(warm, 1, 0.25f);
    }
    std::vector<fork_state> forks;
    forks.reserve(count);
    const auto heap = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
    const std::size_t heap_before = heap(), resident_before = resident_bytes();
    for (std::size_t i = 0; i < count; ++i) forks.push_back(ours.desk->fork());
    const std::size_t heap_unchanged = heap(), resident_unchanged = resident_bytes();
    const double begin = seconds_now();
    for (fork_state& each : forks) ours.change(each, random() % length, -0.5f);
    const double changed_in = seconds_now() - begin;
    const std::size_t heap_changed = heap(), resident_changed = resident_bytes();
    const std::uint64_t frames = ours.desk->stats().fork_bytes;
    const auto each = [](std::size_t after, std::size_t before) {
      return static_cast<double>(after - before) / count;
    };
    state.counters["unchanged_heap_B"] = each(heap_unchanged, heap_before);
    state.counters["unchanged_resident_B"] = each(resident_unchanged, resident_before);
    state.counters["changed_frames_B"] = static_cast<double>(frames) / count;
    state.counters["changed_heap_B"] = each(heap_changed, heap_before);
    state.counters["changed_resident_less_frames_B"] =
        each(resident_changed, resident_before) - static_cast<double>(frames) / count;
    state.counters["change_us"] = changed_in / count * 1e6;
    const double drop_begin = seconds_now();
    forks.clear();
    state.counters["drop_us"] = (seconds_now() - drop_begin) / count * 1e6;
    // Once more, now that the system has given the memory.
    for (std::size_t i = 0; i < count; ++i) forks.push_back(ours.desk->fork());
    const double again = seconds_now();
    for (fork_state& each_fork : forks) ours.change(each_fork, random() % length, -0.75f);
    state.counters["change_again_us"] = (seconds_now() - again) / count * 1e6;
    forks.clear();
    if (ours.desk->stats().fork_bytes != 0) stop("dropped forks left frames", {});
  }
}
BENCHMARK(ten_thousand_forks)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
