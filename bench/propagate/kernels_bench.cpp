/// \file
/// The kernel bodies beside hand-written loops of the same semantics (floors.hpp), in one run.
///
/// `combine/*`: the layered DAG, 10 levels x 1000 nodes, fan-in 4, random parents, f32 sum, in
/// place, one thread, every line changed by every pass (two sets of sources take turns). Cold in
/// the L1 and L2 (the pages are 44 MB at 4 KiB, 2.8 MB at 256 B). `program/*`: six operations on
/// 10^6 f32.
///
/// Floor and body alternate pass by pass and the counter `ratio` is the median of the ratios, so
/// what else the machine does weighs on both alike. Results are compared bit for bit before timing.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <sheaf/propagate/kernels.hpp>

#include "propagate/floors.hpp"

namespace {

using namespace sheaf;

struct free_deleter {
  void operator()(void* memory) const { std::free(memory); }
};
using buffer = std::unique_ptr<std::byte[], free_deleter>;

buffer make_buffer(std::size_t bytes) {
  constexpr std::size_t huge = std::size_t{2} << 20;
  const std::size_t size = (bytes + huge - 1) / huge * huge;
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(huge, size));
  std::memset(memory, 0, size);
  return buffer(memory);
}

double now_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::nano>(now).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Times `floor` and `body` in turn; counters in ns per `items`, and the median ratio.
template <class Floor, class Body>
void compare(benchmark::State& state, double items, Floor&& floor, Body&& body) {
  std::vector<double> floors;
  std::vector<double> bodies;
  std::vector<double> ratios;
  for (auto _ : state) {
    const double start = now_ns();
    floor();
    const double middle = now_ns();
    body();
    const double end = now_ns();
    floors.push_back(middle - start);
    bodies.push_back(end - middle);
    ratios.push_back((end - middle) / (middle - start));
  }
  state.counters["floor_ns"] = median(floors) / items;
  state.counters["body_ns"] = median(bodies) / items;
  state.counters["extra_ns"] = (median(bodies) - median(floors)) / items;
  state.counters["ratio"] = median(ratios);
}

constexpr unsigned levels = 10;
constexpr unsigned width = 1000;
constexpr unsigned fan_in = 4;

/// The layered DAG: two sets of sources, then ten levels of pages; parents by node.
struct layered_dag {
  explicit layered_dag(unsigned lines_per_page)
      : lines(lines_per_page), memory(make_buffer(std::size_t{levels + 2} * width * lines * 64)) {
    std::mt19937 random(12345);
    auto* values = reinterpret_cast<float*>(memory.get());
    for (std::size_t i = 0; i < std::size_t{2} * width * lines * 16; ++i) {
      values[i] = static_cast<float>(random() % 4096) * 0.001f;
    }
    for (unsigned i = 0; i < levels * width * fan_in; ++i) {
      parents.push_back(static_cast<std::uint32_t>(random() % width));
    }
  }
  /// Rows 0 and 1 are the source sets, row 2 is the first derived level.
  float* page(unsigned row, unsigned index) const {
    return reinterpret_cast<float*>(memory.get() +
                                    (std::size_t{row} * width + index) * lines * 64);
  }
  /// Calls `visit(out, parents)` for every node in order, from source set `set`.
  template <class Visit>
  void pass(unsigned set, Visit&& visit) const {
    const std::uint32_t* parent = parents.data();
    for (unsigned level = 0; level < levels; ++level) {
      const unsigned from = level == 0 ? set : level + 1;
      for (unsigned i = 0; i < width; ++i, parent += fan_in) {
        const float* operands[fan_in];
        for (unsigned k = 0; k < fan_in; ++k) operands[k] = page(from, parent[k]);
        visit(page(level + 2, i), operands);
      }
    }
  }

  unsigned lines;
  buffer memory;
  std::vector<std::uint32_t> parents;
};

void combine_pass(const layered_dag& dag, combine_body body, unsigned set) {
  const line_mask all = first_lines(dag.lines);
  std::uint64_t changed = 0;
  dag.pass(set, [&](float* out, const float* const* operands) {
    auto* bytes = reinterpret_cast<std::byte*>(out);
    const line_task task{bytes, bytes, all, page_lines_max, 0};
    changed += body(task, reinterpret_cast<const std::byte* const*>(operands), fan_in);
  });
  benchmark::DoNotOptimize(changed);
}

void floor_pass(const layered_dag& dag, floors::sum4_loop loop, unsigned set) {
  std::uint64_t changed = 0;
  dag.pass(set, [&](float* out, const float* const* operands) {
    changed += loop(out, operands[0], operands[1], operands[2], operands[3], dag.lines);
  });
  benchmark::DoNotOptimize(changed);
}

/// `both`: every line changes at every pass; else none does (only the first pass finds changes).
void run_combine(benchmark::State& state, isa set, unsigned lines, bool both) {
  const combine_body body = kernels_of(set)->combine[0][0];
  const floors::sum4_loop loop = set == isa::avx512 ? floors::sum4_avx512 : floors::sum4_avx2;
  const layered_dag dag(lines);
  combine_pass(dag, body, 0);
  const std::size_t derived = std::size_t{levels} * width * lines * 64;
  std::vector<std::byte> expected(derived);
  std::memcpy(expected.data(), dag.page(2, 0), derived);
  std::memset(dag.page(2, 0), 0, derived);
  floor_pass(dag, loop, 0);
  if (std::memcmp(expected.data(), dag.page(2, 0), derived) != 0) {
    return state.SkipWithError("the body's bits differ from the floor's");
  }
  compare(
      state, levels * width, [&] { floor_pass(dag, loop, both ? 1 : 0); },
      [&] { combine_pass(dag, body, 0); });
}

