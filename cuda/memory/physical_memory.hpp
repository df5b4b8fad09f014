/// \file
/// Where device memory comes from: a table of functions, so that everything above it runs, and is
/// tested, without a device.
///
/// Terms
///   range   address space that is reserved once; parts of it get memory by `create`, `map` and
///           `allow`, in this order, and lose it by `unmap` and `release`.
///   block   an allocation of its own: `allocate` and `free`.
///
/// Makers: `cuda_memory` (cuda_memory.hpp) over the driver's virtual memory calls, `hooked_memory`
/// over a host's own allocator, and the one of the tests.
///
/// Thread safety: that of the maker; the arena calls from one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sheaf/memory/device_ops.hpp>

namespace sheaf::inline v0 {

struct physical_memory {
  void* context = nullptr;
  std::uint64_t step_bytes = std::uint64_t{2} << 20;  ///< ranges grow in whole steps
  bool reserving_allocates = false;  ///< a range is memory from `reserve` on; the rest does nothing

  /// Address space of `bytes`, whole steps.
  device_code (*reserve)(void* context, std::uint64_t bytes, std::byte** base,
                         device_error* why) noexcept = nullptr;
  void (*unreserve)(void* context, std::byte* base, std::uint64_t bytes) noexcept = nullptr;

  /// Memory of `bytes`, whole steps, with no address yet.
  device_code (*create)(void* context, std::uint64_t bytes, std::uint64_t* handle,
                        device_error* why) noexcept = nullptr;
  void (*release)(void* context, std::uint64_t handle) noexcept = nullptr;
  device_code (*map)(void* context, std::byte* at, std::uint64_t bytes, std::uint64_t handle,
                     device_error* why) noexcept = nullptr;
  void (*unmap)(void* context, std::byte* at, std::uint64_t bytes) noexcept = nullptr;
  /// Makes mapped bytes readable and writable for the device.
  device_code (*allow)(void* context, std::byte* at, std::uint64_t bytes,
                       device_error* why) noexcept = nullptr;

  device_code (*allocate)(void* context, std::uint64_t bytes, std::byte** block,
                          device_error* why) noexcept = nullptr;
  void (*free)(void* context, std::byte* block, std::uint64_t bytes) noexcept = nullptr;

  /// Host to device and back; both return when the bytes are there. For red zones and the small
  /// tables of the arena.
  device_code (*write)(void* context, std::byte* to, const void* from, std::uint64_t bytes,
                       device_error* why) noexcept = nullptr;
  device_code (*read)(void* context, void* to, const std::byte* from, std::uint64_t bytes,
                      device_error* why) noexcept = nullptr;
};

/// Fills in the calls for blocks with the static functions of `Maker` that have their names.
template <class Maker>
void use_blocks_of(physical_memory& into) noexcept {
  into.allocate = Maker::allocate;
  into.free = Maker::free;
  into.write = Maker::write;
  into.read = Maker::read;
}
/// The same for ranges.
template <class Maker>
void use_ranges_of(physical_memory& into) noexcept {
  into.reserve = Maker::reserve;
  into.unreserve = Maker::unreserve;
  into.create = Maker::create;
  into.release = Maker::release;
  into.map = Maker::map;
  into.unmap = Maker::unmap;
  into.allow = Maker::allow;
}

/// How many bytes of device memory may be held and are; shared by all that belongs to a device.
struct memory_budget {
  std::uint64_t bytes_max = ~std::uint64_t{0};
  std::uint64_t bytes_held = 0;
  std::uint64_t growth_count = 0;  ///< times memory was taken from the layer below, ever

  [[nodiscard]] bool has_room(std::uint64_t bytes) const noexcept {
    return bytes <= bytes_max && bytes_held <= bytes_max - bytes;
  }
};

}  // namespace sheaf::inline v0
