/// \file
/// What the engine's tests share: opening, committing and reading without the checks in between,
/// and images of arrays as bits.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <initializer_list>
#include <string_view>
#include <vector>

#include <sheaf/engine/engine.hpp>

namespace engine_test {

using namespace sheaf;  // NOLINT: tests of one library

/// An engine over `declared`, which must open.
inline engine opened(const model& declared, const engine_options& options = {}) {
  auto made = engine::open(declared, options);
  EXPECT_TRUE(made) << made.error().message();
  return std::move(made).value();
}

/// Commits, which must succeed.
inline epoch committed(transaction&& txn) {
  const auto done = std::move(txn).commit();
  EXPECT_TRUE(done) << done.error().message();
  return done ? *done : epoch{};
}

/// Commits one element, which must succeed.
template <element T>
epoch set_one(engine& in, const array<T>& target, std::uint64_t index,
              std::type_identity_t<T> value) {
  auto txn = in.begin();
  txn.set(target, {.index = index}, value);
  return committed(std::move(txn));
}

/// Commits `value` to every element, which must succeed.
template <element T>
epoch set_all(engine& in, const array<T>& target, std::type_identity_t<T> value) {
  const std::vector<T> values(target.size(), value);
  auto txn = in.begin();
  txn.range(target, {}, values);
  return committed(std::move(txn));
}

template <class State, element T>
std::vector<T> values_of(const State& now, const array<T>& target) {
  std::vector<T> out(target.size());
  auto found = now.fetch(target);
  EXPECT_TRUE(found) << found.error().message();
  if (found) {
    EXPECT_EQ(found->copy_to(out), target.size());
  }
  return out;
}

/// The bytes of arrays in a snapshot or fork, one after the other: equal where every bit is.
template <class State, class... Arrays>
std::vector<std::byte> image_of(const State& now, const Arrays&... arrays) {
  std::vector<std::byte> image;
  const auto add = [&](const auto& target) {
    const auto values = values_of(now, target);
    const auto bytes = std::as_bytes(std::span(values));
    image.insert(image.end(), bytes.begin(), bytes.end());
  };
  (add(arrays), ...);
  return image;
}
template <class... Arrays>
std::vector<std::byte> image_of(engine& in, const Arrays&... arrays) {
  return image_of(in.snapshot(), arrays...);
}

/// Expects `found` to have `code` and to say each of `words`.
inline void expect_status(const status& found, status_code code,
                          std::initializer_list<std::string_view> words) {
  EXPECT_EQ(name_of(found.code()), name_of(code)) << found.message();
  for (const std::string_view word : words) {
    EXPECT_THAT(found.message(), testing::HasSubstr(std::string(word)));
  }
}

/// Expects that a recompute of everything gives the bits the engine has.
inline void expect_glued(engine& in) {
  const auto report = in.audit();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->lines_different, 0u);
}

/// The same of a result, which must not have a value.
template <class T>
void expect_status(const result<T>& found, status_code code,
                   std::initializer_list<std::string_view> words) {
  expect_status(found ? status() : found.error(), code, words);
}

inline constexpr readers both_modes[] = {readers::brief_wait, readers::wait_free};

}  // namespace engine_test
