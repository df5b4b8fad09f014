/// \file
/// From a plan to the arrays a device reads (device_plan.hpp).
///
/// Thread safety: constant once made. Cost: O(nodes + slots + index tables), the same in bytes.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <sheaf/propagate/device_plan.hpp>

#include "propagate/device_stages.hpp"

namespace sheaf::inline v0 {

class device_sections {
 public:
  /// `stages` are those of `graph`. `observed`, by producer: whose changed lines go back with each
  /// commit; empty: all.
  [[nodiscard]] static std::unique_ptr<const device_sections> of(
      const plan& graph, const device_stages& stages, std::span<const std::uint8_t> observed);
  device_sections(const device_sections&) = delete;
  device_sections& operator=(const device_sections&) = delete;

  /// `plan_section_count` of them, as long as this lives.
  [[nodiscard]] std::span<const device_section> sections() const noexcept { return sections_; }
  /// The plan in host memory.
  [[nodiscard]] device_plan view() const noexcept { return device_plan_at(sections_.data()); }

 private:
  device_sections() = default;
  void add_nodes(const plan& graph);
  void add_slots(const plan& graph, std::span<const std::uint8_t> observed);
  void add_levels(const plan& graph, const device_stages& stages);
  void add_batches(const plan& graph, std::uint32_t level, std::span<const std::uint32_t> nodes);
  void add_consumers(const plan& graph, const device_stages& stages);
  void add_children(const plan& graph, const device_stages& stages);
  void add_host_slots(const plan& graph, const device_stages& stages);
  void add_tables(const plan& graph);
  void add_programs(const plan& graph);
  void add_products(const plan& graph);
  [[nodiscard]] std::uint64_t add_words(std::span<const std::uint32_t> from);
  void point();

  device_plan_header header_{};
  std::vector<plan_node> nodes_;
  std::vector<std::uint32_t> operands_, child_begin_, consumers_, batch_slots_, batch_of_node_,
      words_;
  std::vector<device_child> children_;
  std::vector<plan_operand> details_;
  std::vector<plan_operation> operations_;
  std::vector<std::uint64_t> constants_, program_constants_, lengths_;
  std::vector<device_slot> slots_;
  std::vector<device_level> levels_;
  std::vector<device_batch> batches_;
  std::vector<device_table> tables_;
  std::vector<instruction> code_;
  std::vector<device_program> programs_;
  std::vector<device_matrix> matrices_;
  std::vector<device_stencil> stencils_;
  std::vector<stencil_tap> taps_;
  std::vector<dense_shape> dense_;
  std::vector<std::uint8_t> source_pages_;
  std::vector<device_stage> stages_;
  std::vector<std::uint32_t> host_slots_;
  std::array<device_section, plan_section_count> sections_{};
};

}  // namespace sheaf::inline v0
