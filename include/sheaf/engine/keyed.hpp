/// \file
/// Inserting, erasing and finding the keys of a keyed source (graph/keyed.hpp).
///
/// Invariants
///  1. `one-row-a-key`: at every epoch a key has one row or none. Two transactions that insert or
///     erase one key both write its guard, so one of them gets `conflict`. Two that put different
///     keys into one slot, or one row, both write that slot, or row.
///  2. A row that is freed and taken again in one transaction keeps its columns: write them.
///
/// In a fork the same, in its transactions; merging it conflicts as a transaction would that began
/// at its base.
///
/// A handle goes by the arrays as what is passed in has them: one from before a `resize` serves
/// after it, one from after it in older snapshots too.
///
/// Thread safety: that of the transaction, snapshot or fork passed in.
/// Cost: two buckets are read, and one key compared; in a transaction also O(its own changes of
/// those arrays) a read. A free row is found in O(1) while some share of the rows is free, O(rows)
/// at the last.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sheaf/engine/fork.hpp>
#include <sheaf/engine/snapshot.hpp>
#include <sheaf/engine/transaction.hpp>
#include <sheaf/graph/keyed.hpp>

namespace sheaf::inline v0 {

namespace detail {

/// The finalizer of splitmix64 (Steele, Lea, Flood 2014): every bit of `x` reaches every bit.
inline std::uint64_t mix_bits(std::uint64_t x) noexcept {
  x = (x ^ x >> 30) * 0xbf58'476d'1ce4'e5b9u;
  x = (x ^ x >> 27) * 0x94d0'49bb'1331'11ebu;
  return x ^ x >> 31;
}

/// A key as words, the same on every machine.
struct key_words {
  explicit key_words(std::uint64_t key) noexcept : number(key) {}
  explicit key_words(std::string_view key) noexcept : bytes(key), is_bytes(true) {}

