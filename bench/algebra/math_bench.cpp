/// \file
/// The deterministic functions beside glibc's vector functions (libmvec), in one run.
///
/// `FUNCTION_f32/SET`, `FUNCTION_f64/SET`: the engine's step body of that instruction set over 10^6
/// random elements, 16 lines a call as the interpreter calls it, beside the compiler's loop over
/// libmvec's function of the same set. `commit_exp_f32`: a whole commit that makes every element of
/// `exp(x)` change, beside that loop alone. Warm in the L3 (4 or 8 MB in, as much out).
///
/// Counters: `ours_us`, `floor_us` (libmvec), `ratio` (ours / libmvec), `speed` (1 / ratio). Before
/// timing, the body's results are compared with the scalar function, bit for bit, and with
/// libmvec's, which are to lie within 8 ulp.
#include <cmath>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include <benchmark/benchmark.h>

#include <sheaf/algebra/elementwise_math.hpp>
#include <sheaf/engine/engine.hpp>
#include <sheaf/propagate/kernels.hpp>

#include "algebra/math_peer.hpp"
#include "support/paired.hpp"

namespace {

using namespace sheaf;
using sheaf_bench::math_peer;

constexpr std::size_t count = 1'000'000;

struct free_deleter {
  void operator()(void* memory) const { std::free(memory); }
};
/// Elements on a line's border, up to whole chunks.
template <class T>
using column = std::unique_ptr<T[], free_deleter>;
template <class T>
column<T> make_column() {
  const std::size_t chunk = std::size_t{chunk_lines} * line_size;
  const std::size_t bytes = (count * sizeof(T) + chunk - 1) / chunk * chunk;
  auto* const items = static_cast<T*>(std::aligned_alloc(line_size, bytes));
  std::fill_n(items, bytes / sizeof(T), T{1});
  return column<T>(items);
}
template <class T>
column<T> random_column(double low, double high) {
  column<T> made = make_column<T>();
  std::mt19937_64 random(7);
  for (std::size_t i = 0; i < count; ++i) {
    const double unit = static_cast<double>(random() >> 11) * 0x1p-53;
    made[i] = static_cast<T>(low + (high - low) * unit);
  }
  return made;
}

/// A function, where it is measured, and its place in the peer's table.
struct trial {
  opcode op;
  const char* name;
  double low, high;
  unsigned place;
};
constexpr trial trials[] = {
    {opcode::exp, "exp", -20, 20, 0},  {opcode::log, "log", 0.001, 100, 1},
    {opcode::tanh, "tanh", -3, 3, 2},  {opcode::erf, "erf", -3, 3, 3},
    {opcode::sin, "sin", -10, 10, 4},  {opcode::cos, "cos", -10, 10, 5},
    {opcode::pow, "pow", 0.01, 10, 6},
};

template <class T>
T reference(opcode op, T x) {
  switch (op) {
    case opcode::exp: return sheaf::exp(x);
    case opcode::log: return sheaf::log(x);
    case opcode::tanh: return sheaf::tanh(x);
    case opcode::erf: return sheaf::erf(x);
    case opcode::sin: return sheaf::sin(x);
    case opcode::cos: return sheaf::cos(x);
    default: return sheaf::pow(x, T{2.5});
  }
}

template <class T>
bool results_agree(opcode op, const T* in, const T* ours, const T* theirs) {
  for (std::size_t i = 0; i < count; ++i) {
    if (to_bits(ours[i]) != to_bits(canonical(reference(op, in[i])))) return false;
    const T ulp = std::nextafter(std::fabs(ours[i]), T{INFINITY}) - std::fabs(ours[i]);
    if (std::fabs(ours[i] - theirs[i]) > 8 * ulp) return false;
  }
  return true;
}

template <class T>
void measure(benchmark::State& state, const trial& what, step_body body,
             void (*loop)(T*, const T*, std::size_t)) {
  const column<T> in = random_column<T>(what.low, what.high);
  const column<T> ours = make_column<T>(), theirs = make_column<T>();
  alignas(line_size) T exponents[chunk_lines * line_size / sizeof(T)];
  std::fill(std::begin(exponents), std::end(exponents), static_cast<T>(2.5));
  constexpr std::size_t chunk = chunk_lines * line_size / sizeof(T);
  const auto run = [&] {
    for (std::size_t i = 0; i < count; i += chunk) {
      const std::byte* const arguments[3] = {reinterpret_cast<const std::byte*>(in.get() + i),
                                             reinterpret_cast<const std::byte*>(exponents),
                                             nullptr};
      body(reinterpret_cast<std::byte*>(ours.get() + i), arguments, chunk_lines);
    }
  };
  const auto peer = [&] { loop(theirs.get(), in.get(), count); };
  run();
  peer();
  if (!results_agree(what.op, in.get(), ours.get(), theirs.get())) {
    return state.SkipWithError("the results differ");
  }
  sheaf_bench::run_pair(state, run, peer);
  state.counters["speed"] = 1 / state.counters["ratio"];
}

/// Two columns take turns, so that every element changes in every commit.
void commit_exp(benchmark::State& state, const math_peer& peer) {
  model declared;
  const auto x = declared.source<float>("x", count);
  const auto y = declared.derive("y", exp(x));
  auto opened = engine::open(declared);
  if (!opened) return state.SkipWithError(opened.error().message().c_str());
  const column<float> in[2] = {random_column<float>(-20, 20), random_column<float>(-19, 19)};
  const column<float> theirs = make_column<float>();
  unsigned turn = 0;
  bool all_well = true;
  const auto run = [&] {
    auto txn = opened->begin();
    txn.range(x, {}, std::span<const float>(in[turn ^= 1].get(), count));
    all_well = std::move(txn).commit().has_value() && all_well;
  };
  const auto loop = [&] { peer.singles[0](theirs.get(), in[turn].get(), count); };
  sheaf_bench::run_pair(state, run, loop);
  state.counters["speed"] = 1 / state.counters["ratio"];
  const auto now = opened->snapshot();
  const auto view = now.fetch(y);
  std::size_t i = 0;
  for (std::size_t p = 0; view && all_well && i < count; ++p) {
    for (const float element : view->page(p)) {
      all_well = all_well && to_bits(element) == to_bits(sheaf::exp(in[turn][i++]));
    }
  }
  if (!view || !all_well) state.SkipWithError("a commit failed or its result differs");
}

void add(const kernel_table& table, const math_peer& peer) {
  const auto name = [&](const trial& what, const char* type) {
    return std::string(what.name) + type + std::string(name_of(table.set));
  };
  for (const trial& what : trials) {
    const auto op = static_cast<unsigned>(what.op);
    const step_body single = table.step[op][static_cast<unsigned>(dtype::f32)];
    benchmark::RegisterBenchmark(name(what, "_f32/").c_str(),
                                 [&what, single, &peer](benchmark::State& state) {
                                   measure<float>(state, what, single, peer.singles[what.place]);
                                 })
        ->UseManualTime();
    const step_body twice = table.step[op][static_cast<unsigned>(dtype::f64)];
    benchmark::RegisterBenchmark(name(what, "_f64/").c_str(),
                                 [&what, twice, &peer](benchmark::State& state) {
                                   measure<double>(state, what, twice, peer.doubles[what.place]);
                                 })
        ->UseManualTime();
  }
}

[[maybe_unused]] const bool registered = [] {
  const math_peer* best = &sheaf_bench::math_peer_scalar;
  for (const isa set : {isa::avx2, isa::avx512}) {
    const kernel_table* table = kernels_of(set);
    if (table == nullptr) continue;
    best = set == isa::avx2 ? &sheaf_bench::math_peer_avx2 : &sheaf_bench::math_peer_avx512;
    add(*table, *best);
  }
  benchmark::RegisterBenchmark("commit_exp_f32", [best](benchmark::State& state) {
    commit_exp(state, *best);
  })->UseManualTime();
  return true;
}();

}  // namespace
