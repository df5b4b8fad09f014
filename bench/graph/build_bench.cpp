// What declaring and compiling a model costs per node. The floor beside it builds the same edges as
// bare vectors (operands, counting sort into children): what any compiled graph has to write.
#include <benchmark/benchmark.h>

#include <array>
#include <random>
#include <vector>

#include <sheaf/graph/model.hpp>

namespace {

constexpr std::uint64_t page_items = 1024;
constexpr std::size_t fan_in = 4;

/// Operands of every node, drawn once: an index into the level above.
std::vector<std::uint32_t> draw_operands(std::size_t nodes, std::size_t width) {
  std::mt19937 random(20240607);
  std::vector<std::uint32_t> drawn(nodes * fan_in);
  for (auto& value : drawn) value = static_cast<std::uint32_t>(random() % width);
  return drawn;
}

void declare(sheaf::model& model, std::size_t width, std::size_t levels,
             const std::vector<std::uint32_t>& drawn) {
  std::vector<sheaf::array<float>> above(width);
  std::vector<sheaf::array<float>> here(width);
  for (auto& source : above) source = model.source<float>("", page_items);
  const std::uint32_t* next = drawn.data();
  for (std::size_t level = 0; level < levels; ++level) {
    for (auto& node : here) {
      std::array<sheaf::array<float>, fan_in> operands;
      for (auto& operand : operands) operand = above[*next++];
      node = model.derive(
          "", sheaf::combine(sheaf::semiring_id::sum_product,
                             std::span<const sheaf::array<float>>(operands)));
    }
    std::swap(above, here);
  }
}

void report(benchmark::State& state, std::size_t nodes) {
  state.counters["s_per_node"] = benchmark::Counter(
      static_cast<double>(nodes),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

/// Arguments: width of a level, levels.
void declare_and_compile(benchmark::State& state) {
  const auto width = static_cast<std::size_t>(state.range(0));
  const auto levels = static_cast<std::size_t>(state.range(1));
  const auto drawn = draw_operands(width * levels, width);
  for (auto _ : state) {
    sheaf::model model;
    declare(model, width, levels, drawn);
    auto plan = model.compile();
    if (!plan || (*plan)->nodes.size() != width * levels) state.SkipWithError("wrong plan");
    benchmark::DoNotOptimize(plan);
  }
  report(state, width * levels);
}

void declare_only(benchmark::State& state) {
  const auto width = static_cast<std::size_t>(state.range(0));
  const auto levels = static_cast<std::size_t>(state.range(1));
  const auto drawn = draw_operands(width * levels, width);
  for (auto _ : state) {
    sheaf::model model;
    declare(model, width, levels, drawn);
    benchmark::DoNotOptimize(model.array_count());
  }
  report(state, width * levels);
}

void floor_bare_vectors(benchmark::State& state) {
  const auto width = static_cast<std::size_t>(state.range(0));
  const auto levels = static_cast<std::size_t>(state.range(1));
  const std::size_t nodes = width * levels;
  const auto drawn = draw_operands(nodes, width);
  for (auto _ : state) {
    std::vector<std::uint32_t> operands;
    std::vector<std::uint32_t> begin(width + nodes + 1, 0);
    for (std::size_t i = 0; i < nodes; ++i) {
      for (std::size_t k = 0; k < fan_in; ++k) {
        const auto producer =
            static_cast<std::uint32_t>(i / width * width + drawn[i * fan_in + k]);
        operands.push_back(producer);
        ++begin[producer + 1];
      }
    }
    for (std::size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
    std::vector<std::uint32_t> next(begin.begin(), begin.end() - 1);
    std::vector<std::uint32_t> children(operands.size());
    for (std::size_t i = 0; i < operands.size(); ++i) {
      children[next[operands[i]]++] = static_cast<std::uint32_t>(i / fan_in);
    }
    benchmark::DoNotOptimize(children.data());
  }
  report(state, nodes);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->Args({1000, 10})->Args({100'000, 10})->Args({1, 200'000})->Unit(benchmark::kMillisecond);
}
BENCHMARK(declare_and_compile)->Apply(shapes);
BENCHMARK(declare_only)->Apply(shapes);
BENCHMARK(floor_bare_vectors)->Apply(shapes);

}  // namespace
