#include <sheaf/graph/keyed.hpp>

#include <string>

#include "model_state.hpp"

namespace sheaf::inline v0 {

namespace {

constexpr std::uint32_t key_size_limit = 4096;

}  // namespace

keyed_arrays model::add_keyed(std::string_view name, std::uint64_t rows,
                              std::uint32_t key_size_max, bool is_bytes) {
  const std::string own(name);
  if (rows == 0 || rows > keyed_rows_max) {
    state_->note(make_status(status_code::invalid_argument, subsystem::graph,
                             "a keyed source has 1 to 2^31 rows", "%llu of '%s'",
                             static_cast<unsigned long long>(rows), own.c_str()));
    rows = 1;
  }
  if (is_bytes && (key_size_max == 0 || key_size_max > key_size_limit)) {
    state_->note(make_status(status_code::invalid_argument, subsystem::graph,
                             "keys of a keyed source have at most 1 to 4096 bytes", "%u of '%s'",
                             key_size_max, own.c_str()));
    key_size_max = 1;
  }
  // An anonymous source has anonymous parts.
  const auto part = [&](const char* suffix) { return own.empty() ? own : own + suffix; };
  const std::uint64_t slots = keyed_slots_for(rows);
  const std::uint64_t words = is_bytes ? (std::uint64_t{key_size_max} + 7) / 8 : 1;
  keyed_arrays made;
  made.rows = rows;
  made.key_size_max = key_size_max;
  made.slots = source<std::uint64_t>(part(".slots"), slots);
  made.guards = source<std::uint32_t>(part(".guards"), slots);
  made.used = source<std::uint8_t>(part(".used"), rows);
  made.keys = source<std::uint64_t>(part(".keys"), rows * words);
  if (is_bytes) made.sizes = source<std::uint32_t>(part(".sizes"), rows);
  return made;
}

}  // namespace sheaf::inline v0
