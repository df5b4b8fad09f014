/// \file
/// The steps of opening a plugin, apart, so that a test can take them with files of its own.
///
/// Thread safety: functions of their arguments and the file system.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <sheaf/memory/device_library.hpp>

namespace sheaf::inline v0 {

/// A plugin that was opened. Made once per open, never destroyed.
struct opened_plugin {
  const device_ops* ops;
  std::string path;

  [[nodiscard]] static device_library library_of(const opened_plugin& plugin) noexcept {
    return device_library(plugin);
  }
};

/// The files to try, in order. `forced` (the value of SHEAF_CUDA_PLUGIN, or null) is the only one
/// where it is not empty.
[[nodiscard]] std::vector<std::string> plugin_places(const char* forced);

/// Opens the first of `places` that exists; one without `/` always counts as existing.
[[nodiscard]] result<device_library> open_plugin(std::span<const std::string> places);

}  // namespace sheaf::inline v0
