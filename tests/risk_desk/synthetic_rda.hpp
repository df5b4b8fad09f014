/// \file
/// Writes small RDX2/XDR files in memory, in the form R gives `stockdata.rda`, so that the reader
/// is tested without a download. Thread safety: values.
#pragma once

#include <bzlib.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace risk_desk::test {

class rda_writer {
 public:
  rda_writer() {
    for (const char c : std::string_view("RDX2\nX\n")) bytes_.push_back(static_cast<std::byte>(c));
    word(2);
    word(0x00020e01);
    word(0x00020300);
  }
  void word(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
      bytes_.push_back(static_cast<std::byte>(value >> shift));
  }
  void number(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    word(static_cast<std::uint32_t>(bits >> 32));
    word(static_cast<std::uint32_t>(bits));
  }
  void string(std::string_view value) {
    word(0x00040009);
    word(static_cast<std::uint32_t>(value.size()));
    for (const char c : value) bytes_.push_back(static_cast<std::byte>(c));
  }
  void symbol(std::string_view name) {
    word(0x1);
    string(name);
  }
  void reference(std::uint32_t index) { word(index << 8 | 0xff); }
  void nil() { word(0xfe); }
  void tagged() { word(0x402); }
  /// A `dim` attribute's integers.
  void dimensions(std::uint32_t rows, std::uint32_t columns) {
    word(0x0d);
    word(2);
    word(rows);
    word(columns);
  }
  [[nodiscard]] std::vector<std::byte> take() { return std::move(bytes_); }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }

 private:
  std::vector<std::byte> bytes_;
};

struct rda_shape {
  std::uint32_t days = 4;
  std::uint32_t stocks = 3;
  std::uint32_t named_stocks = 3;
  double first_price = 100.0;
};

/// Price of stock s on day d is `first_price` + 10 s + d. Sectors come in falling order.
inline std::vector<std::byte> synthetic_rda(const rda_shape& shape = {}) {
  rda_writer out;
  out.tagged();
  out.symbol("stockdata");
  out.word(0x213);
  out.word(2);
  out.word(0x20e);
  out.word(shape.days * shape.stocks);
  for (std::uint32_t stock = 0; stock < shape.stocks; ++stock)
    for (std::uint32_t day = 0; day < shape.days; ++day)
      out.number(shape.first_price + 10.0 * stock + day);
  out.tagged();
  out.symbol("dim");
  out.dimensions(shape.days, shape.stocks);
  out.nil();
  out.word(0x210);
  out.word(3 * shape.named_stocks);
  const std::uint32_t named = shape.named_stocks;
  const auto numbered = [](const char* label, std::uint32_t number) {
    std::string text(label);
    text += std::to_string(number);
    return text;
  };
  for (std::uint32_t i = 0; i < named; ++i) out.string(numbered("T", i));
  for (std::uint32_t i = 0; i < named; ++i) out.string(numbered("Sector ", named - 1 - i));
  for (std::uint32_t i = 0; i < named; ++i) out.string(numbered("Name ", i));
  out.tagged();
  out.reference(2);
  out.dimensions(shape.named_stocks, 3);
  out.tagged();
  out.symbol("dimnames");
  out.word(0x13);
  out.word(2);
  out.nil();
  out.word(0x10);
  out.word(1);
  out.string("V1");
  out.nil();
  out.tagged();
  out.symbol("names");
  out.word(0x10);
  out.word(2);
  out.string("data");
  out.string("info");
  out.nil();
  out.nil();
  return out.take();
}

inline std::vector<std::byte> pack_bzip2(std::span<const std::byte> bytes) {
  std::vector<char> input(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) input[i] = static_cast<char>(bytes[i]);
  auto size = static_cast<unsigned>(bytes.size() + bytes.size() / 100 + 600);
  std::vector<char> packed(size);
  BZ2_bzBuffToBuffCompress(packed.data(), &size, input.data(),
                           static_cast<unsigned>(input.size()), 9, 0, 0);
  std::vector<std::byte> out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(packed[i]);
  return out;
}

}  // namespace risk_desk::test
