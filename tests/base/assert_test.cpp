/// \file
/// An assertion names its invariant, and the lower levels cost nothing where they are off.
#undef SHEAF_PARANOID_ASSERTS
#define SHEAF_PARANOID_ASSERTS 0
#include <gtest/gtest.h>

#include <sheaf/base/assert.hpp>
#include <sheaf/base/mutex.hpp>

namespace sheaf {
namespace {

TEST(AssertDeathTest, ABrokenInvariantAbortsWithItsNameConditionAndPlace) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const int lines = 65;
  EXPECT_DEATH(SHEAF_ASSERT(lines <= 64, "page-at-most-64-lines"),
               "'page-at-most-64-lines' is broken: lines <= 64 .*assert_test.cpp:[0-9]+");
}

TEST(Assert, AHoldingInvariantEvaluatesItsConditionOnce) {
  int calls = 0;
  SHEAF_ASSERT(++calls == 1, "evaluated-once");
  EXPECT_EQ(calls, 1);
}

TEST(Assert, ALevelThatIsOffDoesNotEvaluateItsCondition) {
  int calls = 0;
  SHEAF_PARANOID(++calls > 100, "never-evaluated");
  EXPECT_EQ(calls, 0);
}

TEST(Mutex, ALockedMutexIsNotTakenAgainUntilTheScopeEnds) {
  mutex guarded;
  {
    const mutex_lock held(guarded);
    EXPECT_FALSE(guarded.try_lock());
  }
  const bool taken = guarded.try_lock();
  EXPECT_TRUE(taken);
  if (taken) guarded.unlock();
}

}  // namespace
}  // namespace sheaf
