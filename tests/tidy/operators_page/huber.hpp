#pragma once
#include <sheaf/propagate/custom_operator.hpp>

/// Quadratic near zero, linear beyond `width` on either side.
struct huber {
  static constexpr sheaf::operator_id id{"desk.huber", 1};
  template <class V>
  SHEAF_HD V operator()(V x, V width) const {
    const V size = sheaf::abs(x);
    const V near = V(0.5f) * x * x;
    const V far = width * (size - V(0.5f) * width);
    return sheaf::select(sheaf::le(size, width), near, far);
  }
};

SHEAF_OPERATORS(sheaf::custom_operator<huber, float, double>)
