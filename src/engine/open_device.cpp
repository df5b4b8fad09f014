#include "engine/open_device.hpp"

#include <atomic>

#include <sheaf/base/backend.hpp>
#include <sheaf/memory/device_library.hpp>

namespace sheaf::inline v0 {

namespace {

std::atomic<const device_ops*> ops_of_tests{nullptr};
std::atomic<bool> is_for_all{false};

opened_device open_with(const device_ops& ops, const engine_options& options, device_executor how) {
  device_settings settings;
  settings.executor = how;
  settings.index = options.device_index;
  settings.memory_bytes_max = options.device_bytes_max;
  settings.deadline_seconds = options.device_deadline_seconds;
  auto link = device_link::open(
      ops, settings, options.device == device::automatic && how == device_executor::automatic);
  if (!link) return {nullptr, link.error().message()};
  return {std::move(*link), {}};
}

}  // namespace

void use_device_ops(const device_ops* ops, bool everywhere) noexcept {
  ops_of_tests.store(ops);
  is_for_all.store(everywhere);
}

opened_device open_device(const engine_options& options) {
  const result<backend> forced = selected_backend();
  if (!forced) return {nullptr, forced.error().message()};
  const device_ops* const ops = ops_of_tests.load();
  const bool is_forced = *forced == backend::cuda_stream || *forced == backend::cuda_graph;
  const bool is_for_tests = ops != nullptr && is_for_all.load();
  const bool is_asked = options.device != device::cpu || is_forced || is_for_tests;
  if (!is_asked) return {};
  // Tests choose instruction sets by the same variable.
  if (*forced == backend::cpu && !is_for_tests) {
    return {nullptr, "SHEAF_FORCE_BACKEND names the CPU"};
  }
  const device_executor how = *forced == backend::cuda_stream  ? device_executor::stream
                              : *forced == backend::cuda_graph ? device_executor::graph
                                                               : device_executor::automatic;
  if (ops != nullptr) return open_with(*ops, options, how);
  const result<device_library> plugin = device_library::open();
  if (!plugin) return {nullptr, plugin.error().message()};
  return open_with(plugin->ops(), options, how);
}

}  // namespace sheaf::inline v0
