/// \file
/// A range of device addresses that is reserved once and gets memory from its beginning on, step by
/// step; memory above what is needed is given back from its end.
///
/// Invariants
///  1. `range-never-moves`: `base()` is null before the first growth and constant after it, until a
///     `reset`.
///  2. `grow-all-or-nothing`: a growth that fails leaves range, budget and the layer below as they
///     were (address space reserved by a first growth is given back, too).
///  3. `range-within-budget`: what the range holds is counted in the budget, and the budget's limit
///     is looked at before anything is taken.
///
/// Thread safety: none; one owner. Device code may use mapped bytes meanwhile; who trims knows that
/// none does.
/// Cost: a growth is three calls of the layer below whatever its size; it becomes one *chunk*, and
/// chunks are what can be trimmed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/memory/physical_memory.hpp"

namespace sheaf::inline v0 {

class growing_range {
 public:
  /// A range of at most `bytes_max`, rounded up to whole steps. `memory` and `budget` outlive it.
  growing_range(const physical_memory& memory, memory_budget& budget,
                std::uint64_t bytes_max) noexcept;
  growing_range(const growing_range&) = delete;
  growing_range& operator=(const growing_range&) = delete;
  ~growing_range();

  [[nodiscard]] std::byte* base() const noexcept { return base_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::uint64_t bytes_max() const noexcept { return bytes_max_; }

  /// Makes at least `bytes` usable. Where they are not, grows by `at_least` or more if range and
  /// budget allow, else by what is needed. `out_of_memory` with nothing changed.
  [[nodiscard]] device_code grow_to(std::uint64_t bytes, std::uint64_t at_least,
                                    device_error* why) noexcept;
  /// Gives back the chunks that lie wholly at or above `bytes`; returns how many bytes that were.
  std::uint64_t trim_to(std::uint64_t bytes) noexcept;
  /// Goes back to `bytes`, as it was before a growth; to 0: as before the first one.
  void roll_back(std::uint64_t bytes) noexcept;
  /// Gives everything back, addresses too: a new range of at most `bytes_max`, with another base.
  void reset(std::uint64_t bytes_max) noexcept;
  /// Forgets everything without a call to the layer below: the device is lost.
  void abandon() noexcept;

 private:
  struct chunk {
    std::uint64_t offset, bytes, handle;
  };
  [[nodiscard]] device_code reserve(device_error* why) noexcept;
  [[nodiscard]] device_code add_chunk(std::uint64_t bytes, device_error* why) noexcept;
  void unreserve() noexcept;
  std::uint64_t drop_chunks(std::uint64_t bytes) noexcept;

  const physical_memory* memory_;
  memory_budget* budget_;
  std::uint64_t bytes_max_;
  std::byte* base_ = nullptr;
  std::uint64_t bytes_ = 0;
  bool is_settled_ = false;  ///< `base_` was in use before: no roll back gives it up
  std::vector<chunk> chunks_;
};

}  // namespace sheaf::inline v0
