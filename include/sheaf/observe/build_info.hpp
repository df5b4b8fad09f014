/// \file
/// What this library is: its version and how it was compiled. For reports and the command line.
#pragma once

#include <string_view>

namespace sheaf::inline v0 {

struct build_info {
  std::string_view version;     ///< of the library, "1.2.3"
  std::string_view compiler;    ///< "gcc 12.2.0"
  std::string_view assertions;  ///< "always", "debug" or "paranoid": the highest level compiled in
};

/// Of the library that is linked, whatever headers the caller was compiled with. Thread safety:
/// constants.
[[nodiscard]] build_info library_build() noexcept;

}  // namespace sheaf::inline v0
