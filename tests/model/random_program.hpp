/// \file
/// Random programs: an engine and a naive engine driven by the same calls, every read compared as
/// bits.
///
/// Thread safety: one program at a time; it sets SHEAF_FORCE_BACKEND while it opens its engine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <sheaf/base/isa.hpp>
#include <sheaf/propagate/work_counters.hpp>

#include "model/random_edits.hpp"
#include "model/random_forks.hpp"

namespace model_test {

/// What programs did, so that a test can tell that nothing was left out.
struct coverage {
  std::uint64_t programs = 0;
  std::uint64_t commits = 0;
  std::uint64_t failed_hosts = 0;
  std::uint64_t failed_lazy_reads = 0;
  std::uint64_t reentrant_calls = 0;
  std::uint64_t history_full = 0;
  std::uint64_t mistakes = 0;
  std::uint64_t aborts = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t arrays_compared = 0;
  std::uint64_t audits = 0;
  std::uint64_t backends[3] = {};
  std::uint64_t threads_four = 0;
  std::uint64_t wait_free = 0;
  sheaf::work_counters work;
  fork_coverage forks;
  edit_coverage edits;
};

/// How to run a program other than its seed says.
struct variation {
  std::optional<sheaf::isa> backend = {};
  std::optional<unsigned> threads = {};
};

/// Runs the program of `seed`. Empty where both engines agreed all along; else what differed, at
/// which step, and the model. Environment: SHEAF_MODEL_TRACE=1 prints every step.
[[nodiscard]] std::string run_program(std::uint64_t seed, coverage& covered,
                                      const variation& other = {});

}  // namespace model_test
