/// \file
/// Device memory that is no page: arrays of a plan, a ring's twin. Taken from the same layer, and
/// counted in the same budget, as frames.
///
/// Invariants
///  1. `block-within-budget`: what a block holds is counted, and the limit is looked at before
///     anything is taken.
///
/// Thread safety: none; one owner.
/// Cost: of `resize`, an allocation where what is there is too small or four times too large; never
/// on a commit path.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/memory/physical_memory.hpp"

namespace sheaf::inline v0 {

/// `out_of_memory`, in words: `bytes` more are past the budget.
device_code past_budget(device_error* why, std::uint64_t bytes,
                        const memory_budget& budget) noexcept;
/// A block from `memory`, counted in `budget`; `out_of_memory` with nothing changed.
[[nodiscard]] device_code take_block(const physical_memory& memory, memory_budget& budget,
                                     std::uint64_t bytes, std::byte** block,
                                     device_error* why) noexcept;
void give_block(const physical_memory& memory, memory_budget& budget, std::byte* block,
                std::uint64_t bytes) noexcept;

class device_block {
 public:
  /// Both outlive it.
  device_block(const physical_memory& memory, memory_budget& budget) noexcept
      : memory_(&memory), budget_(&budget) {}
  device_block(const device_block&) = delete;
  device_block& operator=(const device_block&) = delete;
  ~device_block() { release(); }

  /// Makes it `bytes` long at least, of unspecified contents, aligned to 256 bytes. Where it
  /// cannot, it holds nothing. No work of the device uses what it held.
  [[nodiscard]] device_code resize(std::uint64_t bytes, device_error* why) noexcept;
  void release() noexcept;
  /// The device is lost: the bytes stay as they are.
  void abandon() noexcept { data_ = nullptr; }

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return data_ == nullptr ? 0 : bytes_; }

 private:
  const physical_memory* memory_;
  memory_budget* budget_;
  std::byte* data_ = nullptr;
  std::uint64_t bytes_ = 0;
};

/// Where an object that is used without a plan's memory, too, takes its blocks from.
struct block_source {
  const physical_memory* memory = nullptr;  ///< null: the runtime's allocator
  memory_budget* budget = nullptr;          ///< null: no limit
};

/// A block of a source, or of `otherwise` where there is none. What the source names outlives it.
class sourced_block {
 public:
  sourced_block(const block_source& from, const physical_memory& otherwise) noexcept
      : memory_(from.memory != nullptr ? *from.memory : otherwise),
        block_(memory_, from.budget != nullptr ? *from.budget : own_budget_) {}
  [[nodiscard]] device_block* operator->() noexcept { return &block_; }
  [[nodiscard]] const device_block* operator->() const noexcept { return &block_; }

 private:
  physical_memory memory_;
  memory_budget own_budget_;
  device_block block_;
};

}  // namespace sheaf::inline v0
