#include <sheaf/observe/figures.hpp>

#include <algorithm>
#include <vector>

#include "observe/json.hpp"

namespace sheaf::inline v0 {

namespace {

/// Never called: it stops compiling where `engine_stats` gains or loses a member. Then give the new
/// one its row in `stats_figures`, or its place beside `isa` and `work` below, and its name here.
[[maybe_unused]] void knows_every_member_of(const engine_stats& stats) {
  [[maybe_unused]] const auto& [epoch, commits, groups, groups_split, groups_cut, conflicts,
                                suspended_commits, history_waits, callback_failures,
                                failed_commits, arrays, nodes, levels, page_nodes, frame_bytes,
                                history_bytes, spare_bytes, scheduling_bytes, open_snapshots,
                                open_forks, fork_bytes, snapshot_waits, degraded, isa, device,
                                threads, work] = stats;
}
constexpr std::size_t stats_members = 27;
constexpr std::size_t stats_members_without_row = 3;  // isa, device, work
static_assert(std::size(stats_figures) == stats_members - stats_members_without_row,
              "sheaf: a member of engine_stats has no row in stats_figures, or has two");

struct row {
  std::string_view name;
  std::string value;
  std::string_view unit;
  std::string_view meaning;
};

template <class Record, std::size_t Count>
void add_rows(std::vector<row>& rows, const figure<Record> (&figures)[Count],
              const Record& record) {
  for (const figure<Record>& at : figures) {
    rows.push_back({at.name, std::to_string(at.of(record)), at.unit, at.meaning});
  }
}

std::string table_of(const std::vector<row>& rows) {
  std::size_t name_width = 0;
  std::size_t value_width = 0;
  std::size_t unit_width = 0;
  for (const row& at : rows) {
    name_width = std::max(name_width, at.name.size());
    value_width = std::max(value_width, at.value.size());
    unit_width = std::max(unit_width, at.unit.size());
  }
  std::string out;
  for (const row& at : rows) {
    out += at.name;
    out.append(name_width - at.name.size() + 2 + value_width - at.value.size(), ' ');
    out += at.value;
    out += ' ';
    out += at.unit;
    out.append(unit_width - at.unit.size() + 2, ' ');
    out += at.meaning;
    out += '\n';
  }
  return out;
}

template <class Record, std::size_t Count>
void add_members(json_object& to, const figure<Record> (&figures)[Count], const Record& record) {
  for (const figure<Record>& at : figures) to.number(at.name, at.of(record));
}

template <class Record, std::size_t Count>
void subtract(const figure<Record> (&figures)[Count], Record& from, const Record& less) noexcept {
  for (const figure<Record>& at : figures) {
    if (at.kind == figure_kind::gauge) continue;
    at.set(from, at.of(from) - std::min(at.of(from), at.of(less)));
  }
}

}  // namespace

std::string to_text(const work_counters& work) {
  std::vector<row> rows;
  add_rows(rows, work_figures, work);
  return table_of(rows);
}

std::string to_text(const engine_stats& stats) {
  std::vector<row> rows;
  add_rows(rows, stats_figures, stats);
  rows.push_back({"isa", stats.isa, "", "instruction set of the kernels"});
  add_rows(rows, work_figures, stats.work);
  // A reason may be long: it has a line of its own below the columns.
  return table_of(rows) + (stats.device.empty() ? "" : "device: " + stats.device + "\n");
}

std::string to_json(const work_counters& work) {
  json_object out;
  add_members(out, work_figures, work);
  return out.done();
}

std::string to_json(const engine_stats& stats) {
  json_object out;
  add_members(out, stats_figures, stats);
  out.text("isa", stats.isa);
  if (!stats.device.empty()) out.text("device", stats.device);
  return out.raw("work", to_json(stats.work)).done();
}

work_counters difference(const work_counters& later, const work_counters& earlier) noexcept {
  work_counters out = later;
  subtract(work_figures, out, earlier);
  return out;
}

engine_stats difference(const engine_stats& later, const engine_stats& earlier) {
  engine_stats out = later;
  subtract(stats_figures, out, earlier);
  out.work = difference(later.work, earlier.work);
  return out;
}

}  // namespace sheaf::inline v0
