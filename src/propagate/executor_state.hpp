/// \file
/// The executor's insides: see include/sheaf/propagate/executor.hpp for the whole.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include <sheaf/page/delta.hpp>
#include <sheaf/propagate/dirty_set.hpp>
#include <sheaf/propagate/executor.hpp>

#include "propagate/device_mirror.hpp"
#include "propagate/dirty_map.hpp"
#include "propagate/level_pool.hpp"
#include "propagate/operators/rules.hpp"
#include "propagate/page_runner.hpp"

namespace sheaf::inline v0 {

/// How a level learns what is dirty in it.
enum class direction : std::uint8_t { marked, pull, full };

/// Which whole operators of a level run. In a commit only those it reaches: the engine changes
/// pages in place where none is reached, and could not take them back if one failed.
enum class host_calls : std::uint8_t { marked, all };

/// Marks of a commit that changed the graph: see executor::mark_for_graph.
struct graph_marks {
  explicit graph_marks(std::uint32_t slot_count)
      : pages(slot_count), kept(std::make_unique<line_mask[]>(std::max(slot_count, 1u))) {}
  dirty_set pages;                    ///< derived pages whose marked lines run whole
  std::unique_ptr<line_mask[]> kept;  ///< by slot: lines that count as changed
};

/// What running a level, or a part of it, changed.
struct level_tally {
  std::uint64_t pages = 0;
  std::uint64_t lines = 0;
};

/// An operand of a node that is pushed to by pages (operator_rules::push_pages).
struct pages_reader {
  std::uint32_t node;
  std::uint32_t which;
  std::uint32_t slot_begin, slot_end;  ///< of the operand
};

/// What an executor knows about its plan beyond the plan: constant, shared with the executors of
/// branches.
struct executor_schedule {
  explicit executor_schedule(const resolved_plan& plan);

  std::vector<std::uint64_t> consumer_fan_in;   ///< per level: fan-in of the levels that read it
  std::vector<std::uint64_t> level_lines;       ///< per level: lines with elements
  std::vector<std::vector<std::uint32_t>> pushed_only;  ///< per level with any: such nodes
  std::vector<std::uint32_t> level_has_pushed_only;     ///< per level: index there, or no_index
  std::vector<page_class> page_of_slot;
  std::vector<std::uint8_t> run_of_segment;
  std::vector<const operator_rules*> fetch_of_segment;  ///< rules of a kind with `fetch`, or null
  std::vector<std::vector<pages_reader>> pages_readers;  ///< per level: who reads it by pages
  std::vector<std::uint32_t> followed;  ///< producers that delays follow, by array, each once
  frame_demand whole_demand;
  std::uint64_t derived_pages = 0;

 private:
  void add_node(const resolved_plan& plan, std::uint32_t index);
  void find_runs(const resolved_plan& plan);
  void find_pages_readers(const plan& graph);
};

/// Which pages an executor works on.
enum class executor_pages : std::uint8_t { of_engine, of_branches };

/// The level that holds a slot. O(log levels).
[[nodiscard]] std::uint32_t level_of_slot(const plan& graph, std::uint32_t slot) noexcept;

struct executor::state {
  state(std::shared_ptr<const resolved_plan> resolved,
        std::shared_ptr<const executor_schedule> schedule, frame_store& store, unsigned threads,
        executor_pages pages);

  status propagate();
  result<progress> propagate_until(std::chrono::steady_clock::time_point until);
  status recompute();
  status rehearse();
  frame_demand count_cone() noexcept;
  void clear(bool note, change_list* changes) noexcept;
  void note_written(const delta& changes) noexcept;
  void forget_written(std::uint32_t slot) noexcept;
  result<audit_report> audit();
  status compute_node(std::uint32_t node);
  void mark_for_graph(std::uint32_t slot, line_mask lines, bool kept);

  // delays.cpp
  struct array_pages {
    std::uint32_t slot, page_count;
    page_class page;
    dtype type;
    std::uint64_t length;
  };
  [[nodiscard]] array_pages pages_of(std::uint32_t producer) const noexcept;
  void fill_delays() noexcept;
  void queue_all(delay_queue& queue) const;
  using delay_starts = std::span<const delay_start>;
  void note_delays(delay_queue& queue, delay_starts started) noexcept;
  void mark_delays(const delay_queue& queue, delay_starts started) noexcept;
  status move_delays(const delay_queue& queue, delay_starts started);
  [[nodiscard]] bool delays_reach_fallible(const delay_queue& queue) const noexcept;
  /// Calls `visitor(delay, line, first)` for every line that a delay takes over, in the order in
  /// which delays move on: its elements from `first` on get the initial value.
  template <class Visitor>
  void for_each_delayed_line(const delay_queue& queue, delay_starts started, Visitor&& visitor);
  /// Writes one line of a delay where it differs, and marks it; false where a branch has no frame.
  bool take_over(const plan_source& to, std::uint64_t line, std::uint64_t first) noexcept;

