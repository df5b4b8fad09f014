/// \file
/// spmv on a matrix of 10^6 x 10^6 with 10^7 entries at random, beside SuiteSparse:GraphBLAS
/// (`GrB_mxv`, one thread) and a hand-written loop over flat arrays, in one run; one thread.
///
/// `full/*`: an executor recomputes the whole product after all of x changed. `changed/*`: an
/// engine commits new values of 0.1 % of x (other elements every time, 16 commits in a row),
/// against the peer computing the whole product anew, once. `nearly_all/*`: a commit of another x
/// beside a recompute by the same engine. Cold: values and columns are 80 MB and more. Numbers are
/// small and whole, so that sums are exact and all results must have equal bits; they are compared.
#include <random>

#if defined(SHEAF_HAS_GRAPHBLAS)
extern "C" {
#include <GraphBLAS.h>
}
#endif

#include "support/paired.hpp"

#include <sheaf/engine/engine.hpp>
#include <sheaf/graph/sparse.hpp>

#include "propagate/bench_rig.hpp"

namespace {

using namespace sheaf;
using namespace sheaf_bench;

constexpr std::uint32_t rows = 1'000'000;
constexpr std::uint32_t entries = 10'000'000;
constexpr int commits_in_a_row = 16;

struct structure {
  std::vector<std::uint32_t> offsets;
  std::vector<std::uint32_t> indices;
};

/// Entries fall on rows and columns at random; a row's columns rise and are distinct.
const structure& the_structure() {
  static const structure made = [] {
    std::mt19937 random(1);
    std::vector<std::vector<std::uint32_t>> of_row(rows);
    for (std::uint32_t e = 0; e < entries; ++e) {
      auto& row = of_row[random() % rows];
      row.push_back(static_cast<std::uint32_t>(random()) % rows);
    }
    structure out;
    out.offsets.push_back(0);
    for (auto& columns : of_row) {
      std::sort(columns.begin(), columns.end());
      columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
      out.indices.insert(out.indices.end(), columns.begin(), columns.end());
      out.offsets.push_back(static_cast<std::uint32_t>(out.indices.size()));
    }
    return out;
  }();
  return made;
}

template <element T>
std::vector<T> random_values(std::size_t count, std::uint32_t seed) {
  std::mt19937_64 random(seed);
  std::vector<T> out(count);
  for (T& value : out) {
    if constexpr (float_element<T>) value = static_cast<T>(random() % 15 + 1);
    else value = static_cast<T>(random());
  }
  return out;
}

/// The loop one would write over flat arrays.
template <class S, element T>
void hand_written(const structure& matrix, const std::vector<T>& values, const std::vector<T>& x,
                  std::vector<T>& y) {
  for (std::size_t row = 0; row < rows; ++row) {
    std::uint32_t e = matrix.offsets[row];
    const std::uint32_t end = matrix.offsets[row + 1];
    T sum = S::template zero<T>();
    if (e != end) sum = S::times(values[e], x[matrix.indices[e]]), ++e;
    for (; e != end; ++e) {
      if constexpr (std::is_same_v<S, sum_product>) sum += values[e] * x[matrix.indices[e]];
      else sum = S::plus(sum, S::times(values[e], x[matrix.indices[e]]));
    }
    y[row] = sum;
  }
}

#if defined(SHEAF_HAS_GRAPHBLAS)
template <element T>
class graphblas {
 public:
  graphblas(const structure& matrix, const std::vector<T>& values, const std::vector<T>& x,
            GrB_Semiring ring)
      : ring_(ring) {
    static const bool begun = [] {
      GrB_init(GrB_BLOCKING);
      GxB_Global_Option_set(GxB_GLOBAL_NTHREADS, 1);
      return true;
    }();
    (void)begun;
    std::vector<GrB_Index> row_of(matrix.indices.size()), column_of(matrix.indices.begin(),
                                                                    matrix.indices.end());
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::uint32_t e = matrix.offsets[row]; e < matrix.offsets[row + 1]; ++e) row_of[e] = row;
    }
    GrB_Matrix_new(&a_, type(), rows, rows);
    build_matrix(row_of, column_of, values);
    GrB_Vector_new(&x_, type(), rows);
    GrB_Vector_new(&y_, type(), rows);
    set_x(x);
  }
  ~graphblas() {
    GrB_Matrix_free(&a_);
    GrB_Vector_free(&x_);
    GrB_Vector_free(&y_);
  }
  graphblas(const graphblas&) = delete;
  graphblas& operator=(const graphblas&) = delete;

  void set_x(const std::vector<T>& x) {
    std::vector<GrB_Index> all(rows);
    for (std::size_t i = 0; i < rows; ++i) all[i] = i;
    GrB_Vector_clear(x_);
    if constexpr (std::is_same_v<T, float>) {
      GrB_Vector_build_FP32(x_, all.data(), x.data(), rows, GrB_SECOND_FP32);
    } else {
      GrB_Vector_build_UINT64(x_, all.data(), x.data(), rows, GrB_SECOND_UINT64);
    }
    GrB_Vector_wait(x_, GrB_MATERIALIZE);
  }
  void multiply() {
    GrB_mxv(y_, nullptr, nullptr, ring_, a_, x_, nullptr);
    GrB_Vector_wait(y_, GrB_MATERIALIZE);
  }
  /// Rows without entries are absent there: `zero`.
  std::vector<T> result(T zero) {
    std::vector<T> out(rows, zero), found(rows);
    std::vector<GrB_Index> at(rows);
    GrB_Index count = rows;
    if constexpr (std::is_same_v<T, float>) {
      GrB_Vector_extractTuples_FP32(at.data(), found.data(), &count, y_);
    } else {
      GrB_Vector_extractTuples_UINT64(at.data(), found.data(), &count, y_);
    }
    for (GrB_Index i = 0; i < count; ++i) out[at[i]] = found[i];
    return out;
  }

 private:
  static GrB_Type type() { return std::is_same_v<T, float> ? GrB_FP32 : GrB_UINT64; }
  void build_matrix(const std::vector<GrB_Index>& row_of, const std::vector<GrB_Index>& column_of,
                    const std::vector<T>& values) {
    if constexpr (std::is_same_v<T, float>) {
      GrB_Matrix_build_FP32(a_, row_of.data(), column_of.data(), values.data(), values.size(),
                            GrB_SECOND_FP32);
    } else {
      GrB_Matrix_build_UINT64(a_, row_of.data(), column_of.data(), values.data(), values.size(),
                              GrB_SECOND_UINT64);
    }
    GrB_Matrix_wait(a_, GrB_MATERIALIZE);
  }
  GrB_Semiring ring_;
  GrB_Matrix a_ = nullptr;
  GrB_Vector x_ = nullptr;
  GrB_Vector y_ = nullptr;
};

