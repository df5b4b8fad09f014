/// \file
/// A five-point stencil over 4096 x 4096 f32, edges clamped, beside a loop of AVX-512 or AVX2
/// intrinsics over flat arrays of the same semantics, in one run; one thread.
///
/// `full`: an executor recomputes the result after the whole grid changed; 64 MB are read and 64 MB
/// written, out of memory. `block`: an engine commits 8 x 8 neighbouring cells; `scattered`: 64
/// cells at random, the same 64 each time. The floor of those writes the cells and computes the
/// cells around them. Every commit writes other values; results are compared bit for bit.
#include <immintrin.h>

#include <algorithm>
#include <random>

#include "support/paired.hpp"

#include <sheaf/engine/engine.hpp>
#include <sheaf/graph/stencil.hpp>

#include "propagate/bench_rig.hpp"

namespace {

using namespace sheaf;
using namespace sheaf_bench;

constexpr std::size_t side = 4096;
constexpr float middle = 0.5f, above = 0.25f, left = 0.125f, right = 0.0625f, below = 0.375f;

struct declared {
  declared()
      : in(m.source<float>("in", side * side)),
        out(m.derive("out", stencil(semiring_id::sum_product, in, grid{side, side},
                                    {{-1, 0, above},
                                     {0, -1, left},
                                     {0, 0, middle},
                                     {0, 1, right},
                                     {1, 0, below}}))) {}
  model m;
  array<float> in, out;
};

std::vector<float> random_grid(std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> out(side * side);
  for (float& value : out) value = static_cast<float>(random() % 100'000) * 0.001f;
  return out;
}

float cell(const float* in, std::size_t row, std::size_t column) {
  const std::size_t up = row == 0 ? 0 : row - 1;
  const std::size_t down = std::min(row + 1, side - 1);
  float sum = in[up * side + column] * above;
  sum = __builtin_fmaf(in[row * side + (column == 0 ? 0 : column - 1)], left, sum);
  sum = __builtin_fmaf(in[row * side + column], middle, sum);
  sum = __builtin_fmaf(in[row * side + std::min(column + 1, side - 1)], right, sum);
  return __builtin_fmaf(in[down * side + column], below, sum);
}

[[gnu::target("avx512f"), gnu::noinline]] void row_avx512(const float* up, const float* own,
                                                          const float* down, float* out) {
  const __m512 a = _mm512_set1_ps(above), l = _mm512_set1_ps(left), m = _mm512_set1_ps(middle),
               r = _mm512_set1_ps(right), b = _mm512_set1_ps(below);
  for (std::size_t c = 16; c + 16 < side; c += 16) {
    __m512 sum = _mm512_mul_ps(_mm512_loadu_ps(up + c), a);
    sum = _mm512_fmadd_ps(_mm512_loadu_ps(own + c - 1), l, sum);
    sum = _mm512_fmadd_ps(_mm512_loadu_ps(own + c), m, sum);
    sum = _mm512_fmadd_ps(_mm512_loadu_ps(own + c + 1), r, sum);
    sum = _mm512_fmadd_ps(_mm512_loadu_ps(down + c), b, sum);
    _mm512_storeu_ps(out + c, sum);
  }
}
[[gnu::target("avx2,fma"), gnu::noinline]] void row_avx2(const float* up, const float* own,
                                                         const float* down, float* out) {
  const __m256 a = _mm256_set1_ps(above), l = _mm256_set1_ps(left), m = _mm256_set1_ps(middle),
               r = _mm256_set1_ps(right), b = _mm256_set1_ps(below);
  for (std::size_t c = 16; c + 16 < side; c += 8) {
    __m256 sum = _mm256_mul_ps(_mm256_loadu_ps(up + c), a);
    sum = _mm256_fmadd_ps(_mm256_loadu_ps(own + c - 1), l, sum);
    sum = _mm256_fmadd_ps(_mm256_loadu_ps(own + c), m, sum);
    sum = _mm256_fmadd_ps(_mm256_loadu_ps(own + c + 1), r, sum);
    sum = _mm256_fmadd_ps(_mm256_loadu_ps(down + c), b, sum);
    _mm256_storeu_ps(out + c, sum);
  }
}

void hand_written(const float* in, float* out) {
  const auto row_of = widest_isa() == isa::avx512 ? row_avx512 : row_avx2;
  for (std::size_t row = 0; row < side; ++row) {
    const std::size_t up = row == 0 ? 0 : row - 1;
    const std::size_t down = std::min(row + 1, side - 1);
    row_of(in + up * side, in + row * side, in + down * side, out + row * side);
    for (std::size_t c = 0; c < 16; ++c) out[row * side + c] = cell(in, row, c);
    for (std::size_t c = side - 16; c < side; ++c) out[row * side + c] = cell(in, row, c);
  }
}

void full(benchmark::State& state) {
  const std::vector<float> grids[] = {random_grid(1), random_grid(2)};
  declared said;
  bench_rig ours(said.m);
  std::vector<float> flat(side * side);
  int turn = 0;
  const auto flip = [&] { ours.write(said.in, grids[turn ^= 1]); };
  flip();
  ours.recompute();
  hand_written(grids[turn].data(), flat.data());
  if (ours.read(said.out) != flat) return state.SkipWithError("bits differ from the loop's");
  run_pair_after(
      state, flip, [&] { ours.recompute(); },
      [&] { hand_written(grids[turn].data(), flat.data()); });
}

/// Commits new values of `at`, the same cells every time.
void few(benchmark::State& state, const std::vector<std::uint32_t>& at) {
  auto in = random_grid(1);
  declared said;
  engine ours = must(engine::open(said.m));
  auto first = ours.begin();
  first.range(said.in, {}, in);
  (void)must(std::move(first).commit());
  std::vector<float> flat(side * side);
  hand_written(in.data(), flat.data());
  std::mt19937 random(7);
  std::vector<float> to(at.size());
  const auto draw = [&] {
    for (float& value : to) value = static_cast<float>(random() % 100'000) * 0.001f;
  };
  const auto commit = [&] {
    auto txn = ours.begin();
    txn.scatter(said.in, at, to);
    (void)must(std::move(txn).commit());
  };
  const auto by_hand = [&] {
    for (std::size_t i = 0; i < at.size(); ++i) in[at[i]] = to[i];
    for (const std::uint32_t index : at) {
      const std::size_t row = index / side, column = index % side;
      for (const auto& [r, c] : {std::pair{row, column}, {row - 1, column}, {row + 1, column},
                                 {row, column - 1}, {row, column + 1}}) {
        flat[r * side + c] = cell(in.data(), r, c);
      }
    }
  };
  for (int i = 0; i < 3; ++i) draw(), commit(), by_hand();
  std::vector<float> found(side * side);
  {
    auto now = ours.snapshot();
    must(now.fetch(said.out)).copy_to(found);
  }
  if (found != flat) return state.SkipWithError("bits differ from the loop's");
  run_pair_after(state, draw, commit, by_hand);
}

std::vector<std::uint32_t> block() {
  std::vector<std::uint32_t> out;
  for (std::uint32_t r = 0; r < 8; ++r) {
    for (std::uint32_t c = 0; c < 8; ++c) out.push_back((1000 + r) * side + 1500 + c);
  }
  return out;
}
std::vector<std::uint32_t> scattered() {
  std::mt19937 random(9);
  std::vector<std::uint32_t> out;
  for (int i = 0; i < 64; ++i) {
    out.push_back((1 + random() % (side - 2)) * side + 1 + random() % (side - 2));
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  using state = benchmark::State;
  benchmark::RegisterBenchmark("full", full)
      ->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(40);
  benchmark::RegisterBenchmark("block", [](state& s) { few(s, block()); })
      ->UseManualTime()->Unit(benchmark::kMicrosecond)->Iterations(3000);
  benchmark::RegisterBenchmark("scattered", [](state& s) { few(s, scattered()); })
      ->UseManualTime()->Unit(benchmark::kMicrosecond)->Iterations(3000);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
