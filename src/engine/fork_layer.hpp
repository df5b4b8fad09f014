/// \file
/// What a fork is made of: its base, an epoch of the engine that it pins, and a chain of *layers*.
/// A layer owns the frames of the pages that changed in it, and the source changes that made them.
///
/// Terms
///   base      one pin, shared by every fork, view and snapshot that goes back to it.
///   top       the newest layer of a fork. It changes in place while nobody else shares it.
///   shared    a layer with more than one owner: it never changes again. Who wants to write puts a
///             new layer on top of it.
///   index     a map of a layer over a run of layers below it, so that a look-up passes them in one
///             step. It owns no frames.
///
/// The life of a layer
/// | from      | to        | when                                            | function         |
/// |-----------|-----------|-------------------------------------------------|------------------|
/// | -         | exclusive | a fork without an exclusive top begins a commit | fork_core        |
/// | exclusive | shared    | the fork is forked, viewed or snapshotted       | layer_ptr (copy) |
/// | shared    | exclusive | all other owners are gone                       | layer_ptr (drop) |
/// | exclusive | -         | its only owner is the layer above: absorbed     | absorb_parent    |
/// | any       | -         | the last owner is gone: frames are freed        | layer_ptr (drop) |
///
/// Invariants
///  1. `shared-layer-is-still`: a layer changes only under a fork that is its one owner. Owners
///     come from owners alone, so a layer with one owner cannot get another behind its back.
///  2. `layer-maps-a-slot-once`, and a frame is owned by one layer.
///  3. What a slot shows: the first layer from the top that has it, else the base.
///
/// Thread safety: owners may come and go on any thread; a shared layer may be read from many; an
/// exclusive one belongs to its owner's thread.
/// Cost: about 400 B and 8 to 16 B a page. A look-up passes O(log layers) maps.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include <sheaf/engine/snapshot.hpp>
#include <sheaf/page/delta.hpp>

#include "engine/fork_workspace.hpp"
#include "engine/generation.hpp"
#include "engine/slot_map.hpp"

namespace sheaf::inline v0 {

class fork_layer;

/// One pin for all forks of an epoch.
struct fork_base {
  explicit fork_base(pin_share share) noexcept : pin(std::move(share)) {}

  [[nodiscard]] engine_core& core() const noexcept { return *pin.core(); }
  [[nodiscard]] const generation& graph() const noexcept { return pin.graph(); }
  [[nodiscard]] page_class page_of(std::uint32_t slot) const noexcept {
    return graph().forks->page_of(slot);
  }
  /// The frame that holds `slot` at the base's epoch.
  [[nodiscard]] std::uint32_t find(std::uint32_t slot, page_class page) const noexcept;

  pin_share pin;
};

/// A share of a layer, or nothing.
class layer_ptr {
 public:
  layer_ptr() noexcept = default;
  /// Takes over the first share of a new layer.
  explicit layer_ptr(fork_layer* made) noexcept : layer_(made) {}
  layer_ptr(const layer_ptr& other) noexcept;
  layer_ptr(layer_ptr&& other) noexcept : layer_(std::exchange(other.layer_, nullptr)) {}
  layer_ptr& operator=(layer_ptr other) noexcept {
    std::swap(layer_, other.layer_);
    return *this;
  }
  ~layer_ptr() { drop(layer_); }

  [[nodiscard]] fork_layer* get() const noexcept { return layer_; }
  fork_layer* operator->() const noexcept { return layer_; }
  fork_layer& operator*() const noexcept { return *layer_; }
  explicit operator bool() const noexcept { return layer_ != nullptr; }
  [[nodiscard]] fork_layer* release() noexcept { return std::exchange(layer_, nullptr); }

 private:
  /// One owner less. A chain of any length goes without recursion.
  static void drop(fork_layer* layer) noexcept;
  fork_layer* layer_ = nullptr;
};

/// The source changes of a layer, kept as two deltas so that a commit appends in O(its changes) and
/// repeated changes of an element do not pile up: the young one is merged into the old one when it
/// has grown as large. Amortised O(log n) per change.
class change_log {
 public:
  explicit change_log(std::size_t bytes_max) noexcept;

  /// Adds copies of the pieces of `next`; `too_many` where all would take more than `bytes_max`, or
  /// `out_of_memory`, with nothing changed.
  [[nodiscard]] status append(const delta& next) noexcept;
  /// The same with all that `later` holds.
  [[nodiscard]] status append(const change_log& later) noexcept;
  /// Merges old and young where the young one has grown. A failure leaves both as they are: merging
  /// saves memory and is tried again.
  void settle() noexcept;
  /// Merges all changes, in order, into `into`.
  [[nodiscard]] status merge_into(delta& into) const noexcept;
  [[nodiscard]] std::size_t byte_size() const noexcept;

 private:
  void merge_young() noexcept;

  delta old_;
  delta young_;
};

class fork_layer {
 public:
  fork_layer(std::shared_ptr<const fork_base> base, layer_ptr parent) noexcept;
  fork_layer(const fork_layer&) = delete;
  fork_layer& operator=(const fork_layer&) = delete;

  /// The frame of `slot` in this layer or one below it, or `slot_map::nothing`: then it is the
  /// base's.
  [[nodiscard]] std::uint32_t find(std::uint32_t slot) const noexcept {
    for (const fork_layer* at = this; at != nullptr; at = at->below_index_) {
      const std::uint32_t mine = at->own.find(slot);
      if (mine != slot_map::nothing) return mine;
      const std::uint32_t below = at->index_.find(slot);
      if (below != slot_map::nothing) return below;
    }
    return slot_map::nothing;
  }
  /// True where the caller, an owner, is the only one.
  [[nodiscard]] bool is_exclusive() const noexcept {
    // acquire: pairs with the release of those who dropped their shares; their reads are over.
    return owners_.load(std::memory_order_acquire) == 1;
  }
  /// Takes over the frames and changes of the layers below that nobody else owns. False where there
  /// was no memory: nothing changed. The caller owns this layer alone.
  bool absorb_parents() noexcept;
  /// Maps a run of layers below where a look-up would pass too many. The caller owns this layer
  /// alone. Without memory there is no index, and look-ups are slower.
  void index_parents() noexcept;
  /// Layers and indexes that a look-up passes.
  [[nodiscard]] std::uint32_t step_count() const noexcept;

  slot_map own;
  change_log changes;
  std::shared_ptr<const fork_base> base;
  layer_ptr parent;

 private:
  friend class layer_ptr;
  ~fork_layer();
  [[nodiscard]] bool absorb_parent() noexcept;

  std::atomic<std::uint32_t> owners_{1};
  slot_map index_;                             ///< of the layers from `parent` to `below_index_`
  const fork_layer* below_index_ = nullptr;    ///< where a look-up goes on; without index: parent
};

}  // namespace sheaf::inline v0