template <class S>
GrB_Semiring peer_ring() {
  if constexpr (std::is_same_v<S, sum_product>) return GrB_PLUS_TIMES_SEMIRING_FP32;
  else if constexpr (std::is_same_v<S, min_plus>) return GrB_MIN_PLUS_SEMIRING_FP32;
  else return GxB_BOR_BAND_UINT64;
}
#endif

template <element T>
struct declared {
  declared(semiring_id ring, const structure& matrix)
      : values(m.source<T>("values", matrix.indices.size())),
        x(m.source<T>("x", rows)),
        y(m.derive("y", spmv(ring,
                             sparse_matrix::from_csr(rows, matrix.offsets, matrix.indices), values,
                             x))) {}
  model m;
  array<T> values, x, y;
};

template <class S, element T>
void full(benchmark::State& state, bool beside_peer) {
  const structure& matrix = the_structure();
  const auto values = random_values<T>(matrix.indices.size(), 2);
  const std::vector<T> xs[] = {random_values<T>(rows, 3), random_values<T>(rows, 4)};
  declared<T> said(S::id, matrix);
  bench_rig ours(said.m);
  ours.write(said.values, values);
  std::vector<T> flat(rows);
  int turn = 0;
  const auto flip = [&] { ours.write(said.x, xs[turn ^= 1]); };
  flip();
  ours.recompute();
  hand_written<S>(matrix, values, xs[turn], flat);
  if (ours.read(said.y) != flat) return state.SkipWithError("bits differ from the loop's");
  if (!beside_peer) {
    return run_pair_after(
        state, flip, [&] { ours.recompute(); },
        [&] { hand_written<S>(matrix, values, xs[turn], flat); });
  }
#if defined(SHEAF_HAS_GRAPHBLAS)
  graphblas<T> peer(matrix, values, xs[turn], peer_ring<S>());
  peer.multiply();
  if (peer.result(S::template zero<T>()) != flat) {
    return state.SkipWithError("bits differ from GraphBLAS's");
  }
  run_pair_after(state, flip, [&] { ours.recompute(); }, [&] { peer.multiply(); });
#else
  state.SkipWithError("built without SuiteSparse:GraphBLAS");
#endif
}

