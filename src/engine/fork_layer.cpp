#include "engine/fork_layer.hpp"

#include <algorithm>
#include <utility>

#include "engine/engine_core.hpp"

namespace sheaf::inline v0 {

namespace {

/// What a log's first column takes at least: most forks change a line or two.
constexpr std::size_t log_block_size = 256;
/// The young part of a log is merged once it is larger than this and than the old part.
constexpr std::size_t log_young_size = 1024;
/// A look-up that would pass more layers than this gets an index.
constexpr std::uint32_t steps_max = 8;

}  // namespace

layer_ptr::layer_ptr(const layer_ptr& other) noexcept : layer_(other.layer_) {
  // relaxed: the caller is an owner already.
  if (layer_ != nullptr) layer_->owners_.fetch_add(1, std::memory_order_relaxed);
}

void layer_ptr::drop(fork_layer* layer) noexcept {
  while (layer != nullptr) {
    // acq_rel: the last owner sees the reads of the others done before frames are freed.
    if (layer->owners_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    fork_layer* below = layer->parent.release();
    delete layer;
    layer = below;
  }
}

change_log::change_log(std::size_t bytes_max) noexcept
    : old_(bytes_max, log_block_size), young_(bytes_max, log_block_size) {}

status change_log::append(const delta& next) noexcept {
  const std::size_t bytes_max = young_.bytes_max();
  if (byte_size() + next.byte_size() > bytes_max) merge_young();
  if (byte_size() + next.byte_size() > bytes_max) {
    return make_status(status_code::too_many, subsystem::engine,
                       "the fork holds as many changes as one transaction may, merge it",
                       "%zu bytes and %zu more, the limit is transaction_bytes_max %zu",
                       byte_size(), next.byte_size(), bytes_max);
  }
  return young_.append_owned(next);
}

status change_log::append(const change_log& later) noexcept {
  delta both(young_.bytes_max(), log_block_size);
  SHEAF_TRY(both.append_owned(later.old_));
  SHEAF_TRY(both.append_owned(later.young_));
  return append(both);
}

void change_log::settle() noexcept {
  if (young_.byte_size() > std::max(log_young_size, old_.byte_size())) merge_young();
}

void change_log::merge_young() noexcept {
  if (old_.is_empty()) {
    std::swap(old_, young_);
    return;
  }
  if (merge(old_, young_).is_ok()) young_ = delta(young_.bytes_max(), log_block_size);
}

status change_log::merge_into(delta& into) const noexcept {
  SHEAF_TRY(merge(into, old_));
  return merge(into, young_);
}

std::size_t change_log::byte_size() const noexcept {
  return old_.byte_size() + young_.byte_size();
}

fork_layer::fork_layer(std::shared_ptr<const fork_base> from, layer_ptr below) noexcept
    : changes(from->core().transaction_bytes_max()),
      base(std::move(from)),
      parent(std::move(below)),
      below_index_(parent.get()) {}

fork_layer::~fork_layer() {
  page_allocator& allocator = base->core().allocator();
  std::uint64_t bytes = 0;
  own.for_each([&](std::uint32_t slot, std::uint32_t frame) {
    const page_class page = base->page_of(slot);
    allocator.deallocate(page, frame_id{frame});
    bytes += bytes_of(page);
  });
  base->core().forget_fork_bytes(bytes);
}

bool fork_layer::absorb_parents() noexcept {
  while (parent && parent->is_exclusive()) {
    if (!absorb_parent()) return false;
  }
  return true;
}

/// The smaller map goes into the larger one, so that a page moves O(log pages) times.
bool fork_layer::absorb_parent() noexcept {
  fork_layer& below = *parent;
  const bool into_below = below.own.size() > own.size();
  slot_map& target = into_below ? below.own : own;
  const slot_map& from = into_below ? own : below.own;
  if (!target.reserve(from.size())) return false;
  if (!below.changes.append(changes).is_ok()) return false;
  page_allocator& allocator = base->core().allocator();
  std::uint64_t bytes = 0;
  const auto free_frame = [&](std::uint32_t slot, std::uint32_t frame) {
    const page_class page = base->page_of(slot);
    allocator.deallocate(page, frame_id{frame});
    bytes += bytes_of(page);
  };
  from.for_each([&](std::uint32_t slot, std::uint32_t frame) {
    if (target.find(slot) == slot_map::nothing) {
      target.insert(slot, frame);
    } else {
      free_frame(slot, into_below ? target.replace(slot, frame) : frame);
    }
  });
  if (into_below) own.swap(below.own);
  below.own = slot_map();
  base->core().forget_fork_bytes(bytes);
  changes = std::move(below.changes);
  changes.settle();
  // A look-up goes on where one in the absorbed layer would have.
  if (below_index_ == &below) {
    if (index_.size() == 0) index_.swap(below.index_), below_index_ = below.below_index_;
    else below_index_ = below.parent.get();
  }
  layer_ptr rest(below.parent);
  parent = std::move(rest);
  return true;
}

std::uint32_t fork_layer::step_count() const noexcept {
  std::uint32_t steps = 0;
  for (const fork_layer* at = this; at != nullptr; at = at->below_index_) ++steps;
  return steps;
}

/// Takes in layers while what is taken in is not dwarfed by the next one: an entry is indexed again
/// only when the index has grown by half, so it costs O(log entries) per entry, and steps that are
/// left grow in size by two.
void fork_layer::index_parents() noexcept {
  if (step_count() <= steps_max) return;
  slot_map made;
  const fork_layer* at = parent.get();
  std::uint32_t taken = 0;
  for (; at != nullptr; at = at->below_index_, ++taken) {
    const std::uint32_t entries = at->own.size() + at->index_.size();
    if (taken >= 2 && entries > 2 * made.size()) break;
    if (!made.reserve(entries)) return;
    const auto add = [&](std::uint32_t slot, std::uint32_t frame) {
      if (made.find(slot) == slot_map::nothing) made.insert(slot, frame);
    };
    at->own.for_each(add);
    at->index_.for_each(add);
  }
  index_.swap(made);
  below_index_ = at;
}

}  // namespace sheaf::inline v0
