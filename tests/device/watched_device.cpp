#include "device/watched_device.hpp"

#include <cstdio>

#include <sheaf/memory/device_library.hpp>
#include <sheaf/propagate/device_plan.hpp>

namespace sheaf_test {

using namespace sheaf;

namespace {

device_ops table{};
const device_ops* inner = nullptr;
watch watching;
watched_calls calls;
std::atomic<device_context*> newest{nullptr};
std::atomic<std::uint64_t> memory_bytes_max{0};

device_code open_watched(const device_settings* settings, device_context** made,
                         device_error* why) {
  ++calls.opened;
  device_settings asked = *settings;
  if (asked.executor == device_executor::automatic) asked.executor = watching.executor;
  memory_bytes_max = asked.memory_bytes_max;
  const device_code code = inner->open(&asked, made, why);
  if (code == device_code::ok) newest = *made;
  return code;
}
void close_watched(device_context* device) {
  ++calls.closed;
  device_context* expected = device;
  newest.compare_exchange_strong(expected, nullptr);
  inner->close(device);
}

std::uint64_t page_bytes_of(const device_section* sections) {
  const auto& header = *static_cast<const device_plan_header*>(
      sections[static_cast<std::uint32_t>(plan_section::header)].data);
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < page_class_count; ++i) {
    bytes += header.pages_of_class[i] << (line_shift + i);
  }
  return bytes;
}

device_code load_watched(device_context* device, const device_section* sections,
                         std::uint32_t count, device_error* why) {
  ++calls.loads;
  if (watching.before_load != nullptr) watching.before_load();
  if (watching.enforces_memory && page_bytes_of(sections) > memory_bytes_max) {
    why->code = device_code::out_of_memory;
    std::snprintf(why->text, sizeof why->text, "past the limit of the test");
    return why->code;
  }
  const device_code code = inner->load_plan(device, sections, count, why);
  if (code == device_code::ok) ++calls.loads_done;
  return code;
}

device_code commit_watched(device_context* device, std::uint32_t stage, const device_record* what,
                           device_record* changed, device_error* why) {
  ++calls.commits;
  if (watching.before_commit != nullptr) watching.before_commit();
  const device_code code = inner->commit(device, stage, what, changed, why);
  if (code == device_code::ok) ++calls.commits_done;
  return code;
}

}  // namespace

const device_ops* watched(const device_ops& of, const watch& how) {
  inner = &of;
  watching = how;
  table = of;
  table.open = open_watched;
  table.close = close_watched;
  table.load_plan = load_watched;
  table.commit = commit_watched;
  for (auto* count : {&calls.opened, &calls.closed, &calls.loads, &calls.loads_done,
                      &calls.commits, &calls.commits_done}) {
    *count = 0;
  }
  newest = nullptr;
  return &table;
}

const watched_calls& calls_watched() noexcept { return calls; }

device_figures figures_watched() noexcept {
  device_figures found{};
  if (device_context* const device = newest; device != nullptr) inner->figures(device, &found);
  return found;
}

const device_ops* find_gpu(std::string& why) {
  const result<device_library> plugin = device_library::open();
  if (!plugin) {
    why = plugin.error().message();
    return nullptr;
  }
  if (const result<std::uint32_t> count = plugin->count(); !count) {
    why = count.error().message();
    return nullptr;
  }
  return &plugin->ops();
}

}  // namespace sheaf_test
