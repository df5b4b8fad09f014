#include "device/fault_cases.hpp"

#include <chrono>
#include <thread>

#include "device/fault_world.hpp"
#include "device/gpu_faults.hpp"
#include "device/watched_device.hpp"

namespace sheaf_test {

namespace {

using clock = std::chrono::steady_clock;

double trap_after_microseconds = 0;
bool has_launched = false;
std::string launch_words;

/// Of the watched table, just before a commit is handed to the device: once.
void launch_trap_now() {
  if (std::exchange(has_launched, true)) return;
  launch_words = launch_trap(trap_after_microseconds);
}

/// Traps, and waits until the device says so.
std::string trap_now() {
  if (std::string why = launch_trap(0); !why.empty()) return why;
  return device_fails_within(10) ? "" : "the device did not fail";
}

}  // namespace

std::string trap_between_commits(const case_arguments& with) {
  if (std::string why = start_runtime(); !why.empty()) return why;
  fault_world world;
  if (std::string why = world.open(with); !why.empty()) return why;
  if (std::string wrong = world.commits_on_device(10); !wrong.empty()) return wrong;
  if (std::string why = trap_now(); !why.empty()) return why;
  if (std::string wrong = world.commit(); !wrong.empty()) return wrong;
  world.print_time("after_a_trap", with);
  if (std::string wrong = world.goes_on_here(); !wrong.empty()) return wrong;
  return opens_here(with);
}

/// The trap comes before, in the middle of, or after the commit, by how long it waits; every commit
/// has to succeed, and the device has to be found lost soon.
std::string trap_during_a_commit(const case_arguments& with) {
  if (std::string why = start_runtime(); !why.empty()) return why;
  fault_world world;
  trap_after_microseconds = with.number;
  has_launched = true;
  case_arguments watched_with = with;
  watched_with.ops = watched(*with.ops, {.before_commit = launch_trap_now});
  if (std::string why = world.open(watched_with); !why.empty()) return why;
  if (std::string wrong = world.commits_on_device(10); !wrong.empty()) return wrong;
  has_launched = false;
  const auto limit = clock::now() + std::chrono::seconds(5);
  unsigned commits = 0;
  do {
    if (std::string wrong = world.commit(fault_world::everything); !wrong.empty()) return wrong;
    if (!launch_words.empty()) return launch_words;
    ++commits;
  } while (world.on_device().stats().degraded == 0 && clock::now() < limit);
  std::printf("lost at commit %u after the trap was launched\n", commits);
  if (commits == 1) world.print_time("with_a_trap_in_it", with);
  constexpr double soon = 1e6;  // a tenth of the deadline
  if (world.microseconds() > soon) return "the trap was found by the deadline, not by its error";
  return world.goes_on_here();
}

std::string trap_before_the_plan_is_loaded(const case_arguments& with) {
  if (std::string why = start_runtime(); !why.empty()) return why;
  fault_world world;
  if (std::string why = world.open(with); !why.empty()) return why;
  if (std::string why = trap_now(); !why.empty()) return why;
  if (std::string wrong = world.commit(); !wrong.empty()) return wrong;
  world.print_time("before_the_plan", with);
  return world.goes_on_here();
}

std::string trap_before_an_engine_opens(const case_arguments& with) {
  if (std::string why = start_runtime(); !why.empty()) return why;
  if (std::string why = trap_now(); !why.empty()) return why;
  return opens_here(with);
}

/// What is lost is the device, not one engine's use of it.
std::string trap_with_two_engines(const case_arguments& with) {
  if (std::string why = start_runtime(); !why.empty()) return why;
  fault_world first(1), second(2);
  for (fault_world* world : {&first, &second}) {
    if (std::string why = world->open(with); !why.empty()) return why;
    if (std::string wrong = world->commits_on_device(6); !wrong.empty()) return wrong;
  }
  if (std::string why = trap_now(); !why.empty()) return why;
  if (std::string wrong = first.goes_on_here(); !wrong.empty()) return "the first: " + wrong;
  if (std::string wrong = second.goes_on_here(); !wrong.empty()) return "the second: " + wrong;
  return opens_here(with);
}

/// Every multiprocessor is taken for longer than a commit may wait. `number`: how long, in seconds.
std::string deadline_passes(const case_arguments& with) {
  constexpr double deadline = 0.3;
  if (std::string why = start_runtime(); !why.empty()) return why;
  fault_world world;
  if (std::string why = world.open(with, deadline); !why.empty()) return why;
  if (std::string wrong = world.commits_on_device(10); !wrong.empty()) return wrong;
  if (std::string why = launch_hog(with.number); !why.empty()) return why;
  const clock::time_point begin = clock::now();
  if (std::string wrong = world.commit(); !wrong.empty()) return wrong;
  world.print_time("past_the_deadline", with);
  if (world.on_device().stats().degraded != 1) return "the deadline passed unseen";
  if (world.microseconds() < deadline * 1e6) return "the commit did not wait for its device";
  if (world.microseconds() > deadline * 1e6 + 1e6) return "the commit waited past its deadline";
  if (std::string wrong = world.goes_on_here(); !wrong.empty()) return wrong;
  const bool is_early = clock::now() - begin < std::chrono::duration<double>(with.number);
  if (std::string wrong = opens_here(with); !wrong.empty()) return wrong;
  if (!is_early) return "the CPU waited for the device";
  // The device is well again, and still not used.
  std::this_thread::sleep_for(std::chrono::duration<double>(with.number));
  return world.goes_on_here();
}

}  // namespace sheaf_test
