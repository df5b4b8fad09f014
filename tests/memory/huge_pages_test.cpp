/// \file
/// Huge pages are asked for where whole ones fit, and nowhere else.
#include <gtest/gtest.h>

#include <sys/mman.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include <sheaf/memory/huge_pages.hpp>

namespace {

constexpr std::size_t huge = std::size_t{2} << 20;

/// Whether the system was asked for huge pages behind the byte at `at`.
bool is_advised(const void* at) {
  std::ifstream maps("/proc/self/smaps");
  const auto address = reinterpret_cast<std::uintptr_t>(at);
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    char dash = 0;
    std::istringstream head(line);
    if (head >> std::hex >> begin >> dash >> end && dash == '-') {
      inside = begin <= address && address < end;
    } else if (inside && line.rfind("VmFlags:", 0) == 0) {
      return line.find(" hg") != std::string::npos;
    }
  }
  return false;
}

TEST(HugePages, AreAskedForBehindTheWholeOnesOfARangeOnly) {
  void* const mapped = ::mmap(nullptr, 5 * huge, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  const auto address = reinterpret_cast<std::uintptr_t>(mapped);
  auto* const first = reinterpret_cast<std::byte*>((address + huge - 1) / huge * huge);
  sheaf::prefer_huge_pages(first + 100, huge + huge / 2);  // reaches into two, holds none
  EXPECT_FALSE(is_advised(first + huge));
  sheaf::prefer_huge_pages(first + 100, 2 * huge);
  EXPECT_FALSE(is_advised(first));
  EXPECT_FALSE(is_advised(first + 2 * huge));
  if (!is_advised(first + huge)) GTEST_SKIP() << "the system has no huge pages";
  ::munmap(mapped, 5 * huge);
}

TEST(HugePages, AVectorHasItsRoomAndIsEmpty) {
  auto made = sheaf::vector_on_huge_pages<std::uint32_t>(3 * huge);
  EXPECT_TRUE(made.empty());
  ASSERT_GE(made.capacity(), 3 * huge);
  const std::uint32_t* const before = made.data();
  made.resize(3 * huge, 7);
  EXPECT_EQ(made.data(), before) << "the advice went with the memory";
  EXPECT_EQ(made.back(), 7u);
  EXPECT_TRUE(sheaf::vector_on_huge_pages<std::uint32_t>(0).empty());
}

}  // namespace
