/// \file
/// Promises P1, P2 and P5 with 1 to 8 writer threads: random programs against a serial execution by
/// the naive engine. Environment: SHEAF_MODEL_SEED, the first seed; SHEAF_MODEL_PROGRAMS, how many.
/// A program of one thread does the same each time; more threads are as the system has them run.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "model/thread_program.hpp"

namespace model_test {
namespace {

#ifndef SHEAF_MODEL_PROGRAMS
#define SHEAF_MODEL_PROGRAMS 120
#endif

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* said = std::getenv(name);
  return said == nullptr ? otherwise : std::strtoull(said, nullptr, 10);
}

void expect_all_covered(const thread_coverage& covered) {
  EXPECT_GT(covered.groups, 0u);
  EXPECT_GT(covered.read_only, 0u);
  EXPECT_GT(covered.reads_checked, 0u);
  EXPECT_GT(covered.write_conflicts, 0u);
  EXPECT_GT(covered.read_conflicts, 0u);
  EXPECT_GT(covered.graph_conflicts, 0u);
  EXPECT_GT(covered.conditions_failed, 0u);
  EXPECT_GT(covered.graph_changes, 0u);
  EXPECT_GT(covered.merges, 0u);
  EXPECT_GT(covered.forks, 0u);
  EXPECT_GT(covered.snapshots, 0u);
}

TEST(RandomWriters, CommitAsIfOneAfterTheOther) {
  const bool chosen = std::getenv("SHEAF_MODEL_SEED") != nullptr;
  const std::uint64_t first = from_environment("SHEAF_MODEL_SEED", 1);
  const std::uint64_t programs = from_environment("SHEAF_MODEL_PROGRAMS", SHEAF_MODEL_PROGRAMS);
  std::cout << "seeds " << first << " to " << first + programs - 1 << std::endl;
  thread_coverage covered;
  unsigned failures = 0;
  for (std::uint64_t seed = first; seed < first + programs; ++seed) {
    const std::string difference = run_thread_program(seed, covered);
    if (difference.empty()) continue;
    ADD_FAILURE() << "run again with SHEAF_MODEL_SEED=" << seed << " SHEAF_MODEL_PROGRAMS=1\n"
                  << difference;
    if (++failures == 5) break;
  }
  std::cout << covered.programs << " programs, " << covered.accepted << " transactions accepted, "
            << covered.groups << " groups of several, " << covered.reads_checked
            << " reads checked; refused for writes " << covered.write_conflicts << ", reads "
            << covered.read_conflicts << ", the graph " << covered.graph_conflicts
            << ", a condition " << covered.conditions_failed << "; " << covered.graph_changes
            << " changes of the graph, " << covered.forks << " forks, " << covered.merges
            << " merges, " << covered.snapshots << " snapshots" << std::endl;
  if (!chosen && failures == 0) expect_all_covered(covered);
}

}  // namespace
}  // namespace model_test
