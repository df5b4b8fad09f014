#include <sheaf/base/status.hpp>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sheaf/base/assert.hpp>

namespace sheaf::inline v0 {

std::string_view name_of(status_code value) noexcept {
  switch (value) {
    case status_code::ok: return "ok";
    case status_code::invalid_argument: return "invalid_argument";
    case status_code::out_of_range: return "out_of_range";
    case status_code::type_mismatch: return "type_mismatch";
    case status_code::length_mismatch: return "length_mismatch";
    case status_code::duplicate_name: return "duplicate_name";
    case status_code::unknown_array: return "unknown_array";
    case status_code::foreign_handle: return "foreign_handle";
    case status_code::not_a_source: return "not_a_source";
    case status_code::cycle: return "cycle";
    case status_code::undefined_array: return "undefined_array";
    case status_code::eager_over_lazy: return "eager_over_lazy";
    case status_code::closed: return "closed";
    case status_code::aborted: return "aborted";
    case status_code::reentrant: return "reentrant";
    case status_code::operator_failed: return "operator_failed";
    case status_code::not_converged: return "not_converged";
    case status_code::operator_missing: return "operator_missing";
    case status_code::contraction: return "contraction";
    case status_code::out_of_memory: return "out_of_memory";
    case status_code::history_full: return "history_full";
    case status_code::too_many: return "too_many";
    case status_code::unsupported: return "unsupported";
    case status_code::io_error: return "io_error";
    case status_code::bad_format: return "bad_format";
    case status_code::failed: return "failed";
    case status_code::conflict: return "conflict";
    case status_code::snapshot_too_old: return "snapshot_too_old";
    case status_code::predicate_failed: return "predicate_failed";
    case status_code::already_exists: return "already_exists";
  }
  return "unknown";
}

std::string_view name_of(subsystem value) noexcept {
  constexpr std::string_view names[] = {"base",   "memory", "page",   "algebra",  "graph",
                                        "propagate", "engine", "cluster", "tune", "reason",
                                        "planning",  "observe", "capi",  "cli"};
  return names[static_cast<unsigned>(value)];
}

status::status(status_code value, enum subsystem where, const char* text,
               std::string_view detail) noexcept
    : code_(value),
      subsystem_(where),
      detail_size_(static_cast<std::uint8_t>(std::min(detail.size(), detail_size_max))),
      text_(text) {
  if (detail_size_ != 0) std::memcpy(detail_, detail.data(), detail_size_);
}

status::status(const status& other) noexcept
    : code_(other.code_), subsystem_(other.subsystem_), detail_size_(other.detail_size_) {
  if (is_ok()) return;
  text_ = other.text_;
  std::memcpy(detail_, other.detail_, detail_size_);
}

status& status::operator=(const status& other) noexcept {
  if (this == &other) return *this;
  code_ = other.code_;
  subsystem_ = other.subsystem_;
  detail_size_ = other.detail_size_;
  if (is_ok()) return *this;
  text_ = other.text_;
  std::memcpy(detail_, other.detail_, detail_size_);
  return *this;
}

std::string status::message() const {
  if (is_ok()) return "ok";
  std::string words;
  words += name_of(subsystem_);
  words += ": ";
  words += text_;
  if (detail_size_ != 0) {
    words += ": ";
    words += detail();
  }
  words += " (";
  words += name_of(code_);
  words += ')';
  return words;
}

status make_status(status_code value, subsystem where, const char* text, const char* format,
                   ...) noexcept {
  char detail[status::detail_size_max + 1];
  std::va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(detail, sizeof detail, format, arguments);
  va_end(arguments);
  const auto size = static_cast<std::size_t>(std::max(length, 0));
  return {value, where, text, {detail, std::min(size, sizeof detail - 1)}};
}

void assertion_failed(const char* invariant, const char* condition, const char* file,
                      int line) noexcept {
  std::fprintf(stderr, "sheaf: invariant '%s' is broken: %s (%s:%d)\n", invariant, condition, file,
               line);
  std::abort();
}

}  // namespace sheaf::inline v0
