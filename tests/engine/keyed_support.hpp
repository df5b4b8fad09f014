/// \file
/// What the tests of keyed sources share: a desk with one, keys of both kinds, a mirror of rows.
#pragma once

#include <map>
#include <string>

#include <sheaf/engine/keyed.hpp>

#include "engine/support.hpp"
#include "model/dice.hpp"

namespace engine_test {

using model_test::dice;
using rows_by_key = std::map<std::uint64_t, std::uint32_t>;

/// Keys come from numbers below this one.
inline constexpr std::uint64_t key_numbers = 300;

/// Keys of two kinds from one number; of text, valid until the next call of the same thread.
template <class Key>
Key key_of(std::uint64_t number) {
  if constexpr (std::same_as<Key, std::uint64_t>) {
    return number * 0x100000001b3u;
  } else {
    static thread_local std::string text;
    text = std::string(number % 13, static_cast<char>(number)) + std::to_string(number);
    return text;
  }
}

/// A snapshot, and the rows it has to show for good.
struct held_rows {
  snapshot now;
  rows_by_key mirror;
};

template <class Key>
struct keyed_desk {
  explicit keyed_desk(std::uint64_t rows) : desk(opened(build(rows))) {}
  const model& build(std::uint64_t rows) {
    names = declared.keyed_source<Key>("names", rows);
    amount = declared.source<double>("amount", rows);
    total = declared.derive("total", sum(amount * cast<double>(names.used())));
    return declared;
  }
  /// Inserts in a transaction of its own.
  result<std::uint32_t> insert_one(Key key) {
    auto txn = desk.begin();
    const auto row = insert(txn, names, key);
    if (!row) return row;
    const auto done = std::move(txn).commit();
    if (!done) return done.error();
    return row;
  }
  result<std::optional<std::uint32_t>> erase_one(Key key) {
    auto txn = desk.begin();
    const auto row = erase(txn, names, key);
    if (!row) return row;
    const auto done = std::move(txn).commit();
    if (!done) return done.error();
    return row;
  }

  model declared;
  keyed<Key> names;
  array<double> amount, total;
  engine desk;
};

/// Whatever `now`, a snapshot, fork or transaction, knows of `number` is what `mirror` does.
template <class Key, class State>
void expect_found(State& now, const keyed<Key>& names, const rows_by_key& mirror,
                  std::uint64_t number) {
  const auto found = find(now, names, key_of<Key>(number));
  ASSERT_TRUE(found) << found.error().message();
  const auto expected = mirror.find(number);
  ASSERT_EQ(found->has_value(), expected != mirror.end()) << number;
  if (*found) {
    ASSERT_EQ(**found, expected->second) << number;
  }
}

/// `now`, a snapshot or a fork, has the rows of `mirror`, and no other.
template <class Key, class State>
void expect_mirrored(const State& now, const keyed<Key>& names, const rows_by_key& mirror) {
  for (std::uint64_t number = 0; number < key_numbers; ++number) {
    ASSERT_NO_FATAL_FAILURE(expect_found(now, names, mirror, number));
  }
}

/// Inserts and erases at random, in `txn` and in `mirror` alike; `txn` sees its own keys.
template <class Key, class Txn>
void churn(Txn& txn, const keyed<Key>& names, std::uint64_t rows, rows_by_key& mirror,
           dice& random, std::uint64_t most = 6) {
  for (std::uint64_t i = random.below(most); i > 0; --i) {
    const std::uint64_t number = random.below(key_numbers);
    const auto known = mirror.find(number);
    if (random.chance(40)) {
      const auto row = erase(txn, names, key_of<Key>(number));
      ASSERT_TRUE(row) << row.error().message();
      ASSERT_EQ(row->has_value(), known != mirror.end());
      if (known != mirror.end()) {
        ASSERT_EQ(**row, known->second);
        mirror.erase(known);
      }
    } else {
      const auto row = insert(txn, names, key_of<Key>(number));
      if (known != mirror.end()) {
        expect_status(row, status_code::already_exists, {std::to_string(known->second)});
      } else if (mirror.size() == rows) {
        expect_status(row, status_code::too_many, {std::to_string(rows)});
      } else {
        ASSERT_TRUE(row) << row.error().message();
        for (const auto& [other, taken] : mirror) ASSERT_NE(taken, *row) << other;
        mirror[number] = *row;
      }
    }
    ASSERT_NO_FATAL_FAILURE(expect_found(txn, names, mirror, number));
    ASSERT_NO_FATAL_FAILURE(expect_found(txn, names, mirror, random.below(key_numbers)));
  }
}

using key_types = testing::Types<std::uint64_t, std::string_view>;

}  // namespace engine_test
