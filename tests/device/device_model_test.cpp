/// \file
/// The random programs of the model test with a device under every engine: promise P1 across
/// backends. The device is loops of the host over the text that kernels are made of. Environment:
/// SHEAF_MODEL_SEED, the first seed; SHEAF_MODEL_PROGRAMS, how many.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "device/host_device.hpp"
#include "engine/open_device.hpp"
#include "model/random_program.hpp"

namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* said = std::getenv(name);
  return said == nullptr ? otherwise : std::strtoull(said, nullptr, 10);
}

class devices_everywhere {
 public:
  devices_everywhere() { sheaf::use_device_ops(sheaf_test::host_device_ops(), true); }
  ~devices_everywhere() { sheaf::use_device_ops(nullptr, false); }
};

TEST(RandomProgramsOnADevice, ReadTheSameBitsAsANaiveEngineThatRecomputesEverything) {
  const devices_everywhere installed;
  const std::uint64_t first = from_environment("SHEAF_MODEL_SEED", 1);
  const std::uint64_t programs = from_environment("SHEAF_MODEL_PROGRAMS", 250);
  std::cout << "seeds " << first << " to " << first + programs - 1 << std::endl;
  model_test::coverage covered;
  unsigned failures = 0;
  for (std::uint64_t seed = first; seed < first + programs; ++seed) {
    const std::string difference = model_test::run_program(seed, covered);
    if (difference.empty()) continue;
    ADD_FAILURE() << "run again with SHEAF_MODEL_SEED=" << seed << " SHEAF_MODEL_PROGRAMS=1\n"
                  << difference;
    if (++failures == 5) break;
  }
  std::cout << covered.commits << " commits, " << covered.work.device_commits << " on the device, "
            << covered.work.mixed_commits << " of them with the host" << std::endl;
  // All operators are in these programs: most graphs have some that the device has no body for.
  if (programs > 50) EXPECT_GT(covered.work.device_commits, covered.commits / 4);
  if (programs > 50) EXPECT_GT(covered.work.mixed_commits, covered.work.device_commits / 10);
}

}  // namespace
