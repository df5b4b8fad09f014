/// \file
/// What the host has to know of a plan that it runs together with a device: in which pieces its own
/// nodes run, who reads whom across the two sides, and what is left where the device fails.
///
/// Terms
///   piece  nodes of one level that follow one another and are of one stage and one side.
///   stage, host-run: see device_stages.hpp.
///
/// Thread safety: constant once made. Cost: O(nodes + edges) to make; 4 bytes an edge to a host-run
/// node.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <sheaf/graph/plan.hpp>

#include "propagate/device_stages.hpp"

namespace sheaf::inline v0 {

struct plan_piece {
  std::uint32_t level, stage;
  std::uint32_t node_begin, node_end;
  std::uint32_t slot_begin, slot_end;
  bool is_host_run;
  std::vector<std::uint32_t> whole;     ///< host-run nodes that run whole
  std::vector<std::uint32_t> by_pages;  ///< host-run nodes that are pushed to by pages
};

class mixed_plan {
 public:
  mixed_plan(const plan& graph, const device_stages& stages);

  [[nodiscard]] std::uint32_t stage_count() const noexcept {
    return static_cast<std::uint32_t>(begin_of_stage_.size()) - 1;
  }
  /// All pieces, by level.
  [[nodiscard]] std::span<const plan_piece> pieces() const noexcept { return pieces_; }
  /// Numbers of the host-run pieces of a stage, by level.
  [[nodiscard]] std::span<const std::uint32_t> host_pieces(std::uint32_t stage) const noexcept {
    return cut(host_pieces_, begin_of_stage_, stage);
  }
  /// Host-run nodes that read a producer, each once.
  [[nodiscard]] std::span<const std::uint32_t> host_readers(
      std::uint32_t producer) const noexcept {
    return cut(host_readers_, host_readers_begin_, producer);
  }
  /// Stages from 1 on in which nodes of the device read a producer, rising.
  [[nodiscard]] std::span<const std::uint32_t> later_stages(
      std::uint32_t producer) const noexcept {
    return cut(later_stages_, later_stages_begin_, producer);
  }
  /// True for pages that the device computes or reads.
  [[nodiscard]] bool is_on_device(std::uint32_t producer) const noexcept {
    return is_on_device_[producer] != 0;
  }

 private:
  void add_pieces(const plan& graph, const device_stages& stages);
  void add_readers(const plan& graph, const device_stages& stages);
  [[nodiscard]] static std::span<const std::uint32_t> cut(const std::vector<std::uint32_t>& all,
                                                          const std::vector<std::uint32_t>& begin,
                                                          std::uint32_t index) noexcept {
    return {all.data() + begin[index], all.data() + begin[index + 1]};
  }

  std::vector<plan_piece> pieces_;
  std::vector<std::uint32_t> host_pieces_, begin_of_stage_;
  std::vector<std::uint32_t> host_readers_, host_readers_begin_;  ///< by producer
  std::vector<std::uint32_t> later_stages_, later_stages_begin_;  ///< by producer
  std::vector<std::uint8_t> is_on_device_;                        ///< by producer
};

}  // namespace sheaf::inline v0
