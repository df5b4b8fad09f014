#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "device/fault_cases.hpp"
#include "device/fault_world.hpp"
#include "device/gpu_faults.hpp"

namespace sheaf_test {

namespace {

/// Engines that are there until the process ends, and are destroyed then.
std::optional<fault_world> until_the_end;

/// In a child of a fork: what its parent opened is lost, engines go on and may be opened.
std::string live_as_a_child(fault_world& world, const case_arguments& with) {
  if (std::string wrong = world.commit(); !wrong.empty()) return wrong;
  if (std::string wrong = world.goes_on_here(); !wrong.empty()) return wrong;
  return opens_here(with);
}

}  // namespace

std::string fork_with_an_open_device(const case_arguments& with) {
  std::optional<fault_world> world(std::in_place);
  if (std::string why = world->open(with); !why.empty()) return why;
  if (std::string wrong = world->commits_on_device(10); !wrong.empty()) return wrong;
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child < 0) return "no fork";
  if (child == 0) {
    ::alarm(20);
    const std::string wrong = live_as_a_child(*world, with);
    world.reset();
    if (!wrong.empty()) std::printf("in the child: %s\n", wrong.c_str());
    std::fflush(stdout);
    ::_exit(wrong.empty() ? 0 : 1);
  }
  // Both run on: the parent must not notice.
  const std::string wrong = world->commits_on_device(10);
  int ended = 0;
  if (::waitpid(child, &ended, 0) != child) return "the child is not there";
  if (!wrong.empty()) return wrong;
  if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0) return "the child did not end well";
  return world->commits_on_device(10);
}

std::string host_uses_the_runtime(const case_arguments& with) {
  // The engine first: a thread that has no context has none afterwards.
  std::optional<fault_world> world(std::in_place);
  if (std::string why = world->open(with); !why.empty()) return why;
  if (std::string wrong = world->commits_on_device(5); !wrong.empty()) return wrong;
  if (current_context() != nullptr) return "an engine left a context on a thread that had none";
  if (std::string why = start_runtime(); !why.empty()) return why;
  void* const before = current_context();
  if (before == nullptr) return "the runtime of the test has no context";
  for (std::uint32_t round = 0; round < 50; ++round) {
    if (std::string wrong = use_runtime(round); !wrong.empty()) return wrong;
    if (std::string wrong = world->commits_on_device(2); !wrong.empty()) return wrong;
    if (current_context() != before || current_device() != 0) {
      return "a commit changed what is current on its thread";
    }
  }
  world.reset();
  if (current_context() != before) return "closing changed what is current on its thread";
  return use_runtime(51);
}

/// A context of the host's own, not the device's primary one, is current while an engine runs.
std::string host_has_a_context(const case_arguments& with) {
  if (std::string why = start_runtime(); !why.empty()) return why;
  void* const own = push_own_context();
  if (own == nullptr) return "the driver makes no context";
  std::optional<fault_world> world(std::in_place);
  if (std::string why = world->open(with); !why.empty()) return why;
  if (current_context() != own) return "opening changed what is current on its thread";
  for (unsigned round = 0; round < 20; ++round) {
    if (std::string wrong = world->commits_on_device(2); !wrong.empty()) return wrong;
    if (current_context() != own) return "a commit changed what is current on its thread";
  }
  world.reset();
  if (current_context() != own) return "closing changed what is current on its thread";
  drop_own_context(own);
  return use_runtime(52);
}

/// One engine is destroyed when the process ends, after the plugin's runtime; one never is.
std::string process_ends_with_open_engines(const case_arguments& with) {
  until_the_end.emplace(3);
  if (std::string why = until_the_end->open(with); !why.empty()) return why;
  static fault_world* const never_closed = new fault_world(4);
  if (std::string why = never_closed->open(with); !why.empty()) return why;
  if (std::string wrong = never_closed->commits_on_device(5); !wrong.empty()) return wrong;
  return until_the_end->commits_on_device(5);
}

}  // namespace sheaf_test