  [[nodiscard]] std::uint32_t level_of(std::uint32_t slot) const noexcept;
  [[nodiscard]] direction choose(std::uint32_t level) noexcept;
  [[nodiscard]] bool is_mostly_dirty(const plan_level& level) noexcept;
  status run_level(std::uint32_t level, direction how, host_calls calls = host_calls::marked);
  status run_whole_nodes(std::uint32_t level, host_calls calls, level_tally& tally);
  status run_whole_node(std::uint32_t index, host_calls calls, level_tally& tally);
  /// The pages are now what the memories of whole operators that ran hold, or not.
  void end_whole_runs(bool is_current) noexcept;
  void clear_marks_of(const plan_node& node, const plan_operation& op) noexcept;
  void keep_marks_of(const plan_node& node, const plan_operation& op, level_tally& tally) noexcept;
  /// The next level from `from` on that marks reach, or the number of levels.
  [[nodiscard]] std::uint32_t next_level(std::uint32_t from) noexcept;
  void begin_level(direction how, host_calls calls);
  /// Marks, in a level that pulls, what its nodes have to be pushed.
  void push_into_level(std::uint32_t level) noexcept;
  void run_slots(const plan_level& level, std::uint32_t begin, std::uint32_t end, direction how,
                 level_tally& tally);
  void summarize(const plan_level& level, direction how) noexcept;
  status end_level(std::uint32_t level, direction how, host_calls calls, level_tally& tally);
  void run_parallel(const plan_level& level, std::uint32_t begin, std::uint32_t end, direction how,
                    level_tally& tally);
  void run_range(page_runner& runner, const plan_level& level, std::uint32_t begin,
                 std::uint32_t end, direction how, level_tally& tally) noexcept;
  void run_marked(page_runner& runner, const plan_level& level, std::uint32_t begin,
                  std::uint32_t end, level_tally& tally) noexcept;
  /// One page of a level that was marked; not of an operator that runs whole.
  void run_marked_slot(page_runner& runner, const plan_segment& segment, std::uint32_t slot,
                       level_tally& tally) noexcept;
  void run_segment(page_runner& runner, const plan_segment& segment, std::uint32_t begin,
                   std::uint32_t end, direction how, level_tally& tally) noexcept;
  /// True where the nodes of a segment are one run (kernels.hpp) and may change in place.
  [[nodiscard]] bool is_run(const plan_segment& segment) const noexcept {
    return branch_ == nullptr && frames_.all_in_place() &&
           schedule_->run_of_segment[static_cast<std::size_t>(&segment -
                                                              graph_.segments.data())] != 0;
  }
  [[nodiscard]] node_run run_of(const plan_segment& segment) noexcept;
  void run_words(page_runner& runner, const plan_segment& segment, std::uint32_t begin,
                 std::uint32_t end, direction how, level_tally& tally) noexcept;
  /// Fetches what the next marked pages of `segment` from `slot` on will read; the slot behind
  /// them, or `end`.
  [[nodiscard]] std::uint32_t fetch_pages(const page_runner& runner, const plan_segment& segment,
                                          std::uint32_t slot, std::uint32_t end) const noexcept;
  /// Rules with `fetch` where it helps: most of a page that is recomputed whole comes anyway.
  [[nodiscard]] const operator_rules* fetch_of(const page_runner& runner,
                                               const plan_segment& segment) const noexcept {
    if (runner.is_whole() || runner.must_require()) return nullptr;
    return schedule_->fetch_of_segment[static_cast<std::size_t>(&segment -
                                                                graph_.segments.data())];
  }
  [[nodiscard]] line_mask run_slot(page_runner& runner, const plan_segment& segment,
                                   std::uint32_t slot, direction how) noexcept;
  [[nodiscard]] std::uint64_t work_estimate(const plan_level& level, direction how) const noexcept;
  [[nodiscard]] bool runs_parallel(const plan_level& level, direction how) const noexcept;
  void finish_level(std::uint32_t level, const level_tally& tally) noexcept;
  [[nodiscard]] bool pushes(std::uint32_t level, const level_tally& tally) noexcept;
  void push_level(std::uint32_t level) noexcept;
  void push_slots(std::uint32_t level, std::uint32_t begin, std::uint32_t end) noexcept;
  [[nodiscard]] level_tally tally_sources() noexcept;

