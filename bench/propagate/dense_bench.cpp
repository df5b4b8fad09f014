/// \file
/// gemv of 10 000 x 1000 and matmul of 512 x 512 x 512 in f32 beside OpenBLAS (one thread), in one
/// run; one thread.
///
/// `gemv/full`: an executor recomputes the product after x changed; 40 MB out of memory.
/// `gemv/row`: an engine commits one new row, another each time; its floor copies the row and
/// computes its product. Numbers are small and whole, so that sums are exact in any order and all
/// results must have equal bits; they are compared.
#include <algorithm>
#include <random>

#if defined(SHEAF_HAS_OPENBLAS)
#include <cblas.h>
#endif

#include "support/paired.hpp"

#include <sheaf/engine/engine.hpp>
#include <sheaf/graph/dense.hpp>

#include "propagate/bench_rig.hpp"

namespace {

using namespace sheaf;
using namespace sheaf_bench;

constexpr std::size_t rows = 10'000;
constexpr std::size_t columns = 1000;

std::vector<float> random_values(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> out(count);
  for (float& value : out) value = static_cast<float>(random() % 31) - 15.0f;
  return out;
}

#if defined(SHEAF_HAS_OPENBLAS)
void peer_gemv(const std::vector<float>& a, const std::vector<float>& x, std::vector<float>& y) {
  cblas_sgemv(CblasRowMajor, CblasNoTrans, rows, columns, 1.0f, a.data(), columns, x.data(), 1,
              0.0f, y.data(), 1);
}
#endif

struct declared {
  model m;
  array<float> a = m.source<float>("a", rows * columns);
  array<float> x = m.source<float>("x", columns);
  array<float> y = m.derive("y", gemv(semiring_id::sum_product, a, x));
};

void gemv_full(benchmark::State& state) {
#if defined(SHEAF_HAS_OPENBLAS)
  const auto a = random_values(rows * columns, 1);
  const std::vector<float> xs[] = {random_values(columns, 2), random_values(columns, 3)};
  declared said;
  bench_rig ours(said.m);
  ours.write(said.a, a);
  std::vector<float> y(rows);
  int turn = 0;
  const auto flip = [&] { ours.write(said.x, xs[turn ^= 1]); };
  flip();
  ours.recompute();
  peer_gemv(a, xs[turn], y);
  if (ours.read(said.y) != y) return state.SkipWithError("bits differ from OpenBLAS's");
  run_pair_after(state, flip, [&] { ours.recompute(); }, [&] { peer_gemv(a, xs[turn], y); });
#else
  state.SkipWithError("built without OpenBLAS");
#endif
}

void gemv_row(benchmark::State& state) {
  auto a = random_values(rows * columns, 1);
  const auto x = random_values(columns, 2);
  declared said;
  engine ours = must(engine::open(said.m));
  auto first = ours.begin();
  first.range(said.a, {}, a);
  first.range(said.x, {}, x);
  (void)must(std::move(first).commit());
  std::mt19937 random(4);
  std::vector<float> row(columns);
  std::size_t at = 0;
  std::vector<float> y(rows);
  const auto product = [&](std::size_t r) {
    float sum = 0;
    for (std::size_t c = 0; c < columns; ++c) sum += a[r * columns + c] * x[c];
    y[r] = sum;
  };
  for (std::size_t r = 0; r < rows; ++r) product(r);
  const auto draw = [&] {
    at = random() % rows;
    row = random_values(columns, random());
  };
  const auto commit = [&] {
    auto txn = ours.begin();
    txn.range(said.a, {.index = at * columns}, row);
    (void)must(std::move(txn).commit());
  };
  const auto by_hand = [&] {
    std::copy(row.begin(), row.end(), a.begin() + static_cast<std::ptrdiff_t>(at * columns));
#if defined(SHEAF_HAS_OPENBLAS)
    y[at] = cblas_sdot(columns, a.data() + at * columns, 1, x.data(), 1);
#else
    product(at);
#endif
  };
  for (int i = 0; i < 3; ++i) draw(), commit(), by_hand();
  std::vector<float> found(rows);
  {
    auto now = ours.snapshot();
    must(now.fetch(said.y)).copy_to(found);
  }
  if (found != y) return state.SkipWithError("bits differ from the floor's");
  run_pair_after(state, draw, commit, by_hand);
}

void matmul_full(benchmark::State& state, std::size_t n) {
#if defined(SHEAF_HAS_OPENBLAS)
  model m;
  const auto a = m.source<float>("a", n * n);
  const auto b = m.source<float>("b", n * n);
  const auto c = m.derive("c", matmul(semiring_id::sum_product, a, b, n));
  const std::vector<float> as[] = {random_values(n * n, 2), random_values(n * n, 3)};
  const auto bs = random_values(n * n, 4);
  bench_rig ours(m);
  ours.write(b, bs);
  std::vector<float> flat(n * n);
  int turn = 0;
  const auto flip = [&] { ours.write(a, as[turn ^= 1]); };
  const auto peer = [&] {
    const auto size = static_cast<int>(n);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size, size, size, 1.0f,
                as[turn].data(), size, bs.data(), size, 0.0f, flat.data(), size);
  };
  flip();
  ours.recompute();
  peer();
  if (ours.read(c) != flat) return state.SkipWithError("bits differ from OpenBLAS's");
  run_pair_after(state, flip, [&] { ours.recompute(); }, peer);
#else
  (void)n;
  state.SkipWithError("built without OpenBLAS");
#endif
}

}  // namespace

int main(int argc, char** argv) {
#if defined(SHEAF_HAS_OPENBLAS)
  openblas_set_num_threads(1);
#endif
  using state = benchmark::State;
  benchmark::RegisterBenchmark("gemv/full", gemv_full)
      ->UseManualTime()->Unit(benchmark::kMicrosecond)->Iterations(100);
  benchmark::RegisterBenchmark("gemv/row", gemv_row)
      ->UseManualTime()->Unit(benchmark::kMicrosecond)->Iterations(3000);
  benchmark::RegisterBenchmark("matmul/128", [](state& s) { matmul_full(s, 128); })
      ->UseManualTime()->Unit(benchmark::kMicrosecond)->Iterations(100);
  benchmark::RegisterBenchmark("matmul/512", [](state& s) { matmul_full(s, 512); })
      ->UseManualTime()->Unit(benchmark::kMicrosecond)->Iterations(20);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
