#include <sheaf/memory/huge_pages.hpp>

#include <sys/mman.h>

#include <cstdint>

#include <sheaf/memory/virtual_arena.hpp>

namespace sheaf::inline v0 {

void prefer_huge_pages(void* begin, std::size_t size) noexcept {
  constexpr std::uintptr_t huge = virtual_arena::step_size;
  if (size < huge) return;
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  const std::uintptr_t first = (address + huge - 1) / huge * huge;
  const std::uintptr_t last = (address + size) / huge * huge;
  if (first >= last) return;
  ::madvise(static_cast<std::byte*>(begin) + (first - address), last - first, MADV_HUGEPAGE);
}

}  // namespace sheaf::inline v0
