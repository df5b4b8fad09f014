/// \file
/// A range of address space that is reserved once and backed by memory step by step.
///
/// Purpose: an array that grows without ever moving. Pages, side tables and magazines index into
/// one, so an index is all anybody has to keep.
///
/// Invariants
///  1. `base()` never changes between `reserve` and destruction: growth only changes protection.
///  2. `[0, committed_size())` is readable and writable, the rest faults. `committed_size()` is a
///     whole number of steps and never shrinks.
///  3. Bytes never written, or given back since, read as zero (anonymous memory).
///
/// Thread safety: `commit_to` and assignment need exclusive access. `release` may run beside
/// readers and writers of other bytes. Reading and writing committed bytes needs no lock.
///
/// Cost: reserving costs address space only (page tables appear as memory is touched). `commit_to`
/// makes at most two system calls, none when the bytes are committed already.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sheaf/base/result.hpp>
#include <sheaf/base/status.hpp>

namespace sheaf::inline v0 {

/// What the kernel should put behind committed steps.
enum class arena_backing : std::uint8_t {
  huge,   ///< 2 MiB pages where the kernel has them: few TLB misses, 2 MiB resident at first touch
  small,  ///< the kernel's default: for tables that are often nearly empty
};

/// Address space reserved once, committed in 2 MiB steps, given back by `release`.
class virtual_arena {
 public:
  /// One x86-64 huge page: the unit in which memory is committed, and the alignment of `base()`.
  static constexpr std::size_t step_size = std::size_t{2} << 20;

  /// Reserves `bytes`, rounded up to whole steps, at an address aligned to `step_size`.
  /// `invalid_argument` for 0 bytes, `out_of_memory` where the system refuses.
  [[nodiscard]] static result<virtual_arena> reserve(
      std::size_t bytes, arena_backing backing = arena_backing::huge) noexcept;

  /// An arena of no bytes.
  virtual_arena() noexcept = default;
  virtual_arena(virtual_arena&& other) noexcept;
  virtual_arena& operator=(virtual_arena&& other) noexcept;
  virtual_arena(const virtual_arena&) = delete;
  virtual_arena& operator=(const virtual_arena&) = delete;
  ~virtual_arena();

  [[nodiscard]] std::byte* base() const noexcept { return base_; }
  [[nodiscard]] std::size_t reserved_size() const noexcept { return reserved_size_; }
  [[nodiscard]] std::size_t committed_size() const noexcept { return committed_size_; }
  /// System calls made since `reserve` began; those of `resident_size` are left out.
  [[nodiscard]] std::uint64_t system_call_count() const noexcept { return system_call_count_; }

  /// Grows the committed part to whole steps that cover `[0, bytes)`. `out_of_memory`, with nothing
  /// changed, when `bytes` passes `reserved_size()` or the system refuses.
  [[nodiscard]] status commit_to(std::size_t bytes) noexcept;

  /// Gives the whole pages of the operating system inside `[offset, offset + size)` back to it and
  /// returns their bytes. They read as zero when touched again; what is not committed is left out.
  /// Returns 0 where the system refuses.
  std::size_t release(std::size_t offset, std::size_t size) noexcept;

  /// How many bytes of the whole pages inside `[offset, offset + size)` are in memory now. One
  /// system call for each step.
  [[nodiscard]] std::size_t resident_size(std::size_t offset, std::size_t size) const noexcept;

 private:
  std::byte* base_ = nullptr;
  std::size_t reserved_size_ = 0;
  std::size_t committed_size_ = 0;
  std::uint64_t system_call_count_ = 0;
  arena_backing backing_ = arena_backing::huge;
};

}  // namespace sheaf::inline v0
