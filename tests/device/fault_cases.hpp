/// \file
/// What a process goes through when its GPU fails, or when it uses the GPU in its own ways, one
/// case a process: a device that failed once is lost for the process it failed in.
///
/// A case opens engines, disturbs them, and expects every commit to succeed with the bits of an
/// engine on the CPU. It returns words where it found something wrong.
///
/// Thread safety: one case a process.
#pragma once

#include <string>

#include <sheaf/memory/device_ops.hpp>

namespace sheaf_test {

struct case_arguments {
  const sheaf::device_ops* ops;  ///< of the plugin
  std::string forced;            ///< SHEAF_FORCE_BACKEND of engines on the device
  double number;                 ///< of some cases
};
/// Cases of a device that fails.
[[nodiscard]] std::string trap_between_commits(const case_arguments& with);
[[nodiscard]] std::string trap_during_a_commit(const case_arguments& with);
[[nodiscard]] std::string trap_before_the_plan_is_loaded(const case_arguments& with);
[[nodiscard]] std::string trap_before_an_engine_opens(const case_arguments& with);
[[nodiscard]] std::string trap_with_two_engines(const case_arguments& with);
[[nodiscard]] std::string deadline_passes(const case_arguments& with);

/// Cases of a device that does not.
[[nodiscard]] std::string fork_with_an_open_device(const case_arguments& with);
[[nodiscard]] std::string threads_with_an_engine_each(const case_arguments& with);
[[nodiscard]] std::string threads_share_an_engine(const case_arguments& with);
[[nodiscard]] std::string host_uses_the_runtime(const case_arguments& with);
[[nodiscard]] std::string host_has_a_context(const case_arguments& with);
[[nodiscard]] std::string process_ends_with_open_engines(const case_arguments& with);

}  // namespace sheaf_test
