/// \file
/// A device that is watched: a table that forwards every call to another one, counts it, and lets a
/// test step in just before.
///
/// Thread safety: the counts from any thread; `watched` while no engine of it is open.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include <sheaf/memory/device_ops.hpp>

namespace sheaf_test {

struct watch {
  /// What devices opened from now on are told to use in place of `automatic`.
  sheaf::device_executor executor = sheaf::device_executor::automatic;
  /// Plans whose pages take more than the limit a device was opened with are refused before the
  /// device sees them: for devices that know no limit.
  bool enforces_memory = false;
  void (*before_load)() = nullptr;
  void (*before_commit)() = nullptr;
};
struct watched_calls {
  std::atomic<std::uint64_t> opened = 0, closed = 0;
  std::atomic<std::uint64_t> loads = 0, loads_done = 0;
  std::atomic<std::uint64_t> commits = 0, commits_done = 0;
};

/// The table; there is one, so it forwards to the `of` of the last call. Counts begin anew.
[[nodiscard]] const sheaf::device_ops* watched(const sheaf::device_ops& of, const watch& how = {});
[[nodiscard]] const watched_calls& calls_watched() noexcept;
/// Of the device opened last, which is still open.
[[nodiscard]] sheaf::device_figures figures_watched() noexcept;

/// The plugin's table, where it finds a device; else null, and why.
[[nodiscard]] const sheaf::device_ops* find_gpu(std::string& why);

}  // namespace sheaf_test
