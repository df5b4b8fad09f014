/// \file
/// What an engine counts, as tables: name, unit and meaning of every figure, from which the text
/// form, the JSON form and the difference of two moments are made. Exact; no registry, no sampling.
///
/// Invariants
///  1. A table has exactly one row for each figure of its record. The build stops where a member is
///     added to a record and not to its table.
///  2. Rows stand in the order of the members; names are those of the members, and stay.
///
/// Thread safety: values and constants. Cost: linear in the number of figures, about 30.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include <sheaf/engine/options.hpp>
#include <sheaf/propagate/work_counters.hpp>

namespace sheaf::inline v0 {

enum class figure_kind : std::uint8_t {
  counter,  ///< only grows: two moments of one engine have a difference
  gauge,    ///< a state: of two moments the later one counts
};

/// One figure of a `Record`. Exactly one of `wide` and `narrow` is set.
template <class Record>
struct figure {
  std::string_view name;
  std::string_view unit;  ///< what is counted, plural
  std::string_view meaning;
  figure_kind kind;
  std::uint64_t Record::*wide = nullptr;
  std::uint32_t Record::*narrow = nullptr;

  [[nodiscard]] constexpr std::uint64_t of(const Record& record) const noexcept {
    return wide != nullptr ? record.*wide : record.*narrow;
  }
  constexpr void set(Record& record, std::uint64_t value) const noexcept {
    if (wide != nullptr) record.*wide = value;
    else record.*narrow = static_cast<std::uint32_t>(value);
  }
};

namespace detail {

template <class Record>
[[nodiscard]] constexpr figure<Record> counted(std::string_view name, std::string_view unit,
                                               std::uint64_t Record::*member,
                                               std::string_view meaning) noexcept {
  return {name, unit, meaning, figure_kind::counter, member, nullptr};
}
template <class Record>
[[nodiscard]] constexpr figure<Record> gauged(std::string_view name, std::string_view unit,
                                              std::uint64_t Record::*member,
                                              std::string_view meaning) noexcept {
  return {name, unit, meaning, figure_kind::gauge, member, nullptr};
}
template <class Record>
[[nodiscard]] constexpr figure<Record> gauged(std::string_view name, std::string_view unit,
                                              std::uint32_t Record::*member,
                                              std::string_view meaning) noexcept {
  return {name, unit, meaning, figure_kind::gauge, nullptr, member};
}

}  // namespace detail

/// All of `work_counters`.
inline constexpr figure<work_counters> work_figures[] = {
    detail::counted("source_pages_touched", "pages", &work_counters::source_pages_touched,
                    "source pages the deltas wrote to"),
    detail::counted("source_lines_changed", "lines", &work_counters::source_lines_changed,
                    "source lines whose bits differ now"),
    detail::counted("pages_recomputed", "pages", &work_counters::pages_recomputed,
                    "derived pages a body ran on"),
    detail::counted("pages_cut_off", "pages", &work_counters::pages_cut_off,
                    "of these, pages with no line different"),
    detail::counted("lines_recomputed", "lines", &work_counters::lines_recomputed,
                    "derived lines recomputed"),
    detail::counted("lines_cut_off", "lines", &work_counters::lines_cut_off,
                    "of these, lines with equal bits"),
    detail::counted("page_nodes_skipped", "pages", &work_counters::page_nodes_skipped,
                    "eager derived pages no body ran on"),
    detail::counted("levels_pushed", "levels", &work_counters::levels_pushed,
                    "levels whose producers marked dirty pages"),
    detail::counted("levels_pulled", "levels", &work_counters::levels_pulled,
                    "levels that asked every operand"),
    detail::counted("levels_full", "levels", &work_counters::levels_full,
                    "levels recomputed whole"),
    detail::counted("host_calls", "calls", &work_counters::host_calls,
                    "calls of opaque host functions"),
    detail::counted("lines_relaxed", "lines", &work_counters::lines_relaxed,
                    "lines of contributions a fixpoint looked at"),
    detail::counted("frames_copied", "frames", &work_counters::frames_copied,
                    "copy-on-write of a page into a new frame"),
    detail::counted("frames_reused", "frames", &work_counters::frames_reused,
                    "copy-on-write by catching up a spare frame"),
    detail::counted("lines_copied", "lines", &work_counters::lines_copied,
                    "lines carried over by either"),
    detail::counted("runs_copied", "runs", &work_counters::runs_copied,
                    "contiguous arrays copied for a third version"),
    detail::counted("bytes_moved", "bytes", &work_counters::bytes_moved,
                    "read and written by bodies, apply and copies"),
    detail::counted("frames_allocated", "frames", &work_counters::frames_allocated,
                    "frames taken from the allocator"),
    detail::counted("device_commits", "commits", &work_counters::device_commits,
                    "commits that propagated on a device"),
    detail::counted("mixed_commits", "commits", &work_counters::mixed_commits,
                    "of these, those in which the host ran a part"),
};

namespace detail {

/// Adds 1 to every row's member of a fresh record: each member is 1 where each has one row.
[[nodiscard]] constexpr bool each_counter_has_one_row() noexcept {
  work_counters record;
  for (const figure<work_counters>& row : work_figures) row.set(record, row.of(record) + 1);
  using words = std::array<std::uint64_t, sizeof(work_counters) / sizeof(std::uint64_t)>;
  for (const std::uint64_t count : std::bit_cast<words>(record)) {
    if (count != 1) return false;
  }
  return true;
}

}  // namespace detail
static_assert(sizeof(work_counters) == std::size(work_figures) * sizeof(std::uint64_t) &&
                  detail::each_counter_has_one_row(),
              "sheaf: a member of work_counters has no row in work_figures, or has two");

/// All of `engine_stats` that is a number, `work` aside. Its `isa` is text.
inline constexpr figure<engine_stats> stats_figures[] = {
    detail::gauged("epoch", "", &engine_stats::epoch, "published"),
    detail::counted("commits", "commits", &engine_stats::commits, "that succeeded"),
    detail::counted("groups", "groups", &engine_stats::groups,
                    "of transactions that became one epoch each"),
    detail::counted("groups_split", "groups", &engine_stats::groups_split,
                    "that failed and went on one by one"),
    detail::counted("groups_cut", "groups", &engine_stats::groups_cut,
                    "ended before a member that reads them"),
    detail::counted("conflicts", "commits", &engine_stats::conflicts,
                    "refused: another one committed first"),
    detail::counted("suspended_commits", "commits", &engine_stats::suspended_commits,
                    "that went on after their time budget"),
    detail::counted("history_waits", "commits", &engine_stats::history_waits,
                    "that waited for snapshots to be released"),
    detail::counted("callback_failures", "calls", &engine_stats::callback_failures,
                    "of the host that threw"),
    detail::counted("failed_commits", "commits", &engine_stats::failed_commits,
                    "refused or rolled back by the committer"),
    detail::gauged("arrays", "arrays", &engine_stats::arrays, "declared, hidden ones included"),
    detail::gauged("nodes", "arrays", &engine_stats::nodes, "derived, hidden ones included"),
    detail::gauged("levels", "levels", &engine_stats::levels, "of the plan, sources included"),
    detail::gauged("page_nodes", "pages", &engine_stats::page_nodes,
                   "of sources and derived arrays"),
    detail::gauged("frame_bytes", "bytes", &engine_stats::frame_bytes, "of frames in use"),
    detail::gauged("history_bytes", "bytes", &engine_stats::history_bytes,
                   "of these, held for open snapshots only"),
    detail::gauged("spare_bytes", "bytes", &engine_stats::spare_bytes,
                   "of these, spare: for a page's next version"),
    detail::gauged("scheduling_bytes", "bytes", &engine_stats::scheduling_bytes,
                   "of plan, masks and dirty bits"),
    detail::gauged("open_snapshots", "snapshots", &engine_stats::open_snapshots, "open now"),
    detail::gauged("open_forks", "forks", &engine_stats::open_forks, "alive now"),
    detail::gauged("fork_bytes", "bytes", &engine_stats::fork_bytes,
                   "of the frames, those of forks"),
    detail::counted("snapshot_waits", "snapshots", &engine_stats::snapshot_waits,
                    "that waited for a commit in flight"),
    detail::gauged("degraded", "devices", &engine_stats::degraded,
                   "lost: what ran there runs here"),
    detail::gauged("threads", "threads", &engine_stats::threads,
                   "a propagation may use, the caller's counted"),
};

/// A table for people: a row for each figure with its unit and meaning; ends with a newline.
[[nodiscard]] std::string to_text(const work_counters& work);
/// The same, the work last.
[[nodiscard]] std::string to_text(const engine_stats& stats);

/// One JSON object on one line, no newline. Numbers are exact integers up to 2^64 - 1; a reader
/// that keeps them as doubles loses digits above 2^53.
[[nodiscard]] std::string to_json(const work_counters& work);
/// The same, with `isa` as a string and `work` as an object.
[[nodiscard]] std::string to_json(const engine_stats& stats);

/// What happened between two moments of one engine: counters are subtracted, gauges are those of
/// `later`. A counter that is smaller in `later` (another engine's) gives 0.
[[nodiscard]] work_counters difference(const work_counters& later,
                                       const work_counters& earlier) noexcept;
[[nodiscard]] engine_stats difference(const engine_stats& later, const engine_stats& earlier);

}  // namespace sheaf::inline v0
