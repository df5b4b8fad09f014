/// \file
/// Opaque host functions: an array computed by the host's own code. Such a node reads whole arrays,
/// is recomputed whole when anything it reads changes, runs on the CPU only and may fail; a failure
/// aborts the commit.
///
/// A host function must be pure: its result depends on its operands alone (and on nothing the
/// result held before, unless the caller keeps that deterministic too). It must not call the
/// engine.
///
/// Thread safety: a `host_call` belongs to the thread that runs the function.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include <sheaf/base/dtype.hpp>
#include <sheaf/base/status.hpp>

namespace sheaf::inline v0 {

/// One whole array, contiguous.
struct host_operand {
  const std::byte* data;
  std::uint64_t length;
  dtype type;
};
struct host_result {
  std::byte* data;
  std::uint64_t length;
  dtype type;
};

/// What a host function is given. Operands are in the order of the declaration.
class host_call {
 public:
  /// For executors; `name` is the result array's, for messages.
  host_call(std::string_view name, std::span<const host_operand> operands,
            host_result result) noexcept
      : name_(name), operands_(operands), result_(result) {}

  [[nodiscard]] std::size_t operand_count() const noexcept { return operands_.size(); }
  /// The whole of operand `index`. Where there is none or its type is not `T`: empty, and the node
  /// fails with what `mistake()` says, whatever the function returns.
  template <element T>
  [[nodiscard]] std::span<const T> operand(std::size_t index) noexcept {
    if (index >= operands_.size()) return refuse_index(index), std::span<const T>();
    const host_operand& found = operands_[index];
    if (found.type != dtype_of<T>) return refuse_type(index, dtype_of<T>), std::span<const T>();
    return {reinterpret_cast<const T*>(found.data), static_cast<std::size_t>(found.length)};
  }
  /// The whole result, holding the values it had. Of a wrong type: as `operand`.
  template <element T>
  [[nodiscard]] std::span<T> result() noexcept {
    if (result_.type != dtype_of<T>) return refuse_result(dtype_of<T>), std::span<T>();
    return {reinterpret_cast<T*>(result_.data), static_cast<std::size_t>(result_.length)};
  }
  /// The first misuse, or ok.
  [[nodiscard]] const status& mistake() const noexcept { return mistake_; }

 private:
  void refuse_index(std::size_t index) noexcept;
  void refuse_type(std::size_t index, dtype asked) noexcept;
  void refuse_result(dtype asked) noexcept;

  std::string_view name_;
  std::span<const host_operand> operands_;
  host_result result_;
  status mistake_;
};

/// A status that is not ok, or an exception, fails the node and with it the commit.
using host_function = std::function<status(host_call&)>;

}  // namespace sheaf::inline v0
