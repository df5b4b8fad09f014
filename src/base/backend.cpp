#include <sheaf/base/backend.hpp>

#include <cstdlib>

#include <sheaf/base/isa.hpp>

namespace sheaf::inline v0 {

std::string_view name_of(backend value) noexcept {
  constexpr std::string_view names[backend_count] = {"automatic", "cpu", "cuda-stream",
                                                     "cuda-graph"};
  return names[static_cast<unsigned>(value)];
}

result<backend> selected_backend() noexcept {
  const char* forced = std::getenv("SHEAF_FORCE_BACKEND");
  if (forced == nullptr || *forced == '\0') return backend::automatic;
  for (const backend value : {backend::cpu, backend::cuda_stream, backend::cuda_graph}) {
    if (name_of(value) == forced) return value;
  }
  for (const isa value : {isa::scalar, isa::avx2, isa::avx512}) {
    if (name_of(value) == forced) return backend::cpu;
  }
  return status(status_code::invalid_argument, subsystem::base,
                "SHEAF_FORCE_BACKEND is none of scalar, avx2, avx512, cpu, cuda-stream, cuda-graph",
                forced);
}

}  // namespace sheaf::inline v0
