/// \file
/// Reads every array of a snapshot in the ways there are and compares bits with what is expected.
///
/// Thread safety: none.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <sheaf/base/result.hpp>
#include <sheaf/engine/snapshot.hpp>

#include "model/dice.hpp"
#include "model/naive_engine.hpp"

namespace model_test {

/// Thrown where the two engines disagree.
struct mismatch {
  std::string text;
};

inline void require(bool holds, const std::string& claim) {
  if (!holds) throw mismatch{claim};
}
template <class T>
void require(const sheaf::result<T>& got, const std::string& claim) {
  if (!got) throw mismatch{claim + ": " + got.error().message()};
}

/// Compares every array of `now` with `expected`.
void compare_all(const sheaf::snapshot& now, const std::vector<array_recipe>& arrays,
                 const std::vector<sheaf::any_array>& handles,
                 const std::vector<column>& expected, dice& random);

/// Reads that must be refused.
void check_bad_reads(const sheaf::snapshot& now, const std::vector<array_recipe>& arrays,
                     const std::vector<sheaf::any_array>& handles,
                     const sheaf::any_array& foreign, dice& random);

/// Holds a view of one array and its spans; the result compares what they show then.
[[nodiscard]] std::function<void()> view_check(const sheaf::snapshot& from,
                                               const array_recipe& recipe,
                                               const sheaf::any_array& handle,
                                               const column& expected);

}  // namespace model_test
