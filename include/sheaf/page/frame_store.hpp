/// \file
/// Frames, their versions and the page table.
///
/// Terms
///   slot        names one (array, page); the plan numbers them. `frames()[slot]` is the frame that
///               holds the current version.
///   version     a frame with a birth epoch. The current version links to the one it superseded
///               (`older`), and so on: a chain per slot, births strictly falling.
///   superseded  not current any more. A superseded frame stays in its chain exactly as long as a
///               pin can see it, then it is freed or becomes a spare.
///   spare       a superseded frame that nobody can see, kept by the frame that replaced it. It
///   lacks
///               only the lines of that frame's `difference`, so the next version catches up by
///               copying those instead of the page (ping-pong).
///   old table   a page table of earlier slot numbers, kept while a pin protects one of its epochs.
///   grave       the head of the chain of a page that has no slot any more.
///
/// The life of a frame
/// | from        | to          | when                                    | function     |
/// |-------------|-------------|-----------------------------------------|--------------|
/// | free        | current     | a page is created or replaced           | create_page, replace |
/// | current     | superseded  | a page somebody can see changes         | replace      |
/// | superseded  | current     | the commit failed                       | roll_back    |
/// | superseded  | spare       | no pin sees it and spares are kept      | end_commit   |
/// | superseded  | free        | no pin sees it                          | end_commit, reclaim |
/// | spare       | current     | its page changes again                  | replace      |
///
/// Invariants
///  1. `chain-births-fall`: along a chain, births strictly fall.
///  2. `copy-on-write`: a frame changes in place only if its birth is after the newest pinned
///     epoch. Then no snapshot sees it.
///  3. `frame-has-one-place`: a frame is current, superseded, spare, in limbo or free; never two.
///  4. A *run* is the pages of a contiguous array: its frames have consecutive ids (an *extent*),
///  and
///     all pages of a run are replaced together, by its other extent (ping-pong: the lines that
///     differ are copied) or, where a pin still sees that one, by a further extent (a counted copy
///     of everything).
///  5. A frame leaves its chain before it is reused, and is reused only after a moment without
///     walkers (`pin_registry::is_walked`); until then it is in limbo.
///  6. A pinned epoch s finds its version: the first frame of the chain with birth <= s. If it is
///     the current one, one acquire load finds it without a walk: a frame reused meanwhile has a
///     birth after s and sends the reader to the walk.
///  7. `old-tables-hold`: an old table is never written. Its entries are frames that are visible at
///     its last epoch, and while it lives that epoch counts as pinned wherever it is decided what
///     is kept. So they stay in their chains, and a reader of one of its epochs that starts there
///     meets every older version it can see. A frame may still change in place under an old table:
///     then no pin sees it, and readers walk past it.
///  8. A superseded frame is reached from the table, or from its page's grave; never from both.
///  9. `room-before-change`: whatever may take memory after a commit was published took it before
///     the commit changed anything (`make_room`).
///
/// Thread safety: `visible` from any thread that holds the pin. The rest belongs to the committer;
/// `replace` may run on several of its workers at once for different slots, each with its own log.
/// Cost: 24 B of metadata a frame, 4 B a slot; another table O(slots). `replace` copies the lines
/// it is not told will be overwritten, or with a spare only those that differ; for a run it costs
/// O(pages) besides.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <sheaf/base/assert.hpp>
#include <sheaf/base/id.hpp>
#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/memory/page_allocator.hpp>
#include <sheaf/memory/virtual_arena.hpp>
#include <sheaf/page/frame_runs.hpp>
#include <sheaf/page/pin_registry.hpp>

