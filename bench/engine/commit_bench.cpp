/// \file
/// The commit path: empty commits, one float through a chain, snapshots, a large scatter, a line
/// program, and what a million pages weigh. Floors are hand-written and run beside each subject.
#include <benchmark/benchmark.h>

#include <sheaf/engine/engine.hpp>

#include <immintrin.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

#include "support/paired.hpp"
#include "support/resident.hpp"

namespace {

using namespace sheaf;
using namespace sheaf_bench;

[[noreturn]] void stop(const status& why) {
  std::fprintf(stderr, "benchmark stopped: %s\n", why.message().c_str());
  std::abort();
}

engine open_or_stop(const model& declared, const engine_options& options = {}) {
  auto opened = engine::open(declared, options);
  if (!opened) stop(opened.error());
  return std::move(*opened);
}

void commit_or_stop(transaction&& txn) {
  if (auto done = std::move(txn).commit(); !done) stop(done.error());
}

void empty_commit(benchmark::State& state) {
  model declared;
  const auto price = declared.source<float>("price", 1024);
  declared.derive("double", price + price);
  engine desk = open_or_stop(declared);
  for (auto _ : state) commit_or_stop(desk.begin());
}
BENCHMARK(empty_commit);

void snapshot_open_close(benchmark::State& state) {
  model declared;
  declared.source<float>("price", 1024);
  engine desk = open_or_stop(declared, {.mode = state.range(0) == 0 ? readers::brief_wait
                                                                    : readers::wait_free});
  commit_or_stop(desk.begin());
  for (auto _ : state) {
    const auto now = desk.snapshot();
    benchmark::DoNotOptimize(now.epoch());
  }
}
BENCHMARK(snapshot_open_close)->ArgName("wait_free")->Arg(0)->Arg(1);

/// One changed float through a chain of ten arrays of 1024 floats (4 KiB pages), each step `+ 1`.
enum class chain_mode { plain, snapshot_each, wait_free };

void chain_of_ten(benchmark::State& state) {
  const auto mode = static_cast<chain_mode>(state.range(0));
  model declared;
  const auto source = declared.source<float>("source", 1024);
  array<float> last = source;
  for (int i = 0; i < 10; ++i) last = declared.derive("", last + 1.0f);
  engine desk = open_or_stop(declared, {.mode = mode == chain_mode::wait_free
                                                    ? readers::wait_free
                                                    : readers::brief_wait});
  std::vector<double> times;
  times.reserve(1 << 22);
  snapshot held;
  std::uint32_t x = 1;
  for (auto _ : state) {
    x = x * 1664525u + 1013904223u;
    const double begin = seconds_now();
    auto txn = desk.begin();
    txn.set(source, {.index = x >> 22}, static_cast<float>(x >> 8));
    commit_or_stop(std::move(txn));
    const double took = seconds_now() - begin;
    state.SetIterationTime(took);
    if (times.size() < times.capacity()) times.push_back(took);
    if (mode == chain_mode::snapshot_each) held = desk.snapshot();
  }
  state.counters["p50_ns"] = quantile(times, 0.5) * 1e9;
  state.counters["p99_ns"] = quantile(times, 0.99) * 1e9;
  state.counters["p999_ns"] = quantile(times, 0.999) * 1e9;
  const work_counters work = desk.last_commit();
  state.counters["lines"] = static_cast<double>(work.lines_recomputed);
  state.counters["frames_copied"] = static_cast<double>(work.frames_copied);
  state.counters["frames_reused"] = static_cast<double>(work.frames_reused);
}
BENCHMARK(chain_of_ten)->ArgName("mode")->Arg(0)->Arg(1)->Arg(2)->UseManualTime();

/// 10^6 random 8-byte assigns into 64 MiB, nothing derived, against the same writes into one flat
/// buffer on huge pages.
void scatter_million(benchmark::State& state) {
  constexpr std::uint64_t elements = (std::uint64_t{64} << 20) / 8;
  constexpr std::size_t count = 1'000'000;
  const bool borrowed = state.range(0) != 0;
  model declared;
  const auto target = declared.source<std::uint64_t>("target", elements);
  engine desk = open_or_stop(declared);
  const std::size_t huge = std::size_t{2} << 20;
  auto* flat = static_cast<std::uint64_t*>(std::aligned_alloc(huge, elements * 8));
  madvise(flat, elements * 8, MADV_HUGEPAGE);
  std::memset(flat, 0, elements * 8);
  std::vector<std::uint32_t> indices(count);
  std::vector<std::uint64_t> values[2] = {std::vector<std::uint64_t>(count),
                                          std::vector<std::uint64_t>(count)};
  std::mt19937_64 generator(7);
  for (auto& index : indices) index = static_cast<std::uint32_t>(generator() % elements);
  for (auto& half : values) {
    for (auto& value : half) value = generator();
  }
  int round = 0;
  int floor_round = 0;
  run_pair(
      state,
      [&] {
        const auto& fresh = values[++round & 1];
        auto txn = desk.begin();
        if (borrowed) {
          txn.scatter_borrowed(target, std::span<const std::uint32_t>(indices), fresh);
        } else {
          txn.scatter(target, std::span<const std::uint32_t>(indices), fresh);
        }
        commit_or_stop(std::move(txn));
      },
      [&] {
        const auto& fresh = values[++floor_round & 1];
        for (std::size_t i = 0; i < count; ++i) flat[indices[i]] = fresh[i];
        benchmark::ClobberMemory();
      });
  std::free(flat);
}
BENCHMARK(scatter_million)->ArgName("borrowed")->Arg(0)->Arg(1)->UseManualTime()->Unit(
    benchmark::kMillisecond);

/// ((a * b + c) * (a - c) + b) * 0.5 over 10^6 f32: as one line program, fused by hand with the
/// same semantics, and as six arrays.
[[gnu::noinline, gnu::target("avx2,fma")]] std::uint64_t fused(float* out, const float* a,
                                                              const float* b, const float* c,
                                                              std::size_t count) {
  std::uint64_t changed = 0;
  for (std::size_t i = 0; i < count; i += 16) {
    __m256 results[2];
    __m256i differ = _mm256_setzero_si256();
    for (std::size_t h = 0; h < 2; ++h) {
      const __m256 va = _mm256_load_ps(a + i + h * 8), vb = _mm256_load_ps(b + i + h * 8);
      const __m256 vc = _mm256_load_ps(c + i + h * 8);
      __m256 r = _mm256_add_ps(_mm256_mul_ps(va, vb), vc);
      r = _mm256_add_ps(_mm256_mul_ps(r, _mm256_sub_ps(va, vc)), vb);
      r = _mm256_mul_ps(r, _mm256_set1_ps(0.5f));
      r = _mm256_blendv_ps(r, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000)),
                           _mm256_cmp_ps(r, r, _CMP_UNORD_Q));
      results[h] = r;
      differ = _mm256_or_si256(
          differ, _mm256_xor_si256(_mm256_castps_si256(r),
                                   _mm256_load_si256(
                                       reinterpret_cast<const __m256i*>(out + i + h * 8))));
    }
    if (_mm256_testz_si256(differ, differ)) continue;
    _mm256_store_ps(out + i, results[0]);
    _mm256_store_ps(out + i + 8, results[1]);
    ++changed;
  }
  return changed;
}

