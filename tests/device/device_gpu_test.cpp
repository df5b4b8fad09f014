/// \file
/// The random programs of the model test on a real device: promise P1 between the CPU and a GPU, by
/// launches and by graphs. Usage: device_gpu_test [programs]. SHEAF_CUDA_PLUGIN names the plugin.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include <sheaf/engine/engine.hpp>

#include "engine/open_device.hpp"
#include "model/random_program.hpp"

namespace {

constexpr int skipped = 77;

const sheaf::device_ops* open_plugin() {
  const char* path = std::getenv("SHEAF_CUDA_PLUGIN");
  void* plugin = dlopen(path != nullptr ? path : "libsheaf_cuda.so", RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) {
    std::printf("SKIPPED: %s\n", dlerror());
    return nullptr;
  }
  const auto entry =
      reinterpret_cast<sheaf::device_ops_entry>(dlsym(plugin, sheaf::device_ops_symbol));
  const sheaf::device_ops* ops = entry == nullptr ? nullptr : entry(sheaf::device_ops_version);
  if (ops == nullptr) {
    std::printf("WRONG: no table of version %u\n", sheaf::device_ops_version);
    std::exit(1);
  }
  sheaf::device_error why;
  if (ops->count(&why) == 0) {
    std::printf("SKIPPED: no device: %s\n", why.text);
    return nullptr;
  }
  return ops;
}

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

int run(std::uint64_t first, std::uint64_t programs, const char* how) {
  model_test::coverage covered;
  for (std::uint64_t seed = first; seed < first + programs; ++seed) {
    const std::string difference = model_test::run_program(seed, covered);
    if (difference.empty()) continue;
    std::printf("WRONG, %s, seed %llu: %s\n", how, static_cast<unsigned long long>(seed),
                difference.c_str());
    return 1;
  }
  std::printf("%s: %llu programs, %llu commits, %llu of them on the device, equal bits\n", how,
              static_cast<unsigned long long>(programs),
              static_cast<unsigned long long>(covered.commits),
              static_cast<unsigned long long>(covered.work.device_commits));
  return covered.work.device_commits == 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t programs = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200;
  const sheaf::device_ops* ops = open_plugin();
  if (ops == nullptr) return skipped;
  sheaf::use_device_ops(ops, true);
  if (!answers()) {
    std::printf("WRONG: a small graph\n");
    return 1;
  }
  const int wrong = run(1, programs, "graph");
  sheaf::use_device_ops(nullptr, false);
  return wrong;
}
