/// \file
/// The replay loop. What is timed is the commit and the reading, nothing else.
#include "replay.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace risk_desk {
namespace {

using clock = std::chrono::steady_clock;
using sheaf::status;

std::uint64_t ns_between(clock::time_point begin, clock::time_point end) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(end - begin).count());
}

/// What a risk manager looks at after each tick.
struct risk_figures {
  float total_value = 0;
  float total_profit = 0;
  float value_at_risk = 0;
};

class replayer {
 public:
  replayer(const replay_input& input, replay_report& out) : in_(input), out_(out) {
    out_.price.assign(in_.source.stocks, 0.0f);
    out_.previous_close.assign(in_.source.stocks, 0.0f);
  }

  status open_day() {
    out_.previous_close = out_.price;
    const auto begin = clock::now();
    auto txn = in_.engine.begin();
    txn.range(in_.desk.previous_close, {.index = 0}, out_.previous_close);
    const auto committed = std::move(txn).commit();
    if (!committed) return committed.error();
    out_.day_latency.record(ns_between(begin, clock::now()));
    ++out_.days_opened;
    return {};
  }

  status apply(const tick& now) {
    const bool is_first = now.day == 0;
    out_.price[now.stock] = now.price;
    if (is_first) out_.previous_close[now.stock] = now.price;
    const auto begin = clock::now();
    auto txn = in_.engine.begin();
    txn.set(in_.desk.price, {.index = now.stock}, now.price);
    if (is_first) txn.set(in_.desk.previous_close, {.index = now.stock}, now.price);
    const auto committed = std::move(txn).commit();
    if (!committed) return committed.error();
    SHEAF_TRY(read_risk());
    out_.tick_latency.record(ns_between(begin, clock::now()));
    ++out_.ticks;
    return {};
  }

  void count_work() { out_.tick_work += in_.engine.last_commit(); }

  /// Everything again, twice: by the engine, and by the loops, whose result is compared.
  status sample() {
    const auto before = clock::now();
    SHEAF_TRY(in_.engine.recompute());
    out_.recompute_us.push_back(static_cast<double>(ns_between(before, clock::now())) * 1e-3);
    {
      const auto now = in_.engine.snapshot();
      if (!now) return now.error();
      SHEAF_TRY(read_desk(now, in_.desk, engine_values_));
    }
    // Once to warm the caches, once for the time: the loops get the best case.
    in_.all.recompute(out_.price, out_.previous_close, loop_values_);
    const auto begin = clock::now();
    in_.all.recompute(out_.price, out_.previous_close, loop_values_);
    out_.loops_us.push_back(static_cast<double>(ns_between(begin, clock::now())) * 1e-3);
    out_.first_mismatch = first_difference(engine_values_, loop_values_);
    if (out_.first_mismatch) out_.mismatch_tick = out_.ticks;
    return {};
  }

 private:
  status read_risk() {
    const auto now = in_.engine.snapshot();
    if (!now) return now.error();
    const auto value = now.get(in_.desk.total_value);
    const auto profit = now.get(in_.desk.total_profit);
    const auto at_risk = now.get(in_.desk.value_at_risk);
    if (!value) return value.error();
    if (!profit) return profit.error();
    if (!at_risk) return at_risk.error();
    latest_ = {*value, *profit, *at_risk};
    return {};
  }

  const replay_input& in_;
  replay_report& out_;
  risk_figures latest_;
  desk_values engine_values_;
  desk_values loop_values_;
};

}  // namespace

status replay(const replay_input& input, progress_bar& bar, replay_report& out) {
  const tick_stream ticks(input.source);
  const std::size_t count = std::min(input.tick_count, ticks.size());
  const std::size_t sample_every = std::max<std::size_t>(
      count / std::max<std::size_t>(input.sample_count, 1), 1);
  replayer run(input, out);
  std::uint64_t sampling_ns = 0;
  const auto begin = clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    if (ticks.opens_day(i)) SHEAF_TRY(run.open_day());
    SHEAF_TRY(run.apply(ticks[i]));
    run.count_work();
    if ((i + 1) % sample_every == 0) {
      const auto paused = clock::now();
      SHEAF_TRY(run.sample());
      sampling_ns += ns_between(paused, clock::now());
      if (out.first_mismatch) break;
    }
    if (i % 256 == 0) bar.update(i);
  }
  bar.finish();
  out.seconds = static_cast<double>(ns_between(begin, clock::now()) - sampling_ns) * 1e-9;
  return {};
}

double median_of(std::vector<double> values) {
  if (values.empty()) return 0.0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace risk_desk
