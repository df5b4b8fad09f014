/// \file
/// Device memory that is host memory: counts what is taken, refuses the n-th call, and hands out
/// address space that faults where nothing is mapped.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <map>

#include "cuda/memory/device_failure.hpp"
#include "cuda/memory/physical_memory.hpp"

namespace device_test {

using namespace sheaf;

inline constexpr std::uint64_t step = 64 << 10;  ///< small, so that tests cross many

class fake_device {
 public:
  fake_device() = default;
  fake_device(const fake_device&) = delete;
  fake_device& operator=(const fake_device&) = delete;
  ~fake_device() { EXPECT_EQ(outstanding(), 0u) << "memory of the device leaked"; }

  /// Refuses the `n`-th call from now on, 0 the next one, once.
  void fail_call(std::uint64_t n) { failing_ = calls_ + n; }
  void fail_none() { failing_ = ~std::uint64_t{0}; }
  /// Blocks lie `gap` bytes apart from now on. For a few.
  void spread_blocks(std::uint64_t gap) { gap_ = gap; }
  [[nodiscard]] std::uint64_t calls() const { return calls_; }
  /// Ranges, handles, mappings and blocks that were not given back.
  [[nodiscard]] std::size_t outstanding() const {
    return ranges_.size() + handles_.size() + mapped_.size() + blocks_.size();
  }
  [[nodiscard]] std::uint64_t bytes_created() const {
    std::uint64_t sum = 0;
    for (const auto& [handle, bytes] : handles_) sum += bytes;
    return sum;
  }

  [[nodiscard]] physical_memory memory() {
    physical_memory made;
    made.context = this;
    made.step_bytes = step;
    use_ranges_of<fake_device>(made);
    use_blocks_of<fake_device>(made);
    return made;
  }

  // The calls, as `physical_memory` says.
  static device_code reserve(void* context, std::uint64_t bytes, std::byte** base,
                             device_error* why) noexcept {
    if (self(context).refuses(why)) return device_code::out_of_memory;
    void* const at = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                            -1, 0);
    if (at == MAP_FAILED) return device_code::out_of_memory;
    *base = static_cast<std::byte*>(at);
    self(context).ranges_[*base] = bytes;
    return device_code::ok;
  }
  static void unreserve(void* context, std::byte* base, std::uint64_t bytes) noexcept {
    EXPECT_EQ(self(context).ranges_.at(base), bytes);
    self(context).ranges_.erase(base);
    ::munmap(base, bytes);
  }
  static device_code create(void* context, std::uint64_t bytes, std::uint64_t* handle,
                            device_error* why) noexcept {
    EXPECT_EQ(bytes % step, 0u);
    if (self(context).refuses(why)) return device_code::out_of_memory;
    *handle = ++self(context).last_handle_;
    self(context).handles_[*handle] = bytes;
    return device_code::ok;
  }
  static void release(void* context, std::uint64_t handle) noexcept {
    EXPECT_EQ(self(context).handles_.erase(handle), 1u);
  }
  static device_code map(void* context, std::byte* at, std::uint64_t bytes, std::uint64_t handle,
                         device_error* why) noexcept {
    EXPECT_EQ(self(context).handles_.at(handle), bytes);
    if (self(context).refuses(why)) return device_code::out_of_memory;
    EXPECT_TRUE(self(context).mapped_.emplace(at, bytes).second);
    return device_code::ok;
  }
  static void unmap(void* context, std::byte* at, std::uint64_t bytes) noexcept {
    EXPECT_EQ(self(context).mapped_.at(at), bytes);
    self(context).mapped_.erase(at);
    ::mprotect(at, bytes, PROT_NONE);
    ::madvise(at, bytes, MADV_DONTNEED);
  }
  static device_code allow(void* context, std::byte* at, std::uint64_t bytes,
                           device_error* why) noexcept {
    EXPECT_EQ(self(context).mapped_.at(at), bytes);
    if (self(context).refuses(why)) return device_code::out_of_memory;
    return ::mprotect(at, bytes, PROT_READ | PROT_WRITE) == 0 ? device_code::ok
                                                              : device_code::out_of_memory;
  }
  static device_code allocate(void* context, std::uint64_t bytes, std::byte** block,
                              device_error* why) noexcept {
    if (self(context).refuses(why)) return device_code::out_of_memory;
    *block = self(context).take_block(bytes);
    if (*block == nullptr) return device_code::out_of_memory;
    self(context).blocks_[*block] = bytes;
    return device_code::ok;
  }
  static void free(void* context, std::byte* block, std::uint64_t bytes) noexcept {
    EXPECT_EQ(self(context).blocks_.at(block), bytes);
    self(context).blocks_.erase(block);
    if (self(context).gap_ != 0) {
      ::munmap(block, bytes);
    } else {
      ::operator delete(block, std::align_val_t{256});
    }
  }
  static device_code write(void* context, std::byte* to, const void* from, std::uint64_t bytes,
                           device_error* why) noexcept {
    if (self(context).refuses(why)) return device_code::out_of_memory;
    std::memcpy(to, from, bytes);
    return device_code::ok;
  }
  static device_code read(void* context, void* to, const std::byte* from, std::uint64_t bytes,
                          device_error* why) noexcept {
    if (self(context).refuses(why)) return device_code::out_of_memory;
    std::memcpy(to, from, bytes);
    return device_code::ok;
  }

 private:
  static fake_device& self(void* context) { return *static_cast<fake_device*>(context); }
  [[nodiscard]] bool refuses(device_error* why) {
    if (calls_++ != failing_) return false;
    static_cast<void>(refuse(why, device_code::out_of_memory, "the fake device refuses"));
    return true;
  }

  [[nodiscard]] std::byte* take_block(std::uint64_t bytes) {
    if (gap_ == 0) return static_cast<std::byte*>(::operator new(bytes, std::align_val_t{256}));
    // Far from what loaders take, and from the shadow memory of sanitizers.
    static constexpr std::uintptr_t first = std::uintptr_t{1} << 46;
    void* const wished = reinterpret_cast<void*>(first + gap_ * spread_count_++);
    void* const at = ::mmap(wished, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return at == MAP_FAILED ? nullptr : static_cast<std::byte*>(at);
  }

  std::uint64_t gap_ = 0, spread_count_ = 0;
  std::uint64_t calls_ = 0;
  std::uint64_t failing_ = ~std::uint64_t{0};
  std::uint64_t last_handle_ = 0;
  std::map<std::byte*, std::uint64_t> ranges_, mapped_, blocks_;
  std::map<std::uint64_t, std::uint64_t> handles_;
};

}  // namespace device_test
