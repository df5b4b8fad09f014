/// \file
/// Custom operators of the tests, as a host would write them.
#pragma once

#include <sheaf/propagate/custom_operator.hpp>

namespace desk {

struct blend {
  static constexpr sheaf::operator_id id{"test.blend", 1};
  template <class V>
  SHEAF_HD V operator()(V a, V b, V t) const {
    return a + (b - a) * t;
  }
};

struct clamp_below {
  static constexpr sheaf::operator_id id{"test.clamp_below", 3};
  template <class V>
  SHEAF_HD V operator()(V value, V bound) const {
    return sheaf::select(sheaf::lt(value, bound), bound, value / bound);
  }
};

struct flip {
  static constexpr sheaf::operator_id id{"test.flip", 1};
  template <class V>
  SHEAF_HD V operator()(V x) const {
    return ~x << V(3);
  }
};

/// The elementary functions on a kernel value.
struct discount {
  static constexpr sheaf::operator_id id{"test.discount", 1};
  template <class V>
  SHEAF_HD V operator()(V rate, V tenor) const {
    return sheaf::exp(-rate * tenor) * sheaf::pow(sheaf::cos(rate), sheaf::log(tenor));
  }
};

}  // namespace desk

SHEAF_OPERATORS(sheaf::custom_operator<desk::blend, float, double, std::int32_t>,
                sheaf::custom_operator<desk::clamp_below, float, double, std::int64_t>,
                sheaf::custom_operator<desk::flip, std::uint8_t, std::int64_t>,
                sheaf::custom_operator<desk::discount, float, double>)
