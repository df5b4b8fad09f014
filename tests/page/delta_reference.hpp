/// \file
/// Independent of the library's own text: what a merge operator means, one element at a time, and a
/// naive array that pieces are applied to. Values are bytes; nothing here is fast.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include <sheaf/page/delta.hpp>

namespace sheaf_test {

using namespace sheaf;

inline constexpr merge_operator all_operators[] = {
    merge_operator::assign,  merge_operator::add,    merge_operator::min,    merge_operator::max,
    merge_operator::bit_and, merge_operator::bit_or, merge_operator::bit_xor};
inline constexpr dtype all_types[] = {dtype::f32, dtype::f64, dtype::i32, dtype::i64,
                                      dtype::u8,  dtype::u32, dtype::u64};

template <class T>
T from_bits(std::uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}
template <class T>
std::uint64_t to_bits(T value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}

template <class T>
std::uint64_t naive_float(merge_operator op, T old, T value) {
  const std::uint64_t nan = sizeof(T) == 4 ? 0x7fc00000u : 0x7ff8000000000000u;
  if (std::isnan(old) || std::isnan(value)) return nan;
  if (op == merge_operator::add) {
    const T sum = old + value;
    return std::isnan(sum) ? nan : to_bits(sum);
  }
  if (old == 0 && value == 0) {
    const bool negative = op == merge_operator::min ? std::signbit(old) || std::signbit(value)
                                                    : std::signbit(old) && std::signbit(value);
    return to_bits(negative ? -T{0} : T{0});
  }
  return to_bits(op == merge_operator::min ? std::fmin(old, value) : std::fmax(old, value));
}

template <class T>
std::uint64_t naive_integer(merge_operator op, T old, T value) {
  const std::uint64_t a = to_bits(old), b = to_bits(value);
  const std::uint64_t width = sizeof(T) == 8 ? ~std::uint64_t{0} : (1ull << 8 * sizeof(T)) - 1;
  switch (op) {
    case merge_operator::add: return (a + b) & width;
    case merge_operator::min: return old < value ? a : b;
    case merge_operator::max: return old > value ? a : b;
    case merge_operator::bit_and: return a & b;
    case merge_operator::bit_or: return a | b;
    default: return a ^ b;
  }
}

/// The bits of the element after the merge; all bits zero-extended.
inline std::uint64_t naive_merge(merge_operator op, dtype type, std::uint64_t old,
                                 std::uint64_t value) {
  if (op == merge_operator::assign) return value;
  switch (type) {
    case dtype::f32: return naive_float(op, from_bits<float>(old), from_bits<float>(value));
    case dtype::f64: return naive_float(op, from_bits<double>(old), from_bits<double>(value));
    case dtype::i32:
      return naive_integer(op, from_bits<std::int32_t>(old), from_bits<std::int32_t>(value));
    case dtype::i64:
      return naive_integer(op, from_bits<std::int64_t>(old), from_bits<std::int64_t>(value));
    case dtype::u8:
      return naive_integer(op, from_bits<std::uint8_t>(old), from_bits<std::uint8_t>(value));
    case dtype::u32:
      return naive_integer(op, from_bits<std::uint32_t>(old), from_bits<std::uint32_t>(value));
    default: return naive_integer(op, old, value);
  }
}

/// One change as the order of application has it.
struct single_change {
  std::uint64_t index;
  std::uint64_t value;
};

inline std::vector<single_change> changes_of(const delta_piece& piece) {
  const std::size_t size = size_of(piece.type);
  const auto* values = static_cast<const unsigned char*>(piece.values);
  const auto value_at = [&](std::size_t byte) {
    std::uint64_t value = 0;
    std::memcpy(&value, values + byte, size);
    return value;
  };
  std::vector<single_change> changes;
  std::size_t set_line = 0;
  for (std::uint64_t k = 0; k < (piece.kind == piece_kind::lines ? 64 : piece.count); ++k) {
    switch (piece.kind) {
      case piece_kind::range: changes.push_back({piece.first + k, value_at(k * size)}); break;
      case piece_kind::scatter32:
        changes.push_back(
            {static_cast<const std::uint32_t*>(piece.columns)[k], value_at(k * size)});
        break;
      case piece_kind::scatter64:
        changes.push_back(
            {static_cast<const std::uint64_t*>(piece.columns)[k], value_at(k * size)});
        break;
      case piece_kind::lines:
        if ((piece.mask >> k & 1) == 0) break;
        for (std::uint64_t e = 0; e < 64 / size; ++e) {
          if ((static_cast<const std::uint64_t*>(piece.columns)[set_line] >> e & 1) == 0) continue;
          changes.push_back(
              {(piece.first + k) * (64 / size) + e, value_at(set_line * 64 + e * size)});
        }
        ++set_line;
        break;
    }
  }
  return changes;
}

/// An array as a plain run of elements.
class naive_array {
 public:
  naive_array(dtype type, std::size_t length) : type_(type), bits_(length, 0) {}

