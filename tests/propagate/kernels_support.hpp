/// \file
/// What the tests of the kernel bodies share: values worth testing, guarded pages, a page check,
/// and a reference that is written from the rules of scalar.hpp alone, one element at a time.
#pragma once

#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <sheaf/algebra/scalar.hpp>
#include <sheaf/algebra/semiring.hpp>
#include <sheaf/base/isa.hpp>
#include <sheaf/propagate/kernels.hpp>

namespace kernels_support {

using namespace sheaf;

/// The tables this machine can run.
inline std::vector<const kernel_table*> tables() {
  std::vector<const kernel_table*> found;
  for (const isa set : {isa::scalar, isa::avx2, isa::avx512}) {
    if (const kernel_table* table = kernels_of(set)) found.push_back(table);
  }
  return found;
}

/// The seed of every random test: `SHEAF_TEST_SEED`, else a fixed one. Failures print it.
inline std::uint64_t seed() {
  const char* word = std::getenv("SHEAF_TEST_SEED");
  return word == nullptr ? 20250611 : std::strtoull(word, nullptr, 0);
}

class generator {
 public:
  explicit generator(std::uint64_t salt) : engine_(seed() * 1'000'003 + salt) {}
  std::uint64_t bits() { return engine_(); }
  /// Uniform in [0, limit).
  unsigned below(std::uint64_t limit) { return static_cast<unsigned>(engine_() % limit); }

  /// Small numbers, any bits, and the values where rules differ.
  template <element T>
  T value() {
    const unsigned kind = below(8);
    if (kind < 4) {
      return static_cast<T>(static_cast<int>(below(17)) - (std::is_signed_v<T> ? 8 : 0));
    }
    if (kind < 6) return from_bits<T>(static_cast<bits_of<T>>(bits()));
    constexpr bits_of<T> top = static_cast<bits_of<T>>(bits_of<T>{1} << (sizeof(T) * 8 - 1));
    if constexpr (float_element<T>) {
      using limits = std::numeric_limits<T>;
      const T edges[] = {T{0},
                         -T{0},
                         limits::infinity(),
                         -limits::infinity(),
                         limits::max(),
                         limits::min(),
                         limits::denorm_min(),
                         -limits::denorm_min(),
                         limits::quiet_NaN(),
                         -limits::quiet_NaN(),
                         from_bits<T>(static_cast<bits_of<T>>(to_bits(limits::infinity()) | 5)),
                         from_bits<T>(static_cast<bits_of<T>>(to_bits(limits::quiet_NaN()) | 77)),
                         T{1}, -T{1}, T(0.1)};
      return edges[below(std::size(edges))];
    } else {
      const bits_of<T> edges[] = {0, 1, top, static_cast<bits_of<T>>(top - 1),
                                  static_cast<bits_of<T>>(~bits_of<T>{0})};
      return from_bits<T>(edges[below(std::size(edges))]);
    }
  }

  /// Lines of a page of `lines` lines, none past `last`: all, one, a run from 0, or any.
  line_mask mask(unsigned lines, unsigned last) {
    const line_mask allowed = first_lines(std::min(lines, last + 1));
    switch (below(4)) {
      case 0: return allowed;
      case 1: return line_mask{1} << below(std::min(lines, last + 1));
      case 2: return allowed & first_lines(1 + below(64));
      default: break;
    }
    const line_mask any = allowed & bits();
    return any != 0 ? any : allowed;
  }

 private:
  std::mt19937_64 engine_;
};

/// A line-aligned page between two guard lines.
class guarded_page {
 public:
  explicit guarded_page(unsigned lines) : size_(lines * line_size), bytes_(size_ + 3 * line_size) {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes_.data());
    begin_ = (line_size - address % line_size) % line_size + line_size;
    std::memset(bytes_.data(), 0xa5, bytes_.size());
  }
  guarded_page(const guarded_page&) = delete;
  guarded_page& operator=(const guarded_page&) = delete;

  std::byte* data() { return bytes_.data() + begin_; }
  const std::byte* data() const { return bytes_.data() + begin_; }
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data());
  }
  std::size_t size() const { return size_; }
  bool guards_are_intact() const {
    for (std::size_t i = 0; i < line_size; ++i) {
      if (bytes_[begin_ - 1 - i] != std::byte{0xa5}) return false;
      if (bytes_[begin_ + size_ + i] != std::byte{0xa5}) return false;
    }
    return true;
  }

 private:
  std::size_t size_;
  std::vector<std::byte> bytes_;
  std::size_t begin_;
};

/// Where an array ends inside a page: `tail_line` 64 where nothing is cut.
struct page_shape {
  unsigned lines;
  unsigned tail_line = page_lines_max;
  unsigned tail_elements = 0;

  template <element T>
  unsigned valid() const {
    constexpr unsigned per_line = static_cast<unsigned>(line_size / sizeof(T));
    return tail_line < lines ? tail_line * per_line + tail_elements : lines * per_line;
  }
  unsigned last_line() const { return std::min(lines - 1, tail_line); }
};

template <element T>
page_shape random_shape(generator& random, unsigned lines) {
  page_shape shape{lines};
  if (random.below(2) == 0) {
    shape.tail_line = random.below(lines);
    shape.tail_elements = 1 + random.below(line_size / sizeof(T) - 1);
  }
  return shape;
}

/// Fills a page with values; bytes past the array's end are zero.
template <element T>
void fill(generator& random, guarded_page& page, const page_shape& shape) {
  std::memset(page.data(), 0, page.size());
  for (unsigned i = 0; i < shape.valid<T>(); ++i) page.as<T>()[i] = random.value<T>();
}

