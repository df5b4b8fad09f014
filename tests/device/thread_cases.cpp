#include <array>
#include <optional>
#include <thread>

#include "device/fault_cases.hpp"
#include "device/fault_world.hpp"

namespace sheaf_test {

using namespace sheaf;

std::string threads_with_an_engine_each(const case_arguments& with) {
  std::array<std::optional<fault_world>, 3> worlds;
  std::array<std::string, 3> wrong;
  for (std::size_t i = 0; i < worlds.size(); ++i) {
    worlds[i].emplace(i + 1);
    if (std::string why = worlds[i]->open(with); !why.empty()) return why;
  }
  std::array<std::thread, 3> threads;
  for (std::size_t i = 0; i < worlds.size(); ++i) {
    threads[i] = std::thread([&, i] { wrong[i] = worlds[i]->commits_on_device(100); });
  }
  for (std::thread& each : threads) each.join();
  for (const std::string& each : wrong) {
    if (!each.empty()) return each;
  }
  return {};
}

/// Each thread commits elements of its own, so the order of commits does not show in the end.
std::string threads_share_an_engine(const case_arguments& with) {
  constexpr unsigned thread_count = 4;
  constexpr std::uint64_t commits = 100;
  const layered_graph graph(layers{});
  engine_way way = device_way("device", with.ops, with.forced);
  auto here = open_by(graph.declared, reference_way());
  auto there = open_by(graph.declared, way);
  if (!here || !there) return "an engine does not open";
  const auto write = [&](engine& on, unsigned thread, std::uint64_t number) {
    auto txn = on.begin();
    for (std::uint64_t i = number % 7; i < graph.sources.size(); i += 7) {
      txn.set(graph.sources[i], {.index = number * thread_count + thread},
              static_cast<float>(number + thread) / 3);
    }
    return std::move(txn).commit();
  };
  std::array<std::string, thread_count> wrong;
  std::array<std::thread, thread_count> threads;
  for (unsigned t = 0; t < thread_count; ++t) {
    threads[t] = std::thread([&, t] {
      for (std::uint64_t i = 0; i < commits; ++i) {
        if (const auto done = write(*there, t, i); !done) wrong[t] = done.error().message();
      }
    });
  }
  for (std::thread& each : threads) each.join();
  for (const std::string& each : wrong) {
    if (!each.empty()) return each;
  }
  for (unsigned t = 0; t < thread_count; ++t) {
    for (std::uint64_t i = 0; i < commits; ++i) {
      if (const auto done = write(*here, t, i); !done) return done.error().message();
    }
  }
  const engine_stats stats = there->stats();
  if (stats.work.device_commits != stats.groups) return "a commit ran here: " + stats.device;
  return difference_of(*here, *there, graph.derived);
}

}  // namespace sheaf_test
