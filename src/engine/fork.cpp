#include <sheaf/engine/fork.hpp>

#include <cstring>
#include <new>
#include <utility>

#include <sheaf/engine/engine.hpp>
#include <sheaf/propagate/operator_scope.hpp>

#include "engine/engine_core.hpp"
#include "engine/fork_core.hpp"
#include "engine/own_writes.hpp"

namespace sheaf::inline v0 {

namespace {

status inside_operator() {
  return status(status_code::reentrant, subsystem::engine,
                "a fork was called from inside an operator");
}

}  // namespace

fork_transaction::fork_transaction(std::shared_ptr<fork_core> target) noexcept
    : target_(std::move(target)) {
  const std::shared_ptr<const fork_base>& base = target_->base();
  write_to(base->pin.core(), {base, &base->graph()});
}

result<std::uint64_t> fork_transaction::commit() && {
  return end_with([this](const delta& changes) -> result<std::uint64_t> {
    return target_->commit(changes);
  });
}

result<view_source> fork_transaction::find(const array_handle& target, dtype type) {
  if (!error().is_ok()) return error();
  if (target_ == nullptr) {
    return status(status_code::closed, subsystem::engine, "the transaction is not open");
  }
  auto now = target_->version();
  if (!now) return now.error();
  return fork_version::find(*now, target, type);
}

status fork_transaction::read_element(const array_handle& target, dtype type, std::uint64_t index,
                                      void* into) {
  const result<view_source> found = find(target, type);
  if (!found) return found.error();
  if (index >= found->length) {
    return make_status(status_code::out_of_range, subsystem::engine, "no such element",
                       "%llu of an array of %llu", static_cast<unsigned long long>(index),
                       static_cast<unsigned long long>(found->length));
  }
  const unsigned shift = byte_shift(found->page) - size_shift(type);
  const std::uint64_t within = index & ((std::uint64_t{1} << shift) - 1);
  const std::byte* page = found->page_bytes(static_cast<std::uint32_t>(index >> shift));
  std::memcpy(into, page + (within << size_shift(type)), size_of(type));
  const plan& graph = *target_->base()->graph().graph;
  if (graph.is_source(graph.producer_of_array[index_of(target.id)])) {
    apply_own_writes(changes(), target.id, index, 1, into);
  }
  return {};
}

fork_state::fork_state() noexcept
    : error_(status_code::closed, subsystem::engine, "the fork is not open") {}

fork_state::fork_state(std::shared_ptr<fork_core> core) noexcept : core_(std::move(core)) {}

fork_state& fork_state::operator=(fork_state&& other) noexcept {
  if (this == &other) return *this;
  drop();
  core_ = std::move(other.core_);
  error_ = other.error_;
  return *this;
}

fork_state::~fork_state() { drop(); }

fork_state::operator bool() const noexcept { return core_ != nullptr && !core_->is_over(); }

fork_state fork_state::make(std::shared_ptr<const fork_base> base, const layer_ptr& top,
                            std::uint64_t sequence) {
  if (is_inside_operator()) return fork_state(inside_operator());
  const std::shared_ptr<engine_core> engine = base->pin.core();
  if (const status counted = engine->open_fork(); !counted.is_ok()) return fork_state(counted);
  try {
    return fork_state(std::make_shared<fork_core>(std::move(base), top, sequence));
  } catch (const std::bad_alloc&) {
    engine->close_fork();
    return fork_state(status(status_code::out_of_memory, subsystem::engine,
                             "no memory for a fork"));
  }
}

fork_state engine::fork() {
  if (core_ == nullptr) return fork_state();
  // Open like a transaction until it is counted as a fork: what is written meanwhile is remembered.
  const std::uint32_t slot = core_->begin().slot;
  auto base = core_->newest_fork_base();
  fork_state made = base ? fork_state::make(std::move(*base), layer_ptr(), 0)
                         : fork_state(base.error());
  core_->end(slot);
  return made;
}

status fork_state::closed_reason() const {
  if (!error_.is_ok()) return error_;
  return status(status_code::closed, subsystem::engine,
                core_ == nullptr ? "the fork was moved from" : "the fork was dropped");
}

epoch fork_state::base() const noexcept {
  return {*this ? core_->base()->pin.epoch() : 0};
}

std::uint64_t fork_state::sequence() const noexcept {
  return core_ == nullptr ? 0 : core_->sequence();
}

fork_transaction fork_state::begin() noexcept {
  return *this ? fork_transaction(core_) : fork_transaction();
}

fork_state fork_state::fork() const {
  if (!*this) return fork_state(closed_reason());
  return make(core_->base(), core_->top(), core_->sequence());
}

snapshot fork_state::snapshot() const {
  if (!*this) return sheaf::snapshot(closed_reason());
  if (is_inside_operator()) return sheaf::snapshot(inside_operator());
  auto now = core_->version();
  if (!now) return sheaf::snapshot(now.error());
  return sheaf::snapshot(std::move(*now));
}

result<view_source> fork_state::find(const array_handle& target, dtype type) const {
  if (!*this) return closed_reason();
  auto now = core_->version();
  if (!now) return now.error();
  return fork_version::find(*now, target, type);
}

result<epoch> fork_state::merge() {
  if (!*this) return closed_reason();
  const std::shared_ptr<engine_core> engine = core_->base()->pin.core();
  delta changes(engine->transaction_bytes_max());
  SHEAF_TRY(core_->all_changes(changes));
  commit_request request;
  request.changes = &changes;
  request.base = &core_->base()->graph();
  request.begin_epoch = core_->base()->pin.epoch();
  auto done = engine->commit(request);
  if (done) drop();
  return done;
}

result<std::uint64_t> fork_state::merge_into(fork_state& other) {
  if (!*this) return closed_reason();
  if (!other) return other.closed_reason();
  if (&other == this) {
    return status(status_code::invalid_argument, subsystem::engine,
                  "a fork cannot be merged into itself");
  }
  const pin_share& mine = core_->base()->pin;
  const pin_share& theirs = other.core_->base()->pin;
  if (mine.core() != theirs.core() || mine.epoch() != theirs.epoch()) {
    return make_status(status_code::invalid_argument, subsystem::engine,
                       "the forks go back to different epochs", "epoch %llu and epoch %llu",
                       static_cast<unsigned long long>(mine.epoch()),
                       static_cast<unsigned long long>(theirs.epoch()));
  }
  delta changes(mine.core()->transaction_bytes_max());
  SHEAF_TRY(core_->changes_since(*other.core_, changes));
  auto done = other.core_->commit(changes);
  if (done) drop();
  return done;
}

void fork_state::drop() noexcept {
  if (core_ != nullptr) core_->drop();
}

work_counters fork_state::last_commit() const noexcept {
  return core_ == nullptr ? work_counters{} : core_->last_commit();
}

result<audit_report> fork_state::audit() {
  if (!*this) return closed_reason();
  if (is_inside_operator()) return inside_operator();
  return core_->audit();
}

}  // namespace sheaf::inline v0
