/// \file
/// Which sources a derived array depends on, found when first asked and kept per graph.
///
/// Thread safety: none; it belongs to who has the turn.
/// Cost: O(nodes above the array) once, then O(log sources) a question.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include <sheaf/graph/plan.hpp>

namespace sheaf::inline v0 {

class source_reach {
 public:
  /// True where a change of source `source` can reach `producer`, which is not a source. Says so
  /// too where there is no memory to find out.
  [[nodiscard]] bool reaches(const plan& graph, std::uint32_t source,
                             std::uint32_t producer) noexcept;

 private:
  [[nodiscard]] static std::vector<std::uint32_t> sources_of(const plan& graph,
                                                             std::uint32_t producer);

  const plan* graph_ = nullptr;
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> known_;  ///< rising
};

}  // namespace sheaf::inline v0
