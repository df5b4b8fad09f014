/// \file
/// Handles of arrays: what a host passes around. A handle is a value of 16 bytes; it owns nothing
/// and stays meaningful as long as its model or an engine opened from it.
///
/// Thread safety: values.
#pragma once

#include <cstdint>

#include <sheaf/base/dtype.hpp>
#include <sheaf/base/id.hpp>

namespace sheaf::inline v0 {

/// What every handle holds, whatever its element type.
struct array_handle {
  array_id id = no_array;
  std::uint32_t model_tag = 0;  ///< of the model that declared it; 0: no array
  std::uint64_t size = 0;       ///< elements
  friend constexpr bool operator==(const array_handle&, const array_handle&) = default;
};
static_assert(sizeof(array_handle) == 16);

/// An array of `T`, declared by a `model`. Default constructed it names no array.
template <element T>
class array {
 public:
  using value_type = T;

  constexpr array() noexcept = default;
  /// For the library: hosts get handles from `model`.
  constexpr explicit array(const array_handle& handle) noexcept : handle_(handle) {}

  [[nodiscard]] constexpr array_id id() const noexcept { return handle_.id; }
  /// Elements.
  [[nodiscard]] constexpr std::uint64_t size() const noexcept { return handle_.size; }
  [[nodiscard]] constexpr std::uint32_t model_tag() const noexcept { return handle_.model_tag; }
  [[nodiscard]] constexpr const array_handle& handle() const noexcept { return handle_; }
  /// True where it names an array (of any model).
  constexpr explicit operator bool() const noexcept { return handle_.model_tag != 0; }
  friend constexpr bool operator==(const array&, const array&) = default;

 private:
  array_handle handle_;
};

/// An array whose element type is known at run time only.
class any_array {
 public:
  constexpr any_array() noexcept = default;
  template <element T>
  constexpr any_array(const array<T>& typed) noexcept
      : handle_(typed.handle()), type_(dtype_of<T>) {}
  constexpr any_array(const array_handle& handle, dtype type) noexcept
      : handle_(handle), type_(type) {}

  [[nodiscard]] constexpr array_id id() const noexcept { return handle_.id; }
  [[nodiscard]] constexpr dtype type() const noexcept { return type_; }
  [[nodiscard]] constexpr std::uint64_t size() const noexcept { return handle_.size; }
  [[nodiscard]] constexpr std::uint32_t model_tag() const noexcept { return handle_.model_tag; }
  [[nodiscard]] constexpr const array_handle& handle() const noexcept { return handle_; }
  constexpr explicit operator bool() const noexcept { return handle_.model_tag != 0; }
  friend constexpr bool operator==(const any_array&, const any_array&) = default;

 private:
  array_handle handle_;
  dtype type_ = dtype::f32;
};

/// One element of an array, to be used as a value that meets every element of the result.
template <element T>
struct element_ref {
  using value_type = T;
  array<T> from;
  std::uint64_t index = 0;
};

/// `from[index]` as a broadcast. An index past the end is a mistake of the definition that uses it.
template <element T>
[[nodiscard]] constexpr element_ref<T> element_of(array<T> from, std::uint64_t index) noexcept {
  return {from, index};
}

}  // namespace sheaf::inline v0
