/// \file
/// How far a commit with a time budget passes it: 200 us on propagations of about 10 ms, beside a
/// hand-written loop over pages that looks at the clock after each. Reported per program: quantiles
/// of the overrun in us, and what the whole propagation takes.
///
/// Shapes:
///   broadcast  one element that every page of 96 arrays reads: the marks of one page, 24 600 of
///              them, and pages dirty in every line
///   local      one element of each page of one array, through 96 arrays: pages dirty in one line
///   layered    64 levels of 400 nodes of a page with four operands anywhere in the level below,
///              all dirty: levels that pull
///   hub        one element that 2^20 results of a gather read: long marking, by element
#include <sheaf/engine/engine.hpp>
#include <sheaf/engine/pending_commit.hpp>

#include <random>

#include "support/paired.hpp"

namespace {

using namespace sheaf;  // NOLINT: a benchmark of one library
using namespace sheaf_bench;
using clock = std::chrono::steady_clock;

constexpr std::uint64_t length = 1 << 18;
constexpr std::uint64_t page_elements = 1024;
constexpr unsigned levels = 96;
constexpr auto budget = std::chrono::microseconds(200);
constexpr double budget_us = 200;

double us_since(clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(clock::now() - begin).count();
}

void report(benchmark::State& state, const char* name, const std::vector<double>& overruns) {
  const std::string prefix(name);
  state.counters[prefix + "_p50"] = quantile(overruns, 0.5);
  state.counters[prefix + "_p99"] = quantile(overruns, 0.99);
  state.counters[prefix + "_p999"] = quantile(overruns, 0.999);
}

/// Work by hand: pages of 1024 floats, level by level, until the budget has passed.
class loop {
 public:
  loop() : rows_(levels + 1, std::vector<float>(length, 1.5f)) {}
  /// The overrun of one run.
  double run(float scale) {
    const clock::time_point begin = clock::now();
    for (unsigned level = 1; level <= levels; ++level) {
      for (std::uint64_t page = 0; page < length; page += page_elements) {
        const float* from = rows_[level - 1].data() + page;
        float* to = rows_[level].data() + page;
        for (unsigned i = 0; i < page_elements; ++i) to[i] = from[i] * scale;
        if (clock::now() - begin >= budget) return us_since(begin) - budget_us;
      }
    }
    return 0;
  }

 private:
  std::vector<std::vector<float>> rows_;
};

/// A graph and its change, which alternates between two values.
struct broadcast {
  model declared;
  array<float> scale = declared.source<float>("scale", 1);
  array<float> start = declared.source<float>("start", length);
  broadcast() {
    auto top = start;
    for (unsigned i = 0; i < levels; ++i) top = declared.derive("", top * scale);
  }
  void fill(transaction& txn) const { txn.range(start, {}, std::vector<float>(length, 1.5f)); }
  void change(transaction& txn, float value) const { txn.set(scale, {}, value); }
};

struct local {
  model declared;
  array<float> start = declared.source<float>("start", length);
  std::vector<std::uint32_t> indices;
  local() {
    auto top = start;
    for (unsigned i = 0; i < levels; ++i) top = declared.derive("", top * 1.25f);
    for (std::uint32_t i = 7; i < length; i += page_elements) indices.push_back(i);
  }
  void fill(transaction& txn) const { txn.range(start, {}, std::vector<float>(length, 1e-12f)); }
  void change(transaction& txn, float value) const {
    txn.scatter(start, indices, std::vector<float>(indices.size(), value * 1e-12f));
  }
};

struct layered {
  static constexpr unsigned depth = 64, width = 400;
  model declared;
  std::vector<array<float>> sources;
  layered() {
    std::mt19937 random(7);
    for (unsigned i = 0; i < width; ++i) {
      sources.push_back(declared.source<float>("", page_elements));
    }
    std::vector<array<float>> below = sources;
    for (unsigned level = 0; level < depth; ++level) {
      std::vector<array<float>> here;
      for (unsigned i = 0; i < width; ++i) {
        const auto any = [&] { return below[random() % width]; };
        here.push_back(
            declared.derive("", combine(semiring_id::max_plus, {any(), any(), any(), any()})));
      }
      below = std::move(here);
    }
  }
  void fill(transaction& txn) const { change(txn, 2.0f); }
  void change(transaction& txn, float value) const {
    const std::vector<float> values(page_elements, value);
    for (const array<float>& source : sources) txn.range(source, {}, values);
  }
};

struct hub {
  static constexpr std::uint64_t readers = 1 << 20;
  model declared;
  array<float> start = declared.source<float>("start", 16);
  hub() {
    auto top = declared.derive("", gather(start, std::vector<std::uint32_t>(readers, 3)));
    for (unsigned i = 0; i < 4; ++i) top = declared.derive("", top * 1.25f);
  }
  void fill(transaction& txn) const { txn.set(start, {.index = 3}, 2.0f); }
  void change(transaction& txn, float value) const { txn.set(start, {.index = 3}, value); }
};

template <class Shape>
void overrun(benchmark::State& state) {
  const Shape shape;
  auto desk = engine::open(shape.declared, {.threads = static_cast<unsigned>(state.range(0))});
  if (!desk) return state.SkipWithError("the engine did not open");
  auto first = desk->begin();
  shape.fill(first);
  if (!std::move(first).commit()) return state.SkipWithError("a commit failed");
  loop floor;
  std::vector<double> ours, by_hand, whole;
  float value = 1.0f;
  for (auto _ : state) {
    value = value == 1.0f ? 0.999f : 1.0f;
    auto txn = desk->begin();
    shape.change(txn, value);
    const clock::time_point begin = clock::now();
    auto pending = std::move(txn).commit_for(budget);
    const double took = us_since(begin);
    state.SetIterationTime(took * 1e-6);
    if (pending.is_done()) return state.SkipWithError("done within the budget");
    ours.push_back(took - budget_us);
    if (!pending.wait()) return state.SkipWithError("a commit failed");
    whole.push_back(us_since(begin));
    by_hand.push_back(floor.run(value));
  }
  report(state, "overrun_us", ours);
  report(state, "floor_us", by_hand);
  state.counters["whole_us"] = quantile(whole, 0.5);
}

void usual(benchmark::internal::Benchmark* each) {
  each->ArgName("threads")->Arg(1)->Arg(2)->UseManualTime()->Iterations(1500);
}
BENCHMARK(overrun<broadcast>)->Apply(usual);
BENCHMARK(overrun<local>)->Apply(usual);
BENCHMARK(overrun<layered>)->Apply(usual);
BENCHMARK(overrun<hub>)->Apply(usual);

}  // namespace