namespace sheaf::inline v0 {

struct frame_store_options {
  std::size_t bytes_max = std::size_t{1} << 40;          ///< over all frames
  std::size_t history_bytes_max = std::size_t{1} << 36;  ///< over superseded frames
  std::uint32_t slot_count = 0;
  std::uint32_t pins_max = 4096;  ///< of the pin registry the commits look at
};

/// One page that got another frame.
struct frame_swap {
  std::uint32_t slot;
  std::uint32_t old_frame;
  std::uint64_t old_birth;
  std::uint64_t superseded;  ///< birth of the frame that took its place
  page_class page;
  bool buried = false;       ///< `slot` is a grave
};
static_assert(sizeof(frame_swap) == 32);

/// Slots [from, from + count) of one table that are [to, to + count) of the next.
struct slot_run {
  std::uint32_t from, to, count;
  page_class page;
};
struct page_run {
  std::uint32_t slot, count;
  page_class page;
  bool contiguous = false;  ///< fresh: one extent
};
/// From one page table to the next. Each old slot that has a frame is in `kept` or in `buried`; the
/// pages of a contiguous array together.
struct table_change {
  std::uint32_t slot_count = 0;   ///< of the new table
  std::vector<slot_run> kept;
  std::vector<page_run> fresh;    ///< new slots that get a first frame
  std::vector<page_run> buried;   ///< old slots whose pages are gone
};

/// How many pages a commit may replace, by size class.
struct frame_demand {
  std::uint64_t replaced[page_class_count] = {};
  std::uint64_t with_spare[page_class_count] = {};  ///< of these, pages that need no new frame
};

/// What one worker did in one commit.
struct frame_log {
  std::vector<frame_swap> swaps;
  std::uint32_t reserved_used[page_class_count] = {};
  std::uint32_t spares_used[page_class_count] = {};
  std::uint64_t frames_copied = 0;    ///< pages copied into a frame from the allocator
  std::uint64_t frames_reused = 0;    ///< pages brought up to date in their spare
  std::uint64_t lines_copied = 0;     ///< lines copied for either
  std::uint64_t runs_copied = 0;      ///< contiguous arrays copied whole, for a third version

  void clear() noexcept;
};

class frame_store {
 public:
  [[nodiscard]] static result<std::unique_ptr<frame_store>> create(
      const frame_store_options& options) noexcept;
  ~frame_store() = default;
  frame_store(const frame_store&) = delete;
  frame_store& operator=(const frame_store&) = delete;

  /// Gives `slot` its first frame, all zero, born at `birth`.
  [[nodiscard]] status create_page(std::uint32_t slot, page_class page,
                                   std::uint64_t birth = 1) noexcept;

  /// Gives `count` slots from `slot` on their first frames: one extent, all zero, born at
  /// `birth`.
  [[nodiscard]] status create_run(std::uint32_t slot, std::uint32_t count, page_class page,
                                  std::uint64_t birth = 1) noexcept;

  /// The page table. Workers read it plainly between their own stores.
  [[nodiscard]] const std::uint32_t* frames() const noexcept { return table_.get(); }
  [[nodiscard]] std::byte* base(page_class page) const noexcept { return allocator_->base(page); }
  [[nodiscard]] std::byte* current(std::uint32_t slot, page_class page) const noexcept {
    return base(page) + (std::size_t{table_[slot]} << byte_shift(page));
  }
  [[nodiscard]] page_allocator& allocator() noexcept { return *allocator_; }
  [[nodiscard]] const page_allocator& allocator() const noexcept { return *allocator_; }

  /// The page as epoch `epoch` has it; valid and still while `pin` protects that epoch. `table`:
  /// the page table of that epoch's generation.
  [[nodiscard]] const std::byte* visible(const std::uint32_t* table, std::uint32_t slot,
                                         page_class page, std::uint64_t epoch, pin_registry& pins,
                                         pin_registry::slot_index pin) const noexcept;

  /// Begins a commit at `epoch`. Frames born at or before `newest_pinned` get replaced, others
  /// change in place (0: all change in place).
  void begin_commit(std::uint64_t epoch, std::uint64_t newest_pinned) noexcept;
  /// Sets aside frames and room in each of `logs` for replacements of pages, by size class;
  /// `out_of_memory` or `history_full` with nothing changed. Afterwards `replace` cannot fail.
  [[nodiscard]] status reserve(const frame_demand& demand,
                               std::span<frame_log* const> logs) noexcept;

