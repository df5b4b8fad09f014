/// \file
/// Device memory that runs out, on a real device: by a host's allocator that refuses its n-th call,
/// for every n until a plan loads; by `device_bytes_max`; and that commits take none. Whatever is
/// refused, the engine goes on here with the bits of an engine that has no device.
/// SHEAF_CUDA_PLUGIN names the plugin.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <sheaf/engine/engine.hpp>

#include "device/gpu_allocator.hpp"
#include "device/watched_device.hpp"
#include "engine/open_device.hpp"

namespace {

using namespace sheaf;

int failures = 0;

#define EXPECT(condition, ...)                                                             \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      ++failures;                                                                          \
      std::printf("WRONG %s:%d: %s", __FILE__, __LINE__, #condition);                      \
      std::printf(": " __VA_ARGS__);                                                       \
      std::printf("\n");                                                                   \
    }                                                                                      \
  } while (false)

/// The plugin's table, with a host's allocator and checked pages as asked.
const device_ops* plugin = nullptr;
sheaf_test::gpu_allocator* allocator = nullptr;
bool is_checked = false;
device_context* newest = nullptr;

device_code open_with(const device_settings* settings, device_context** made, device_error* why) {
  device_settings used = *settings;
  if (allocator != nullptr) used.memory = allocator->hook();
  used.is_checked = is_checked;
  const device_code code = plugin->open(&used, made, why);
  newest = *made;
  return code;
}
const device_ops* wrapped_plugin() {
  static device_ops table;
  table = *plugin;
  table.open = open_with;
  return &table;
}

/// Two sources of `length`, two arrays of them and a total: pages of several classes.
struct graph {
  explicit graph(std::uint64_t elements) : length(elements) {}
  std::uint64_t length;
  model declared;
  array<float> a = declared.source<float>("a", length);
  array<float> b = declared.source<float>("b", length);
  array<std::int32_t> few = declared.source<std::int32_t>("few", 100);
  array<float> sum = declared.derive("sum", a + b);
  array<float> product = declared.derive("product", sum * b);
  array<std::int32_t> twice = declared.derive("twice", few + few);
  array<float> total = declared.derive("total", sheaf::sum(product));

  [[nodiscard]] engine open(device on, std::size_t bytes_max = std::size_t{1} << 40) const {
    auto opened = engine::open(declared, {.device = on, .device_bytes_max = bytes_max});
    if (!opened) {
      std::printf("WRONG: %s\n", opened.error().message().c_str());
      std::exit(1);
    }
    return std::move(*opened);
  }
};

/// The same change in two engines.
void change(const graph& of, engine& on, engine& here, std::mt19937& random) {
  const std::uint64_t count = 1 + random() % 40;
  std::vector<std::uint64_t> places(count);
  std::vector<float> values(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    places[i] = random() % of.length;
    values[i] = static_cast<float>(random() % 4096) / 64;
  }
  for (engine* each : {&on, &here}) {
    auto txn = each->begin();
    for (std::uint64_t i = 0; i < count; ++i) {
      txn.set(i % 3 == 0 ? of.b : of.a, {.index = places[i]}, values[i]);
    }
    txn.set(of.few, {.index = places[0] % 100}, static_cast<std::int32_t>(places[0] % 977));
    const auto done = std::move(txn).commit();
    EXPECT(done.has_value(), "%s", done ? "" : done.error().message().c_str());
  }
}

template <class T>
bool equal_bits(engine& on, engine& here, array<T> of, std::uint64_t length) {
  const snapshot left = on.snapshot(), right = here.snapshot();
  for (std::uint64_t i = 0; i < length; ++i) {
    const T x = left.get(of, i).value(), y = right.get(of, i).value();
    if (std::memcmp(&x, &y, sizeof x) != 0) return false;
  }
  return true;
}
bool equal_bits(const graph& of, engine& on, engine& here) {
  return equal_bits(on, here, of.sum, of.length) && equal_bits(on, here, of.product, of.length) &&
         equal_bits(on, here, of.twice, 100) && equal_bits(on, here, of.total, 1);
}

