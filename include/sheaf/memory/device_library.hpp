/// \file
/// Finding and opening the plugin that drives GPUs, `libsheaf_cuda.so`.
///
/// Where it is looked for, the first place that has it deciding:
///  1. the environment variable `SHEAF_CUDA_PLUGIN`: that file and no other; a name without `/` is
///     looked up as the dynamic loader does;
///  2. the folder of the shared library or program that holds this code;
///  3. the folder of the running program;
///  4. the library folder beside that (`../lib`), and the one Sheaf was configured to install into.
///
/// Rules
///  - Once a process: the first call decides, whatever changes in the environment or on disk later.
///  - Never unloaded: the driver keeps threads and handlers that outlive any owner, so the plugin
///    stays until the process ends, and nothing of it runs then.
///  - A process with elevated rights (set-user-id) takes no notice of the variable.
///  - `fork()`: a child keeps the library; contexts that its parent opened are `lost` in it.
///
/// Thread safety: everything here may be called by any thread at any time.
#pragma once

#include <cstdint>
#include <string_view>

#include <sheaf/base/result.hpp>
#include <sheaf/memory/device_ops.hpp>

namespace sheaf::inline v0 {

struct opened_plugin;

/// The plugin of this process, opened. A small value; copies are the same plugin.
class device_library {
 public:
  /// `unsupported` where there is none, with the places, and where it was made for another version
  /// or does not load, with the loader's words; `bad_format` where the file is no plugin;
  /// `out_of_memory`. Cost: file look-ups and `dlopen` once, then an atomic load.
  [[nodiscard]] static result<device_library> open() noexcept;

  [[nodiscard]] const device_ops& ops() const noexcept;
  /// The file it came from.
  [[nodiscard]] std::string_view path() const noexcept;

  /// How many devices there are, at least one; `unsupported` with the driver's words where there is
  /// none. The first call starts the driver (up to a second), a later one is cheap.
  [[nodiscard]] result<std::uint32_t> count() const noexcept;
  /// `unsupported` where no such device is.
  [[nodiscard]] result<device_info> describe(std::uint32_t index) const noexcept;

 private:
  friend struct opened_plugin;
  explicit device_library(const opened_plugin& plugin) noexcept : plugin_(&plugin) {}
  const opened_plugin* plugin_;
};

/// What a device said, as a status of `subsystem::memory`. `text` is a literal; the detail is the
/// device's words. `absent` is `unsupported`, `lost` is `failed`, `invalid` is `invalid_argument`.
[[nodiscard]] status status_of(const device_error& error, const char* text) noexcept;

}  // namespace sheaf::inline v0
