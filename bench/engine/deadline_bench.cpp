/// \file
/// How far a commit with a time budget passes it: 200 us on a propagation of about 10 ms, beside a
/// hand-written loop over the same pages that looks at the clock after each. Reported per program:
/// quantiles of the overrun in us, and what the whole propagation takes.
#include <sheaf/engine/engine.hpp>
#include <sheaf/engine/pending_commit.hpp>

#include "support/paired.hpp"

namespace {

using namespace sheaf;  // NOLINT: a benchmark of one library
using namespace sheaf_bench;
using clock = std::chrono::steady_clock;

constexpr std::uint64_t length = 1 << 18;
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

/// The same work by hand: pages of 1024 floats, level by level, until the budget has passed.
class loop {
 public:
  loop() : rows_(levels + 1, std::vector<float>(length, 1.5f)) {}
  /// The overrun of one run.
  double run(float scale) {
    const clock::time_point begin = clock::now();
    for (unsigned level = 1; level <= levels; ++level) {
      for (std::uint64_t page = 0; page < length; page += 1024) {
        const float* from = rows_[level - 1].data() + page;
        float* to = rows_[level].data() + page;
        for (unsigned i = 0; i < 1024; ++i) to[i] = from[i] * scale;
        if (clock::now() - begin >= budget) return us_since(begin) - budget_us;
      }
    }
    return 0;
  }

 private:
  std::vector<std::vector<float>> rows_;
};

void overrun(benchmark::State& state) {
  model declared;
  const auto scale = declared.source<float>("scale", 1);
  const auto start = declared.source<float>("start", length);
  auto top = start;
  for (unsigned i = 0; i < levels; ++i) top = declared.derive("", top * scale);
  auto desk = engine::open(declared, {.threads = static_cast<unsigned>(state.range(0))});
  if (!desk) return state.SkipWithError("the engine did not open");
  const std::vector<float> ones(length, 1.5f);
  auto first = desk->begin();
  first.range(start, {}, ones);
  first.set(scale, {}, 1.0f);
  if (!std::move(first).commit()) return state.SkipWithError("a commit failed");
  loop floor;
  std::vector<double> ours, by_hand, whole;
  float value = 1.0f;
  for (auto _ : state) {
    value = value == 1.0f ? 0.999f : 1.0f;
    auto txn = desk->begin();
    txn.set(scale, {}, value);
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
BENCHMARK(overrun)->ArgName("threads")->Arg(1)->Arg(2)->UseManualTime()->Iterations(2000);

}  // namespace
