/// \file
/// Strong ids and the epoch. Each is a plain integer in memory; none converts to another.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace sheaf::inline v0 {

/// Names an array for the life of an engine; never reused. Dense, in order of declaration.
enum class array_id : std::uint32_t {};
/// Names a frame within its size class.
enum class frame_id : std::uint32_t {};

inline constexpr array_id no_array{0xffff'ffffu};
inline constexpr frame_id no_frame{0xffff'ffffu};

/// Engine-wide commit number: strictly increasing, never reused with other content. Epoch 1 is the
/// state `engine::open` publishes (sources zero, derived arrays computed); 0 is before all.
struct epoch {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(const epoch&, const epoch&) = default;
};

template <class Id>
[[nodiscard]] constexpr std::uint32_t index_of(Id id) noexcept {
  return static_cast<std::uint32_t>(id);
}

}  // namespace sheaf::inline v0

template <>
struct std::hash<sheaf::epoch> {
  std::size_t operator()(const sheaf::epoch& e) const noexcept {
    return std::hash<std::uint64_t>{}(e.value);
  }
};