  [[nodiscard]] bool all_in_place() const noexcept { return newest_pinned_ == 0; }
  /// Read it before the page's address: a worker may replace a whole run, this page included.
  [[nodiscard]] bool changes_in_place(std::uint32_t slot, page_class page) const noexcept {
    if (SHEAF_UNLIKELY(!runs_.is_empty())) return run_changes_in_place(slot, page);
    return meta(page, table_[slot]).birth > newest_pinned_;
  }
  /// True where runs exist: their differences must be noted, and exact demands counted.
  [[nodiscard]] bool has_runs() const noexcept { return !runs_.is_empty(); }
  /// Counts `slot` where this commit would have to replace it; of a run, all its pages.
  void add_demand(std::uint32_t slot, page_class page, frame_demand& to) noexcept {
    if (changes_in_place(slot, page)) return;
    if (SHEAF_UNLIKELY(!runs_.is_empty()) && add_run_demand(slot, to)) return;
    ++to.replaced[static_cast<unsigned>(page)];
    to.with_spare[static_cast<unsigned>(page)] += meta(page, table_[slot]).spare != none;
  }
  /// Gives `slot` a frame of this commit and returns its address. Lines outside `overwritten` hold
  /// the old content; those inside hold anything. Of a run, all pages are replaced at once; a page
  /// that has its frame of this commit already keeps it.
  std::byte* replace(std::uint32_t slot, page_class page, line_mask overwritten,
                     frame_log& log) noexcept;
  /// Adds to the difference between a page's frame and its spare; where spares are kept, the
  /// committer says it for every changed page before `end_commit`.
  void note_changed(std::uint32_t slot, page_class page, line_mask changed) noexcept {
    meta(page, table_[slot]).difference |= changed;
  }

  /// Puts every replaced page back and gives the reservation back. Content and chains are as before
  /// `begin_commit`; the logs are empty.
  void roll_back(std::span<frame_log* const> logs, const pin_registry& pins) noexcept;
  /// Sorts what the commit superseded: still visible, spare, or free. Gives back what is left of
  /// the reservation.
  void end_commit(std::span<frame_log* const> logs, const pin_registry& pins,
                  bool keep_spares) noexcept;
  /// Frees superseded frames whose last pin is gone. O(pins + frames concerned).
  void reclaim(const pin_registry& pins) noexcept;

  // Another page table, in the commit that publishes `epoch`: `begin_table` before the commit
  // changes anything; then, after `roll_back`, `undo_table`; or, once the epoch is published and
  // before `end_commit`, `retire_table`.

  /// Makes the table after `change` the current one; its fresh pages are zero and born at `epoch`.
  /// `out_of_memory` or `history_full` with nothing changed. O(slots).
  [[nodiscard]] status begin_table(std::shared_ptr<const table_change> change,
                                   std::uint64_t epoch, const pin_registry& pins) noexcept;
  /// Goes back to the table before, and frees the fresh pages.
  void undo_table() noexcept;
  /// Keeps the table before for readers of epochs [first, epoch), as long as there are any, and
  /// gives up the buried pages as soon as nobody sees them.
  void retire_table(std::uint64_t first, const pin_registry& pins) noexcept;
  /// True while a reader may use `table`, an old one.
  [[nodiscard]] bool keeps(const std::uint32_t* table) const noexcept;

  [[nodiscard]] std::uint64_t history_bytes() const noexcept {
    return history_bytes_.load(std::memory_order_relaxed);  // a hint to closers, a figure to people
  }
  [[nodiscard]] std::uint64_t spare_bytes() const noexcept { return spare_bytes_; }
  [[nodiscard]] std::uint32_t slot_count() const noexcept { return slot_count_; }
  /// Walks every chain and checks invariants 1, 3, 6 and 7. O(frames).
  [[nodiscard]] bool is_consistent(std::span<const page_class> page_of_slot) const;

 private:
  struct frame_meta {
    std::uint64_t birth;       ///< epoch from which the content is visible
    std::uint64_t difference;  ///< lines in which it may differ from its spare
    std::uint32_t older;       ///< the version it superseded, or no_index
    std::uint32_t spare;       ///< or no_index
  };
  static_assert(sizeof(frame_meta) == 24);
  static constexpr std::uint32_t none = 0xffff'ffffu;

