/// \file
/// What happens when old versions fill their budget: whoever reads the oldest is told, the commit
/// waits a while with all others behind it, and then gives up with `history_full`. An open snapshot
/// is never revoked.
#include <thread>

#include <sheaf/propagate/operator_scope.hpp>

#include "engine/engine_core.hpp"

namespace sheaf::inline v0 {

namespace {

/// Between two looks whether a snapshot was released: about what a commit takes.
constexpr auto look_every = std::chrono::microseconds(50);

}  // namespace

/// The oldest epoch somebody reads learns that it holds commits up.
void engine_core::tell_oldest_reader() noexcept {
  pins_.scan(scanned_);
  if (scanned_.is_empty()) return;
  const std::uint64_t oldest = scanned_.oldest();
  // relaxed: a flag for readers of that epoch.
  if (pressed_epoch_.exchange(oldest, std::memory_order_relaxed) == oldest) return;
  if (!options_.on_history_pressure) return;
  const operator_scope scope;
  try {
    options_.on_history_pressure(epoch{oldest});
  } catch (...) {
    ++callback_failures_;
  }
}

/// `refused` is the `history_full` of the first try.
status engine_core::commit_under_pressure(const accepted_group& group, const status& refused) {
  using clock = std::chrono::steady_clock;
  ++history_waits_;
  const clock::time_point until = clock::now() + options_.history_wait_max;
  status last = refused;
  for (;;) {
    tell_oldest_reader();
    if (clock::now() >= until || is_closed()) return last;
    std::this_thread::sleep_for(look_every);
    frames_->reclaim(pins_);
    --next_epoch_;  // the same commit: the number it was refused with is not spent
    last = commit_once(group);
    if (last.code() != status_code::history_full) break;
  }
  pressed_epoch_.store(0, std::memory_order_relaxed);  // a flag, see above
  return last;
}

}  // namespace sheaf::inline v0
