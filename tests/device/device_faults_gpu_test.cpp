/// \file
/// What becomes of a process whose GPU traps, or passes a deadline, or is used by others: each case
/// in a child process of its own, which has to do every commit with the bits of the CPU and to end
/// with exit code 0. The parent never calls the driver.
///
/// Usage: device_faults_gpu_test [part of a case's name]. SHEAF_CUDA_PLUGIN names the plugin.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "device/child_process.hpp"
#include "device/fault_cases.hpp"
#include "device/watched_device.hpp"

namespace {

using namespace sheaf_test;

constexpr int skipped = 77;
constexpr double seconds_max = 40;

struct fault_case {
  const char* name;
  std::string (*run)(const case_arguments&);
  const char* executor;  ///< SHEAF_FORCE_BACKEND of engines on the device
  const char* number;
};
constexpr fault_case cases[] = {
    {"trap_between_commits", trap_between_commits, "cuda-graph", "0"},
    {"trap_between_commits_by_launches", trap_between_commits, "cuda-stream", "0"},
    {"trap_at_once_in_a_commit", trap_during_a_commit, "cuda-graph", "0"},
    {"trap_at_once_in_a_commit_by_launches", trap_during_a_commit, "cuda-stream", "0"},
    {"trap_in_a_commit_after_20_us", trap_during_a_commit, "cuda-graph", "20"},
    {"trap_in_a_commit_after_60_us", trap_during_a_commit, "cuda-stream", "60"},
    {"trap_in_a_commit_after_100_us", trap_during_a_commit, "cuda-graph", "100"},
    {"trap_in_a_commit_after_1000_us", trap_during_a_commit, "cuda-graph", "1000"},
    {"trap_before_the_plan_is_loaded", trap_before_the_plan_is_loaded, "cuda-graph", "0"},
    {"trap_before_an_engine_opens", trap_before_an_engine_opens, "cuda-graph", "0"},
    {"trap_with_two_engines", trap_with_two_engines, "cuda-graph", "0"},
    {"deadline_passes", deadline_passes, "cuda-graph", "3"},
    {"deadline_passes_by_launches", deadline_passes, "cuda-stream", "3"},
    {"fork_with_an_open_device", fork_with_an_open_device, "cuda-graph", "0"},
    {"threads_with_an_engine_each", threads_with_an_engine_each, "cuda-graph", "0"},
    {"threads_with_an_engine_each_by_launches", threads_with_an_engine_each, "cuda-stream", "0"},
    {"threads_share_an_engine", threads_share_an_engine, "cuda-graph", "0"},
    {"host_uses_the_runtime", host_uses_the_runtime, "cuda-graph", "0"},
    {"host_has_a_context", host_has_a_context, "cuda-graph", "0"},
    {"process_ends_with_open_engines", process_ends_with_open_engines, "cuda-graph", "0"},
};

/// The plugin's table; ends a process that finds none.
const sheaf::device_ops* ops_or_skip() {
  std::string why;
  const sheaf::device_ops* const ops = find_gpu(why);
  if (ops == nullptr) {
    std::printf("SKIPPED: %s\n", why.c_str());
    std::exit(skipped);
  }
  return ops;
}

int run_case(std::string_view name) {
  for (const fault_case& each : cases) {
    if (each.name != name) continue;
    const std::string wrong =
        each.run({ops_or_skip(), each.executor, std::strtod(each.number, nullptr)});
    if (!wrong.empty()) std::printf("WRONG: %s\n", wrong.c_str());
    else std::printf("every commit has the bits of the CPU\n");
    return wrong.empty() ? 0 : 1;
  }
  std::printf("WRONG: no such case\n");
  return 2;
}

/// True where the child did what it should and ended as it should.
bool check(const fault_case& one) {
  const child_end end = run_self({"--case", one.name}, seconds_max);
  std::printf("-- %s: exit code %d, %.1f s\n%s", one.name, end.exit_code, end.seconds,
              end.output.c_str());
  if (end.was_late) std::printf("WRONG: it did not end by itself\n");
  else if (end.signal != 0) std::printf("WRONG: it ended by signal %d\n", end.signal);
  std::fflush(stdout);
  return end.exit_code == 0 &&
         end.output.find("every commit has the bits of the CPU") != std::string::npos;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 2 && std::string_view(argv[1]) == "--case") return run_case(argv[2]);
  if (argc > 1 && std::string_view(argv[1]) == "--probe") {
    static_cast<void>(ops_or_skip());
    return 0;
  }
  const child_end probe = run_self({"--probe"}, seconds_max);
  if (probe.exit_code != 0) {
    std::printf("%s", probe.output.c_str());
    return probe.exit_code == skipped ? skipped : 1;
  }
  const std::string_view only = argc > 1 ? argv[1] : "";
  unsigned ran = 0, wrong = 0;
  for (const fault_case& each : cases) {
    if (std::string_view(each.name).find(only) == std::string_view::npos) continue;
    ++ran;
    if (check(each)) continue;
    ++wrong;
    std::printf("WRONG: %s\n", each.name);
  }
  std::printf("%u cases, %u wrong\n", ran, wrong);
  return wrong == 0 && ran != 0 ? 0 : 1;
}
