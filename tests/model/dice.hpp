/// \file
/// Random choices of the model test: the same on every machine for a seed.
///
/// Thread safety: none.
#pragma once

#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <sheaf/base/bits.hpp>
#include <sheaf/base/dtype.hpp>

namespace model_test {

class dice {
 public:
  explicit dice(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t word() { return engine_(); }
  /// In [0, count).
  std::uint64_t below(std::uint64_t count) { return engine_() % count; }
  std::uint64_t between(std::uint64_t first, std::uint64_t last) {
    return first + below(last - first + 1);
  }
  bool chance(unsigned percent) { return below(100) < percent; }
  template <class Item>
  const Item& pick(const std::vector<Item>& from) {
    return from[below(from.size())];
  }

  /// Any bits, with weight on the values where rules are needed, and on few values, so that equal
  /// results (cut-offs) happen.
  template <sheaf::element T>
  T value() {
    if (chance(50)) return static_cast<T>(below(5));
    if (chance(40)) return special<T>();
    if constexpr (sheaf::float_element<T>) {
      const auto whole = static_cast<T>(static_cast<std::int64_t>(below(20001)) - 10000);
      if (chance(70)) return whole / T{8};
    }
    return sheaf::from_bits<T>(static_cast<sheaf::bits_of<T>>(engine_()));
  }
  template <sheaf::element T>
  std::uint64_t value_bits() {
    return sheaf::to_bits(value<T>());
  }

 private:
  template <sheaf::element T>
  T special() {
    using limits = std::numeric_limits<T>;
    if constexpr (sheaf::float_element<T>) {
      const auto payload = static_cast<sheaf::bits_of<T>>(below(1000) + 1);
      const sheaf::bits_of<T> sign = sheaf::to_bits(-T{0});
      switch (below(10)) {
        case 0: return -T{0};
        case 1: return limits::infinity();
        case 2: return -limits::infinity();
        case 3: return limits::denorm_min();
        case 4: return -limits::denorm_min() * static_cast<T>(below(100));
        case 5: return limits::max();
        case 6: return limits::lowest();
        case 7: return limits::min();
        case 8: return sheaf::from_bits<T>(sheaf::to_bits(limits::quiet_NaN()) | payload);
        default:  // signalling, negative
          return sheaf::from_bits<T>(sheaf::to_bits(limits::infinity()) | sign | payload);
      }
    } else {
      switch (below(4)) {
        case 0: return limits::min();
        case 1: return limits::max();
        case 2: return static_cast<T>(~T{0});
        default: return static_cast<T>(limits::max() - static_cast<T>(below(3)));
      }
    }
  }

  std::mt19937_64 engine_;
};

}  // namespace model_test
