/// \file
/// The CPU executor: brings every derived array up to date after source pages changed.
///
/// Way of a commit
///   1. The engine applies a delta to source pages, sets their line masks and marks them.
///   2. `propagate` runs the levels in order. A level's dirty pages are known in one of two ways:
///      *push*: the producers that changed marked them; or *pull*: every page-node of the level
///      asks its operands. Where nearly all operands changed the level runs *full*, with no masks
///      at all.
///   3. A recomputed line with equal bits is not dirty, so it marks nothing (cut-off).
///   4. `finish` clears what the commit marked; `discard` does it for a commit that failed.
///
/// Choice of direction, per producer level: push costs its changed pages times the mean fan-out,
/// pull costs the fan-in of the levels that read it. The constants stand at `push_weight` and
/// `full_sixteenths` in executor.cpp.
///
/// Invariants
///  1. `levels-in-order`: when a level runs, every producer below it has its final bits and masks.
///  2. Outside a commit all masks are zero and the dirty set is empty.
///  3. The result does not depend on direction or thread count (promise P1): a body's bits depend
///     on its operands only, and a skipped page has no operand line that changed.
///
/// Thread safety: one commit at a time. With `threads` > 1, ranges of pages of one level run on
/// oneTBB; a level with little work runs on the calling thread.
/// Cost: O(changed pages x fan-out + recomputed lines x fan-in); a chain of untouched levels is
/// skipped by the summary of the dirty set.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include <sheaf/base/isa.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/graph/model_data.hpp>
#include <sheaf/graph/plan.hpp>
#include <sheaf/page/delta.hpp>
#include <sheaf/page/frame_store.hpp>
#include <sheaf/propagate/change_list.hpp>
#include <sheaf/propagate/delay_queue.hpp>
#include <sheaf/propagate/page_branch.hpp>
#include <sheaf/propagate/work_counters.hpp>

namespace sheaf::inline v0 {

class device_link;
struct resolved_plan;
struct executor_schedule;

enum class progress : std::uint8_t { done, suspended };

struct executor_options {
  isa set = isa::scalar;
  unsigned threads = 1;  ///< at least 1
  /// Where commits run if it can run this plan; null: here.
  std::shared_ptr<device_link> device = {};
};

/// How far the current bits are from what a recompute of everything gives.
struct audit_report {
  std::uint64_t pages_compared = 0;
  std::uint64_t lines_different = 0;  ///< 0 unless promise P1 is broken
  array_id first_array = no_array;    ///< in plan order, the first array with a different line
};

class executor {
 public:
  /// `unsupported` or `operator_missing` where a body is lacking.
  [[nodiscard]] static result<std::unique_ptr<executor>> create(
      std::shared_ptr<const plan> graph, std::shared_ptr<const model_data> model,
      frame_store& frames, const executor_options& options);
  ~executor();
  executor(const executor&) = delete;
  executor& operator=(const executor&) = delete;

  /// What executors of branches are made of: the plan and what was found out about it.
  struct branch_seed {
    std::shared_ptr<const resolved_plan> plan;
    std::shared_ptr<const executor_schedule> schedule;
    frame_store* frames = nullptr;
    const page_class* page_of_slot = nullptr;  ///< as long as `schedule` lives
  };
  [[nodiscard]] branch_seed seed_of_branches() const noexcept;
  /// An executor for commits in branches: it finds pages through the branch that was entered,
  /// writes to frames the branch gives it, and runs on the calling thread. A commit is `enter`, the
  /// marks, `propagate`, `finish(false)` or `discard`, `leave`; its cost is that of the pages it
  /// touches. Making one is O(slots).
  [[nodiscard]] static result<std::unique_ptr<executor>> create_for_branches(
      const branch_seed& seed);
  void enter(page_branch& branch) noexcept;
  void leave() noexcept;
  /// Frames by slot of the branch that was entered, for pages made writable.
  [[nodiscard]] const std::uint32_t* branch_frames() const noexcept;
  /// As `page_branch::make_writable`, and remembers it; false where the branch had no frame.
  [[nodiscard]] bool make_writable(std::uint32_t slot, page_class page,
                                   line_mask changing) noexcept;

  /// Computes all pages of node `node`, lazy or not, in the branch that was entered.
  [[nodiscard]] status compute_node(std::uint32_t node);

