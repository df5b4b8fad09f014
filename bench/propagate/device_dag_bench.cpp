/// \file
/// A layered DAG on a device: 10 levels, fan-in 4, nodes of 4 KiB (1024 f32), n nodes a level, in
/// place, nobody reading. The floors (bare launches over the same graph) are gpu_width_floor's.
/// Usage: device_dag_bench [widths...]. SHEAF_CUDA_PLUGIN names the plugin.
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include <sheaf/graph/model.hpp>
#include <sheaf/memory/device_ops.hpp>

#include "propagate/device_sections.hpp"

namespace {

using namespace sheaf;

constexpr unsigned levels = 10;
constexpr unsigned fan_in = 4;
constexpr unsigned page_floats = 1024;
constexpr unsigned chain_floats = 1u << 20;

struct dag {
  std::shared_ptr<const plan> graph;
  std::unique_ptr<const device_sections> sections;
  std::uint32_t width;
};

dag make_dag(std::uint32_t width, bool random) {
  model declared;
  std::mt19937 rng(7);
  std::vector<array<float>> below, level;
  for (std::uint32_t i = 0; i < width; ++i) {
    below.push_back(declared.source<float>("", page_floats, {.page = page_class::b4k}));
  }
  for (unsigned l = 0; l < levels; ++l) {
    level.clear();
    for (std::uint32_t i = 0; i < width; ++i) {
      std::vector<array<float>> parents;
      for (unsigned k = 0; k < fan_in; ++k) {
        parents.push_back(below[random ? rng() % width : (i + k) % width]);
      }
      level.push_back(declared.derive(
          "", combine(semiring_id::sum_product, std::span<const array<float>>(parents)),
          {.page = page_class::b4k}));
    }
    std::swap(below, level);
  }
  auto compiled = declared.compile();
  if (!compiled) {
    std::printf("WRONG: %s\n", compiled.error().message().c_str());
    std::exit(1);
  }
  const std::vector<std::uint8_t> observed(width * (levels + 1), 0);
  return {*compiled, device_sections::of(**compiled, device_stages(**compiled), observed), width};
}

/// Ten arrays, each the sum of the one before it and of the first.
dag make_chain(bool is_observed) {
  model declared;
  const auto first = declared.source<float>("", chain_floats, {.page = page_class::b4k});
  array<float> last = first;
  for (unsigned l = 0; l < levels; ++l) {
    const array<float> both[] = {last, first};
    last =
        declared.derive("", combine(semiring_id::sum_product, std::span<const array<float>>(both)),
                        {.page = page_class::b4k});
  }
  auto compiled = declared.compile();
  if (!compiled) {
    std::printf("WRONG: %s\n", compiled.error().message().c_str());
    std::exit(1);
  }
  std::vector<std::uint8_t> observed(levels + 1, 0);
  observed.back() = is_observed;
  return {*compiled, device_sections::of(**compiled, device_stages(**compiled), observed),
          chain_floats / page_floats};
}

struct timing {
  double gpu, wall;
};
double median(std::vector<double> of) {
  std::ranges::sort(of);
  return of[of.size() / 2];
}

class bench {
 public:
  bench(const device_ops& ops, device_executor how) : ops_(ops) {
    device_settings settings;
    settings.executor = how;
    settings.is_timed = true;
    settings.ring_bytes = std::uint64_t{1} << 28;
    check(ops_.open(&settings, &device_, &why_), "open");
  }
  ~bench() { ops_.close(device_); }

  void load(const dag& of) {
    check(ops_.load_plan(device_, of.sections->sections().data(), plan_section_count, &why_),
          "load");
  }
  /// A commit of these pages, so many times.
  timing run(const std::vector<line_record>& pages, unsigned times) {
    std::uint32_t lines = 0;
    for (const line_record& page : pages) lines += line_count(page.lines);
    std::vector<float> values(std::size_t{lines} * 16);
    std::mt19937 rng(11);
    std::vector<double> gpu, wall;
    for (unsigned i = 0; i < times; ++i) {
      for (float& value : values) value = static_cast<float>(rng() >> 8) * 0x1p-24f - 0.5f;
      const device_record what{pages.data(), reinterpret_cast<const std::byte*>(values.data()),
                               static_cast<std::uint32_t>(pages.size()), lines};
      device_record changed{};
      const auto from = std::chrono::steady_clock::now();
      check(ops_.commit(device_, 0, &what, &changed, &why_), "commit");
      const auto took = std::chrono::steady_clock::now() - from;
      changed_pages = changed.page_count;
      device_figures figures{};
      ops_.figures(device_, &figures);
      captures = figures.graph_captures;
      if (i < 2) continue;
      gpu.push_back(figures.device_microseconds);
      wall.push_back(std::chrono::duration<double, std::micro>(took).count());
    }
    return {median(gpu), median(wall)};
  }
  void recompute() { check(ops_.recompute(device_, &why_), "recompute"); }
  std::vector<std::byte> read(const std::vector<std::uint32_t>& slots) {
    std::vector<std::byte> into(slots.size() * 4096);
    check(ops_.read(device_, slots.data(), static_cast<std::uint32_t>(slots.size()), into.data(),
                    &why_),
          "read");
    return into;
  }
  std::uint32_t changed_pages = 0;
  std::uint64_t captures = 0;

