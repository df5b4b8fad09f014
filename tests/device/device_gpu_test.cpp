/// \file
/// The random programs of the model test on a real device: promise P1 between the CPU and a GPU, by
/// graphs, by launches and over checked pages. Four programs in five have 50 steps, so 1300 hold
/// 1000 of those.
///
/// Usage: device_gpu_test [programs [seconds [first seed]]]: so many programs by each way,
/// fewer where the seconds are over. SHEAF_CUDA_PLUGIN names the plugin.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <sheaf/engine/engine.hpp>

#include "device/watched_device.hpp"
#include "engine/open_device.hpp"
#include "model/random_program.hpp"

namespace {

using clock = std::chrono::steady_clock;

constexpr int skipped = 77;

struct bounds {
  std::uint64_t programs = 200;
  double seconds = 60;
  std::uint64_t first = 1;
};

/// A small graph, to hear what the device says.
bool answers() {
  sheaf::model declared;
  const auto a = declared.source<float>("a", 5000);
  const auto twice = declared.derive("twice", a + a);
  auto engine = sheaf::engine::open(declared, {});
  if (!engine) {
    std::printf("open: %s\n", engine.error().message().c_str());
    return false;
  }
  for (std::uint64_t i = 0; i < 3; ++i) {
    auto txn = engine->begin();
    txn.set(a, {.index = i * 1000}, 1.5f);
    if (const auto done = std::move(txn).commit(); !done) {
      std::printf("commit: %s\n", done.error().message().c_str());
      return false;
    }
    std::printf("commit %llu on the device: %llu (%s)\n", static_cast<unsigned long long>(i),
                static_cast<unsigned long long>(engine->last_commit().device_commits),
                engine->stats().device.c_str());
    if (engine->snapshot().get(twice, i * 1000).value() != 3.0f) return false;
  }
  return true;
}

/// Programs by one executor, until `end`; false where one differs.
bool run(const sheaf::device_ops& ops, sheaf::device_executor executor, const char* name,
         const bounds& within, clock::time_point end) {
  sheaf::use_device_ops(sheaf_test::watched(ops, {.executor = executor}), true);
  model_test::coverage covered;
  std::string difference;
  std::uint64_t seed = within.first;
  for (; seed < within.first + within.programs && clock::now() < end; ++seed) {
    difference = model_test::run_program(seed, covered);
    if (!difference.empty()) break;
  }
  sheaf::use_device_ops(nullptr, false);
  if (!difference.empty()) {
    std::printf("WRONG, %s, run again with: device_gpu_test 1 60 %llu: %s\n", name,
                static_cast<unsigned long long>(seed), difference.c_str());
    return false;
  }
  const std::uint64_t there = covered.work.device_commits;
  std::printf("%s: %llu programs from seed %llu, %llu commits, %llu of them on the device, "
              "%llu plans loaded, equal bits\n",
              name, static_cast<unsigned long long>(covered.programs),
              static_cast<unsigned long long>(within.first),
              static_cast<unsigned long long>(covered.commits),
              static_cast<unsigned long long>(there),
              static_cast<unsigned long long>(sheaf_test::calls_watched().loads_done));
  std::fflush(stdout);
  if (there == 0) std::printf("WRONG, %s: no commit ran on the device\n", name);
  return there != 0;
}

}  // namespace

int main(int argc, char** argv) {
  bounds within;
  if (argc > 1) within.programs = std::strtoull(argv[1], nullptr, 10);
  if (argc > 2) within.seconds = std::strtod(argv[2], nullptr);
  if (argc > 3) within.first = std::strtoull(argv[3], nullptr, 10);
  std::string why;
  const sheaf::device_ops* const ops = sheaf_test::find_gpu(why);
  if (ops == nullptr) {
    std::printf("SKIPPED: %s\n", why.c_str());
    return skipped;
  }
  sheaf::use_device_ops(ops, true);
  if (!answers()) {
    std::printf("WRONG: a small graph\n");
    return 1;
  }
  const clock::time_point begin = clock::now();
  const auto after = [&](double share) {
    return begin + std::chrono::duration_cast<clock::duration>(
                       std::chrono::duration<double>(within.seconds * share));
  };
  bool is_right = run(*ops, sheaf::device_executor::graph, "graph", within, after(0.45)) &&
                  run(*ops, sheaf::device_executor::stream, "stream", within, after(0.9));
  // Red zones around every page, looked at after every commit.
  ::setenv("SHEAF_ARENA", "checked", 1);
  is_right = is_right &&
             run(*ops, sheaf::device_executor::graph, "checked pages", within, after(1));
  return is_right ? 0 : 1;
}
