#include "device/child_process.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

namespace sheaf_test {

namespace {

std::string read_all(std::FILE* from) {
  std::string text;
  std::rewind(from);
  char part[4096];
  for (std::size_t got; (got = std::fread(part, 1, sizeof part, from)) != 0;) {
    text.append(part, got);
  }
  return text;
}

}  // namespace

child_end run_self(const std::vector<std::string>& arguments, double seconds) {
  using clock = std::chrono::steady_clock;
  child_end end;
  std::FILE* const output = std::tmpfile();
  if (output == nullptr) return end;
  std::vector<std::string> words = arguments;
  words.insert(words.begin(), "child");
  std::vector<char*> pointers;
  for (std::string& each : words) pointers.push_back(each.data());
  pointers.push_back(nullptr);
  const clock::time_point begin = clock::now();
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(::fileno(output), STDOUT_FILENO);
    ::dup2(::fileno(output), STDERR_FILENO);
    ::execv("/proc/self/exe", pointers.data());
    ::_exit(127);
  }
  int ended = 0;
  while (child > 0 && ::waitpid(child, &ended, WNOHANG) != child) {
    if (!end.was_late && clock::now() - begin > std::chrono::duration<double>(seconds)) {
      end.was_late = true;
      ::kill(child, SIGKILL);
    }
    // A process that the driver holds may not even die of that: it is left behind.
    if (clock::now() - begin > std::chrono::duration<double>(seconds + 5)) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  end.seconds = std::chrono::duration<double>(clock::now() - begin).count();
  if (child > 0 && !end.was_late) {
    if (WIFEXITED(ended)) end.exit_code = WEXITSTATUS(ended);
    else end.signal = WTERMSIG(ended);
  }
  end.output = read_all(output);
  static_cast<void>(std::fclose(output));
  return end;
}

}  // namespace sheaf_test
