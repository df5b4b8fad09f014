/// \file
/// The engine's side of forks: the base that forks of one epoch share, and the limits.
#include <new>
#include <utility>

#include <sheaf/propagate/operator_scope.hpp>

#include "engine/engine_core.hpp"
#include "engine/fork_layer.hpp"

namespace sheaf::inline v0 {

std::uint32_t fork_base::find(std::uint32_t slot, page_class page) const noexcept {
  const std::byte* bytes = core().visible(pin, slot, page);
  return static_cast<std::uint32_t>((bytes - core().base(page)) >> byte_shift(page));
}

result<std::shared_ptr<const fork_base>> engine_core::newest_fork_base() {
  // Before the lock: its holder may wait for the commit around the operator.
  if (is_inside_operator()) return inside_operator();
  const mutex_lock lock(fork_mutex_);
  auto base = newest_fork_base_.lock();
  if (base != nullptr && base->pin.epoch() == published() && !is_closed()) return base;
  auto pin = open_snapshot();
  if (!pin) return pin.error();
  try {
    base = std::make_shared<const fork_base>(std::move(*pin));
  } catch (const std::bad_alloc&) {
    return status(status_code::out_of_memory, subsystem::engine, "no memory for a fork");
  }
  newest_fork_base_ = base;
  return base;
}

// seq_cst: a commit that counts no fork is followed by forks of its epoch or later ones only.
status engine_core::open_fork() noexcept {
  if (open_forks_.fetch_add(1) < options_.forks_max) return {};
  open_forks_.fetch_sub(1);
  return make_status(status_code::too_many, subsystem::engine, "too many forks are alive",
                     "%u, the limit is forks_max", options_.forks_max);
}

void engine_core::close_fork() noexcept { open_forks_.fetch_sub(1); }

// Figures that only have to add up: nothing else is read through them, so relaxed.
status engine_core::check_fork_bytes(std::uint64_t more) const noexcept {
  const std::uint64_t used = fork_bytes_.load(std::memory_order_relaxed);
  if (SHEAF_LIKELY(used + more <= options_.fork_bytes_max)) return {};
  return make_status(status_code::out_of_memory, subsystem::engine,
                     "the frames of forks have used up their budget, drop a fork",
                     "%llu bytes used and %llu more needed of fork_bytes_max %llu",
                     static_cast<unsigned long long>(used), static_cast<unsigned long long>(more),
                     static_cast<unsigned long long>(options_.fork_bytes_max));
}

void engine_core::count_fork_bytes(std::uint64_t more) noexcept {
  fork_bytes_.fetch_add(more, std::memory_order_relaxed);
}

void engine_core::forget_fork_bytes(std::uint64_t bytes) noexcept {
  if (bytes != 0) fork_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

}  // namespace sheaf::inline v0
