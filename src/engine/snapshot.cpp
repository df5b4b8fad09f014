#include <sheaf/engine/snapshot.hpp>

#include <new>
#include <utility>

#include <sheaf/engine/fork.hpp>

#include "engine/engine_core.hpp"
#include "engine/fork_core.hpp"

namespace sheaf::inline v0 {

pin_share::pin_share(std::shared_ptr<engine_core> core, const generation* graph,
                     std::uint32_t slot, std::uint64_t epoch) noexcept
    : core_(std::move(core)), graph_(graph), slot_(slot), epoch_(epoch) {}

pin_share::pin_share(const pin_share& other) noexcept
    : core_(other.core_), graph_(other.graph_), slot_(other.slot_), epoch_(other.epoch_) {
  if (core_ != nullptr) core_->share_pin(slot_);
}

pin_share::pin_share(pin_share&& other) noexcept
    : core_(std::move(other.core_)),
      graph_(other.graph_),
      slot_(other.slot_),
      epoch_(other.epoch_) {}

pin_share& pin_share::operator=(pin_share other) noexcept {
  std::swap(core_, other.core_);
  std::swap(graph_, other.graph_);
  std::swap(slot_, other.slot_);
  std::swap(epoch_, other.epoch_);
  return *this;
}

pin_share::~pin_share() {
  if (core_ != nullptr) core_->drop_pin(slot_);
}

const std::byte* view_source::page_bytes(std::uint32_t index) const noexcept {
  const engine_core& core = *pin.core();
  if (overlay != nullptr) {
    return core.base(page) + (std::size_t{overlay[slot + index]} << byte_shift(page));
  }
  if (branch != nullptr) return branch->page_bytes(slot + index, page);
  return pin.core()->visible(pin, slot + index, page);
}

snapshot::snapshot() noexcept
    : error_(status_code::closed, subsystem::engine, "the snapshot is not open") {}

snapshot::snapshot(std::shared_ptr<fork_version> branch) noexcept
    : pin_(branch->base->pin), branch_(std::move(branch)) {}

fork_state snapshot::fork() const {
  if (!pin_.is_open()) return fork_state(closed_reason());
  if (branch_ != nullptr) return fork_state::make(branch_->base, branch_->top, branch_->sequence);
  try {
    return fork_state::make(std::make_shared<const fork_base>(pin_), layer_ptr(), 0);
  } catch (const std::bad_alloc&) {
    return fork_state(status(status_code::out_of_memory, subsystem::engine,
                             "no memory for a fork"));
  }
}

bool snapshot::is_pressed() const noexcept {
  return pin_.is_open() && pin_.core()->is_pressed(pin_.epoch());
}

void snapshot::release() noexcept {
  branch_.reset();
  pin_ = pin_share();
  error_ = status(status_code::closed, subsystem::engine, "the snapshot is not open");
}

status snapshot::closed_reason() const {
  if (!error_.is_ok()) return error_;
  return status(status_code::closed, subsystem::engine, "the snapshot was moved from");
}

result<view_source> snapshot::find(const array_handle& target, dtype type) const {
  if (!pin_.is_open()) return closed_reason();
  if (branch_ != nullptr) return fork_version::find(branch_, target, type);
  return pin_.core()->find(target, type, pin_);
}

}  // namespace sheaf::inline v0
