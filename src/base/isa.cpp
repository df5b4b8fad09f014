#include <sheaf/base/isa.hpp>

#include <cstdlib>

#include <sheaf/base/backend.hpp>

namespace sheaf::inline v0 {

std::string_view name_of(isa value) noexcept {
  constexpr std::string_view names[isa_count] = {"scalar", "avx2", "avx512"};
  return names[static_cast<unsigned>(value)];
}

bool is_available(isa value) noexcept {
  switch (value) {
    case isa::scalar: return true;
#if defined(__x86_64__) && defined(SHEAF_HAS_AVX2)
    case isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("bmi2");
#endif
#if defined(__x86_64__) && defined(SHEAF_HAS_AVX512)
    case isa::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#endif
    default: return false;
  }
}

isa widest_isa() noexcept {
  if (is_available(isa::avx512)) return isa::avx512;
  if (is_available(isa::avx2)) return isa::avx2;
  return isa::scalar;
}

result<isa> selected_isa() noexcept {
  const char* forced = std::getenv("SHEAF_FORCE_BACKEND");
  if (forced == nullptr || *forced == '\0') return widest_isa();
  for (const isa value : {isa::scalar, isa::avx2, isa::avx512}) {
    if (name_of(value) != forced) continue;
    if (is_available(value)) return value;
    return status(status_code::unsupported, subsystem::base,
                  "SHEAF_FORCE_BACKEND names an instruction set this machine or build lacks",
                  forced);
  }
  // Another backend leaves the choice of the set to the machine; a word that is none is refused.
  const result<backend> other = selected_backend();
  if (!other) return other.error();
  return widest_isa();
}

}  // namespace sheaf::inline v0