template <class S, element T>
void changed(benchmark::State& state) {
  const structure& matrix = the_structure();
  const auto values = random_values<T>(matrix.indices.size(), 2);
  auto x = random_values<T>(rows, 3);
  declared<T> said(S::id, matrix);
  engine ours = must(engine::open(said.m));
  auto first = ours.begin();
  first.range(said.values, {}, values);
  first.range(said.x, {}, x);
  (void)must(std::move(first).commit());
  std::mt19937 random(5);
  struct change {
    std::vector<std::uint32_t> at;
    std::vector<T> to;
  };
  std::vector<change> changes(commits_in_a_row);
  const auto draw = [&] {
    for (change& one : changes) {
      one.at.resize(rows / 1000);
      for (auto& index : one.at) index = static_cast<std::uint32_t>(random()) % rows;
      one.to = random_values<T>(one.at.size(), static_cast<unsigned>(random()));
      for (std::size_t i = 0; i < one.at.size(); ++i) x[one.at[i]] = one.to[i];
    }
  };
  const auto commit = [&] {
    for (const change& one : changes) {
      auto txn = ours.begin();
      txn.scatter(said.x, one.at, one.to);
      (void)must(std::move(txn).commit());
    }
  };
  draw(), commit();
  std::vector<T> flat(rows), found(rows);
  hand_written<S>(matrix, values, x, flat);
  auto now = ours.snapshot();
  must(now.fetch(said.y)).copy_to(found);
  now = {};
  if (found != flat) return state.SkipWithError("bits differ from the loop's");
#if defined(SHEAF_HAS_GRAPHBLAS)
  graphblas<T> peer(matrix, values, x, peer_ring<S>());
  run_pair_after(state, draw, commit, [&] { peer.multiply(); }, commits_in_a_row);
#else
  run_pair_after(
      state, draw, commit, [&] { hand_written<S>(matrix, values, x, flat); }, commits_in_a_row);
#endif
}

/// A commit that changes nearly all of x, beside a recompute: what marking costs where it saves
/// nothing. Counter `times_faster` is below 1.
template <class S, element T>
void nearly_all(benchmark::State& state) {
  const structure& matrix = the_structure();
  const std::vector<T> xs[] = {random_values<T>(rows, 3), random_values<T>(rows, 4)};
  declared<T> said(S::id, matrix);
  engine ours = must(engine::open(said.m));
  const auto write = [&](const auto& target, const std::vector<T>& from) {
    auto txn = ours.begin();
    txn.range(target, {}, from);
    (void)must(std::move(txn).commit());
  };
  write(said.values, random_values<T>(matrix.indices.size(), 2));
  write(said.x, xs[0]);
  int turn = 0;
  run_pair_after(
      state, [] {}, [&] { write(said.x, xs[turn ^= 1]); },
      [&] {
        if (!ours.recompute().is_ok()) std::abort();
      });
}

template <class Run>
void add(const char* name, Run run) {
  benchmark::RegisterBenchmark(name, run)
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond)
      ->Iterations(15);
}

}  // namespace

int main(int argc, char** argv) {
  using state = benchmark::State;
  add("full/plus_times/f32/GraphBLAS", [](state& s) { full<sum_product, float>(s, true); });
  add("full/plus_times/f32/loop", [](state& s) { full<sum_product, float>(s, false); });
  add("full/min_plus/f32/GraphBLAS", [](state& s) { full<min_plus, float>(s, true); });
  add("full/min_plus/f32/loop", [](state& s) { full<min_plus, float>(s, false); });
  add("full/or_and/u64/GraphBLAS", [](state& s) { full<or_and, std::uint64_t>(s, true); });
  add("full/or_and/u64/loop", [](state& s) { full<or_and, std::uint64_t>(s, false); });
  add("changed/plus_times/f32", [](state& s) { changed<sum_product, float>(s); });
  add("changed/min_plus/f32", [](state& s) { changed<min_plus, float>(s); });
  add("changed/or_and/u64", [](state& s) { changed<or_and, std::uint64_t>(s); });
  add("nearly_all/plus_times/f32", [](state& s) { nearly_all<sum_product, float>(s); });
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
