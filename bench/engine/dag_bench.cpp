/// \file
/// Propagation through the layered DAG against the hand-written loop with the same semantics.
///
/// `all`: every source element changes. `lines`: ten of 1000 sources get one changed line; the
/// floor recomputes everything (`full`) or follows line masks by hand (`hybrid`). The cost of
/// making new source values is in both sides of `all`.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "dag.hpp"
#include "dag_peer.hpp"
#include "support/paired.hpp"

namespace {

using namespace sheaf_bench;

void check(const std::vector<float>& ours, const std::vector<float>& floor) {
  if (std::memcmp(ours.data(), floor.data(), ours.size() * sizeof(float)) == 0) return;
  std::fprintf(stderr, "the engine and the hand-written loop differ\n");
  std::abort();
}

void all_dirty(benchmark::State& state, bool random, int elements, int threads) {
  const dag_shape shape{random, elements};
  dag_engine ours(shape, sheaf::semiring_id::sum_product,
                  {.threads = static_cast<unsigned>(threads)});
  dag_floor floor(shape, false, threads);
  run_pair(state, [&] { ours.change_everything(); }, [&] { floor.change_everything(); });
  check(ours.last_level(), floor.last_level());
  const double nodes = dag_levels * dag_width;
  state.counters["extra_ns_per_node"] =
      (state.counters["ours_us"] - state.counters["floor_us"]) * 1e3 / nodes;
}

/// The same with a oneTBB flow graph as the subject.
void all_dirty_peer(benchmark::State& state, bool random, int elements) {
  const dag_shape shape{random, elements};
  dag_peer peer(shape);
  dag_floor floor(shape, false);
  run_pair(state, [&] { peer.change_everything(); }, [&] { floor.change_everything(); });
  check(peer.last_level(), floor.last_level());
  state.counters["extra_ns_per_node"] = (state.counters["ours_us"] - state.counters["floor_us"]) *
                                        1e3 / (dag_levels * dag_width);
}

enum class floor_kind { full, hybrid };

void lines_dirty(benchmark::State& state, bool random, int elements, bool minimum,
                 floor_kind kind) {
  const dag_shape shape{random, elements};
  dag_engine ours(shape,
                  minimum ? sheaf::semiring_id::min_plus : sheaf::semiring_id::sum_product);
  dag_floor floor(shape, minimum);
  ours.change_everything();
  floor.change_everything();
  const auto by_hand = [&] {
    kind == floor_kind::full ? floor.change_lines_full() : floor.change_lines_hybrid();
  };
  run_pair(state, [&] { ours.change_lines(); }, by_hand);
  check(ours.last_level(), floor.last_level());
  const auto work = ours.engine().last_commit();
  state.counters["pages"] = static_cast<double>(work.pages_recomputed);
  state.counters["lines"] = static_cast<double>(work.lines_recomputed);
  state.counters["pushed"] = static_cast<double>(work.levels_pushed);
  state.counters["pulled"] = static_cast<double>(work.levels_pulled);
  state.counters["full"] = static_cast<double>(work.levels_full);
}

void register_all() {
  for (const int threads : {1, 2}) {
    for (const int elements : {1024, 64}) {
      for (const bool random : {false, true}) {
        const std::string name = std::string("all/") + (elements == 1024 ? "4KiB" : "256B") +
                                 (random ? "/random" : "/local") + "/threads:" +
                                 std::to_string(threads);
        benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
          all_dirty(state, random, elements, threads);
        })->UseManualTime()->Unit(benchmark::kMicrosecond);
      }
    }
  }
  for (const int elements : {1024, 64}) {
    for (const bool random : {false, true}) {
      const std::string name = std::string("all_tbb_flow_graph/") +
                               (elements == 1024 ? "4KiB" : "256B") +
                               (random ? "/random" : "/local");
      benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
        all_dirty_peer(state, random, elements);
      })->UseManualTime()->Unit(benchmark::kMicrosecond);
    }
  }
  for (const int elements : {1024, 64}) {
    for (const bool random : {false, true}) {
      for (const bool minimum : {false, true}) {
        for (const floor_kind kind : {floor_kind::full, floor_kind::hybrid}) {
          const std::string name = std::string("lines/") + (elements == 1024 ? "4KiB" : "256B") +
                                   (random ? "/random" : "/local") + (minimum ? "/min" : "/sum") +
                                   (kind == floor_kind::full ? "/full_floor" : "/hybrid_floor");
          benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
            lines_dirty(state, random, elements, minimum, kind);
          })->UseManualTime()->Unit(benchmark::kMicrosecond);
        }
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  register_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
