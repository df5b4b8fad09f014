/// \file
/// Which kind of processor propagates. `SHEAF_FORCE_BACKEND` names one for the whole process: an
/// instruction set of the CPU (sheaf/base/isa.hpp) or one of the words here.
#pragma once

#include <cstdint>
#include <string_view>

#include <sheaf/base/result.hpp>

namespace sheaf::inline v0 {

enum class backend : std::uint8_t {
  automatic,    ///< a device where the engine was told to use one, by predicted cost
  cpu,          ///< never a device
  cuda_stream,  ///< a device, with a launch a level
  cuda_graph,   ///< a device, with the plan captured as a graph
};
inline constexpr unsigned backend_count = 4;

/// `automatic`, `cpu`, `cuda-stream`, `cuda-graph`.
[[nodiscard]] std::string_view name_of(backend value) noexcept;

/// What `SHEAF_FORCE_BACKEND` asks for: `cpu`, `cuda-stream` or `cuda-graph` where it is one of
/// these, `cpu` where it names an instruction set (available or not, which `selected_isa` says),
/// `automatic` where it is unset or empty. `invalid_argument` quotes any other word. It says
/// nothing of whether a device is there. Reads the environment at each call. Thread safety: as
/// `getenv`.
[[nodiscard]] result<backend> selected_backend() noexcept;

}  // namespace sheaf::inline v0