  /// Changed lines by slot; the engine writes those of source slots.
  [[nodiscard]] line_mask* masks() noexcept;
  /// Says that `slot`, a source page, has a mask that is not zero.
  void mark(std::uint32_t slot) noexcept;
  /// In the commit that brought this plan: recomputes `lines` of `slot`, a derived page, whatever
  /// its operands say. `kept`: they count as changed even where no bit differs, as where the array
  /// has another length. Then only marks decide what runs. For sources: marks lines as changed.
  void mark_for_graph(std::uint32_t slot, line_mask lines, bool kept);
  /// After the masks: which elements of the changed lines `changes` wrote.
  void note_written(const delta& changes) noexcept;

  /// Runs every level the marks reach. A host function's failure comes back with the array's name;
  /// the caller then rolls frames back and calls `discard`.
  [[nodiscard]] status propagate();
  /// As `propagate`, but stops once `until` has passed, between two pages or marks; a later call
  /// goes on from there. What was changed by then is not for readers: nothing must change in place.
  /// Looks at the clock about every five microseconds of work, so it passes `until` by less, or by
  /// one page or one operator that runs whole (host functions) where that takes longer.
  [[nodiscard]] result<progress> propagate_until(std::chrono::steady_clock::time_point until);
  /// Runs every level whole, whatever is marked.
  [[nodiscard]] status recompute();
  /// The same where every page is visible to somebody (nothing changes in place), and drops what
  /// differs: `lines_recomputed - lines_cut_off` of the counters.
  [[nodiscard]] status rehearse();
  /// Counts the pages the marks can reach at most, sources included, as if no line were cut off,
  /// and that the commit the frame store is in would have to replace. Clears all marks.
  [[nodiscard]] frame_demand count_cone() noexcept;

  // Delays (plan::has_delay()). A queue belongs to the state of one branch; the calls are in the
  // order of a commit.

  /// Gives delayed arrays their initial values, in place. At open, before `recompute`.
  void fill_delays() noexcept;
  /// Queues all lines of what is followed: always right, whatever changed; for a state whose queue
  /// is not known. O(followed pages); may throw std::bad_alloc.
  void queue_all(delay_queue& queue) const;
  /// True where what is queued reaches a fallible node: nothing may change in place.
  [[nodiscard]] bool delays_reach_fallible(const delay_queue& queue) const noexcept;
  /// Marks what `move_delays` could change, for `count_cone`.
  void mark_delays(const delay_queue& queue, std::span<const delay_start> started = {}) noexcept;
  /// Takes over the queued lines that differ and marks them. Before the delta is applied, and
  /// before the masks of sources are written. Fails only where a branch has no frame. `started`, in
  /// the commit that brought this plan: delays that begin, or have another length; `queue` is the
  /// one of the plan before, and what is followed still has the bits of the epoch before.
  [[nodiscard]] status move_delays(const delay_queue& queue,
                                   std::span<const delay_start> started = {});
  /// Queues what this commit changed, and all of what a delay that began follows. After
  /// `propagate`, before `finish`; not where it failed.
  void note_delays(delay_queue& queue, std::span<const delay_start> started = {}) noexcept;

  /// Clears masks and marks. `note`: tells the frame store what changed, for its spares. `changes`,
  /// where given, gets every changed page, sources and eager arrays, rising by slot.
  void finish(bool note, change_list* changes = nullptr) noexcept;
  void discard() noexcept;

  /// Recomputes every eager derived page aside and compares. Changes nothing.
  [[nodiscard]] result<audit_report> audit();

  /// One log per worker; [0] is the committer's own.
  [[nodiscard]] std::span<frame_log* const> logs() noexcept;
  /// What the workers counted since the last call.
  [[nodiscard]] work_counters take_counters() noexcept;
  /// All eager derived pages and source pages: the bound of any commit.
  [[nodiscard]] const frame_demand& whole_demand() const noexcept;
  [[nodiscard]] std::uint64_t derived_page_count() const noexcept;
  [[nodiscard]] const std::shared_ptr<const resolved_plan>& plan_in_use() const noexcept;
  /// Bytes of masks and dirty bits.
  [[nodiscard]] std::size_t scheduling_bytes() const noexcept;

 private:
  struct state;
  explicit executor(std::unique_ptr<state> made);
  std::unique_ptr<state> state_;
};

}  // namespace sheaf::inline v0
