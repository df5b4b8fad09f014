/// \file
/// An engine on a device and one on the CPU, over one graph, given the same commits.
///
/// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "device/fault_cases.hpp"
#include "device/layered_graph.hpp"

namespace sheaf_test {

class fault_world {
 public:
  explicit fault_world(std::uint64_t seed = 1)
      : seed_(seed * 1000), graph_(layers{}, seed), group_(graph_.declared, graph_.derived) {}

  [[nodiscard]] std::string open(const case_arguments& with, double deadline_seconds = 10) {
    if (std::string why = group_.add(reference_way()); !why.empty()) return why;
    engine_way way = device_way("device", with.ops, with.forced);
    way.options.device_deadline_seconds = deadline_seconds;
    return group_.add(way);
  }
  [[nodiscard]] sheaf::engine& on_device() { return group_[1]; }
  [[nodiscard]] double microseconds() const { return group_.microseconds(1); }

  /// One commit of a few elements, or of all, compared.
  [[nodiscard]] std::string commit(std::uint64_t elements = 20) {
    const std::uint64_t seed = ++seed_;
    return group_.commit([&](sheaf::transaction& txn) {
      if (elements == everything) write_all(txn, graph_, seed);
      else write_some(txn, graph_, seed, elements);
    });
  }
  static constexpr std::uint64_t everything = ~std::uint64_t{0};

  /// `count` commits of different sizes, of which the device runs each.
  [[nodiscard]] std::string commits_on_device(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      if (std::string wrong = commit(i % 5 == 4 ? everything : 1 + i * 7); !wrong.empty()) {
        return wrong;
      }
      if (on_device().last_commit().device_commits != 1) {
        return "a commit did not run on the device: " + on_device().stats().device;
      }
    }
    return {};
  }
  /// The device is lost: the engine says so, and goes on with the same bits and no commit less.
  [[nodiscard]] std::string goes_on_here(unsigned count = 20) {
    const std::uint64_t before = on_device().stats().work.device_commits;
    for (unsigned i = 0; i < count; ++i) {
      if (std::string wrong = commit(i % 5 == 4 ? everything : 1 + i * 7); !wrong.empty()) {
        return wrong;
      }
    }
    const sheaf::engine_stats after = on_device().stats();
    if (after.degraded != 1) return "the engine does not say that it is degraded";
    if (after.device.find("lost") == std::string::npos) return "its words are: " + after.device;
    if (after.work.device_commits != before) return "a lost device counts commits";
    if (after.failed_commits != 0) return "a commit failed";
    if (after.epoch != group_[0].stats().epoch) return "a commit is missing";
    const auto audited = on_device().audit();
    if (!audited || audited->lines_different != 0) return "the audit finds lines that differ";
    std::printf("device: %s\n", after.device.c_str());
    return {};
  }
  /// Prints what the last commit took.
  void print_time(const char* name, const case_arguments& with) const {
    std::printf("figure: time_to_next_commit_%s_%s %.0f us\n", name,
                with.forced.empty() ? "graph" : with.forced.c_str() + 5, microseconds());
  }

 private:
  std::uint64_t seed_;
  layered_graph graph_;
  engine_group group_;
};

/// An engine opened where the device is known to be lost or gone: it runs here and says why.
[[nodiscard]] inline std::string opens_here(const case_arguments& with) {
  fault_world later(77);
  if (std::string why = later.open(with); !why.empty()) return why;
  for (unsigned i = 0; i < 3; ++i) {
    if (std::string wrong = later.commit(); !wrong.empty()) return "opened later: " + wrong;
  }
  const sheaf::engine_stats stats = later.on_device().stats();
  if (stats.work.device_commits != 0) return "opened later, an engine runs on a lost device";
  if (stats.device.empty()) return "opened later, an engine does not say why it runs here";
  std::printf("opened later: %s\n", stats.device.c_str());
  return {};
}

}  // namespace sheaf_test
