/// \file
/// A plugin built without `cuda/propagate`: devices are counted, described and opened; plans are
/// not run.
#include "cuda/device.hpp"

namespace sheaf::inline v0 {

std::unique_ptr<device_runner> make_device_runner(device_context&, device_error* why) {
  tell(why, device_code::unsupported, "this plugin was built without cuda/propagate");
  return nullptr;
}

}  // namespace sheaf::inline v0