  [[nodiscard]] std::uint64_t count() const noexcept {
    return is_bytes ? (bytes.size() + 7) / 8 : 1;
  }
  [[nodiscard]] std::uint64_t operator[](std::uint64_t word) const noexcept {
    if (!is_bytes) return number;
    std::uint64_t out = 0;
    for (std::size_t i = word * 8; i < std::min<std::size_t>(bytes.size(), word * 8 + 8); ++i) {
      out |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (i % 8 * 8);
    }
    return out;
  }
  [[nodiscard]] std::uint64_t hash() const noexcept {
    std::uint64_t hash = mix_bits(0x9e37'79b9'7f4a'7c15u + (is_bytes ? bytes.size() : 0));
    for (std::uint64_t i = 0; i < count(); ++i) {
      hash = mix_bits(hash ^ (*this)[i]) + 0x9e37'79b9'7f4a'7c15u;
    }
    return hash;
  }

  std::uint64_t number = 0;
  std::string_view bytes;
  bool is_bytes = false;
};

/// Where a key is, or would go.
struct key_place {
  std::uint64_t slot = 0;
  std::uint32_t row = 0;
  bool is_found = false;
  bool has_slot = false;
};

/// A slot: the row, from 1 on, and what tells most keys apart.
inline std::uint64_t slot_of(std::uint32_t row, std::uint64_t hash) noexcept {
  return (std::uint64_t{row} + 1) | (hash >> 32 << 32);
}

inline std::uint64_t guard_of(const keyed_arrays& arrays, std::uint64_t hash) noexcept {
  return mix_bits(hash) & (arrays.guards.size() - 1);
}

inline std::uint64_t words_per_row(const keyed_arrays& arrays) noexcept {
  return arrays.key_size_max == 0 ? 1 : (arrays.key_size_max + 7) / 8;
}

/// `arrays` with the lengths that `size` gives.
template <class Size>
result<keyed_arrays> seen(const keyed_arrays& arrays, Size&& size) {
  const result<std::uint64_t> slots = size(arrays.slots);
  if (!slots) return slots.error();
  const result<std::uint64_t> rows = size(arrays.used);
  if (!rows) return rows.error();
  keyed_arrays out = arrays;
  out.rows = *rows;
  out.slots = array<std::uint64_t>({arrays.slots.id(), arrays.slots.handle().model_tag, *slots});
  out.guards = array<std::uint32_t>({arrays.guards.id(), arrays.guards.handle().model_tag, *slots});
  return out;
}

template <class Get>
result<bool> row_has_key(const keyed_arrays& arrays, std::uint32_t row, const key_words& key,
                         Get&& get) {
  if (key.is_bytes) {
    const result<std::uint32_t> size = get(arrays.sizes, row);
    if (!size) return size.error();
    if (*size != key.bytes.size()) return false;
  }
  for (std::uint64_t i = 0; i < key.count(); ++i) {
    const result<std::uint64_t> word = get(arrays.keys, row * words_per_row(arrays) + i);
    if (!word) return word.error();
    if (*word != key[i]) return false;
  }
  return true;
}

template <class Get>
result<key_place> place_of(const keyed_arrays& arrays, const key_words& key, Get&& get) {
  const std::uint64_t hash = key.hash();
  const std::uint64_t buckets = arrays.slots.size() / keyed_bucket_slots;
  const std::uint64_t choices[] = {hash & (buckets - 1), mix_bits(hash + 1) & (buckets - 1)};
  key_place place;
  std::uint64_t most_free = 0;
  for (const std::uint64_t bucket : choices) {
    std::uint64_t free = 0;
    std::uint64_t free_slot = 0;
    // From a place of the key's own, so that keys of one bucket seldom meet at one slot.
    for (std::uint64_t step = 0; step < keyed_bucket_slots; ++step) {
      const std::uint64_t at = bucket * keyed_bucket_slots +
                               ((hash >> 20) + step) % keyed_bucket_slots;
      const result<std::uint64_t> slot = get(arrays.slots, at);
      if (!slot) return slot.error();
      if (*slot == 0) {
        if (free++ == 0) free_slot = at;
        continue;
      }
      if (*slot >> 32 != hash >> 32) continue;
      const auto row = static_cast<std::uint32_t>(*slot) - 1;
      const result<bool> same = row_has_key(arrays, row, key, get);
      if (!same) return same.error();
      if (*same) return key_place{at, row, true, true};
    }
    if (free > most_free) most_free = free, place.slot = free_slot, place.has_slot = true;
  }
  return place;
}

template <class Get>
result<std::optional<std::uint32_t>> find_key(const keyed_arrays& arrays, const key_words& words,
                                              Get&& get) {
  if (words.is_bytes && words.bytes.size() > arrays.key_size_max) {
    return std::optional<std::uint32_t>();
  }
  const result<key_place> place = place_of(arrays, words, get);
  if (!place) return place.error();
  if (!place->is_found) return std::optional<std::uint32_t>();
  return std::optional<std::uint32_t>(place->row);
}

/// A row without a key, or `too_many`.
template <class Get>
result<std::uint32_t> free_row(const keyed_arrays& arrays, std::uint64_t hash, Get&& get) {
  std::uint64_t row = mix_bits(~hash) % arrays.rows;
  for (std::uint64_t step = 0; step < arrays.rows; ++step, row = (row + 1) % arrays.rows) {
    const result<std::uint8_t> used = get(arrays.used, row);
    if (!used) return used.error();
    if (*used == 0) return static_cast<std::uint32_t>(row);
  }
  return make_status(status_code::too_many, subsystem::engine,
                     "every row of the keyed source has a key", "%llu rows",
                     static_cast<unsigned long long>(arrays.rows));
}

template <class Get, class Set>
result<std::uint32_t> insert_key(const keyed_arrays& arrays, const key_words& key, Get&& get,
                                 Set&& set) {
  if (key.is_bytes && key.bytes.size() > arrays.key_size_max) {
    return make_status(status_code::invalid_argument, subsystem::engine,
                       "the key is longer than the keyed source allows", "%zu bytes of %u",
                       key.bytes.size(), arrays.key_size_max);
  }
  const result<key_place> place = place_of(arrays, key, get);
  if (!place) return place.error();
  if (place->is_found) {
    return make_status(status_code::already_exists, subsystem::engine,
                       "the key has a row already", "row %u", place->row);
  }
  const std::uint64_t hash = key.hash();
  result<std::uint32_t> row = free_row(arrays, hash, get);
  if (!row) return row.error();
  if (!place->has_slot) {
    return make_status(status_code::too_many, subsystem::engine,
                       "both buckets of the key are full", "bucket size %llu, %llu rows",
                       static_cast<unsigned long long>(keyed_bucket_slots),
                       static_cast<unsigned long long>(arrays.rows));
  }
  set(arrays.guards, guard_of(arrays, hash), *row + 1);
  set(arrays.slots, place->slot, slot_of(*row, hash));
  set(arrays.used, *row, std::uint8_t{1});
  if (key.is_bytes) set(arrays.sizes, *row, static_cast<std::uint32_t>(key.bytes.size()));
  for (std::uint64_t i = 0; i < key.count(); ++i) {
    set(arrays.keys, *row * words_per_row(arrays) + i, key[i]);
  }
  return row;
}

template <class Get, class Set>
result<std::optional<std::uint32_t>> erase_key(const keyed_arrays& arrays, const key_words& key,
                                               Get&& get, Set&& set) {
  const result<key_place> place = place_of(arrays, key, get);
  if (!place) return place.error();
  if (!place->is_found) return std::optional<std::uint32_t>();
  set(arrays.guards, guard_of(arrays, key.hash()), std::uint32_t{0});
  set(arrays.slots, place->slot, std::uint64_t{0});
  set(arrays.used, place->row, std::uint8_t{0});
  return std::optional<std::uint32_t>(place->row);
}

template <class Txn>
concept key_writer = std::same_as<Txn, transaction> || std::same_as<Txn, fork_transaction>;

template <key_writer Txn>
auto reader_of(Txn& txn) noexcept {
  return [&txn](const auto& target, std::uint64_t index) {
    if constexpr (std::same_as<Txn, transaction>) return txn.peek(target, index);
    else return txn.read(target, index);
  };
}
template <key_writer Txn>
auto writer_of(Txn& txn) noexcept {
  return [&txn](const auto& target, std::uint64_t index, auto value) {
    txn.set(target, {.index = index}, value);
  };
}
template <key_writer Txn>
result<keyed_arrays> seen_in(Txn& txn, const keyed_arrays& arrays) {
  return seen(arrays, [&txn](const auto& target) { return txn.size(target); });
}

/// The keys of `arrays` as one reads them, in rows.
struct key_table {
  std::vector<std::uint8_t> used;
  std::vector<std::uint64_t> keys;
  std::vector<std::uint32_t> sizes;

