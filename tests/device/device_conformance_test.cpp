/// \file
/// Conformance of the backends that need no GPU: the other instruction sets, and the bodies of
/// cuda/ in loops of the host. Environment: SHEAF_SEED.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include <sheaf/base/isa.hpp>

#include "device/conformance.hpp"
#include "device/host_device.hpp"
#include "page/random.hpp"

namespace {

using namespace sheaf_test;

TEST(DeviceConformance, EveryOperatorTypeAndPageSizeHasTheBitsOfTheScalarCpu) {
  std::vector<conformance_backend> backends;
  for (const sheaf::isa set : {sheaf::isa::avx2, sheaf::isa::avx512}) {
    if (!sheaf::is_available(set)) continue;
    const std::string name(sheaf::name_of(set));
    backends.push_back({{name, name, nullptr, {}}, false});
  }
  backends.push_back({device_way("loops of the host", host_device_ops()), true});
  const char* said = std::getenv("SHEAF_SEED");
  const std::uint64_t seed = said == nullptr ? 1 : std::strtoull(said, nullptr, 10);
  const conformance_report report = run_conformance(backends, seed);
  std::cout << report.combinations << " combinations on " << backends.size() << " backends, "
            << report.commits << " commits, " << report.device_commits << " on a device, seed "
            << seed << std::endl;
  for (const std::string& each : report.wrong) ADD_FAILURE() << each;
  EXPECT_EQ(report.device_commits * backends.size(), report.commits);
}

}  // namespace
