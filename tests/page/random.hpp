/// \file
/// Random numbers for tests: seeded, 32 bits wide, the same everywhere.
#pragma once

#include <cstdint>
#include <random>

namespace sheaf_test {

class random_numbers {
 public:
  explicit random_numbers(std::uint64_t seed) : engine_(static_cast<std::uint32_t>(seed)) {}
  std::uint32_t operator()() { return static_cast<std::uint32_t>(engine_()); }

 private:
  std::mt19937 engine_;
};

}  // namespace sheaf_test
