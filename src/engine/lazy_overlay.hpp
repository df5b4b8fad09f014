/// \file
/// The lazy arrays of one snapshot: computed whole on first read, under a latch, into frames that
/// belong to the snapshot alone.
///
/// Invariants
///  1. A lazy array is computed at most once per snapshot, from what the snapshot sees.
///  2. `table()` entries of a computed array never change again.
///
/// Thread safety: `require` from any thread; the table entries of an array may be read after its
/// `require` returned ok.
/// Cost: 4 B of address space per slot, touched where used; the computation is O(array x fan-in).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <sheaf/base/mutex.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/engine/snapshot.hpp>
#include <sheaf/graph/plan.hpp>
#include <sheaf/page/frame_store.hpp>
#include <sheaf/page/pin_registry.hpp>

namespace sheaf::inline v0 {

struct resolved_plan;

class lazy_overlay {
 public:
  /// For the snapshot that owns `pin`.
  lazy_overlay(frame_store& frames, pin_registry& pins, const pin_share& pin);
  ~lazy_overlay();
  lazy_overlay(const lazy_overlay&) = delete;
  lazy_overlay& operator=(const lazy_overlay&) = delete;

  /// Computes node `node`, which is lazy, and the lazy arrays it reads.
  [[nodiscard]] status require(std::uint32_t node) SHEAF_EXCLUDES(mutex_);
  /// Frames by slot.
  [[nodiscard]] const std::uint32_t* table() const noexcept { return table_.get(); }

 private:
  struct owned_frame {
    page_class page;
    frame_id frame;
  };
  [[nodiscard]] status compute(std::uint32_t node) SHEAF_REQUIRES(mutex_);
  [[nodiscard]] status fill(const plan_node& node, const plan_operation& op)
      SHEAF_REQUIRES(mutex_);
  void drop_frames(std::size_t from) SHEAF_REQUIRES(mutex_);
  void resolve(std::uint32_t slot, std::uint32_t pages, page_class page) SHEAF_REQUIRES(mutex_);

  // Constant after construction.
  std::shared_ptr<const resolved_plan> plan_;
  frame_store& frames_;
  pin_registry& pins_;
  const std::uint32_t* frames_by_slot_;  ///< of the snapshot's generation
  pin_registry::slot_index pin_;
  std::uint64_t epoch_;

  mutex mutex_;
  struct free_delete {
    void operator()(std::uint32_t* table) const noexcept;
  };
  std::unique_ptr<std::uint32_t[], free_delete> table_;  ///< entries written under the latch
  /// First slots of the arrays that are in the table.
  std::vector<bool> known_ SHEAF_GUARDED_BY(mutex_);
  std::vector<owned_frame> owned_ SHEAF_GUARDED_BY(mutex_);
};

}  // namespace sheaf::inline v0
