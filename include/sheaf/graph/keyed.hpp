/// \file
/// Keyed sources: rows found by a key instead of an index. A row keeps its number as long as its
/// key exists, so other arrays of as many elements are the row's columns:
///
///     auto orders = model.keyed_source<std::uint64_t>("orders", 10'000);
///     auto price = model.source<float>("price", orders.rows());
///
/// Keys are inserted, erased and found in transactions, snapshots and forks (engine/keyed.hpp).
///
/// Form: everything is in ordinary source arrays, called "orders.slots" and so on, so versions,
/// forks, roll back and conflicts are those of arrays.
///  - `slots`: buckets of 16; a key is in one of the two its hash names, in any slot: 0 free, else
///    row + 1, and above it 32 bits of the hash. With half of the slots free, 16 in a bucket and
///    the emptier of two taken, no bucket fills up (Azar, Broder, Karlin, Upfal, "Balanced
///    allocations", 1999: the fullest is O(log log n) above the mean); nothing is ever moved, and
///    an erased slot is free.
///  - `guards`: as many elements; whoever inserts or erases a key writes the key's guard, whoever
///    looks for it reads the guard. So two transactions that concern one key always meet, and
///    others seldom do.
///  - `used`: 1 where the row has a key, else 0: also what derived arrays may select by
///  - the keys by row: `keys`, one word each, or for bytes `sizes` and `keys`, as many words a row
///  as
///    the longest key needs, little-endian, zeros behind the key
///
/// Free rows are those not `used`, looked for from a place the key's hash gives: a chain of free
/// rows would have one head, where all inserts collide.
///
/// Thread safety: values.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstdint>
#include <string_view>

#include <sheaf/graph/array.hpp>

namespace sheaf::inline v0 {

inline constexpr std::uint64_t keyed_bucket_slots = 16;
/// Slots hold row + 1 in 32 bits.
inline constexpr std::uint64_t keyed_rows_max = std::uint64_t{1} << 31;

/// Slots of `rows` rows. Half of them stay free: two buckets full at once do not happen then.
[[nodiscard]] constexpr std::uint64_t keyed_slots_for(std::uint64_t rows) noexcept {
  return std::bit_ceil(std::max<std::uint64_t>(rows * 2, 2 * keyed_bucket_slots));
}

/// The arrays of a keyed source.
struct keyed_arrays {
  array<std::uint64_t> slots;
  array<std::uint32_t> guards;
  array<std::uint8_t> used;
  array<std::uint64_t> keys;
  array<std::uint32_t> sizes;   ///< of byte keys
  std::uint64_t rows = 0;
  std::uint32_t key_size_max = 0;  ///< bytes; 0: u64 keys
};

/// `Key`: `std::uint64_t`, or `std::string_view` for keys of up to `key_size_max` bytes, which may
/// hold anything.
template <class Key>
class keyed {
 public:
  static_assert(std::same_as<Key, std::uint64_t> || std::same_as<Key, std::string_view>,
                "keys are u64 or bytes");
  keyed() = default;
  explicit keyed(const keyed_arrays& arrays) noexcept : arrays_(arrays) {}
  /// How many keys there can be, and how long a column is.
  [[nodiscard]] std::uint64_t rows() const noexcept { return arrays_.rows; }
  /// 1 for rows that have a key.
  [[nodiscard]] const array<std::uint8_t>& used() const noexcept { return arrays_.used; }
  [[nodiscard]] const keyed_arrays& arrays() const noexcept { return arrays_; }

 private:
  keyed_arrays arrays_;
};

}  // namespace sheaf::inline v0