/// Runs a page body in place and into scratch, and checks the contract of page bodies: `expected`
/// has the elements of the page before they are made canonical.
template <element T>
void check_page_body(generator& random, const page_shape& shape, std::vector<T> expected,
                     const std::function<line_mask(const line_task&)>& body) {
  constexpr unsigned per_line = static_cast<unsigned>(line_size / sizeof(T));
  for (T& value : expected) value = canonical(value);
  for (std::size_t i = shape.valid<T>(); i < expected.size(); ++i) expected[i] = T{0};
  const auto* want = reinterpret_cast<const std::byte*>(expected.data());
  for (const bool in_place : {true, false}) {
    const line_mask mask = random.mask(shape.lines, shape.last_line());
    guarded_page old(shape.lines);
    guarded_page out(shape.lines);
    std::memcpy(old.data(), want, old.size());
    std::memset(out.data(), 0x5a, out.size());
    for (unsigned line = 0; line < shape.lines; ++line) {
      if (random.below(3) == 0) continue;  // stays as expected: to be cut off
      const unsigned bit = random.below(line_size * 8);
      old.data()[line * line_size + bit / 8] ^= std::byte(1u << bit % 8);
    }
    const std::vector<std::byte> before(old.data(), old.data() + old.size());
    guarded_page& target = in_place ? old : out;
    std::vector<std::byte> after(target.data(), target.data() + target.size());
    line_mask changed = 0;
    for_each_line(mask, [&](unsigned line) {
      const std::size_t at = line * line_size;
      if (std::memcmp(before.data() + at, want + at, line_size) == 0) return;
      changed |= line_mask{1} << line;
      std::memcpy(after.data() + at, want + at, line_size);
    });
    const line_task task{target.data(), old.data(), mask, shape.tail_line, shape.tail_elements};
    ASSERT_EQ(body(task), changed) << "lines that changed; seed " << seed();
    for (std::size_t i = 0; i < after.size(); ++i) {
      ASSERT_EQ(target.data()[i], after[i])
          << "byte " << i << " of line " << i / line_size << ", element "
          << i / sizeof(T) % per_line
          << (in_place ? ", in place" : ", scratch") << "; seed " << seed();
    }
    const bool old_is_still = std::memcmp(old.data(), before.data(), before.size()) == 0;
    ASSERT_TRUE(in_place || old_is_still) << "; seed " << seed();
    ASSERT_TRUE(old.guards_are_intact() && out.guards_are_intact()) << "; seed " << seed();
  }
}

/// a (+) b of a semiring, said once more.
template <element T>
T plus_of(semiring_id id, T a, T b) {
  if constexpr (integer_element<T>) {
    if (id == semiring_id::or_and) return static_cast<T>(a | b);
    if (id == semiring_id::and_or) return static_cast<T>(a & b);
    if (id == semiring_id::xor_and) return static_cast<T>(a ^ b);
  }
  if constexpr (std::is_unsigned_v<T>) {
    if (id == semiring_id::counting) return static_cast<T>(b > T(~a) ? T(~T{0}) : T(a + b));
  }
  if constexpr (float_element<T>) {
    if (id == semiring_id::log_sum_exp) return log_sum_exp::plus(a, b);
  }
  if (id == semiring_id::sum_product) return add(a, b);
  if (id == semiring_id::min_plus) return sheaf::min(a, b);
  return sheaf::max(a, b);
}

/// Saturating sum in which the infinity of min_plus or max_plus absorbs.
template <element T>
T path_sum(bool shortest, T a, T b) {
  if constexpr (float_element<T>) {
    return a + b;
  } else {
    using limits = std::numeric_limits<T>;
    if constexpr (std::is_signed_v<T>) {
      const T infinity = shortest ? limits::max() : limits::min();
      if (a == infinity || b == infinity) return infinity;
    }
    const __int128 sum = static_cast<__int128>(a) + static_cast<__int128>(b);
    if (sum > limits::max()) return limits::max();
    if (sum < limits::min()) return limits::min();
    return static_cast<T>(sum);
  }
}

template <element T>
T times_of(semiring_id id, T a, T b) {
  if constexpr (integer_element<T>) {
    if (id == semiring_id::or_and || id == semiring_id::xor_and) return static_cast<T>(a & b);
    if (id == semiring_id::and_or) return static_cast<T>(a | b);
  }
  if constexpr (std::is_unsigned_v<T>) {
    T product{};
    const bool over = __builtin_mul_overflow(a, b, &product);
    if (id == semiring_id::counting) return over ? T(~T{0}) : product;
  }
  if (id == semiring_id::log_sum_exp) return add(a, b);
  if (id == semiring_id::min_plus) return path_sum(true, a, b);
  if (id == semiring_id::max_plus) return path_sum(false, a, b);
  if (id == semiring_id::max_min) return sheaf::min(a, b);
  return multiply(a, b);
}

template <element T>
T plus_times_of(semiring_id id, T sum, T a, T b) {
  if (id == semiring_id::sum_product) return fma(a, b, sum);
  return plus_of(id, sum, times_of(id, a, b));
}

/// The block fold of fold_tree.hpp, by its definition; at least one item.
template <element T>
T fold_of(semiring_id id, std::vector<T> items) {
  for (unsigned stride = 32; stride != 0; stride /= 2) {
    for (unsigned i = 0; i < stride && i + stride < items.size(); ++i) {
      items[i] = plus_of(id, items[i], items[i + stride]);
    }
  }
  return canonical(items[0]);
}

/// Calls `visitor.template operator()<T>()` for each element type.
template <class Visitor>
void for_each_type(Visitor&& visitor) {
  for (unsigned t = 0; t < dtype_count; ++t) {
    visit_dtype(static_cast<dtype>(t), [&](auto type) {
      visitor.template operator()<typename decltype(type)::type>();
    });
  }
}

}  // namespace kernels_support
