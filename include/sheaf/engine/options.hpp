/// \file
/// How an engine is opened, and what it says about itself.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <sheaf/base/id.hpp>
#include <sheaf/page/pin_registry.hpp>
#include <sheaf/propagate/work_counters.hpp>

namespace sheaf::inline v0 {

/// Where derived arrays are computed. The bits are the same.
enum class device : std::uint8_t {
  cpu,        ///< here
  automatic,  ///< on a device if there is one, commit by commit where it is expected to be faster
  cuda,       ///< on a device for every commit that it can run; here where there is none
};

/// Every limit of an engine is here (promise P6): past one a call gets a status, nothing is lost.
struct engine_options {
  /// Where state is kept on disk. Empty keeps it in memory, which is all this version can do:
  /// anything else is `unsupported`.
  std::string directory = {};
  readers mode = readers::brief_wait;
  /// Threads a propagation may use, the committing one included; 0: one per core. Bits do not
  /// depend on it.
  unsigned threads = 1;
  /// What a device has no body for, and every commit after it failed, runs here;
  /// `engine_stats::device` says which and why.
  sheaf::device device = sheaf::device::cpu;
  unsigned device_index = 0;
  std::size_t device_bytes_max = std::size_t{1} << 40;       ///< of the device's memory
  /// A commit that a device has not done in this time makes it lost for this engine and is done
  /// here, as all after it. Finite and positive; anything else is `invalid_argument`.
  double device_deadline_seconds = 10;
  std::size_t memory_bytes_max = std::size_t{1} << 40;       ///< over all frames
  std::size_t history_bytes_max = std::size_t{1} << 36;      ///< over frames only snapshots need
  /// How long a commit whose old versions do not fit `history_bytes_max` waits for snapshots to be
  /// released, with the commits behind it, before it gets `history_full`.
  std::chrono::microseconds history_wait_max{2000};
  /// Told, on the committing thread, the oldest epoch that is read when a commit begins to wait so;
  /// see also `snapshot::is_pressed`. Calls of the engine from inside get `reentrant`; what it
  /// throws is counted and dropped.
  std::function<void(epoch oldest)> on_history_pressure = {};
  std::size_t transaction_bytes_max = std::size_t{1} << 32;  ///< owned by one transaction
  std::uint32_t snapshots_max = 4096;                        ///< open at once
  std::uint32_t forks_max = 1u << 20;                        ///< alive at once
  std::size_t fork_bytes_max = std::size_t{1} << 40;         ///< over all frames of forks
  std::uint32_t group_transactions_max = 1024;               ///< committed as one epoch
  /// What is remembered of who wrote which elements, 34 B a line written. A transaction that began
  /// before it, and has something to check, gets `snapshot_too_old`. Used only while several
  /// transactions are open.
  std::size_t conflict_window_bytes_max = std::size_t{1} << 24;
  /// Records of what recent epochs changed, for subscriptions, `explain` and the validation of
  /// reads. 0 keeps none: then a serializable transaction whose reads may have changed gets
  /// `snapshot_too_old`.
  std::size_t record_bytes_max = std::size_t{1} << 23;
};

/// Figures of an engine at one moment.
struct engine_stats {
  std::uint64_t epoch = 0;              ///< published
  std::uint64_t commits = 0;            ///< transactions
  std::uint64_t groups = 0;             ///< of these, groups that became one epoch each
  std::uint64_t groups_split = 0;       ///< groups that failed together and went on one by one
  std::uint64_t groups_cut = 0;         ///< groups ended before a member that read what was pending
  std::uint64_t conflicts = 0;          ///< transactions refused with `conflict`
  std::uint64_t suspended_commits = 0;  ///< that went on after their time budget
  std::uint64_t history_waits = 0;      ///< commits that waited for snapshots to be released
  std::uint64_t callback_failures = 0;  ///< exceptions of `on_history_pressure`
  std::uint64_t failed_commits = 0;     ///< reached the committer and were rolled back or refused
  std::uint32_t arrays = 0;
  std::uint32_t nodes = 0;              ///< derived arrays, hidden ones included
  std::uint32_t levels = 0;
  std::uint64_t page_nodes = 0;         ///< pages of sources and derived arrays
  std::uint64_t frame_bytes = 0;        ///< in use
  std::uint64_t history_bytes = 0;      ///< of these, held for open snapshots only
  std::uint64_t spare_bytes = 0;        ///< of these, kept for the next version of their page
  std::uint64_t scheduling_bytes = 0;   ///< plan, masks and dirty bits
  std::uint32_t open_snapshots = 0;
  std::uint32_t open_forks = 0;
  std::uint64_t fork_bytes = 0;         ///< of `frame_bytes`, frames of forks and their snapshots
  std::uint64_t snapshot_waits = 0;     ///< snapshots that waited for a commit in flight
  std::uint32_t degraded = 0;           ///< devices lost: what ran there runs here
  std::string isa;
  std::string device;                   ///< the name of the one in use, or why none is
  unsigned threads = 1;
  work_counters work;                   ///< of all commits
};

}  // namespace sheaf::inline v0