struct expression_engine {
  explicit expression_engine(bool split) {
    model declared;
    a = declared.source<float>("a", length);
    b = declared.source<float>("b", length);
    c = declared.source<float>("c", length);
    if (split) {
      const auto ab = declared.derive("", a * b);
      const auto abc = declared.derive("", ab + c);
      const auto d = declared.derive("", a - c);
      const auto m = declared.derive("", abc * d);
      const auto n = declared.derive("", m + b);
      result = declared.derive("result", n * 0.5f);
    } else {
      result = declared.derive("result", ((a * b + c) * (a - c) + b) * 0.5f);
    }
    desk = std::make_unique<engine>(open_or_stop(declared));
  }
  void run(const std::vector<float>& values) {
    auto txn = desk->begin();
    txn.range_borrowed(a, {}, std::span<const float>(values));
    commit_or_stop(std::move(txn));
  }
  static constexpr std::uint64_t length = 1'000'000;
  array<float> a, b, c, result;
  std::unique_ptr<engine> desk;
};

void expression_of_six(benchmark::State& state) {
  expression_engine program(state.range(0) != 0);
  constexpr std::size_t length = expression_engine::length;
  std::vector<float> fill(length);
  const auto make = [&](float from) {
    for (std::size_t i = 0; i < length; ++i) fill[i] = from + static_cast<float>(i & 1023);
  };
  make(1.0f);
  auto first = program.desk->begin();
  first.range(program.b, {}, std::span<const float>(fill));
  first.range(program.c, {}, std::span<const float>(fill));
  commit_or_stop(std::move(first));
  auto* flat = static_cast<float*>(
      std::aligned_alloc(std::size_t{2} << 20, 4 * (std::size_t{4} << 20)));
  madvise(flat, 4 * (std::size_t{4} << 20), MADV_HUGEPAGE);
  float* a = flat;
  float* b = flat + (std::size_t{1} << 20);
  float* c = b + (std::size_t{1} << 20);
  float* out = c + (std::size_t{1} << 20);
  std::memcpy(b, fill.data(), length * 4);
  std::memcpy(c, fill.data(), length * 4);
  std::memset(out, 0, length * 4);
  std::vector<float> even(length), odd(length);
  make(3.0f);
  even = fill;
  make(5.0f);
  odd = fill;
  int round = 0;
  int floor_round = 0;
  run_pair(state, [&] { program.run((++round & 1) != 0 ? odd : even); },
           [&] {
             const auto& values = (++floor_round & 1) != 0 ? odd : even;
             std::memcpy(a, values.data(), length * 4);
             benchmark::DoNotOptimize(fused(out, a, b, c, length));
           });
  const auto now = program.desk->snapshot();
  std::vector<float> seen(length);
  if (auto got = now.fetch(program.result)) got->copy_to(seen);
  // Both sides ran the same number of rounds, so both hold the same values.
  if (round == floor_round && std::memcmp(seen.data(), out, length * 4) != 0) {
    std::fprintf(stderr, "the line program and the fused loop differ\n");
    std::abort();
  }
  std::free(flat);
}
BENCHMARK(expression_of_six)->ArgName("six_nodes")->Arg(0)->Arg(1)->UseManualTime()->Unit(
    benchmark::kMicrosecond);

/// 10^6 pages of 1 KiB, every byte written once.
void million_pages(benchmark::State& state) {
  for (auto _ : state) {
    const std::size_t before = resident_bytes();
    model declared;
    const auto big = declared.source<std::uint64_t>("big", std::uint64_t{1'000'000} * 128,
                                                    {.page = page_class::b1k});
    engine desk = open_or_stop(declared);
    std::vector<std::uint64_t> part(1 << 20, 0x0123'4567'89ab'cdefu);
    for (std::uint64_t at = 0; at < big.size(); at += part.size()) {
      const std::uint64_t n = std::min<std::uint64_t>(part.size(), big.size() - at);
      auto txn = desk.begin();
      txn.range(big, {.index = at}, std::span<const std::uint64_t>(part).first(n));
      commit_or_stop(std::move(txn));
    }
    part = {};
    state.counters["resident_GiB"] =
        static_cast<double>(resident_bytes() - before) / static_cast<double>(1 << 30);
  }
}
BENCHMARK(million_pages)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