  struct limbo_frame {
    page_class page;
    std::uint32_t frame;
  };
  struct grave {
    std::uint32_t head;
    page_class page;
  };
  struct old_table {
    std::uint64_t first, last;  ///< its epochs
    std::unique_ptr<std::uint32_t[]> entries;
    std::shared_ptr<const table_change> change;  ///< to the table after it
  };
  /// A table in the making: what `undo_table` and `retire_table` need.
  struct next_table {
    std::unique_ptr<std::uint32_t[]> before;
    std::uint32_t slots_before = 0;
    std::uint64_t buried_count = 0;
    std::uint64_t epoch = 0;
    std::shared_ptr<const table_change> change;
    std::vector<std::uint32_t> place;  ///< by old slot: new slot, or the grave of a buried page
    std::vector<bool> is_buried;       ///< by old slot
    std::vector<std::uint32_t> runs_before;  ///< first slots of contiguous arrays
  };
  /// A superseded frame that some pin sees, in the list of a bucket or in that of free nodes.
  struct kept_swap {
    frame_swap swap;
    std::uint32_t next;
  };
  /// Superseded frames whose newest pin is `pin` (0: only an opening pin protects them).
  struct bucket {
    std::uint64_t pin;
    std::uint32_t first;  ///< of `kept_`
  };

  explicit frame_store(const frame_store_options& options);
  static status grow_meta_hook(void* context, page_class page, std::uint32_t frame_limit) noexcept;

  [[nodiscard]] frame_meta& meta(page_class page, std::uint32_t frame) const noexcept {
    return meta_[static_cast<unsigned>(page)][frame];
  }
  [[nodiscard]] status prepare_table(const table_change& change, std::uint64_t epoch,
                                     const pin_registry& pins);
  [[nodiscard]] status create_fresh(const table_change& change, std::uint64_t epoch) noexcept;
  void free_fresh(const page_run& run, std::uint32_t count) noexcept;
  void dig_graves() noexcept;
  void move_runs() noexcept;
  void move_runs_back() noexcept;
  void scan_all(const pin_registry& pins) noexcept;
  [[nodiscard]] std::uint32_t* link_to(const frame_swap& swap) noexcept;
  void make_room(std::uint64_t pages);
  void make_room_for_pins();
  void keep(const frame_swap& swap, std::uint64_t pin);
  void unlink(const frame_swap& swap) noexcept;
  void sort_out(const frame_swap& swap, const pin_view& pins, bool is_new, bool keep_spares);
  void release_unlinked(const pin_registry& pins) noexcept;
  void roll_back_one(frame_log& log) noexcept;
  [[nodiscard]] bool run_changes_in_place(std::uint32_t slot, page_class page) const noexcept;
  [[nodiscard]] bool can_be_run_spare(const frame_swap& swap) const noexcept;
  bool add_run_demand(std::uint32_t slot, frame_demand& to) noexcept;
  void replace_run(frame_run& run, frame_log& log) noexcept;
  void install(std::uint32_t slot, page_class page, std::uint32_t fresh, line_mask carried,
               frame_log& log) noexcept;
  void free_frame(page_class page, std::uint32_t frame) noexcept;
  void settle_log(const frame_log& log) noexcept;
  void unreserve_rest() noexcept;

  // Constant after construction.
  std::uint32_t slot_count_;
  std::size_t history_bytes_max_;
  std::uint32_t pins_max_;
  std::unique_ptr<page_allocator> allocator_;
  virtual_arena meta_arenas_[page_class_count];
  frame_meta* meta_[page_class_count] = {};

  // Written by the committer; `visible` reads the table and metadata through atomic_ref.
  std::unique_ptr<std::uint32_t[]> table_;
  std::uint64_t epoch_ = 0;
  std::uint64_t newest_pinned_ = 0;
  std::uint64_t reserved_[page_class_count] = {};
  frame_runs runs_;
  std::vector<bucket> buckets_;             ///< rising by pin
  std::vector<kept_swap> kept_;
  std::uint32_t free_kept_ = none;          ///< head of the free nodes of `kept_`
  std::uint64_t kept_count_ = 0;            ///< nodes in use
  std::vector<frame_swap> to_spare_;        ///< unlinked, to become spares
  std::vector<limbo_frame> limbo_;          ///< unlinked, to be freed
  pin_view scanned_;                        ///< with the last epochs of old tables
  std::vector<old_table> old_tables_;       ///< rising by epoch
  next_table next_;
  std::vector<grave> graves_;
  std::vector<std::uint32_t> free_graves_;
  std::atomic<std::uint64_t> history_bytes_{0};
  std::uint64_t spare_bytes_ = 0;
};

}  // namespace sheaf::inline v0
