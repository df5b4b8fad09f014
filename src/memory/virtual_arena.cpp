#include <sheaf/memory/virtual_arena.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sheaf::inline v0 {
namespace {

std::size_t os_page_size() noexcept {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) noexcept {
  return (bytes + unit - 1) / unit * unit;
}

struct byte_range {
  std::size_t begin;
  std::size_t end;
};

/// The whole pages of the operating system inside `[offset, offset + size)` and below `limit`.
byte_range whole_pages(std::size_t offset, std::size_t size, std::size_t limit) noexcept {
  const std::size_t page = os_page_size();
  const std::size_t first = std::min(offset, limit);
  const std::size_t begin = round_up(first, page);
  const std::size_t end = (first + std::min(size, limit - first)) / page * page;
  return {begin, std::max(begin, end)};
}

}  // namespace

result<virtual_arena> virtual_arena::reserve(std::size_t bytes, arena_backing backing) noexcept {
  if (bytes == 0) {
    return status(status_code::invalid_argument, subsystem::memory,
                  "an arena of 0 bytes cannot be reserved");
  }
  if (bytes > SIZE_MAX / 2) {
    return make_status(status_code::out_of_memory, subsystem::memory,
                       "arena is larger than the address space", "%zu bytes", bytes);
  }
  const std::size_t size = round_up(bytes, step_size);
  // Nearly a step more than asked, so that an aligned part can be cut out of it.
  const std::size_t excess = step_size - os_page_size();
  void* const raw =
      ::mmap(nullptr, size + excess, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) {
    return make_status(status_code::out_of_memory, subsystem::memory,
                       "the system refused to reserve address space", "%zu bytes: %s",
                       size + excess, std::strerror(errno));
  }
  const auto address = reinterpret_cast<std::uintptr_t>(raw);
  const std::size_t head = round_up(address, step_size) - address;
  auto* const first = static_cast<std::byte*>(raw);
  virtual_arena arena;
  arena.base_ = first + head;
  arena.reserved_size_ = size;
  arena.backing_ = backing;
  arena.system_call_count_ = 1;
  // A refused unmap costs address space only, so its result is of no consequence.
  if (head != 0) {
    ::munmap(first, head);
    ++arena.system_call_count_;
  }
  if (head != excess) {
    ::munmap(arena.base_ + size, excess - head);
    ++arena.system_call_count_;
  }
  return arena;
}

virtual_arena::virtual_arena(virtual_arena&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      reserved_size_(std::exchange(other.reserved_size_, 0)),
      committed_size_(std::exchange(other.committed_size_, 0)),
      system_call_count_(std::exchange(other.system_call_count_, 0)),
      backing_(other.backing_) {}

virtual_arena& virtual_arena::operator=(virtual_arena&& other) noexcept {
  virtual_arena taken(std::move(other));
  std::swap(base_, taken.base_);
  std::swap(reserved_size_, taken.reserved_size_);
  std::swap(committed_size_, taken.committed_size_);
  std::swap(system_call_count_, taken.system_call_count_);
  std::swap(backing_, taken.backing_);
  return *this;
}

virtual_arena::~virtual_arena() {
  if (base_ != nullptr) ::munmap(base_, reserved_size_);
}

status virtual_arena::commit_to(std::size_t bytes) noexcept {
  if (bytes <= committed_size_) return {};
  if (bytes > reserved_size_) {
    return make_status(status_code::out_of_memory, subsystem::memory,
                       "the arena's address space is used up", "asked for %zu bytes of %zu", bytes,
                       reserved_size_);
  }
  const std::size_t end = round_up(bytes, step_size);
  std::byte* const first = base_ + committed_size_;
  const std::size_t size = end - committed_size_;
  ++system_call_count_;
  if (::mprotect(first, size, PROT_READ | PROT_WRITE) != 0) {
    return make_status(status_code::out_of_memory, subsystem::memory,
                       "the system refused to commit memory", "%zu bytes after %zu: %s", size,
                       committed_size_, std::strerror(errno));
  }
  if (backing_ == arena_backing::huge) {
    // Advice: a kernel without huge pages answers with an error, and small pages serve as well.
    ++system_call_count_;
    ::madvise(first, size, MADV_HUGEPAGE);
  }
  committed_size_ = end;
  return {};
}

std::size_t virtual_arena::release(std::size_t offset, std::size_t size) noexcept {
  const byte_range range = whole_pages(offset, size, committed_size_);
  if (range.begin == range.end) return 0;
  ++system_call_count_;
  if (::madvise(base_ + range.begin, range.end - range.begin, MADV_DONTNEED) != 0) return 0;
  return range.end - range.begin;
}

std::size_t virtual_arena::resident_size(std::size_t offset, std::size_t size) const noexcept {
  const byte_range range = whole_pages(offset, size, committed_size_);
  const std::size_t page = os_page_size();
  unsigned char flags[512];
  std::size_t pages = 0;
  for (std::size_t begin = range.begin; begin < range.end;) {
    const std::size_t end = std::min(range.end, begin + page * sizeof flags);
    if (::mincore(base_ + begin, end - begin, flags) != 0) return 0;
    const auto* const last = flags + (end - begin) / page;
    pages += static_cast<std::size_t>(
        std::count_if(flags, flags + (last - flags), [](unsigned char flag) { return flag & 1; }));
    begin = end;
  }
  return pages * page;
}

}  // namespace sheaf::inline v0
