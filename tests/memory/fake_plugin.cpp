/// \file
/// Files that are plugins only in part, one for each value of FAKE, and one (`two_devices`) that is
/// one and counts how often it was asked for its table.
#include <cstdio>
#include <sheaf/memory/device_ops.hpp>

namespace sheaf {
namespace {

std::uint32_t count(device_error*) { return 2; }

std::uint32_t count_none(device_error* why) {
  why->code = device_code::absent;
  std::snprintf(why->text, sizeof(why->text), "the bus is empty");
  return 0;
}

device_code describe(std::uint32_t index, device_info* into, device_error* why) {
  if (index >= 2) {
    std::snprintf(why->text, sizeof(why->text), "device %u of 2", index);
    return device_code::absent;
  }
  std::snprintf(into->name, sizeof(into->name), "fake %u", index);
  into->multiprocessors = 10 + index;
  return device_code::ok;
}

constexpr device_ops table_of(std::uint32_t version, std::uint32_t size, bool has_devices) {
  device_ops table{};
  table.version = version;
  table.size = size;
  table.count = has_devices ? count : count_none;
  table.describe = describe;
  return table;
}

constexpr std::uint32_t size = sizeof(device_ops);
[[maybe_unused]] constexpr device_ops good = table_of(device_ops_version, size, true);
[[maybe_unused]] constexpr device_ops empty = table_of(device_ops_version, size, false);
[[maybe_unused]] constexpr device_ops short_one = table_of(device_ops_version, size - 8, true);
[[maybe_unused]] constexpr device_ops later = table_of(device_ops_version + 1, size, true);

constexpr int not_a_plugin = 0, no_table = 1, short_table = 2, later_version = 3, two_devices = 4,
              no_devices = 5;

}  // namespace

extern "C" {

int sheaf_fake_asked = 0;

#if FAKE != 0
const device_ops* sheaf_device_ops(std::uint32_t version) {
  ++sheaf_fake_asked;
  if (version != device_ops_version) return nullptr;
  switch (FAKE) {
    case short_table: return &short_one;
    case later_version: return &later;
    case two_devices: return &good;
    case no_devices: return &empty;
    case not_a_plugin:
    case no_table: break;
  }
  return nullptr;
}
#endif
}

}  // namespace sheaf
