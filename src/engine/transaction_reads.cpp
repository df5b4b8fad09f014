/// \file
/// Reads of transactions, their tags and savepoints.
#include <cstring>
#include <new>

#include <sheaf/propagate/operator_scope.hpp>

#include "engine/engine_core.hpp"
#include "engine/lazy_order.hpp"
#include "engine/own_writes.hpp"
#include "engine/slot_owner.hpp"
#include "engine/transaction_state.hpp"

namespace sheaf::inline v0 {

namespace {

status no_memory() noexcept {
  return status(status_code::out_of_memory, subsystem::engine,
                "no memory for what the transaction read");
}

/// Notes lines [first, last] of the array whose pages begin at `slot`.
void note_lines(read_set& reads, std::uint32_t slot, page_class page, std::uint64_t first,
                std::uint64_t last) {
  const auto shift = static_cast<unsigned>(page);
  const std::uint64_t within = lines_of(page) - 1;
  for (std::uint64_t at = first >> shift; at <= last >> shift; ++at) {
    const auto from = static_cast<unsigned>(at == first >> shift ? first & within : 0);
    const auto to = static_cast<unsigned>(at == last >> shift ? last & within : within);
    reads.add(slot + static_cast<std::uint32_t>(at), lines_between(from, to + 1));
  }
}

/// A lazy array stands for the whole of the eager arrays and sources it is computed from.
void note_lazy(read_set& reads, const plan& graph, std::uint32_t node) {
  const auto nodes = lazy_nodes_to_compute(graph, node, [](std::uint32_t) { return false; });
  for (const std::uint32_t index : nodes) {
    visit_operands(graph, graph.nodes[index],
                   [&](std::uint32_t slot, std::uint32_t pages, page_class page) {
                     if (lazy_node_at(graph, slot) != no_index) return;
                     note_lines(reads, slot, page, 0, std::uint64_t{pages} * lines_of(page) - 1);
                     const std::uint32_t producer = producer_at(graph, slot);
                     if (!graph.is_source(producer)) reads.add_derived(producer);
                   });
  }
}

/// Notes that elements [first, first + count) of `producer` were read; `count` is at least 1.
void note_read(read_set& reads, const plan& graph, std::uint32_t producer, dtype type,
               page_class page, std::uint64_t first, std::uint64_t count) {
  if (!graph.is_source(producer)) {
    if (graph.operation_of(graph.node_of(producer)).lazy) {
      return note_lazy(reads, graph, producer - graph.source_count());
    }
    reads.add_derived(producer);
  }
  const unsigned shift = line_shift - size_shift(type);
  note_lines(reads, first_slot_of(graph, producer), page, first >> shift,
             (first + count - 1) >> shift);
}

void copy_elements(const view_source& from, dtype type, std::uint64_t first, std::uint64_t count,
                   std::byte* into) noexcept {
  const unsigned page_shift = byte_shift(from.page);
  std::uint64_t at = first << size_shift(type);
  std::uint64_t left = count << size_shift(type);
  while (left != 0) {
    const std::uint64_t within = at & (bytes_of(from.page) - 1);
    const std::uint64_t size = std::min<std::uint64_t>(left, bytes_of(from.page) - within);
    std::memcpy(into, from.page_bytes(static_cast<std::uint32_t>(at >> page_shift)) + within,
                size);
    into += size;
    at += size;
    left -= size;
  }
}

}  // namespace

/// Null where there is no memory for it; the transaction is then poisoned.
transaction_state* transaction::state() noexcept {
  if (state_ == nullptr) {
    state_.reset(new (std::nothrow) transaction_state);
    if (state_ == nullptr) remember(no_memory());
  }
  return state_.get();
}

status transaction::pin_snapshot() noexcept {
  if (!error_.is_ok()) return error_;
  if (!is_open_) {
    return status(status_code::unsupported, subsystem::engine,
                  "a transaction of a fork does not read, the fork does");
  }
  if (state() == nullptr) return error_;
  if (state_->pin.is_open()) return {};
  auto pin = core_->open_snapshot();
  if (!pin) return pin.error();
  state_->pin = std::move(*pin);
  state_->reads.epoch = state_->pin.epoch();
  if (delta_.is_empty()) begin_epoch_ = state_->reads.epoch;
  return {};
}

status transaction::read_elements(const array_handle& target, dtype type, std::uint64_t first,
                                  std::uint64_t count, void* into, bool noted) noexcept {
  SHEAF_TRY(pin_snapshot());
  auto found = core_->find(target, type, state_->pin);
  if (!found) return found.error();
  if (first > found->length || count > found->length - first) {
    return make_status(status_code::out_of_range, subsystem::engine, "no such elements",
                       "%llu and the next, %llu in all, of an array of %llu",
                       static_cast<unsigned long long>(first),
                       static_cast<unsigned long long>(count),
                       static_cast<unsigned long long>(found->length));
  }
  if (count == 0) return {};
  const plan& graph = *state_->pin.graph().graph;
  const std::uint32_t producer = graph.producer_of_array[index_of(target.id)];
  if (noted && state_->level == isolation::serializable) {
    if (state_->reads.byte_size() >= core_->transaction_bytes_max()) {
      return make_status(status_code::too_many, subsystem::engine,
                         "the transaction read too many pages", "%zu bytes",
                         state_->reads.byte_size());
    }
    try {
      note_read(state_->reads, graph, producer, type, found->page, first, count);
    } catch (const std::bad_alloc&) {
      return no_memory();
    }
  }
  copy_elements(*found, type, first, count, static_cast<std::byte*>(into));
  if (graph.is_source(producer)) apply_own_writes(delta_, target.id, first, count, into);
  return {};
}

result<std::uint64_t> transaction::read_size(const array_handle& target, dtype type) noexcept {
  SHEAF_TRY(pin_snapshot());
  const auto found = core_->find(target, type, state_->pin);
  if (!found) return found.error();
  return found->length;
}

void transaction::tag(std::string_view who, std::string_view why) noexcept {
  if (!error_.is_ok()) return;
  if (who.size() > who_size_max || why.size() > why_size_max) {
    return remember(make_status(status_code::invalid_argument, subsystem::engine,
                                "the tag of a transaction is too long",
                                "%zu and %zu bytes, the limits are %zu and %zu", who.size(),
                                why.size(), who_size_max, why_size_max));
  }
  if (state() == nullptr) return;
  state_->tag.set(who, why);
  state_->is_tagged = true;
}

savepoint_id transaction::savepoint() noexcept {
  if (!error_.is_ok() || state() == nullptr) return {};
  try {
    state_->savepoints.push_back({++state_->stamp, delta_.here()});
  } catch (const std::bad_alloc&) {
    remember(no_memory());
    return {};
  }
  return {static_cast<std::uint32_t>(state_->savepoints.size() - 1), state_->stamp};
}

status transaction::roll_back_to(savepoint_id to) noexcept {
  if (!is_open_ && !error_.is_ok()) return error_;
  if (state_ == nullptr || to.index >= state_->savepoints.size() ||
      state_->savepoints[to.index].stamp != to.stamp) {
    return status(status_code::invalid_argument, subsystem::engine,
                  "the savepoint is not one of this transaction, or is gone");
  }
  if (edit_ != nullptr) {
    return status(status_code::unsupported, subsystem::engine,
                  "edits of the graph are not taken back to a savepoint");
  }
  // Before the first write the transaction has no storage of the engine's; then it is empty now.
  delta_.roll_back(state_->savepoints[to.index].mark);
  state_->savepoints.resize(to.index + 1);
  error_ = status();
  return {};
}

}  // namespace sheaf::inline v0
