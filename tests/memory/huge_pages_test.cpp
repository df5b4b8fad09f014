/// \file
/// Huge pages are asked for where whole ones fit and where they are wanted, and nowhere else.
#include <gtest/gtest.h>

#include <sys/mman.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include <sheaf/memory/huge_pages.hpp>
#include <sheaf/memory/virtual_arena.hpp>

namespace {

using namespace sheaf;  // NOLINT: tests of one library

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

/// Address space with four whole huge pages in it, to be advised about.
class mapping {
 public:
  mapping()
      : begin_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    EXPECT_NE(begin_, MAP_FAILED);
  }
  ~mapping() { ::munmap(begin_, size); }
  mapping(const mapping&) = delete;
  /// The first byte that a huge page can begin at.
  std::byte* first() const {
    const auto address = reinterpret_cast<std::uintptr_t>(begin_);
    return reinterpret_cast<std::byte*>((address + huge - 1) / huge * huge);
  }

 private:
  static constexpr std::size_t size = 5 * huge;
  void* begin_;
};

/// Where the system takes no such advice, or does not show it, there is nothing to see.
class HugePages : public testing::Test {
 protected:
  void SetUp() override {
    const mapping own;
    ::madvise(own.first(), huge, MADV_HUGEPAGE);
    if (!is_advised(own.first())) GTEST_SKIP() << "the system has no huge pages";
  }
};

TEST_F(HugePages, AreAskedForBehindTheWholeOnesOfARangeOnly) {
  const mapping memory;
  std::byte* const first = memory.first();
  prefer_huge_pages(first + 100, huge + huge / 2);  // reaches into two, holds none
  EXPECT_FALSE(is_advised(first));
  EXPECT_FALSE(is_advised(first + huge));
  prefer_huge_pages(first + 100, 2 * huge);
  EXPECT_FALSE(is_advised(first));
  EXPECT_TRUE(is_advised(first + huge));
  EXPECT_FALSE(is_advised(first + 2 * huge));
}

TEST_F(HugePages, StandBehindALargeVectorFromItsFirstWholeOneToItsLast) {
  const auto made = vector_on_huge_pages<std::uint32_t>(3 * huge);
  ASSERT_GE(made.capacity(), 3 * huge);
  const auto begin = reinterpret_cast<std::uintptr_t>(made.data());
  const std::uintptr_t first = (begin + huge - 1) / huge * huge;
  const std::uintptr_t end = (begin + made.capacity() * sizeof(std::uint32_t)) / huge * huge;
  EXPECT_TRUE(is_advised(reinterpret_cast<const void*>(first)));
  EXPECT_TRUE(is_advised(reinterpret_cast<const void*>(end - 1)));
}

TEST_F(HugePages, StandBehindAnArenaUnlessItIsToldOtherwise) {
  for (const arena_backing backing : {arena_backing::huge, arena_backing::small}) {
    auto arena = virtual_arena::reserve(4 * huge, backing);
    ASSERT_TRUE(arena);
    ASSERT_TRUE(arena->commit_to(huge).is_ok());
    ASSERT_TRUE(arena->commit_to(3 * huge).is_ok());
    for (std::size_t at = 0; at < 3; ++at) {
      EXPECT_EQ(is_advised(arena->base() + at * huge), backing == arena_backing::huge) << at;
    }
    EXPECT_FALSE(is_advised(arena->base() + 3 * huge)) << "not committed yet";
  }
}

TEST(VectorOnHugePages, HasItsRoomAndIsEmpty) {
  auto made = vector_on_huge_pages<std::uint32_t>(3 * huge);
  EXPECT_TRUE(made.empty());
  ASSERT_GE(made.capacity(), 3 * huge);
  const std::uint32_t* const before = made.data();
  made.resize(3 * huge, 7);
  EXPECT_EQ(made.data(), before) << "the advice went with the memory";
  EXPECT_EQ(made.back(), 7u);
  EXPECT_TRUE(vector_on_huge_pages<std::uint32_t>(0).empty());
}

}  // namespace
