/// \file
/// Promise P1 (glue): random programs against the naive engine. Environment: SHEAF_MODEL_SEED, the
/// first seed; SHEAF_MODEL_PROGRAMS, how many (with both, only the first test runs them);
/// SHEAF_MODEL_TRACE=1 prints steps.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "model/random_program.hpp"

namespace model_test {
namespace {

#ifndef SHEAF_MODEL_PROGRAMS
#define SHEAF_MODEL_PROGRAMS 500
#endif

constexpr unsigned parts = 4;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* said = std::getenv(name);
  return said == nullptr ? otherwise : std::strtoull(said, nullptr, 10);
}

void expect_all_covered(const coverage& covered) {
  EXPECT_GT(covered.work.levels_pushed, 0u);
  EXPECT_GT(covered.work.levels_pulled, 0u);
  EXPECT_GT(covered.work.levels_full, 0u);
  EXPECT_GT(covered.work.lines_cut_off, 0u);
  EXPECT_GT(covered.work.frames_copied, 0u);
  EXPECT_GT(covered.work.frames_reused, 0u);
  EXPECT_GT(covered.failed_hosts, 0u);
  EXPECT_GT(covered.failed_lazy_reads, 0u);
  EXPECT_GT(covered.reentrant_calls, 0u);
  EXPECT_GT(covered.history_full, 0u);
  EXPECT_GT(covered.mistakes, 0u);
  EXPECT_GT(covered.aborts, 0u);
  EXPECT_GT(covered.snapshots, 0u);
  EXPECT_GT(covered.audits, 0u);
  EXPECT_GT(covered.threads_four, 0u);
  EXPECT_GT(covered.wait_free, 0u);
  EXPECT_GT(covered.edits.changes, 0u);
  EXPECT_GT(covered.edits.redefined, 0u);
  EXPECT_GT(covered.edits.dropped, 0u);
  EXPECT_GT(covered.edits.unfit, 0u);
  EXPECT_GT(covered.edits.failed_hosts, 0u);
  EXPECT_GT(covered.edits.late_conflicts, 0u);
  EXPECT_GT(covered.edits.late_edits, 0u);
  EXPECT_GT(covered.forks.of_forks, 0u);
  EXPECT_GT(covered.forks.commits, 0u);
  EXPECT_GT(covered.forks.failed_hosts, 0u);
  EXPECT_GT(covered.forks.merges, 0u);
  EXPECT_GT(covered.forks.merges_into_forks, 0u);
}

class RandomPrograms : public testing::TestWithParam<unsigned> {};

/// One part of the programs: parts run side by side under ctest.
TEST_P(RandomPrograms, ReadTheSameBitsAsANaiveEngineThatRecomputesEverything) {
  const bool chosen = std::getenv("SHEAF_MODEL_SEED") != nullptr ||
                      std::getenv("SHEAF_MODEL_PROGRAMS") != nullptr;
  const std::uint64_t programs = from_environment("SHEAF_MODEL_PROGRAMS", SHEAF_MODEL_PROGRAMS);
  const std::uint64_t share = chosen ? programs : programs / parts;
  if (chosen && GetParam() != 0) GTEST_SKIP() << "the first part runs what was asked for";
  const std::uint64_t first = from_environment("SHEAF_MODEL_SEED", 1) + GetParam() * share;
  std::cout << "seeds " << first << " to " << first + share - 1 << std::endl;
  coverage covered;
  unsigned failures = 0;
  for (std::uint64_t seed = first; seed < first + share; ++seed) {
    const std::string difference = run_program(seed, covered);
    if (difference.empty()) continue;
    ADD_FAILURE() << "run again with SHEAF_MODEL_SEED=" << seed << " SHEAF_MODEL_PROGRAMS=1\n"
                  << difference;
    if (++failures == 5) break;
  }
  std::cout << covered.programs << " programs, " << covered.commits << " commits, "
            << covered.failed_hosts << " failed by a host function, " << covered.arrays_compared
            << " arrays compared, levels pushed " << covered.work.levels_pushed << " pulled "
            << covered.work.levels_pulled << " full " << covered.work.levels_full << std::endl;
  const edit_coverage& edits = covered.edits;
  std::cout << edits.changes << " changes of the graph, " << edits.unfit << " refused, "
            << edits.failed_hosts << " failed by a host function, " << edits.mistakes
            << " wrong; " << edits.added << " added, " << edits.redefined << " redefined, "
            << edits.renamed << " renamed, " << edits.dropped << " dropped, " << edits.resized
            << " resized, " << edits.appended << " appended" << std::endl;
  if (!chosen && failures == 0) expect_all_covered(covered);
}

/// The figures of a commit count pages and lines, so nothing but the calls decides them.
TEST(RandomProgram, CountsTheSameWorkOnEveryBackendAndThreadCount) {
  const std::uint64_t first = from_environment("SHEAF_MODEL_SEED", 3);
  for (std::uint64_t seed = first; seed < first + 41; ++seed) {
    coverage reference;
    ASSERT_EQ(run_program(seed, reference, {sheaf::isa::scalar, 1}), "") << "seed " << seed;
    for (const sheaf::isa set : {sheaf::isa::avx2, sheaf::isa::avx512}) {
      coverage other;
      ASSERT_EQ(run_program(seed, other, {set, 4}), "") << "seed " << seed;
      EXPECT_TRUE(other.work == reference.work) << "seed " << seed << " on " << name_of(set);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Part, RandomPrograms, testing::Range(0u, parts));

}  // namespace
}  // namespace model_test
