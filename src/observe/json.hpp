/// \file
/// Writing JSON objects, on one line: what this library needs of it, which is too little for a
/// library.
///
/// Thread safety: a value. Cost: linear in what is written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sheaf::inline v0 {

/// `text` in quotes; quotes, backslashes and control characters escaped, other bytes as they are.
[[nodiscard]] inline std::string json_quoted(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\"";
  for (const char sign : text) {
    const auto code = static_cast<unsigned char>(sign);
    if (code < 0x20) {
      out += "\\u00";
      out += digits[code >> 4];
      out += digits[code & 15];
      continue;
    }
    if (sign == '"' || sign == '\\') out += '\\';
    out += sign;
  }
  return out + '"';
}

/// An object, member by member.
class json_object {
 public:
  json_object& text(std::string_view name, std::string_view value) {
    return raw(name, json_quoted(value));
  }
  json_object& number(std::string_view name, std::uint64_t value) {
    return raw(name, std::to_string(value));
  }
  json_object& truth(std::string_view name, bool value) {
    return raw(name, value ? "true" : "false");
  }
  /// `value` is JSON itself.
  json_object& raw(std::string_view name, std::string_view value) {
    if (!members_.empty()) members_ += ", ";
    members_ += json_quoted(name);
    members_ += ": ";
    members_ += value;
    return *this;
  }
  [[nodiscard]] std::string done() const { return "{" + members_ + "}"; }

 private:
  std::string members_;
};

}  // namespace sheaf::inline v0
