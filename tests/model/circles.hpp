/// \file
/// Random semirings and weights of circles: such that going round improves nothing.
///
/// Thread safety: pure functions.
#pragma once

#include <vector>

#include <sheaf/algebra/semiring.hpp>

#include "model/dice.hpp"

namespace model_test {

/// A semiring that has least fixpoints on `type`.
inline sheaf::semiring_id circle_semiring(dice& random, sheaf::dtype type) {
  using sheaf::semiring_id;
  std::vector<semiring_id> found{semiring_id::min_plus, semiring_id::max_plus,
                                 semiring_id::max_min};
  if (sheaf::is_float(type)) found.push_back(semiring_id::max_times);
  else found.insert(found.end(), {semiring_id::or_and, semiring_id::and_or});
  return random.pick(found);
}
/// A weight that improves nothing on its way round.
template <sheaf::element T>
T circle_weight(dice& random, sheaf::semiring_id semiring) {
  using sheaf::semiring_id;
  switch (semiring) {
    case semiring_id::max_plus:
      return std::is_unsigned_v<T> ? T{0} : static_cast<T>(-static_cast<int>(random.below(4)));
    case semiring_id::max_times: return static_cast<T>(static_cast<T>(random.below(5)) / T{4});
    case semiring_id::min_plus:
      return random.chance(10) ? sheaf::min_plus::zero<T>() : static_cast<T>(random.below(4));
    default: {
      const T any = random.value<T>();
      return any == any ? any : T{1};
    }
  }
}

}  // namespace model_test
