/// \file
/// Huge pages behind memory that somebody else allocated: big tables that are read at random, where
/// every small page would cost a walk of the page tables.
///
/// Thread safety: free functions without state.
#pragma once

#include <cstddef>
#include <vector>

namespace sheaf::inline v0 {

/// Asks the system for 2 MiB pages behind the part of `[begin, begin + size)` that holds whole
/// ones. Advice: where the system has none, small pages serve as well. To be called before the
/// memory is written for the first time. No system call for less than 2 MiB.
void prefer_huge_pages(void* begin, std::size_t size) noexcept;

/// An empty vector with room for `count` elements, behind huge pages where that is much. May throw
/// `std::bad_alloc`.
template <class T>
[[nodiscard]] std::vector<T> vector_on_huge_pages(std::size_t count) {
  std::vector<T> made;
  made.reserve(count);
  prefer_huge_pages(made.data(), made.capacity() * sizeof(T));
  return made;
}

}  // namespace sheaf::inline v0
