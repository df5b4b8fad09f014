/// \file
/// What the tests of this room share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include <sheaf/graph/model.hpp>

namespace graph_test {

using sheaf::array;
using sheaf::evaluation;
using sheaf::model;
using sheaf::no_index;
using sheaf::semiring_id;
using sheaf::status_code;

/// The plan of `m`, which must have no mistake.
inline std::shared_ptr<const sheaf::plan> plan_of(const model& m) {
  auto compiled = m.compile();
  if (!compiled) {
    ADD_FAILURE() << compiled.error().message();
    return std::make_shared<sheaf::plan>();
  }
  return *compiled;
}

inline const sheaf::plan_node& node_of(const sheaf::plan& plan, sheaf::array_id id) {
  return plan.node_of(plan.producer_of_array[index_of(id)]);
}
inline const sheaf::plan_operation& operation_of(const sheaf::plan& plan, sheaf::array_id id) {
  return plan.operation_of(node_of(plan, id));
}

/// Codes of all mistakes, in order.
inline std::vector<status_code> codes_of(const model& m) {
  std::vector<status_code> codes;
  for (const sheaf::status& mistake : m.mistakes()) codes.push_back(mistake.code());
  return codes;
}

/// The only mistake of `m`, as text; empty where there is another number of them.
inline std::string only_mistake(const model& m, status_code code) {
  const auto found = m.mistakes();
  if (found.size() != 1 || found[0].code() != code) {
    for (const auto& mistake : found) ADD_FAILURE() << mistake.message();
    if (found.empty()) ADD_FAILURE() << "no mistake";
    return {};
  }
  const auto compiled = m.compile();
  EXPECT_FALSE(compiled.has_value());
  if (!compiled) {
    EXPECT_EQ(compiled.error().message(), found[0].message());
  }
  return found[0].message();
}

}  // namespace graph_test
