#include "engine/failing_allocator.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

// Calls of the library's own come to __wrap_NAME, by the linker's --wrap.
extern "C" {
void* __real_malloc(std::size_t size) noexcept;
void* __real_calloc(std::size_t count, std::size_t size) noexcept;
int __real_mprotect(void* address, std::size_t size, int protection) noexcept;
}

namespace engine_test {

namespace {

thread_local std::uint64_t left = 0;
thread_local bool goes_on = false;
thread_local bool has_failed = false;
std::atomic<std::int64_t> live{0};

bool is_due() noexcept {
  if (left == 0 || --left != 0) return false;
  if (goes_on) left = 1;
  has_failed = true;
  return true;
}

void* counted(void* block) noexcept {
  if (block != nullptr) live.fetch_add(1, std::memory_order_relaxed);  // a count
  return block;
}

}  // namespace

void arm_allocator(std::uint64_t k, shortage how) noexcept {
  goes_on = how == shortage::from_there;
  has_failed = false;
  left = k;
}

bool disarm_allocator() noexcept {
  left = 0;
  return has_failed;
}

std::int64_t live_blocks() noexcept { return live.load(std::memory_order_relaxed); }

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (is_due()) return nullptr;
  if (alignment <= alignof(std::max_align_t)) return counted(__real_malloc(size == 0 ? 1 : size));
  return counted(std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment));
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  if (void* const block = allocate(size, alignment)) return block;
  throw std::bad_alloc();
}

void release(void* block) noexcept {
  if (block == nullptr) return;
  live.fetch_sub(1, std::memory_order_relaxed);  // a count
  std::free(block);
}

}  // namespace engine_test

using engine_test::allocate;
using engine_test::allocate_or_throw;
using engine_test::release;

constexpr std::size_t usual = alignof(std::max_align_t);

void* operator new(std::size_t size) { return allocate_or_throw(size, usual); }
void* operator new[](std::size_t size) { return allocate_or_throw(size, usual); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size, usual);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size, usual);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment,
                     const std::nothrow_t&) noexcept {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept { release(block); }
void operator delete[](void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t) noexcept { release(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { release(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept { release(block); }
void operator delete(void* block, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, std::align_val_t, const std::nothrow_t&) noexcept {
  release(block);
}
void operator delete[](void* block, std::align_val_t, const std::nothrow_t&) noexcept {
  release(block);
}

extern "C" {
void* __wrap_malloc(std::size_t size) noexcept {
  return engine_test::is_due() ? nullptr : __real_malloc(size);
}
void* __wrap_calloc(std::size_t count, std::size_t size) noexcept {
  return engine_test::is_due() ? nullptr : __real_calloc(count, size);
}
int __wrap_mprotect(void* address, std::size_t size, int protection) noexcept {
  if (!engine_test::is_due()) return __real_mprotect(address, size, protection);
  errno = ENOMEM;
  return -1;
}
}
