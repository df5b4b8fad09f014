/// \file
/// Changes of the graph of an open engine against opening it anew with the changed graph and all of
/// its state, which is what a host would do without them. Same run, same bits at the end.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include <sheaf/engine/engine.hpp>

#include "support/paired.hpp"

namespace {

using namespace sheaf;

std::vector<float> random_values(std::uint64_t count) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> between(-100, 100);
  std::vector<float> values(count);
  for (float& value : values) value = between(random);
  return values;
}

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::exit(1);
}

epoch committed(transaction&& txn) {
  const auto done = std::move(txn).commit();
  if (!done) std::fprintf(stderr, "%s\n", done.error().message().c_str());
  require(static_cast<bool>(done), "a commit");
  return *done;
}

/// 100 sources and 9900 sums of two earlier arrays, one page of 64 floats each.
struct wide {
  static constexpr std::uint64_t length = 64;
  std::vector<array<float>> arrays;
  array<float> extra;

  explicit wide(model& into, float factor) {
    std::mt19937 random(11);
    while (arrays.size() < 100) arrays.push_back(into.source<float>("", length));
    while (arrays.size() < 10'000) {
      const auto low = arrays.size() < 1000 ? 0 : arrays.size() - 1000;
      const auto pick = [&] { return arrays[low + random() % (arrays.size() - low)]; };
      arrays.push_back(into.derive("", combine(semiring_id::max_plus, {pick(), pick()})));
    }
    extra = into.derive("extra", arrays.back() * factor);
  }
  void write(engine& to, std::span<const float> values) const {
    auto txn = to.begin();
    for (std::size_t i = 0; i < 100; ++i) {
      txn.range(arrays[i], {}, values.subspan(i * length, length));
    }
    committed(std::move(txn));
  }
};

float value_of(engine& in, const array<float>& target) { return *in.snapshot().get(target, 3); }

void redefine_one_of_ten_thousand(benchmark::State& state) {
  const std::vector<float> values = random_values(100 * wide::length);
  model declared;
  const wide graph(declared, 2);
  auto run = engine::open(declared);
  require(static_cast<bool>(run), "open");
  graph.write(*run, values);
  float factor = 2;
  float reopened = 0;
  sheaf_bench::run_pair(
      state,
      [&] {
        factor += 1;
        auto txn = run->begin();
        txn.graph().redefine(graph.extra, graph.arrays.back() * factor);
        committed(std::move(txn));
      },
      [&] {
        model again;
        const wide same(again, factor);
        auto other = engine::open(again);
        require(static_cast<bool>(other), "open");
        same.write(*other, values);
        reopened = value_of(*other, same.extra);
      });
  require(value_of(*run, graph.extra) == reopened, "both ways give the same bits");
  state.counters["pages_recomputed"] = static_cast<double>(run->last_commit().pages_recomputed);
}

void add_and_drop_one_of_ten_thousand(benchmark::State& state) {
  const std::vector<float> values = random_values(100 * wide::length);
  model declared;
  const wide graph(declared, 2);
  auto run = engine::open(declared);
  require(static_cast<bool>(run), "open");
  graph.write(*run, values);
  array<float> added;
  sheaf_bench::run_pair(
      state,
      [&] {
        auto txn = run->begin();
        if (added) txn.graph().drop(added);
        added = txn.graph().derive("added", graph.arrays[5000] + 1.0f);
        committed(std::move(txn));
      },
      [&] {
        model again;
        const wide same(again, 2);
        auto other = engine::open(again);
        require(static_cast<bool>(other), "open");
        same.write(*other, values);
      });
  require(value_of(*run, added) == value_of(*run, graph.arrays[5000]) + 1.0f, "its bits");
  state.counters["pages_recomputed"] = static_cast<double>(run->last_commit().pages_recomputed);
}

/// A page of 1024 floats behind 16 Mi of them, with an array that follows and its sum.
void append_a_page(benchmark::State& state) {
  std::vector<float> values = random_values(16 << 20);
  const std::vector<float> page = random_values(1024);
  model declared;
  auto x = declared.source<float>("x", values.size());
  const auto doubled = declared.derive("doubled", x * 2.0f);
  const auto total = declared.derive("total", sum(doubled));
  auto run = engine::open(declared);
  require(static_cast<bool>(run), "open");
  auto first = run->begin();
  first.range(x, {}, values);
  committed(std::move(first));
  float reopened = 0;
  sheaf_bench::run_pair(
      state,
      [&] {
        auto txn = run->begin();
        x = txn.append(x, page);
        committed(std::move(txn));
      },
      [&] {
        values.resize(x.size() - page.size());
        values.insert(values.end(), page.begin(), page.end());
        model again;
        const auto y = again.source<float>("x", values.size());
        const auto sums = again.derive("total", sum(again.derive("doubled", y * 2.0f)));
        auto other = engine::open(again);
        require(static_cast<bool>(other), "open");
        auto txn = other->begin();
        txn.range_borrowed(y, {}, values);
        committed(std::move(txn));
        reopened = *other->snapshot().get(sums);
      });
  require(*run->snapshot().get(total) == reopened, "both ways give the same bits");
  const auto report = run->audit();
  require(report && report->lines_different == 0, "an audit finds no difference");
  state.counters["pages_recomputed"] = static_cast<double>(run->last_commit().pages_recomputed);
}

BENCHMARK(redefine_one_of_ten_thousand)->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(add_and_drop_one_of_ten_thousand)->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(append_a_page)->UseManualTime()->Unit(benchmark::kMicrosecond)->Iterations(8);

}  // namespace
