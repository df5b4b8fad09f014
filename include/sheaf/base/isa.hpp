/// \file
/// Which instruction set the CPU kernels use. Kernels are compiled once per instruction set and one
/// set is picked when the first engine opens.
#pragma once

#include <cstdint>
#include <string_view>

#include <sheaf/base/result.hpp>

namespace sheaf::inline v0 {

enum class isa : std::uint8_t {
  scalar,  ///< baseline x86-64 (or any other machine), one element at a time: the reference
  avx2,    ///< AVX2 + FMA + BMI2
  avx512,  ///< AVX-512 F, DQ, BW, VL
};
inline constexpr unsigned isa_count = 3;

[[nodiscard]] std::string_view name_of(isa value) noexcept;
/// True where this machine can run `value` and this build contains it.
[[nodiscard]] bool is_available(isa value) noexcept;
/// The widest available set.
[[nodiscard]] isa widest_isa() noexcept;
/// `SHEAF_FORCE_BACKEND` where it is `scalar`, `avx2` or `avx512`; `widest_isa()` where it is
/// unset, empty or names another backend (sheaf/base/backend.hpp). `unsupported` names the forced
/// set this machine lacks; `invalid_argument` a word that is none. Reads the environment at each
/// call. Thread safety: as `getenv`.
[[nodiscard]] result<isa> selected_isa() noexcept;

}  // namespace sheaf::inline v0
