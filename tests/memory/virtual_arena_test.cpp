#include <sheaf/memory/virtual_arena.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <utility>

namespace sheaf {
namespace {

constexpr std::size_t step = virtual_arena::step_size;

virtual_arena reserved(std::size_t bytes) {
  result<virtual_arena> arena = virtual_arena::reserve(bytes);
  EXPECT_TRUE(arena.has_value()) << arena.error().message();
  return std::move(*arena);
}

TEST(VirtualArena, ReservesWholeStepsAtAnAlignedAddressAndCommitsNothing) {
  const virtual_arena arena = reserved(3 * step + 1);
  EXPECT_EQ(arena.reserved_size(), 4 * step);
  EXPECT_EQ(arena.committed_size(), 0u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(arena.base()) % step, 0u);
}

TEST(VirtualArena, RefusesZeroBytesAndMoreThanTheAddressSpace) {
  EXPECT_EQ(virtual_arena::reserve(0).error().code(), status_code::invalid_argument);
  EXPECT_EQ(virtual_arena::reserve(std::size_t{1} << 60).error().code(),
            status_code::out_of_memory);
  EXPECT_EQ(virtual_arena::reserve(SIZE_MAX).error().code(), status_code::out_of_memory);
}

TEST(VirtualArena, CommitsWholeStepsThatReadZeroAndNeverMove) {
  virtual_arena arena = reserved(8 * step);
  std::byte* const base = arena.base();
  ASSERT_TRUE(arena.commit_to(1).is_ok());
  EXPECT_EQ(arena.committed_size(), step);
  std::memset(base, 0x5a, step);
  ASSERT_TRUE(arena.commit_to(step + 1).is_ok());
  EXPECT_EQ(arena.committed_size(), 2 * step);
  EXPECT_EQ(arena.base(), base);
  EXPECT_EQ(base[step - 1], std::byte{0x5a});
  EXPECT_EQ(base[step], std::byte{0});
  EXPECT_EQ(base[2 * step - 1], std::byte{0});
}

TEST(VirtualArena, CommittingWhatIsCommittedMakesNoSystemCall) {
  virtual_arena arena = reserved(8 * step);
  ASSERT_TRUE(arena.commit_to(2 * step).is_ok());
  const std::uint64_t before = arena.system_call_count();
  ASSERT_TRUE(arena.commit_to(2 * step).is_ok());
  ASSERT_TRUE(arena.commit_to(1).is_ok());
  EXPECT_EQ(arena.system_call_count(), before);
  EXPECT_EQ(arena.committed_size(), 2 * step);
}

TEST(VirtualArena, RefusesToCommitPastItsReservationAndChangesNothing) {
  virtual_arena arena = reserved(2 * step);
  ASSERT_TRUE(arena.commit_to(step).is_ok());
  const status refused = arena.commit_to(2 * step + 1);
  EXPECT_EQ(refused.code(), status_code::out_of_memory);
  EXPECT_EQ(refused.where(), subsystem::memory);
  EXPECT_EQ(arena.committed_size(), step);
  EXPECT_TRUE(arena.commit_to(2 * step).is_ok());
}

TEST(VirtualArena, ReleaseGivesBackOnlyWholePagesInsideAndTheyReadZero) {
  virtual_arena arena = reserved(2 * step);
  ASSERT_TRUE(arena.commit_to(step).is_ok());
  std::memset(arena.base(), 0x5a, step);
  EXPECT_EQ(arena.resident_size(0, step), step);
  EXPECT_EQ(arena.release(1, 4095), 0u);
  EXPECT_EQ(arena.release(4095, 4096), 0u);
  EXPECT_EQ(arena.release(4095, 8193), 8192u);
  EXPECT_EQ(arena.resident_size(0, step), step - 8192);
  EXPECT_EQ(arena.base()[4095], std::byte{0x5a});
  EXPECT_EQ(arena.base()[4096], std::byte{0});
  EXPECT_EQ(arena.base()[12287], std::byte{0});
  EXPECT_EQ(arena.base()[12288], std::byte{0x5a});
}

TEST(VirtualArena, ReleaseLeavesOutWhatIsNotCommitted) {
  virtual_arena arena = reserved(2 * step);
  ASSERT_TRUE(arena.commit_to(step).is_ok());
  EXPECT_EQ(arena.release(step - 4096, step), 4096u);
  EXPECT_EQ(arena.release(step, step), 0u);
  EXPECT_EQ(arena.release(step + 1, SIZE_MAX - 2 * step), 0u);
  EXPECT_EQ(arena.resident_size(3 * step, step), 0u);
}

TEST(VirtualArena, MovingHandsTheMemoryOver) {
  virtual_arena arena = reserved(step);
  ASSERT_TRUE(arena.commit_to(step).is_ok());
  arena.base()[7] = std::byte{9};
  std::byte* const base = arena.base();
  virtual_arena moved = std::move(arena);
  EXPECT_EQ(arena.base(), nullptr);
  EXPECT_EQ(arena.reserved_size(), 0u);
  EXPECT_EQ(moved.base(), base);
  virtual_arena other = reserved(step);
  other = std::move(moved);
  EXPECT_EQ(other.base(), base);
  EXPECT_EQ(other.base()[7], std::byte{9});
  EXPECT_EQ(other.committed_size(), step);
}

TEST(VirtualArenaDeathTest, BytesPastTheCommittedPartFault) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  virtual_arena arena = reserved(2 * step);
  ASSERT_TRUE(arena.commit_to(step).is_ok());
  volatile std::byte* const past = arena.base() + step;
  EXPECT_DEATH({ *past = std::byte{1}; }, "");
}

}  // namespace
}  // namespace sheaf