  /// The node (at level 0 the source) and page a slot stands for.
  struct place {
    std::uint32_t node;
    std::uint32_t page;
  };
  [[nodiscard]] static place place_in(const plan_segment& segment, std::uint32_t slot) noexcept {
    if (segment.node_count == 1) return {segment.node_begin, slot - segment.slot_begin};
    return {segment.node_begin + (slot - segment.slot_begin), 0};
  }
  /// The segment of `level` that holds `slot`, looked for from `hint` on.
  [[nodiscard]] std::uint32_t segment_of(const plan_level& level, std::uint32_t slot,
                                         std::uint32_t hint) const noexcept;

  // Constant after construction.
  std::shared_ptr<const resolved_plan> plan_;
  const plan& graph_;
  std::shared_ptr<const executor_schedule> schedule_;
  frame_store& frames_;
  std::unique_ptr<branch_table> branch_;  ///< null for the engine's own executor

  // Between the marks and `finish`.
  std::unique_ptr<line_mask[]> masks_;
  std::unique_ptr<std::uint64_t[]> element_masks_;
  dirty_set dirty_;
  dirty_set pulled_;                 ///< levels that will pull
  std::unique_ptr<std::uint64_t[]> changed_elements_;  ///< of lines in the masks of tracked nodes
  dirty_map map_;
  std::unique_ptr<graph_marks> graph_marks_;  ///< null in commits that leave the graph alone

  // paced.cpp
  /// What of a level is still to run: slots [at, end).
  struct slot_part {
    std::uint32_t at, end;
  };
  /// Where `propagate_until` stopped. A level goes through the stages in their order.
  struct cursor {
    enum class stage : std::uint8_t { idle, begin, push_into, run, whole, push };
    stage at = stage::idle;
    direction how = direction::marked;
    std::uint32_t level = 0;
    std::uint32_t next = 0;  ///< push_into, whole: node of the list; push: slot
    push_point point;        ///< push_into, push: how far with it
    level_tally tally;
  };
  [[nodiscard]] bool begin_next_level();
  void cut_level();
  [[nodiscard]] const std::vector<std::uint32_t>& pushed_only_of(
      std::uint32_t level) const noexcept;
  void push_into_until(pace& with) noexcept;
  void run_until(pace& with);
  void run_parts_until(pace& with);
  void run_part(page_runner& runner, slot_part& part, pace& with, level_tally& tally) noexcept;
  status run_whole_until(pace& with);
  void push_until(pace& with) noexcept;
  cursor cursor_;
  std::vector<slot_part> parts_;  ///< of the level in stage `run`

  // device_commit.cpp
  status propagate_here(const level_tally& sources);
  status propagate_somewhere();
  /// Runs the stages of a commit, the device's part and the host's of each; how many came to their
  /// end. A failure is that of a host-run node.
  [[nodiscard]] result<std::uint32_t> propagate_on_device();
  [[nodiscard]] bool run_device_stage(std::uint32_t stage) noexcept;
  status run_host_stage(std::uint32_t stage);
  status run_piece(const plan_piece& piece, direction how);
  /// Runs the stages from `stage` on, both parts of each, here.
  status propagate_rest(std::uint32_t stage);
  /// Calls `visitor(slot, lines)` for what is to be sent with a stage.
  template <class Visitor>
  void for_each_sent(std::uint32_t stage, Visitor&& visitor);
  /// Takes over what a stage on the device changed.
  void take_over(const device_record& changed) noexcept;
  /// Marks the host-run nodes that `lines` of `slot` reach, and the stages.
  void spread(std::uint32_t slot, line_mask lines) noexcept;
  /// At the end of a commit: what the device has not seen, or has to forget.
  void note_for_device(bool holds) noexcept;
  enum class device_part : std::uint8_t { none, some, all };
  std::unique_ptr<device_mirror> device_;  ///< null: there is none, or it cannot run this plan
  device_part on_device_ = device_part::none;  ///< since the marks: what the device ran
  bool is_mixed_ = false;                      ///< since the marks: the host ran a part
  std::uint32_t sent_stage_ = 0;       ///< the device has what the host computed in earlier ones
  std::vector<std::uint8_t> reached_;  ///< by stage: something there was marked in this commit

  // Of operators that run whole.
  std::unordered_map<std::uint32_t, std::unique_ptr<operator_memory>> memories_;  ///< by node
  std::vector<std::uint32_t> ran_whole_;    ///< nodes, since the marks
  std::vector<page_lines> changed_pages_;   ///< of one of them
  bool rehearsing_ = false;

  std::vector<std::unique_ptr<page_runner>> runners_;
  std::vector<frame_log*> logs_;
  work_counters counters_;
  std::vector<level_tally> tallies_;  ///< one per worker
  std::optional<level_pool> pool_;
};

}  // namespace sheaf::inline v0