  [[nodiscard]] status read(transaction& txn, const keyed_arrays& arrays) {
    used.resize(arrays.rows);
    keys.resize(arrays.rows * words_per_row(arrays));
    if (arrays.key_size_max != 0) sizes.resize(arrays.rows);
    SHEAF_TRY(txn.read_range(arrays.used, {}, std::span(used)));
    SHEAF_TRY(txn.read_range(arrays.keys, {}, std::span(keys)));
    return sizes.empty() ? status() : txn.read_range(arrays.sizes, {}, std::span(sizes));
  }
  /// What `key_words::hash` gives for the key of `row`.
  [[nodiscard]] std::uint64_t hash_of(const keyed_arrays& arrays, std::uint64_t row) const {
    const std::uint64_t words = words_per_row(arrays);
    if (sizes.empty()) return key_words(keys[row]).hash();
    std::string bytes(sizes[row], '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<char>(keys[row * words + i / 8] >> (i % 8 * 8));
    }
    return key_words(std::string_view(bytes)).hash();
  }
};

/// Puts a row into the emptier of its two buckets; false where both are full.
inline bool put_row(std::vector<std::uint64_t>& slots, std::uint32_t row, std::uint64_t hash) {
  const std::uint64_t buckets = slots.size() / keyed_bucket_slots;
  std::uint64_t most_free = 0;
  std::uint64_t best = 0;
  for (const std::uint64_t bucket : {hash & (buckets - 1), mix_bits(hash + 1) & (buckets - 1)}) {
    std::uint64_t free = 0;
    std::uint64_t first = 0;
    for (std::uint64_t step = 0; step < keyed_bucket_slots; ++step) {
      const std::uint64_t at = bucket * keyed_bucket_slots +
                               ((hash >> 20) + step) % keyed_bucket_slots;
      if (slots[at] == 0 && free++ == 0) first = at;
    }
    if (free > most_free) most_free = free, best = first;
  }
  if (most_free == 0) return false;
  slots[best] = slot_of(row, hash);
  return true;
}

}  // namespace detail

/// The row of `key` as `from` (a snapshot or a fork) shows it; empty where it has none. Errors as
/// `snapshot::get`.
template <class Key, class From>
  requires(!detail::key_writer<From>)
[[nodiscard]] result<std::optional<std::uint32_t>> find(const From& from, const keyed<Key>& source,
                                                        std::type_identity_t<Key> key) {
  const auto arrays =
      detail::seen(source.arrays(), [&](const auto& target) -> result<std::uint64_t> {
        const auto found = from.fetch(target);
        if (!found) return found.error();
        return found->size();
      });
  if (!arrays) return arrays.error();
  return detail::find_key(*arrays, detail::key_words(key),
                          [&](const auto& target, std::uint64_t index) {
                            return from.get(target, index);
                          });
}

/// The same as `txn`, of an engine or of a fork, sees it: its own inserts and erasures included.
/// Where the transaction is serializable, a commit in between that inserts or erases the key
/// refuses it.
template <class Key, detail::key_writer Txn>
[[nodiscard]] result<std::optional<std::uint32_t>> find(Txn& txn, const keyed<Key>& source,
                                                        std::type_identity_t<Key> key) {
  const auto arrays = detail::seen_in(txn, source.arrays());
  if (!arrays) return arrays.error();
  const detail::key_words words(key);
  const result<std::uint32_t> guard =
      txn.read(arrays->guards, detail::guard_of(*arrays, words.hash()));
  if (!guard) return guard.error();
  return detail::find_key(*arrays, words, detail::reader_of(txn));
}

/// Gives `key` a row. Errors: `already_exists` naming the row; `too_many` where no row is free;
/// `invalid_argument` for a key that is too long; those of `transaction::read`. On an error the
/// transaction is as before.
template <class Key, detail::key_writer Txn>
[[nodiscard]] result<std::uint32_t> insert(Txn& txn, const keyed<Key>& source,
                                           std::type_identity_t<Key> key) {
  const auto arrays = detail::seen_in(txn, source.arrays());
  if (!arrays) return arrays.error();
  return detail::insert_key(*arrays, detail::key_words(key), detail::reader_of(txn),
                            detail::writer_of(txn));
}

/// Takes the row of `key` back and returns it; empty where the key has none. Columns keep what the
/// row held. Errors: those of `transaction::read`.
template <class Key, detail::key_writer Txn>
[[nodiscard]] result<std::optional<std::uint32_t>> erase(Txn& txn, const keyed<Key>& source,
                                                         std::type_identity_t<Key> key) {
  const auto arrays = detail::seen_in(txn, source.arrays());
  if (!arrays) return arrays.error();
  return detail::erase_key(*arrays, detail::key_words(key), detail::reader_of(txn),
                           detail::writer_of(txn));
}

/// Gives the keyed source another number of rows, in a change of the graph; keys keep theirs.
/// Columns are arrays of the host's own: resize them in the same transaction. New rows are free
/// from the next transaction on. Writes all slots, which grow and never shrink, so a commit in
/// between that inserts or erases a key is a `conflict`. Errors: `invalid_argument` for a number of
/// rows that cannot be, or where a row past the new end has a key, naming it; those of
/// `transaction::read_range` and `transaction::resize`. On an error the transaction is as before,
/// but what `transaction::resize` refuses poisons it.
///
/// Cost: O(rows), and what a change of the graph costs.
template <class Key>
[[nodiscard]] result<keyed<Key>> resize(transaction& txn, const keyed<Key>& source,
                                        std::uint64_t rows) {
  const auto before = detail::seen_in(txn, source.arrays());
  if (!before) return before.error();
  if (rows == 0 || rows > keyed_rows_max) {
    return make_status(status_code::invalid_argument, subsystem::engine,
                       "a keyed source has 1 to 2^31 rows", "%llu",
                       static_cast<unsigned long long>(rows));
  }
  detail::key_table table;
  SHEAF_TRY(table.read(txn, *before));
  // All slots are written, and none goes: who inserts or erases meanwhile writes one of them.
  std::vector<std::uint64_t> slots(std::max(before->slots.size(), keyed_slots_for(rows)), 0);
  for (std::uint64_t row = 0; row < before->rows; ++row) {
    if (table.used[row] == 0) continue;
    if (row >= rows) {
      return make_status(status_code::invalid_argument, subsystem::engine,
                         "a row past the new end of the keyed source has a key",
                         "row %llu, %llu are to be left", static_cast<unsigned long long>(row),
                         static_cast<unsigned long long>(rows));
    }
    if (!detail::put_row(slots, static_cast<std::uint32_t>(row), table.hash_of(*before, row))) {
      return make_status(status_code::too_many, subsystem::engine,
                         "both buckets of the key are full", "the key of row %llu",
                         static_cast<unsigned long long>(row));
    }
  }
  keyed_arrays made = *before;
  made.rows = rows;
  made.slots = txn.resize(before->slots, slots.size());
  made.guards = txn.resize(before->guards, slots.size());
  made.used = txn.resize(before->used, rows);
  made.keys = txn.resize(before->keys, rows * detail::words_per_row(made));
  if (made.key_size_max != 0) made.sizes = txn.resize(before->sizes, rows);
  txn.range(made.slots, {}, std::span<const std::uint64_t>(slots));
  return keyed<Key>(made);
}

}  // namespace sheaf::inline v0
