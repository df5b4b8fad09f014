/// \file
/// The layered DAG of the benchmarks: 1000 one-page sources and 10 derived levels of 1000 one-page
/// nodes, fan-in 4, f32; "local" parents are a window of 4, "random" ones 4 distinct of 1000. Once
/// as a Sheaf engine, once as the hand-written loop with the same semantics: fold from the left,
/// canonical NaN at the store, compare, store what differs.
#pragma once

#include <sheaf/engine/engine.hpp>

#include <cstdint>
#include <memory>
#include <random>
#include <vector>

namespace sheaf_bench {

inline constexpr int dag_levels = 10;
inline constexpr int dag_width = 1000;
inline constexpr int dag_fan_in = 4;

struct dag_shape {
  bool random = false;
  int elements = 1024;  ///< per node: 1024 is a 4 KiB page, 64 a 256 B page

  /// parents[(level * width + i) * fan_in + k], level 0 being the first derived one
  [[nodiscard]] std::vector<int> parents() const;
};

/// The engine's side.
class dag_engine {
 public:
  dag_engine(const dag_shape& shape, sheaf::semiring_id ring,
             const sheaf::engine_options& options = {});

  /// Gives every source element a new value.
  void change_everything();
  /// Ten sources get one changed line each: lines and values as `dag_floor::change_lines`.
  void change_lines();
  [[nodiscard]] sheaf::engine& engine() { return *engine_; }
  /// The bits of the last level, for checks.
  [[nodiscard]] std::vector<float> last_level();

 private:
  dag_shape shape_;
  std::vector<sheaf::array<float>> sources_, last_;
  std::unique_ptr<sheaf::engine> engine_;
  std::vector<float> fresh_;
  int round_ = 0;
};

/// The hand-written loop on flat memory with huge pages.
class dag_floor {
 public:
  dag_floor(const dag_shape& shape, bool minimum, int threads = 1);
  ~dag_floor();
  dag_floor(const dag_floor&) = delete;
  dag_floor& operator=(const dag_floor&) = delete;

  void change_everything();
  /// New source values, nothing recomputed.
  void fill();
  void recompute_node(int level, int node) { recompute(level, node, node + 1); }
  /// Changes the lines and recomputes everything.
  void change_lines_full();
  /// Changes the lines and follows 64-bit line masks, push or pull per level (hybrid).
  void change_lines_hybrid();
  [[nodiscard]] std::vector<float> last_level() const;

 private:
  struct helper;
  void recompute(int level, int begin, int end);
  void recompute_all();
  std::uint64_t recompute_lines(int level, int node, std::uint64_t mask);
  void apply_lines();
  void run_level_masked(int level, bool pull);
  [[nodiscard]] float* page(int level, int node) const {
    const auto at = static_cast<std::size_t>(level * dag_width + node);
    return memory_ + at * static_cast<std::size_t>(shape_.elements);
  }

  dag_shape shape_;
  bool minimum_;
  float* memory_;
  std::vector<int> parents_, child_begin_, children_;
  std::vector<std::uint64_t> masks_, bits_;
  std::vector<float> fresh_;
  std::unique_ptr<helper> helper_;
  int round_ = 0;
  int changed_count_ = 0;
};

/// Which line of which source changes, and to what, in round `round`.
struct line_change {
  int source;
  int line;
  float value;
};
std::vector<line_change> changes_of(const dag_shape& shape, int round);
/// The values of every source in round `round`: small integers, so that nothing overflows.
void fill_sources(std::vector<float>& values, int round);

}  // namespace sheaf_bench