  std::uint64_t& operator[](std::size_t index) { return bits_.at(index); }
  void apply(const delta_piece& piece) {
    for (const single_change& each : changes_of(piece)) {
      std::uint64_t& bits = bits_.at(each.index);
      bits = naive_merge(piece.op, type_, bits, each.value);
    }
  }
  void apply(const delta& changes, array_id array) {
    for (const delta_piece& piece : changes.pieces()) {
      if (piece.array == array) apply(piece);
    }
  }
  friend bool operator==(const naive_array&, const naive_array&) = default;

 private:
  dtype type_;
  std::vector<std::uint64_t> bits_;
};

/// Values where rules bite: zeros of both signs, infinities, NaNs with payloads, extremes of
/// integers, small numbers that meet again, and any bits at all.
inline std::uint64_t awkward_bits(dtype type, std::mt19937_64& random) {
  static constexpr std::uint64_t f32[] = {0x00000000, 0x80000000, 0x7f800000, 0xff800000,
                                          0x7fc00000, 0xffc00000, 0x7fc00001, 0x7f800001,
                                          0xffabcdef, 0x00000001, 0x80000001, 0x3f800000,
                                          0xbf800000, 0x7f7fffff, 0x4b800000};
  static constexpr std::uint64_t f64[] = {
      0x0000000000000000, 0x8000000000000000, 0x7ff0000000000000, 0xfff0000000000000,
      0x7ff8000000000000, 0xfff8000000000000, 0x7ff8000000000001, 0x7ff0000000000001,
      0xfff123456789abcd, 0x0000000000000001, 0x8000000000000001, 0x3ff0000000000000,
      0xbff0000000000000, 0x7fefffffffffffff, 0x4340000000000000};
  const std::uint64_t any = random();
  const std::uint64_t width =
      size_of(type) == 8 ? ~std::uint64_t{0} : (1ull << 8 * size_of(type)) - 1;
  switch (any >> 60) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
      if (type == dtype::f32) return f32[random() % std::size(f32)];
      if (type == dtype::f64) return f64[random() % std::size(f64)];
      return (random() % 5 - 2) & width;
    case 6: return (width >> 1) + (random() & 1);
    case 7:
    case 8:
    case 9:
      if (type == dtype::f32) return to_bits(static_cast<float>(random() % 1000) / 7.0f);
      if (type == dtype::f64) return to_bits(static_cast<double>(random() % 1000) / 7.0);
      return random() % 100;
    default: return random() & width;
  }
}

inline void fill_awkward(std::byte* bytes, std::size_t count, dtype type, std::mt19937_64& random) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t bits = awkward_bits(type, random);
    std::memcpy(bytes + i * size_of(type), &bits, size_of(type));
  }
}

/// The seed of this run: SHEAF_TEST_SEED where it is set, else a new one; printed either way.
inline std::uint64_t test_seed() {
  static const std::uint64_t seed = [] {
    const char* given = std::getenv("SHEAF_TEST_SEED");
    const std::uint64_t value =
        given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
    std::printf("SHEAF_TEST_SEED=%llu\n", static_cast<unsigned long long>(value));
    return value;
  }();
  return seed;
}

}  // namespace sheaf_test
