#include "dag_peer.hpp"

#include <tbb/flow_graph.h>
#include <tbb/global_control.h>

#include <memory>

namespace sheaf_bench {

namespace flow = tbb::flow;

/// A continue_node per DAG node: what a user of oneTBB would write.
struct dag_peer::graph {
  using node = flow::continue_node<flow::continue_msg, flow::lightweight>;

  graph(dag_floor& work, const dag_shape& shape)
      : limit(tbb::global_control::max_allowed_parallelism, 1), start(whole) {
    const std::vector<int> parents = shape.parents();
    for (int i = 0; i < dag_levels * dag_width; ++i) {
      nodes.push_back(std::make_unique<node>(whole, [&work, i](const flow::continue_msg&) noexcept {
        work.recompute_node(i / dag_width, i % dag_width);
        return flow::continue_msg();
      }));
      for (int k = 0; k < dag_fan_in; ++k) {
        const int parent = parents[static_cast<std::size_t>(i * dag_fan_in + k)];
        if (i < dag_width) {
          if (k == 0) flow::make_edge(start, *nodes.back());
        } else {
          const int above = (i / dag_width - 1) * dag_width + parent;
          flow::make_edge(*nodes[static_cast<std::size_t>(above)],
                          *nodes.back());
        }
      }
    }
  }
  void run() {
    start.try_put(flow::continue_msg());
    whole.wait_for_all();
  }

  tbb::global_control limit;
  flow::graph whole;
  flow::broadcast_node<flow::continue_msg> start;
  std::vector<std::unique_ptr<node>> nodes;
};

dag_peer::dag_peer(const dag_shape& shape)
    : work_(shape, false), graph_(std::make_unique<graph>(work_, shape)) {}
dag_peer::~dag_peer() = default;

void dag_peer::change_everything() {
  work_.fill();
  graph_->run();
}

}  // namespace sheaf_bench
