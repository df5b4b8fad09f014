/// \file
/// The peer of the layered DAG: a oneTBB flow graph, one node per DAG node, one thread, over the
/// floor's memory and loop body.
#pragma once

#include <memory>

#include "dag.hpp"

namespace sheaf_bench {

class dag_peer {
 public:
  explicit dag_peer(const dag_shape& shape);
  ~dag_peer();
  void change_everything();
  [[nodiscard]] std::vector<float> last_level() const { return work_.last_level(); }

 private:
  struct graph;
  dag_floor work_;
  std::unique_ptr<graph> graph_;
};

}  // namespace sheaf_bench
