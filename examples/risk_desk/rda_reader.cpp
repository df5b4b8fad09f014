/// \file
/// The reader: a cursor that counts every byte, a parser of the few R types the file uses, and the
/// step from R objects to a `stock_table`.
///
/// The form (R Internals, "Serialization Formats"): big-endian 32-bit words; an item starts with a
/// flag word (type in bits 0..7, "has attributes" bit 9, "has tag" bit 10), vectors follow with a
/// length word and their elements, attributes with a pair list. Symbols are numbered as they appear
/// and later named by number.
#include "rda_reader.hpp"

#include <bzlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace risk_desk {
namespace {

using sheaf::make_status;
using sheaf::result;
using sheaf::status;
using sheaf::status_code;
using sheaf::subsystem;

enum class r_type : std::uint32_t {
  symbol = 1,
  pair_list = 2,
  string = 9,
  logicals = 10,
  integers = 13,
  reals = 14,
  strings = 16,
  list = 19,
  nil = 254,
  reference = 255,
};

constexpr std::uint32_t has_attributes_bit = 1u << 9;
constexpr std::uint32_t has_tag_bit = 1u << 10;
/// The real file nests 4 deep; the bound keeps damaged input from using up the stack.
constexpr unsigned depth_max = 16;
/// A serialized item takes at least its flag word.
constexpr std::size_t item_size_min = 4;
/// An attribute or element of a pair list takes at least its own flags, a tag and a value.
constexpr std::size_t pair_size_min = 12;
/// Entries of all lists together; the real file has 10. An entry in memory is some fifty times its
/// smallest form in the file, hence a limit of its own.
constexpr std::size_t entry_count_max = 1024;

struct r_value {
  r_type type = r_type::nil;
  std::vector<double> reals;
  std::vector<std::int32_t> integers;
  std::vector<std::string> strings;
  std::vector<r_value> entries;          ///< of a list or a pair list
  std::vector<std::string> entry_names;  ///< as many as entries; empty strings in a list
  std::vector<std::int32_t> dim;
};

class parser {
 public:
  explicit parser(std::span<const std::byte> bytes) : bytes_(bytes) {}

  status header() {
    constexpr std::string_view magic = "RDX2\nX\n";
    if (left() < magic.size() || std::memcmp(bytes_.data(), magic.data(), magic.size()) != 0)
      return broken("no RDX2/XDR head");
    position_ = magic.size();
    std::uint32_t version = 0;
    SHEAF_TRY(word(version));
    if (version != 2) return broken("serialization version is not 2");
    std::uint32_t writer = 0;
    SHEAF_TRY(word(writer));
    return word(writer);
  }

  status value(r_value& out, unsigned depth) {
    if (depth > depth_max) return broken("nested too deep");
    std::uint32_t flags = 0;
    SHEAF_TRY(word(flags));
    out.type = static_cast<r_type>(flags & 0xffu);
    if (out.type == r_type::pair_list) return pair_list(flags, out, depth);
    SHEAF_TRY(content(out, depth));
    const bool is_vector = out.type == r_type::logicals || out.type == r_type::integers ||
                           out.type == r_type::reals || out.type == r_type::strings ||
                           out.type == r_type::list;
    return is_vector && (flags & has_attributes_bit) != 0 ? attributes(out, depth) : status{};
  }

  [[nodiscard]] std::size_t left() const { return bytes_.size() - position_; }
  [[nodiscard]] status broken(const char* why) const {
    return make_status(status_code::bad_format, subsystem::cli, "not a readable rda file",
                       "%s, byte %zu of %zu", why, position_, bytes_.size());
  }

 private:
  status word(std::uint32_t& out) {
    if (left() < 4) return broken("ends within a word");
    out = peek<std::uint32_t>(position_);
    position_ += 4;
    return {};
  }

