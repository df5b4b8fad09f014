/// \file
/// What takes longer than the fast set has time for.
#include "propagate/chain.hpp"

namespace propagate_test {
namespace {

TEST(ExecutorSlow, AChangeAtTheEndOfAChainOfTwoHundredThousandTouchesOnlyTheEnd) {
  run_chain(200'000);
}

}  // namespace
}  // namespace propagate_test