/// Every allocation of a load is refused once. A change of the graph afterwards loads again.
void every_allocation_fails(const char* what) {
  std::mt19937 random(7);
  std::uint64_t tried = 0;
  std::uint64_t refused = 0;
  bool was_refused = true;
  for (; was_refused && tried < 2000 && failures == 0; ++tried) {
    sheaf_test::gpu_allocator own;
    own.failing = tried;
    allocator = &own;
    {
      const graph of(20'000);
      engine on = of.open(device::cuda), here = of.open(device::cpu);
      change(of, on, here, random);
      was_refused = own.calls > tried;
      own.failing = ~std::uint64_t{0};  // the next load has allocations of its own
      const bool has_loaded = on.last_commit().device_commits == 1;
      // What a plan can do without is no reason to refuse it.
      refused += !has_loaded;
      EXPECT(was_refused || has_loaded, "%s", on.stats().device.c_str());
      if (!has_loaded) {
        EXPECT(own.bytes <= std::uint64_t{40} << 20, "%llu bytes are held for no plan",
               static_cast<unsigned long long>(own.bytes));
      }
      change(of, on, here, random);
      EXPECT(equal_bits(of, on, here), "allocation %llu",
             static_cast<unsigned long long>(tried));
      for (engine* each : {&on, &here}) {
        auto more = each->begin();
        static_cast<void>(more.graph().derive("more", of.sum + of.sum));
        EXPECT(std::move(more).commit().has_value(), "a change of the graph");
      }
      change(of, on, here, random);
      EXPECT(on.last_commit().device_commits == 1, "not tried again: %s",
             on.stats().device.c_str());
      EXPECT(equal_bits(of, on, here), "after a change of the graph");
    }
    EXPECT(own.bytes == 0, "%llu bytes leaked", static_cast<unsigned long long>(own.bytes));
    allocator = nullptr;
  }
  EXPECT(!was_refused && refused > 4, "the plan never loaded, or its memory is not the host's");
  std::printf("%s: %llu allocations of a load, each refused once, %llu plans refused, equal bits\n",
              what, static_cast<unsigned long long>(tried - 1),
              static_cast<unsigned long long>(refused));
}

/// The pinned ring's twin is 32 MiB of the 64: 20 MiB of pages fit beside it, 80 do not.
void a_limit_is_kept() {
  std::mt19937 random(8);
  constexpr std::size_t limit = std::size_t{64} << 20;
  for (const bool fits : {true, false}) {
    sheaf_test::gpu_allocator own;
    allocator = &own;
    {
      const graph of(fits ? 1'200'000 : 5'000'000);
      engine on = of.open(device::cuda, limit), here = of.open(device::cpu);
      for (int i = 0; i < 5; ++i) change(of, on, here, random);
      EXPECT(on.last_commit().device_commits == (fits ? 1 : 0), "%s", on.stats().device.c_str());
      if (!fits) {
        EXPECT(on.stats().device.find("limit") != std::string::npos, "%s",
               on.stats().device.c_str());
      }
      EXPECT(equal_bits(of, on, here), "under a limit");
    }
    EXPECT(own.bytes_most <= limit, "%llu bytes",
           static_cast<unsigned long long>(own.bytes_most));
    allocator = nullptr;
    std::printf("64 MiB, a graph that %s: at most %llu bytes held, equal bits\n",
                fits ? "fits" : "does not fit", static_cast<unsigned long long>(own.bytes_most));
  }
}

void commits_take_no_memory(bool is_hooked) {
  std::mt19937 random(9);
  sheaf_test::gpu_allocator own;
  if (is_hooked) allocator = &own;
  {
    const graph of(100'000);
    engine on = of.open(device::cuda), here = of.open(device::cpu);
    device_context* const device = newest;
    change(of, on, here, random);
    const std::uint64_t calls = own.calls;
    for (int i = 0; i < 1000; ++i) change(of, on, here, random);
    device_figures figures{};
    plugin->figures(device, &figures);
    EXPECT(figures.commits == 1001, "%llu", static_cast<unsigned long long>(figures.commits));
    EXPECT(figures.allocations_on_commit == 0, "%llu",
           static_cast<unsigned long long>(figures.allocations_on_commit));
    EXPECT(own.calls == calls, "the host's allocator was called");
    EXPECT(!is_hooked || calls != 0, "the host's allocator was not used");
    EXPECT(equal_bits(of, on, here), "after 1000 commits");
    // Another plan of much the same size: its pages are those of the one before.
    for (engine* each : {&on, &here}) {
      auto more = each->begin();
      static_cast<void>(more.graph().derive("more", of.few + of.few));
      EXPECT(std::move(more).commit().has_value(), "a change of the graph");
    }
    change(of, on, here, random);
    EXPECT(on.last_commit().device_commits == 1, "%s", on.stats().device.c_str());
    EXPECT(own.calls <= calls + 2, "%llu allocations for another plan",
           static_cast<unsigned long long>(own.calls - calls));
    EXPECT(equal_bits(of, on, here), "with another plan");
  }
  EXPECT(own.bytes == 0, "%llu bytes leaked", static_cast<unsigned long long>(own.bytes));
  allocator = nullptr;
  std::printf("1000 commits, memory %s: no allocation\n", is_hooked ? "of the host" : "of ours");
}

/// Calls that need a plan say so, before the first and after a refused one.
void no_plan_is_told() {
  device_settings settings;
  device_context* device = nullptr;
  device_error why;
  EXPECT(plugin->open(&settings, &device, &why) == device_code::ok, "%s", why.text);
  if (device == nullptr) return;
  const device_record nothing{};
  device_record changed{};
  const std::uint32_t slot = 0;
  std::byte page[4096];
  EXPECT(plugin->write(device, &nothing, &why) == device_code::invalid, "write");
  EXPECT(plugin->commit(device, 0, &nothing, &changed, &why) == device_code::invalid, "commit");
  EXPECT(plugin->recompute(device, &why) == device_code::invalid, "recompute");
  EXPECT(plugin->read(device, &slot, 1, page, &why) == device_code::invalid, "read");
  plugin->close(device);
}

}  // namespace

int main() {
  std::string why;
  plugin = sheaf_test::find_gpu(why);
  if (plugin == nullptr) {
    std::printf("SKIPPED: %s\n", why.c_str());
    return 77;
  }
  use_device_ops(wrapped_plugin(), false);
  no_plan_is_told();
  every_allocation_fails("plain pages");
  a_limit_is_kept();
  commits_take_no_memory(true);
  commits_take_no_memory(false);
  is_checked = true;
  commits_take_no_memory(false);
  use_device_ops(nullptr, false);
  std::printf("device allocations: %s\n", failures == 0 ? "passed" : "FAILED");
  return failures == 0 ? 0 : 1;
}
