/// \file
/// A layered graph of plain combines, the shape that has kernels and ways of its own on a device,
/// and random commits to its sources.
///
/// Thread safety: none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sheaf/engine/engine.hpp>

#include "device/engine_group.hpp"
#include "model/dice.hpp"

namespace sheaf_test {

struct layers {
  std::uint32_t width = 40;
  std::uint32_t levels = 5;
  std::uint64_t length = 1024;  ///< a page of 4 KiB
  bool has_total = true;        ///< the sum of one array of the last level: no plain combine
};

struct layered_graph {
  explicit layered_graph(const layers& shape, std::uint64_t seed = 1) {
    model_test::dice random(seed);
    std::vector<sheaf::array<float>> below, level;
    for (std::uint32_t i = 0; i < shape.width; ++i) {
      below.push_back(declared.source<float>("source " + std::to_string(i), shape.length,
                                             {.page = sheaf::page_class::b4k}));
    }
    sources = below;
    for (std::uint32_t l = 1; l <= shape.levels; ++l) {
      level.clear();
      for (std::uint32_t i = 0; i < shape.width; ++i) {
        const std::vector<sheaf::array<float>> operands{random.pick(below), random.pick(below),
                                                        random.pick(below), below[i]};
        std::string name = "level " + std::to_string(l) + ", " + std::to_string(i);
        level.push_back(
            declared.derive(name, sheaf::combine(sheaf::semiring_id::sum_product, operands),
                            {.page = sheaf::page_class::b4k}));
        derived.push_back({std::move(name), level.back()});
      }
      below = level;
    }
    if (!shape.has_total) return;
    derived.push_back({"total", declared.derive("total", sheaf::sum(below[0]))});
  }

  sheaf::model declared;
  std::vector<sheaf::array<float>> sources;
  std::vector<named_array> derived;
};

/// Writes `count` random elements, the same for the same seed.
inline void write_some(sheaf::transaction& txn, const layered_graph& graph, std::uint64_t seed,
                       std::uint64_t count) {
  model_test::dice random(seed);
  for (; count != 0; --count) {
    const sheaf::array<float>& target = random.pick(graph.sources);
    txn.set(target, {.index = random.below(target.size())}, random.value<float>());
  }
}
/// Writes every element of every source.
inline void write_all(sheaf::transaction& txn, const layered_graph& graph, std::uint64_t seed) {
  model_test::dice random(seed);
  for (const sheaf::array<float>& target : graph.sources) {
    std::vector<float> values(target.size());
    for (float& each : values) each = random.value<float>();
    txn.range(target, {.index = 0}, values);
  }
}

}  // namespace sheaf_test
