/// \file
/// Which side a commit runs on, where both sides' times are made up.
#include "propagate/device_choice.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "model/dice.hpp"

namespace {

using namespace sheaf;

struct times {
  double here;
  double device;  ///< besides what it has to catch up with
};

/// Both sides' time: what commits of a size take on each, with lines that a commit here leaves the
/// device behind by.
struct made_up_machine {
  device_choice choice;
  std::uint64_t stale_lines = 0;
  double stale_line_nanoseconds = 4;

  /// The side it ran on, and what it took.
  std::pair<run_side, double> commit(std::uint64_t lines, const times& takes,
                                     std::uint64_t changed_lines) {
    const run_side side = choice.pick(lines, stale_lines);
    double took = takes.here;
    // Other lines than the commit before, then the same again.
    if (side == run_side::here) stale_lines = std::min(stale_lines + changed_lines,
                                                       2 * changed_lines);
    else {
      took = takes.device + static_cast<double>(stale_lines) * stale_line_nanoseconds;
      stale_lines = 0;
    }
    choice.note(side, lines, took);
    return {side, took};
  }
};

/// Ratios of the sides' speeds, in both directions.
constexpr double ratios[] = {1, 1.02, 1.09, 1.12, 1.3, 2, 5, 30, 1000};

/// 100 commits of one size: past the first ten no more than 15 % over the better side, with times
/// that scatter by a tenth.
TEST(DeviceChoice, CommitsOfOneSizeAreWithinFifteenPercentOfTheBetterSide) {
  model_test::dice random(1);
  for (const double ratio : ratios) {
    for (const bool is_device_better : {false, true}) {
      for (unsigned round = 0; round < 50; ++round) {
        made_up_machine machine;
        double took = 0, better = 0;
        for (unsigned i = 0; i < 100; ++i) {
          const auto scattered = [&] {
            return 0.95 + 0.1 * static_cast<double>(random.below(1000)) / 1000;
          };
          const double fast = 10'000 * scattered(), slow = 10'000 * ratio * scattered();
          const times takes = is_device_better ? times{slow, fast} : times{fast, slow};
          const double found = machine.commit(100, takes, 0).second;
          if (i < 10) continue;
          took += found;
          better += fast;
        }
        ASSERT_LE(took, better * 1.15) << "ratio " << ratio << ", device " << is_device_better;
      }
    }
  }
}

/// What the device has to catch up with is part of the price of a commit there, where most commits
/// are better off here; where most are better off there, it is to be paid anyway.
TEST(DeviceChoice, LinesToCatchUpWithCountAgainstTheDeviceUnlessItIsHome) {
  for (const bool is_device_home : {false, true}) {
    made_up_machine machine;
    for (unsigned i = 0; i < 30; ++i) {
      machine.commit(1, {10'000, is_device_home ? 5'000.0 : 50'000.0}, 0);
      machine.commit(100, {20'000, 10'000}, 0);
    }
    EXPECT_EQ(machine.choice.pick(100, 0), run_side::device);
    EXPECT_EQ(machine.choice.pick(100, 1000), run_side::device);  // 4 us more: still less
    EXPECT_EQ(machine.choice.pick(100, 10'000),                   // 40 us more
              is_device_home ? run_side::device : run_side::here);
  }
}

TEST(DeviceChoice, SizesAreJudgedEachByItself) {
  made_up_machine machine;
  std::uint64_t small_there = 0, large_there = 0;
  for (unsigned i = 0; i < 200; ++i) {
    small_there += machine.commit(1, {1'000, 20'000}, 0).first == run_side::device;
    large_there += machine.commit(100'000, {1'000'000, 100'000}, 0).first == run_side::device;
  }
  EXPECT_LT(small_there, 10u);
  EXPECT_GT(large_there, 190u);
}

/// Over 400 commits, what the choice took and what the better of always here and always there would
/// have; `of` makes up the time of commit `i` from what side the last commit ran on.
double ratio_to_better(const std::function<times(unsigned i, run_side last)>& of,
                       const std::function<std::uint64_t(unsigned i)>& lines,
                       std::uint64_t changed_lines, double stale_line_nanoseconds = 4) {
  made_up_machine machine;
  machine.stale_line_nanoseconds = stale_line_nanoseconds;
  double took = 0, here = 0, there = 0;
  run_side last = run_side::here;
  for (unsigned i = 0; i < 400; ++i) {
    const times takes = of(i, last);
    const auto [side, found] = machine.commit(lines(i), takes, changed_lines);
    last = side;
    if (i < 10) continue;
    took += found;
    here += takes.here;
    there += takes.device;
  }
  return took / std::min(here, there);
}

/// An adversary may change what either side takes with every commit.
TEST(DeviceChoice, IsWithinTwiceTheBetterSideAgainstAnAlternatingAdversary) {
  const auto one_size = [](unsigned) { return std::uint64_t{100}; };
  const auto two_sizes = [](unsigned i) { return i % 2 == 0 ? std::uint64_t{1} : 100'000u; };
  for (const double ratio : ratios) {
    const double fast = 10'000, slow = fast * ratio;
    const auto flips = [&](unsigned period) {
      return [=](unsigned i, run_side) {
        return i / period % 2 == 0 ? times{fast, slow} : times{slow, fast};
      };
    };
    for (const unsigned period : {1u, 2u, 3u, 5u, 10u, 50u}) {
      EXPECT_LE(ratio_to_better(flips(period), one_size, 0), 2) << ratio << ", period " << period;
    }
    // The side that ran last is the slow one now.
    const auto against = [&](unsigned, run_side last) {
      return last == run_side::here ? times{slow, fast} : times{fast, slow};
    };
    EXPECT_LE(ratio_to_better(against, one_size, 0), 2) << ratio << ", against the last side";
    // Small commits are faster here, large ones there, and each here leaves lines to send.
    const auto by_size = [&](unsigned i, run_side) {
      return i % 2 == 0 ? times{fast, slow} : times{slow * 10, fast * 10};
    };
    for (const std::uint64_t changed : {0u, 100u, 2500u, 25'000u, 250'000u}) {
      for (const double each : {1, 4, 20}) {
        EXPECT_LE(ratio_to_better(by_size, two_sizes, changed, each), 2)
            << ratio << ", lines to catch up with " << changed << ", ns each " << each;
      }
    }
  }
}

}  // namespace
