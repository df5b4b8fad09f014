/// \file
/// Runs a program as a child with a time of its own, and hands back what it printed.
///
/// Thread safety: none.
#pragma once

#include <string>
#include <vector>

namespace sheaf_test {

struct child_end {
  int exit_code = -1;    ///< -1: it ended by a signal, or did not start
  int signal = 0;
  bool was_late = false; ///< and was killed
  double seconds = 0;
  std::string output;    ///< of both streams
};

/// Starts `/proc/self/exe` anew with these arguments; it is killed after `seconds`.
[[nodiscard]] child_end run_self(const std::vector<std::string>& arguments, double seconds);

}  // namespace sheaf_test