/// One instruction list for `((a * b + c) * (d - a) + b) * 0.5`.
line_program six_operations() {
  constexpr value_ref a = operand_ref_begin;
  const auto step = [](opcode op, std::uint8_t to, value_ref x, value_ref y) {
    return instruction{op, dtype::f32, to, x, y, x, 0, 0};
  };
  line_program program;
  program.operand_types.assign(4, dtype::f32);
  program.constants = {0x3f000000};
  program.register_count = 2;
  program.code = {step(opcode::mul, 0, a, a + 1), step(opcode::add, 0, 0, a + 2),
                  step(opcode::sub, 1, a + 3, a), step(opcode::mul, 0, 0, 1),
                  step(opcode::add, 0, 0, a + 1), step(opcode::mul, 0, 0, constant_ref_begin)};
  return program;
}

void run_program(benchmark::State& state, isa set, unsigned page_lines, std::size_t elements) {
  const program_body body = kernels_of(set)->program[0];
  const floors::fused_loop loop = set == isa::avx512 ? floors::fused_avx512 : floors::fused_avx2;
  const std::size_t lines = elements / 16 / page_lines * page_lines;
  const buffer memory = make_buffer(6 * lines * 64);
  const auto array = [&](unsigned k) { return memory.get() + k * lines * 64; };
  std::mt19937 random(7);
  for (std::size_t i = 0; i < 5 * lines * 16; ++i) {
    reinterpret_cast<float*>(array(0))[i] = static_cast<float>(random() % 4096) * 0.001f;
  }
  const line_program program = six_operations();
  const buffer scratch = make_buffer(program_scratch_size);
  // Operand `a` takes turns between arrays 0 and 4, so that every line changes at every pass.
  const auto body_pass = [&](unsigned first) {
    for (std::size_t line = 0; line < lines; line += page_lines) {
      const std::size_t at = line * 64;
      const operand_view views[] = {{array(first) + at, 64}, {array(1) + at, 64},
                                    {array(2) + at, 64}, {array(3) + at, 64}};
      const line_task task{array(5) + at, array(5) + at, first_lines(page_lines), 64, 0};
      body(task, program.view(), views, nullptr, scratch.get());
    }
  };
  const auto floor_run = [&](unsigned first) {
    const auto page = [&](unsigned k, std::size_t at) {
      return reinterpret_cast<float*>(array(k) + at);
    };
    for (std::size_t line = 0; line < lines; line += page_lines) {
      const std::size_t at = line * 64;
      loop(page(5, at), page(first, at), page(1, at), page(2, at), page(3, at), page_lines);
    }
  };
  body_pass(0);
  const std::vector<std::byte> expected(array(5), array(5) + lines * 64);
  floor_run(4);
  floor_run(0);
  if (std::memcmp(expected.data(), array(5), expected.size()) != 0) {
    return state.SkipWithError("the interpreter's bits differ from the floor's");
  }
  compare(
      state, static_cast<double>(lines) / page_lines, [&] { floor_run(4); },
      [&] { body_pass(0); });
}

/// One dirty line in each page of the DAG: what a call costs with a sparse mask.
void run_one_line(benchmark::State& state, isa set) {
  const combine_body body = kernels_of(set)->combine[0][0];
  const floors::sum4_loop loop = set == isa::avx512 ? floors::sum4_avx512 : floors::sum4_avx2;
  const layered_dag dag(4);
  const auto floor_one = [&](unsigned from) {
    dag.pass(from, [&](float* out, const float* const* p) {
      loop(out + 32, p[0] + 32, p[1] + 32, p[2] + 32, p[3] + 32, 1);
    });
  };
  const auto body_one = [&](unsigned from) {
    dag.pass(from, [&](float* out, const float* const* p) {
      auto* bytes = reinterpret_cast<std::byte*>(out);
      const line_task task{bytes, bytes, line_mask{1} << 2, page_lines_max, 0};
      body(task, reinterpret_cast<const std::byte* const*>(p), fan_in);
    });
  };
  compare(
      state, levels * width, [&] { floor_one(1); }, [&] { body_one(0); });
}

void register_all() {
  for (const isa set : {isa::avx2, isa::avx512}) {
    if (kernels_of(set) == nullptr) continue;
    const std::string on(name_of(set));
    const auto add = [&](const std::string& name, auto run) {
      benchmark::RegisterBenchmark((name + "/" + on).c_str(), run)->Unit(benchmark::kMicrosecond);
    };
    using state = benchmark::State;
    add("combine/4KiB/changed", [=](state& s) { run_combine(s, set, 64, true); });
    add("combine/4KiB/same", [=](state& s) { run_combine(s, set, 64, false); });
    add("combine/256B/changed", [=](state& s) { run_combine(s, set, 4, true); });
    add("combine/256B/same", [=](state& s) { run_combine(s, set, 4, false); });
    add("combine/256B/one_line", [=](state& s) { run_one_line(s, set); });
    add("program/4KiB/1M", [=](state& s) { run_program(s, set, 64, 1'000'000); });
    add("program/4KiB/16K", [=](state& s) { run_program(s, set, 64, 16'384); });
    add("program/256B/16K", [=](state& s) { run_program(s, set, 4, 16'384); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
