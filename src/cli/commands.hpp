/// \file
/// The subcommands of `sheaf`. Each makes its whole report as text, which main writes, or says why
/// it cannot.
///
/// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <string>

#include <sheaf/algebra/semiring.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/page/pin_registry.hpp>

namespace sheaf::cli {

enum class form : std::uint8_t { text, json };

/// `sheaf version`. `unsupported`, `invalid_argument`: SHEAF_FORCE_BACKEND names a set that is
/// not there.
[[nodiscard]] result<std::string> version_report(form as);

/// `sheaf demo`. The same bytes on every machine.
[[nodiscard]] result<std::string> demo_report(form as);

/// The model and the commits of `sheaf stat`.
struct stat_options {
  std::uint32_t arrays = 1000;  ///< of each level, the sources included
  std::uint32_t length = 1024;  ///< elements of each array
  std::uint32_t fan_in = 4;     ///< operands of each derived array
  std::uint32_t levels = 3;     ///< of derived arrays
  std::uint32_t commits = 1000;
  std::uint32_t writes = 1;     ///< elements set by each commit
  unsigned threads = 1;
  std::uint64_t seed = 1;
  std::uint64_t memory_mib = 4096;
  readers mode = readers::brief_wait;
  semiring_id semiring = semiring_id::sum_product;
  bool wants_audit = false;
};
/// Arrays of all levels together that a model of `stat` may have.
inline constexpr std::uint64_t stat_arrays_max = 20'000'000;

/// `sheaf stat`. What the engine refuses (`out_of_memory` past `memory_mib`) comes back;
/// `failed` where an audit finds a line that differs.
[[nodiscard]] result<std::string> stat_report(const stat_options& options, form as);

}  // namespace sheaf::cli
