/// \file
/// Text for people, and how it leaves the process.
#pragma once

#include <string>
#include <string_view>

namespace sheaf::cli {

/// As `printf`, appended to `to`, whatever its length.
[[gnu::format(printf, 2, 3)]] void print(std::string& to, const char* format, ...);

/// Writes `text` to standard output. A reader that went away (`| head`) is no failure; false where
/// the bytes could not be written, with the reason on standard error.
[[nodiscard]] bool write_out(std::string_view text);

/// `sheaf: text` on standard error.
void complain(std::string_view text);

}  // namespace sheaf::cli
