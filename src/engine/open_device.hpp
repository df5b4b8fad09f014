/// \file
/// Which device an engine opens, if any.
///
/// Thread safety: all from any thread.
#pragma once

#include <memory>
#include <string>

#include <sheaf/engine/options.hpp>

#include "propagate/device_link.hpp"

namespace sheaf::inline v0 {

struct opened_device {
  std::shared_ptr<device_link> link;  ///< null: there is none
  std::string why_none;               ///< then why, where one was asked for
};
[[nodiscard]] opened_device open_device(const engine_options& options);

/// Engines opened from now on find the devices of `ops` in place of the plugin's; with `everywhere`
/// also those that ask for none. Null: as before. For tests.
void use_device_ops(const device_ops* ops, bool everywhere) noexcept;

}  // namespace sheaf::inline v0
