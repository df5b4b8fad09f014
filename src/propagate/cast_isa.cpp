/// \file
/// The casts between element sizes, for one instruction set.
#include "algebra/simd.hpp"
#include "propagate/bodies/cast.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

template <element From, element To>
[[gnu::flatten]] void cast_run(std::byte* to, const std::byte* from, std::uint32_t count) {
  cast_elements(reinterpret_cast<To*>(to), reinterpret_cast<const From*>(from), count);
}

template <element From, element To>
constexpr void fill_pair(cast_table& table) noexcept {
  if constexpr (sizeof(From) != sizeof(To)) {
    table.cast[static_cast<unsigned>(dtype_of<From>)][static_cast<unsigned>(dtype_of<To>)] =
        &cast_run<From, To>;
  }
}
template <element From>
constexpr void fill_from(cast_table& table) noexcept {
  fill_pair<From, float>(table);
  fill_pair<From, double>(table);
  fill_pair<From, std::int32_t>(table);
  fill_pair<From, std::int64_t>(table);
  fill_pair<From, std::uint8_t>(table);
  fill_pair<From, std::uint32_t>(table);
  fill_pair<From, std::uint64_t>(table);
}
[[nodiscard]] constexpr cast_table make_casts() noexcept {
  cast_table table{};
  fill_from<float>(table);
  fill_from<double>(table);
  fill_from<std::int32_t>(table);
  fill_from<std::int64_t>(table);
  fill_from<std::uint8_t>(table);
  fill_from<std::uint32_t>(table);
  fill_from<std::uint64_t>(table);
  return table;
}

}  // namespace

extern const cast_table casts;
constinit const cast_table casts = make_casts();

}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
