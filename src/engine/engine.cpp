#include <sheaf/engine/engine.hpp>

#include <memory>
#include <new>

#include "engine/engine_core.hpp"

namespace sheaf::inline v0 {

engine::engine(std::shared_ptr<engine_core> core) noexcept : core_(std::move(core)) {}
engine::engine(engine&&) noexcept = default;

engine& engine::operator=(engine&& other) noexcept {
  if (this == &other) return *this;
  std::destroy_at(this);
  return *std::construct_at(this, std::move(other));
}

engine::~engine() {
  close();
  if (core_ != nullptr) core_->drop_shares();
}

result<engine> engine::open(const model& declared, const engine_options& options) {
  try {
    auto core = engine_core::open(declared, options);
    if (!core) return core.error();
    return engine(std::move(*core));
  } catch (const std::bad_alloc&) {
    return status(status_code::out_of_memory, subsystem::engine,
                  "no memory for the tables of the engine");
  }
}

transaction engine::begin(const transaction_options& options) noexcept {
  return transaction(core_ == nullptr ? nullptr : core_->share(core_), options);
}

sheaf::snapshot engine::snapshot() noexcept {
  if (core_ == nullptr) return sheaf::snapshot();
  auto pin = core_->open_snapshot();
  if (!pin) return sheaf::snapshot(pin.error());
  return sheaf::snapshot(std::move(*pin));
}

subscription engine::subscribe(std::span<const any_array> arrays) noexcept {
  if (core_ == nullptr || core_->is_closed()) return subscription();
  try {
    auto ids = core_->ids_of(arrays);
    if (!ids) return subscription(ids.error());
    return subscription(core_, std::move(*ids));
  } catch (const std::bad_alloc&) {
    return subscription(
        status(status_code::out_of_memory, subsystem::engine, "no memory for a subscription"));
  }
}

result<explanation> engine::explain(const any_array& target, std::uint64_t index) {
  if (core_ == nullptr) return status(status_code::closed, subsystem::engine, "no engine is open");
  try {
    return core_->explain(target.handle(), target.type(), index);
  } catch (const std::bad_alloc&) {
    return status(status_code::out_of_memory, subsystem::engine, "no memory for an explanation");
  }
}

sheaf::epoch engine::epoch() const noexcept {
  return {core_ == nullptr ? 0 : core_->published()};
}

work_counters engine::last_commit() const {
  return core_ == nullptr ? work_counters{} : core_->last_commit();
}

engine_stats engine::stats() const { return core_ == nullptr ? engine_stats{} : core_->stats(); }

result<audit_report> engine::audit() {
  if (core_ == nullptr) return status(status_code::closed, subsystem::engine, "no engine is open");
  return core_->audit();
}

status engine::recompute() {
  if (core_ == nullptr) return status(status_code::closed, subsystem::engine, "no engine is open");
  return core_->recompute();
}

std::size_t engine::trim() { return core_ == nullptr ? 0 : core_->trim(); }

std::shared_ptr<const model_data> engine::declared() const noexcept {
  return core_ == nullptr ? nullptr : core_->declared();
}

void engine::close() noexcept {
  if (core_ != nullptr) core_->close();
}

}  // namespace sheaf::inline v0
