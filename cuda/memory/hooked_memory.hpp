/// \file
/// `physical_memory` over a host's own allocator of device memory.
///
/// A range is one allocation of its whole size, made when the range first grows: it neither grows
/// past that nor gives anything back before its end (`device_arena::fit` makes it anew). Choose
/// `device_arena_options::range_bytes` accordingly; a size class that is never used costs nothing.
///
/// Thread safety: that of the hook.
#pragma once

#include "cuda/memory/device_failure.hpp"
#include "cuda/memory/physical_memory.hpp"

namespace sheaf::inline v0 {

class hooked_memory {
 public:
  /// What `hook` allocates is device memory, aligned to 256 bytes as cudaMalloc's is. Steps and
  /// copies are those of `below`. This object, and what both need, outlive every arena over it.
  hooked_memory(const device_memory_hook& hook, const physical_memory& below) noexcept
      : hook_(hook), below_(below) {}

  [[nodiscard]] physical_memory memory() noexcept {
    physical_memory made;
    made.context = this;
    made.step_bytes = below_.step_bytes;
    made.reserving_allocates = true;
    made.reserve = allocate;
    made.unreserve = free;
    use_blocks_of<hooked_memory>(made);
    return made;
  }

  static device_code allocate(void* context, std::uint64_t bytes, std::byte** made,
                              device_error* why) noexcept {
    const device_memory_hook& hook = self(context).hook_;
    *made = static_cast<std::byte*>(hook.allocate(hook.context, bytes));
    if (*made != nullptr) return device_code::ok;
    return refuse(why, device_code::out_of_memory, "the host's allocator has no %llu bytes",
                  static_cast<unsigned long long>(bytes));
  }
  static void free(void* context, std::byte* block, std::uint64_t bytes) noexcept {
    const device_memory_hook& hook = self(context).hook_;
    hook.deallocate(hook.context, block, bytes);
  }
  static device_code write(void* context, std::byte* to, const void* from, std::uint64_t bytes,
                           device_error* why) noexcept {
    const physical_memory& below = self(context).below_;
    return below.write(below.context, to, from, bytes, why);
  }
  static device_code read(void* context, void* to, const std::byte* from, std::uint64_t bytes,
                          device_error* why) noexcept {
    const physical_memory& below = self(context).below_;
    return below.read(below.context, to, from, bytes, why);
  }

 private:
  static hooked_memory& self(void* context) noexcept {
    return *static_cast<hooked_memory*>(context);
  }

  device_memory_hook hook_;
  physical_memory below_;
};

}  // namespace sheaf::inline v0
