/// \file
/// `result<T>`: a value or a `status`, with the surface of `std::expected` (which C++20 lacks).
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include <sheaf/base/assert.hpp>
#include <sheaf/base/status.hpp>

namespace sheaf::inline v0 {

/// Either a `T` or the status that says why there is none. Reading the wrong side aborts with
/// `result-side` (a bug in the caller, not a bad input).
template <class T>
class [[nodiscard]] result {
 public:
  using value_type = T;
  using error_type = status;

  result(T value) noexcept(std::is_nothrow_move_constructible_v<T>) : has_value_(true) {
    std::construct_at(std::addressof(value_), std::move(value));
  }
  result(const status& error) noexcept : has_value_(false) {
    SHEAF_ASSERT(!error.is_ok(), "result-error-is-not-ok");
    std::construct_at(std::addressof(error_), error);
  }
  result(result&& other) noexcept(std::is_nothrow_move_constructible_v<T>)
      : has_value_(other.has_value_) {
    if (has_value_) std::construct_at(std::addressof(value_), std::move(other.value_));
    else std::construct_at(std::addressof(error_), other.error_);
  }
  result(const result& other)
    requires std::is_copy_constructible_v<T>
      : has_value_(other.has_value_) {
    if (has_value_) std::construct_at(std::addressof(value_), other.value_);
    else std::construct_at(std::addressof(error_), other.error_);
  }
  result& operator=(result other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    std::destroy_at(this);
    std::construct_at(this, std::move(other));
    return *this;
  }
  ~result() {
    if (has_value_) std::destroy_at(std::addressof(value_));
  }

  [[nodiscard]] bool has_value() const noexcept { return has_value_; }
  explicit operator bool() const noexcept { return has_value_; }

  [[nodiscard]] T& value() & { return checked(); }
  [[nodiscard]] const T& value() const& { return const_cast<result*>(this)->checked(); }
  [[nodiscard]] T&& value() && { return std::move(checked()); }
  [[nodiscard]] T& operator*() & { return checked(); }
  [[nodiscard]] const T& operator*() const& { return const_cast<result*>(this)->checked(); }
  [[nodiscard]] T&& operator*() && { return std::move(checked()); }
  T* operator->() { return std::addressof(checked()); }
  const T* operator->() const { return std::addressof(const_cast<result*>(this)->checked()); }

  [[nodiscard]] const status& error() const {
    SHEAF_ASSERT(!has_value_, "result-side");
    return error_;
  }
  template <class U>
  [[nodiscard]] T value_or(U&& fallback) const& {
    return has_value_ ? value_ : static_cast<T>(std::forward<U>(fallback));
  }
  template <class Function>
  auto and_then(Function&& function) && -> std::invoke_result_t<Function, T> {
    if (!has_value_) return error_;
    return std::forward<Function>(function)(std::move(value_));
  }
  template <class Function>
  auto transform(Function&& function) && -> result<std::invoke_result_t<Function, T>> {
    if (!has_value_) return error_;
    return std::forward<Function>(function)(std::move(value_));
  }

 private:
  T& checked() {
    SHEAF_ASSERT(has_value_, "result-side");
    return value_;
  }
  bool has_value_;
  union {
    T value_;
    status error_;
  };
};

}  // namespace sheaf::inline v0

/// Returns the status of `expression` from the enclosing function when it is not ok.
#define SHEAF_TRY(expression)                                                 \
  do {                                                                        \
    if (const ::sheaf::status& sheaf_status_ = (expression);                  \
        SHEAF_UNLIKELY(!sheaf_status_.is_ok()))                               \
      return sheaf_status_;                                                   \
  } while (false)