  /// Reads a length and refuses one whose elements cannot fit into the bytes left.
  status count(std::size_t element_size, std::size_t& out) {
    std::uint32_t raw = 0;
    SHEAF_TRY(word(raw));
    if (raw > 0x7fff'ffffu || raw > left() / element_size)
      return broken("a length is larger than the bytes left");
    out = raw;
    return {};
  }

  status content(r_value& out, unsigned depth) {
    switch (out.type) {
      case r_type::nil: return {};
      case r_type::symbol: return symbol(out, depth);
      case r_type::reference: return reference(out);
      case r_type::string: return string(out);
      case r_type::logicals:
      case r_type::integers: return numbers<std::uint32_t>(out.integers);
      case r_type::reals: return numbers<std::uint64_t>(out.reals);
      case r_type::strings: return strings(out, depth);
      case r_type::list: return list(out, depth);
      case r_type::pair_list: break;
    }
    position_ -= 4;
    return broken("a type this reader does not know");
  }

  template <class Word, class T>
  status numbers(std::vector<T>& out) {
    std::size_t size = 0;
    SHEAF_TRY(count(sizeof(Word), size));
    out.resize(size);
    for (T& element : out) {
      element = std::bit_cast<T>(peek<Word>(position_));
      position_ += sizeof(Word);
    }
    return {};
  }

  status string(r_value& out) {
    std::uint32_t raw = 0;
    SHEAF_TRY(word(raw));
    const bool is_missing = raw == 0xffff'ffffu;
    if (is_missing) {
      out.strings.emplace_back("NA");
      return {};
    }
    if (raw > left()) return broken("a string is longer than the bytes left");
    out.strings.emplace_back(reinterpret_cast<const char*>(bytes_.data() + position_), raw);
    position_ += raw;
    return {};
  }

  status strings(r_value& out, unsigned depth) {
    std::size_t size = 0;
    SHEAF_TRY(count(2 * item_size_min, size));
    out.strings.reserve(size);
    for (std::size_t i = 0; i < size; ++i) {
      r_value item;
      SHEAF_TRY(value(item, depth + 1));
      if (item.type != r_type::string) return broken("a string vector holds something else");
      out.strings.push_back(std::move(item.strings.front()));
    }
    return {};
  }

  status list(r_value& out, unsigned depth) {
    std::size_t size = 0;
    SHEAF_TRY(count(item_size_min, size));
    for (std::size_t i = 0; i < size; ++i) {
      r_value item;
      SHEAF_TRY(value(item, depth + 1));
      SHEAF_TRY(entry(out, {}, std::move(item)));
    }
    return {};
  }

  status symbol(r_value& out, unsigned depth) {
    r_value name;
    SHEAF_TRY(value(name, depth + 1));
    if (name.type != r_type::string) return broken("a symbol without a name");
    symbols_.push_back(name.strings.front());
    out.strings.push_back(symbols_.back());
    out.type = r_type::symbol;
    return {};
  }

  /// The number lies in the upper bits of the flag word that was just read, or in the next word.
  status reference(r_value& out) {
    std::uint32_t index = peek<std::uint32_t>(position_ - 4) >> 8;
    if (index == 0) SHEAF_TRY(word(index));
    if (index == 0 || index > symbols_.size()) return broken("a reference to no symbol");
    out.strings.push_back(symbols_[index - 1]);
    out.type = r_type::symbol;
    return {};
  }

  status pair_list(std::uint32_t flags, r_value& out, unsigned depth) {
    for (;;) {
      if (left() + item_size_min < pair_size_min) return broken("ends within a pair list");
      if ((flags & has_attributes_bit) != 0) return broken("a pair list with attributes");
      if ((flags & has_tag_bit) == 0) return broken("a pair list entry without a name");
      r_value tag;
      SHEAF_TRY(value(tag, depth + 1));
      if (tag.type != r_type::symbol) return broken("a name that is no symbol");
      r_value item;
      SHEAF_TRY(value(item, depth + 1));
      SHEAF_TRY(entry(out, std::move(tag.strings.front()), std::move(item)));
      SHEAF_TRY(word(flags));
      const auto next = static_cast<r_type>(flags & 0xffu);
      if (next == r_type::nil) return {};
      if (next != r_type::pair_list) return broken("a pair list that does not end");
    }
  }

  status entry(r_value& out, std::string name, r_value item) {
    if (entry_count_ == entry_count_max) return broken("too many list entries");
    ++entry_count_;
    out.entries.push_back(std::move(item));
    out.entry_names.push_back(std::move(name));
    return {};
  }

  status attributes(r_value& out, unsigned depth) {
    r_value pairs;
    SHEAF_TRY(value(pairs, depth + 1));
    if (pairs.type != r_type::pair_list) return broken("attributes that are no pair list");
    for (std::size_t i = 0; i < pairs.entries.size(); ++i)
      if (pairs.entry_names[i] == "dim") out.dim = std::move(pairs.entries[i].integers);
    return {};
  }

  template <class Word>
  [[nodiscard]] Word peek(std::size_t at) const {
    Word out = 0;
    for (std::size_t i = 0; i < sizeof(Word); ++i)
      out = static_cast<Word>(out << 8) | static_cast<Word>(bytes_[at + i]);
    return out;
  }

  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
  std::size_t entry_count_ = 0;
  std::vector<std::string> symbols_;
};

status misfit(const char* why) {
  return make_status(status_code::bad_format, subsystem::cli, "rda file of another shape", "%s",
                     why);
}

/// True where `dim` names a matrix of exactly `size` elements.
bool is_matrix(const r_value& value, std::size_t size) {
  return value.dim.size() == 2 && value.dim[0] > 0 && value.dim[1] > 0 &&
         std::size_t(value.dim[0]) * std::size_t(value.dim[1]) == size;
}

result<stock_table> table_of(r_value& root) {
  if (root.type != r_type::pair_list || root.entries.size() != 1 ||
      root.entries[0].type != r_type::list || root.entries[0].entries.size() != 2)
    return misfit("expected one named list of 2 matrices");
  r_value& prices = root.entries[0].entries[0];
  r_value& info = root.entries[0].entries[1];
  if (prices.type != r_type::reals || !is_matrix(prices, prices.reals.size()))
    return misfit("list entry 1 is not a matrix of doubles");
  if (info.type != r_type::strings || !is_matrix(info, info.strings.size()) || info.dim[1] != 3)
    return misfit("list entry 2 is not a matrix of strings with 3 columns");
  if (info.dim[0] != prices.dim[1])
    return make_status(status_code::length_mismatch, subsystem::cli, "rda file of another shape",
                       "prices of %d stocks, names of %d", prices.dim[1], info.dim[0]);
  stock_table table;
  table.days = static_cast<std::size_t>(prices.dim[0]);
  table.stocks = static_cast<std::size_t>(prices.dim[1]);
  table.prices = std::move(prices.reals);
  const auto column = [&](std::size_t index) {
    const auto size = static_cast<std::ptrdiff_t>(table.stocks);
    const auto first = std::make_move_iterator(info.strings.begin()) +
                       static_cast<std::ptrdiff_t>(index) * size;
    return std::vector<std::string>(first, first + size);
  };
  table.tickers = column(0);
  table.sectors = column(1);
  table.names = column(2);
  return table;
}

status system_error(const std::filesystem::path& file, int error) {
  return make_status(status_code::io_error, subsystem::cli, "cannot read the file", "%s: %s",
                     file.c_str(), std::strerror(error));
}

result<std::vector<std::byte>> read_file(const std::filesystem::path& file) {
  struct close_file {
    void operator()(std::FILE* open) const { std::fclose(open); }
  };
  const std::unique_ptr<std::FILE, close_file> input(std::fopen(file.c_str(), "rb"));
  if (!input) return system_error(file, errno);
  std::vector<std::byte> bytes;
  std::array<std::byte, 65536> chunk;
  while (const std::size_t size = std::fread(chunk.data(), 1, chunk.size(), input.get())) {
    if (bytes.size() + size > file_size_max)
      return make_status(status_code::too_many, subsystem::cli, "file too large",
                         "%s has more than %zu bytes", file.c_str(), file_size_max);
    bytes.insert(bytes.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(size));
  }
  if (std::ferror(input.get()) != 0) return system_error(file, errno);
  return bytes;
}

}  // namespace

result<std::vector<std::byte>> unpack_bzip2(std::span<const std::byte> packed,
                                            std::size_t size_max) {
  if (packed.size() > file_size_max)
    return make_status(status_code::too_many, subsystem::cli, "file too large",
                       "%zu packed bytes, at most %zu", packed.size(), file_size_max);
  bz_stream stream{};
  if (BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK)
    return status(status_code::out_of_memory, subsystem::cli, "bzip2 cannot start");
  const std::unique_ptr<bz_stream, int (*)(bz_stream*)> end(&stream, &BZ2_bzDecompressEnd);
  // bzip2 only reads through next_in; its interface is older than const.
  stream.next_in = const_cast<char*>(reinterpret_cast<const char*>(packed.data()));
  stream.avail_in = static_cast<unsigned>(packed.size());
  std::vector<std::byte> out;
  std::array<std::byte, 65536> chunk;
  for (;;) {
    stream.next_out = reinterpret_cast<char*>(chunk.data());
    stream.avail_out = chunk.size();
    const int state = BZ2_bzDecompress(&stream);
    const std::size_t size = chunk.size() - stream.avail_out;
    const std::size_t consumed = packed.size() - stream.avail_in;
    if (state != BZ_OK && state != BZ_STREAM_END)
      return make_status(status_code::bad_format, subsystem::cli, "not a readable bzip2 stream",
                         "bzip2 error %d near packed byte %zu of %zu", state, consumed,
                         packed.size());
    if (size > size_max - out.size())
      return make_status(status_code::too_many, subsystem::cli, "unpacks to too much",
                         "more than %zu bytes at packed byte %zu", size_max, consumed);
    out.insert(out.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(size));
    if (state == BZ_STREAM_END && stream.avail_in == 0) return out;
    if (state == BZ_STREAM_END)
      return make_status(status_code::bad_format, subsystem::cli, "not a readable bzip2 stream",
                         "ends at packed byte %zu of %zu", consumed, packed.size());
    if (stream.avail_in == 0 && stream.avail_out != 0)
      return make_status(status_code::bad_format, subsystem::cli, "not a readable bzip2 stream",
                         "ends early, at packed byte %zu of %zu", consumed, packed.size());
  }
}

result<stock_table> parse_rda(std::span<const std::byte> xdr) {
  if (xdr.size() > xdr_size_max)
    return make_status(status_code::too_many, subsystem::cli, "file too large",
                       "%zu unpacked bytes, at most %zu", xdr.size(), xdr_size_max);
  parser input(xdr);
  SHEAF_TRY(input.header());
  r_value root;
  SHEAF_TRY(input.value(root, 0));
  // R ends the file with the nil that closes the pair list; value() has consumed it.
  if (input.left() != 0) return input.broken("bytes after the end");
  return table_of(root);
}

result<stock_table> read_rda(const std::filesystem::path& file) {
  auto packed = read_file(file);
  if (!packed) return packed.error();
  auto xdr = unpack_bzip2(*packed, xdr_size_max);
  if (!xdr) return xdr.error();
  return parse_rda(*xdr);
}

}  // namespace risk_desk
