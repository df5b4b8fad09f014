#include "cli/output.hpp"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace sheaf::cli {

void print(std::string& to, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  va_list again;
  va_copy(again, arguments);
  const int size = std::vsnprintf(nullptr, 0, format, arguments);
  va_end(arguments);
  const std::size_t before = to.size();
  to.resize(before + static_cast<std::size_t>(size) + 1);  // vsnprintf ends with a zero byte
  std::vsnprintf(to.data() + before, static_cast<std::size_t>(size) + 1, format, again);
  va_end(again);
  to.pop_back();
}

bool write_out(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
                       std::fflush(stdout) == 0;
  if (written || errno == EPIPE) return true;
  complain(std::string("standard output: ") + std::strerror(errno));
  return false;
}

void complain(std::string_view text) {
  std::fprintf(stderr, "sheaf: %.*s\n", static_cast<int>(text.size()), text.data());
}

}  // namespace sheaf::cli
