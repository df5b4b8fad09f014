/// \file
/// Replays ticks through an engine and keeps the figures: latency of each tick, what the engine
/// did, and, at some ticks, what recomputing everything costs and whether it gives the same bits.
///
/// A tick is one commit of one price. Its latency runs from the tick in hand to the value-at-risk
/// and the totals in hand: transaction, commit, and a read of the three from a fresh snapshot. The
/// first tick of each day is preceded by a commit that takes the prices as the previous close; that
/// commit is timed apart. The first price of a stock is its own previous close.
///
/// Thread safety: one replay at a time per engine. Cost: memory for the order of all ticks (2.3 MB)
/// and the samples, no more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <sheaf/engine/engine.hpp>

#include "desk.hpp"
#include "latency.hpp"
#include "market.hpp"
#include "reference.hpp"

namespace risk_desk {

/// What is replayed, and against what it is held. All must outlive the replay.
struct replay_input {
  sheaf::engine& engine;
  const desk_model& desk;
  const market& source;
  const reference& all;
  std::size_t tick_count;    ///< the first so many ticks
  std::size_t sample_count;  ///< ticks at which everything is recomputed and compared
};

struct replay_report {
  std::size_t ticks = 0;
  std::size_t days_opened = 0;
  double seconds = 0;                ///< ticks and day openings, without the samples
  latency_recorder tick_latency;
  latency_recorder day_latency;
  sheaf::work_counters tick_work;    ///< of the commits of ticks alone
  std::vector<double> loops_us;      ///< at each sample: everything by the loops of reference.hpp
  std::vector<double> recompute_us;  ///< at each sample: everything by the engine's own recompute
  std::optional<difference> first_mismatch;  ///< engine against loops; set ends the replay
  std::size_t mismatch_tick = 0;
  std::vector<float> price;           ///< of each stock, as of the last tick
  std::vector<float> previous_close;  ///< the same
};

/// Errors: those of commits and snapshots. `bar` is told the number of ticks done.
[[nodiscard]] sheaf::status replay(const replay_input& input, progress_bar& bar,
                                   replay_report& out);

/// The middle of `values`; of an even number the upper one; 0 of none.
[[nodiscard]] double median_of(std::vector<double> values);

}  // namespace risk_desk
