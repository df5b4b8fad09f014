/// \file
/// A propagation that can be stopped: levels run in chunks of slots, with a look at the clock after
/// each. The same bodies in the same order as `propagate`, so the same bits.
///
/// Invariants
///  1. `stops-between-pages`: whenever it stops, every slot before the cursor has its final bits
///  and
///     mask, and no slot behind it was touched but for marks.
///
/// Cost: a look at the clock is about 30 ns, once per `chunk_time`.
#include <algorithm>

#include "propagate/executor_state.hpp"

namespace sheaf::inline v0 {

namespace {

using clock = std::chrono::steady_clock;

/// The work between two looks at the clock, and with it the usual overrun.
constexpr auto chunk_time = std::chrono::microseconds(5);
constexpr std::uint32_t chunk_max = 1 << 16;

/// Grows or shrinks a chunk that took `taken`, so that the next one takes about `chunk_time`.
std::uint32_t next_chunk(std::uint32_t chunk, clock::duration taken) noexcept {
  if (taken * 2 < chunk_time) return std::min(chunk * 2, chunk_max);
  if (taken > chunk_time) return std::max(chunk / 2, 1u);
  return chunk;
}

}  // namespace

result<progress> executor::state::propagate_until(clock::time_point until) {
  using stage = cursor::stage;
  cursor& c = cursor_;
  const bool is_bounded = until != clock::time_point::max();
  if (c.at == stage::idle) {
    c = {};
    const level_tally sources = tally_sources();
    c.at = pushes(0, sources) ? stage::push : stage::begin;
    c.slot = graph_.levels.empty() ? 0 : graph_.levels[0].slot_begin;
  }
  clock::time_point before = is_bounded ? clock::now() : clock::time_point{};
  const auto end_of_chunk = [&](std::uint32_t end) {
    return is_bounded ? std::min<std::uint64_t>(std::uint64_t{c.slot} + c.chunk, end) : end;
  };
  for (;;) {
    if (c.at == stage::begin) {
      const std::uint32_t from = c.level + 1;
      const std::uint32_t level = next_level(from);
      if (level >= graph_.levels.size()) break;
      c.level = level;
      c.how = choose(level);
      c.slot = graph_.levels[level].slot_begin;
      c.tally = {};
      begin_level(level, c.how, host_calls::marked);
      c.at = stage::run;
    }
    const plan_level& level = graph_.levels[c.level];
    const auto end = static_cast<std::uint32_t>(end_of_chunk(level.slot_end));
    if (c.at == stage::run) {
      run_slots(level, c.slot, end, c.how, c.tally);
      c.slot = end;
      if (end == level.slot_end) {
        SHEAF_TRY(end_level(c.level, c.how, host_calls::marked, c.tally));
        c.at = pushes(c.level, c.tally) ? stage::push : stage::begin;
        c.slot = level.slot_begin;
      }
    } else {
      push_slots(c.level, c.slot, end);
      c.slot = end;
      if (end == level.slot_end) c.at = stage::begin;
    }
    if (!is_bounded) continue;
    const clock::time_point now = clock::now();
    if (now >= until) {
      // What a pulled level set in the words so far must be found by whoever clears the marks.
      if (c.at == stage::run && c.how != direction::marked && c.slot > level.slot_begin) {
        dirty_.summarize(level.slot_begin >> 6, ((level.slot_end - 1) >> 6) + 1);
      }
      return progress::suspended;
    }
    c.chunk = next_chunk(c.chunk, now - before);
    before = now;
  }
  c = {};
  return progress::done;
}

}  // namespace sheaf::inline v0
