/// \file
/// An operator that the tests compile with -ffp-contract=fast, which Sheaf must refuse.
#pragma once

#include <sheaf/propagate/custom_operator.hpp>

struct contracted {
  static constexpr sheaf::operator_id id{"test.contracted", 1};
  template <class V>
  SHEAF_HD V operator()(V a, V b, V c) const {
    return a * b + c;
  }
};

SHEAF_OPERATORS(sheaf::custom_operator<contracted, double>)