 private:
  void check(device_code code, const char* what) {
    if (code == device_code::ok) return;
    std::printf("WRONG: %s: %u %s\n", what, static_cast<unsigned>(code), why_.text);
    std::exit(1);
  }
  const device_ops& ops_;
  device_context* device_ = nullptr;
  device_error why_;
};

/// After all that was committed a recompute must change no bit.
void verify(bench& on, const dag& of, const char* what) {
  std::vector<std::uint32_t> slots;
  std::mt19937 rng(3);
  for (unsigned i = 0; i < 200; ++i) {
    slots.push_back(of.width + static_cast<std::uint32_t>(rng() % (of.width * levels)));
  }
  const auto before = on.read(slots);
  on.recompute();
  if (on.read(slots) == before) return;
  std::printf("WRONG: %s: a recompute gives other bits\n", what);
  std::exit(1);
}

void run_width(const device_ops& ops, std::uint32_t width) {
  for (const device_executor how : {device_executor::graph, device_executor::stream}) {
    const char* way = how == device_executor::graph ? "graph" : "stream";
    for (const bool random : {true, false}) {
      const char* parents = random ? "random" : "local";
      const dag of = make_dag(width, random);
      bench on(ops, how);
      on.load(of);
      std::vector<line_record> pages;
      for (std::uint32_t i = 0; i < width; ++i) pages.push_back({i, 0, ~line_mask{0}});
      const timing all = on.run(pages, width > 50'000 ? 5 : 15);
      verify(on, of, "all");
      std::printf("figure: dag_%u_%s_%s_all %.1f us_gpu\n", width, parents, way, all.gpu);
      std::printf("figure: dag_%u_%s_%s_all_wall %.1f us\n", width, parents, way, all.wall);
      std::vector<line_record> few;
      for (std::uint32_t i = 0; i < width; i += 100)
        few.push_back({i, 0, line_mask{1} << (i % 64)});
      const timing some = on.run(few, 25);
      verify(on, of, "lines");
      std::printf("figure: dag_%u_%s_%s_lines %.1f us_gpu %u_pages\n", width, parents, way,
                  some.gpu, on.changed_pages);
      std::printf("figure: dag_%u_%s_%s_lines_wall %.1f us\n", width, parents, way, some.wall);
      few.clear();
      for (std::uint32_t i = 0; i < width; i += 100) few.push_back({i, 0, ~line_mask{0}});
      const timing part = on.run(few, 15);
      std::printf("figure: dag_%u_%s_%s_pages %.1f us_gpu %u_pages\n", width, parents, way,
                  part.gpu, on.changed_pages);
      few.clear();
      for (std::uint32_t i = 0; i < width / 100; ++i) few.push_back({i, 0, 1});
      const timing near = on.run(few, 25);
      verify(on, of, "adjacent lines");
      std::printf("figure: dag_%u_%s_%s_adjacent_lines %.1f us_gpu %u_pages\n", width, parents, way,
                  near.gpu, on.changed_pages);
      for (line_record& page : few) page.lines = ~line_mask{0};
      const timing whole = on.run(few, 15);
      verify(on, of, "adjacent pages");
      std::printf("figure: dag_%u_%s_%s_adjacent_pages %.1f us_gpu %u_pages\n", width, parents, way,
                  whole.gpu, on.changed_pages);
      const timing one = on.run({{width / 2, 0, 1}}, 200);
      std::printf("figure: dag_%u_%s_%s_one_line %.1f us_gpu\n", width, parents, way, one.gpu);
      std::printf("figure: dag_%u_%s_%s_one_line_wall %.1f us %llu_captures\n", width, parents, way,
                  one.wall, static_cast<unsigned long long>(on.captures));
      std::fflush(stdout);
    }
  }
}

/// One line through ten arrays, from the call to the result in host memory.
void run_chain(const device_ops& ops) {
  for (const device_executor how : {device_executor::graph, device_executor::stream}) {
    const char* way = how == device_executor::graph ? "graph" : "stream";
    const dag of = make_chain(true);
    bench on(ops, how);
    on.load(of);
    const timing one = on.run({{100, 0, 1}}, 400);
    verify(on, of, "chain");
    std::printf("figure: chain_10_%s_one_line %.1f us_gpu\n", way, one.gpu);
    std::printf("figure: chain_10_%s_one_line_wall %.1f us\n", way, one.wall);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* path = std::getenv("SHEAF_CUDA_PLUGIN");
  void* plugin = dlopen(path != nullptr ? path : "libsheaf_cuda.so", RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) {
    std::printf("SKIPPED: %s\n", dlerror());
    return 77;
  }
  const auto entry = reinterpret_cast<device_ops_entry>(dlsym(plugin, device_ops_symbol));
  const device_ops* ops = entry(device_ops_version);
  device_error why;
  if (ops == nullptr || ops->count(&why) == 0) {
    std::printf("SKIPPED: %s\n", why.text);
    return 77;
  }
  std::vector<std::uint32_t> widths{100, 1000, 10'000, 100'000};
  if (argc > 1) widths.clear();
  for (int i = 1; i < argc; ++i) widths.push_back(static_cast<std::uint32_t>(std::atoi(argv[i])));
  run_chain(*ops);
  for (const std::uint32_t width : widths) run_width(*ops, width);
  return 0;
}
