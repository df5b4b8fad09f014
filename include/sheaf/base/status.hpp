/// \file
/// How a call says what went wrong: a code, the subsystem, a static text and a detail that names
/// the thing. Nothing is allocated; nothing is thrown.
///
/// Messages read `what, where, what to do`: lower case, no full stop, with the numbers and names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

/// What went wrong, in the terms a caller can act on. `docs/errors.md` says for each what it means,
/// whether retrying helps, and what the caller does.
enum class status_code : std::uint8_t {
  ok,
  invalid_argument,   ///< a value outside what the call accepts
  out_of_range,       ///< an index or page past the end of its array
  type_mismatch,      ///< element type differs from the array's
  length_mismatch,    ///< operands or spans of different lengths
  duplicate_name,     ///< two arrays of one model share a name
  unknown_array,      ///< the handle names nothing here
  foreign_handle,     ///< the handle belongs to another model or engine
  not_a_source,       ///< a write to a derived array
  cycle,              ///< the definition depends on itself; the path is in the detail
  undefined_array,    ///< declared and never defined
  eager_over_lazy,    ///< an eager array reads a lazy one
  closed,             ///< the engine, transaction or snapshot is already closed
  aborted,            ///< the transaction was aborted or is poisoned by an earlier bad call
  reentrant,          ///< called from inside an operator of the same commit
  operator_failed,    ///< an operator returned a failure or threw
  not_converged,      ///< an iteration did not end within its bound; nothing changed
  operator_missing,   ///< no operator of that name, version and type is registered
  contraction,        ///< the operator was compiled with multiply-add contraction
  out_of_memory,      ///< the byte limit or the machine's memory is used up; nothing changed
  history_full,       ///< old versions held by open snapshots fill the history budget
  too_many,           ///< a bounded queue, pool or table is full
  unsupported,        ///< valid, but not on this machine or in this build
  io_error,           ///< the operating system refused; the detail has its words
  bad_format,         ///< input bytes do not have the form they claim
  failed,             ///< the engine stopped after an uncertain step
  conflict,           ///< another transaction committed first what this one wrote or read
  snapshot_too_old,   ///< the transaction began before what the engine remembers of writes
  predicate_failed,   ///< the condition of `commit_if` did not hold
  already_exists,     ///< the key has a row
};
[[nodiscard]] std::string_view name_of(status_code value) noexcept;

/// Which room speaks.
enum class subsystem : std::uint8_t {
  base, memory, page, algebra, graph, propagate, engine, cluster, tune, reason, planning, observe,
  capi, cli,
};
[[nodiscard]] std::string_view name_of(subsystem value) noexcept;

/// A code with its words. Copying copies only the bytes of the detail in use; a good status is two
/// stores. Thread safety: a value.
class [[nodiscard]] status {
 public:
  static constexpr std::size_t detail_size_max = 228;

  SHEAF_HD status() noexcept
      : code_(status_code::ok), subsystem_(subsystem::base), detail_size_(0) {}
  /// `text` must live for ever (a literal). `detail` is cut after `detail_size_max` bytes.
  status(status_code value, subsystem where, const char* text,
         std::string_view detail = {}) noexcept;
  status(const status& other) noexcept;
  status& operator=(const status& other) noexcept;

  [[nodiscard]] bool is_ok() const noexcept { return code_ == status_code::ok; }
  [[nodiscard]] status_code code() const noexcept { return code_; }
  [[nodiscard]] subsystem where() const noexcept { return subsystem_; }
  [[nodiscard]] std::string_view text() const noexcept { return is_ok() ? "ok" : text_; }
  [[nodiscard]] std::string_view detail() const noexcept { return {detail_, detail_size_}; }
  /// `subsystem: text: detail (code)`, for people.
  [[nodiscard]] std::string message() const;

 private:
  status_code code_;
  enum subsystem subsystem_;
  std::uint8_t detail_size_;
  const char* text_;  ///< meaningful only when not ok
  char detail_[detail_size_max];
};

/// A status whose detail is built like `printf`: cut, never allocated.
[[gnu::format(printf, 4, 5)]] status make_status(status_code value, subsystem where,
                                                 const char* text, const char* format,
                                                 ...) noexcept;

}  // namespace sheaf::inline v0
