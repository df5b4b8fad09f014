/// \file
/// Random programs of 1 to 8 writer threads on one engine, and the check of what they saw against a
/// serial execution by the naive engine.
///
/// Thread safety: one program at a time.
#pragma once

#include <cstdint>
#include <string>

#include "model/history.hpp"

namespace model_test {

/// Runs the program of `seed`. Empty where everything is as a serial execution has it; else what is
/// not, and the model.
[[nodiscard]] std::string run_thread_program(std::uint64_t seed, thread_coverage& covered);

}  // namespace model_test
