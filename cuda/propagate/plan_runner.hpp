/// \file
/// A plan on a device: the kernels of its batches, and the ways of running a commit over them. What
/// it holds there is `plan_memory`'s.
///
/// Ways
///   stream  a launch a batch, level by level.
///   graph   the same launches, captured once when the plan is loaded and launched whole. Kernels
///           find what is to do in device memory, so another frontier needs no other graph.
///   column  where every level is one batch of page-sized combines over the level before it: a
///           block owns 32 bytes of every page through all levels (column.cuh).
/// A plan of several stages (device_plan.hpp) has a graph for each; marks and lists live until the
/// last stage of a commit, or until the next commit begins.
///
/// Invariants
///  1. Between commits `todo`, `changed`, `count` and `pulled` are zero.
///  2. A commit allocates nothing on the device: `device_figures::allocations_on_commit` counts.
///
/// Thread safety: one thread at a time. Cost of loading: O(plan + pages).
#pragma once

#include <vector>

#include "cuda/device.hpp"
#include "cuda/page/collect.hpp"
#include "cuda/page/record_stream.hpp"
#include "cuda/propagate/batches.hpp"
#include "cuda/propagate/column.hpp"
#include "cuda/propagate/full_combine.hpp"
#include "cuda/propagate/plan_memory.hpp"
#include "cuda/propagate/small_runner.hpp"

namespace sheaf::inline v0 {

/// How the levels of a commit are run.
enum class run_way : std::uint8_t { stream, graph, column };

class plan_runner final : public device_runner {
 public:
  explicit plan_runner(device_context& device) : device_(device), memory_(device), small_(device) {}
  ~plan_runner() override;

  device_code load_plan(std::span<const device_section> sections, device_error* why) override;
  device_code write(const device_record& what, device_error* why) override;
  device_code commit(std::uint32_t stage, const device_record& what, device_record& changed,
                     device_error* why) override;
  device_code recompute(device_error* why) override;
  device_code read(std::span<const std::uint32_t> slots, std::byte* into,
                   device_error* why) override;
  void figures(device_figures& into) const override { into = figures_; }

 private:
  struct launch {
    batch_kernel kernel;
    std::uint32_t batch;
    unsigned blocks, full_blocks;
    std::optional<full_batch> full;  ///< where all runs, by a kernel of its own
    full_kernel kernel_of_full;
  };
  device_code load(std::span<const device_section> sections, device_error* why);
  /// `invalid` where no plan is loaded.
  [[nodiscard]] device_code need_plan(device_error* why) const noexcept;
  device_code find_kernels(device_error* why) noexcept;
  device_code open_ports(device_error* why) noexcept;
  device_code capture_all(device_error* why);
  device_code capture(std::uint32_t stage, bool is_full, cudaGraphExec_t* into,
                      device_error* why) noexcept;
  /// `is_full`: of stage 0, in a commit of all sources.
  cudaError_t launch_levels(std::uint32_t stage, bool is_full) noexcept;
  cudaError_t launch_reset() noexcept;
  /// Puts the levels of a stage on the stream; what it was sent is written and noted already.
  device_code run_levels(std::uint32_t stage, run_way way, device_error* why) noexcept;
  /// Forgets what changed, without bringing it to the host.
  device_code forget_changes(device_error* why) noexcept;
  /// The same, and what is marked.
  device_code forget_marks(device_error* why) noexcept;
  device_code begin_stage(std::uint32_t stage, const device_record& what,
                          device_error* why) noexcept;
  device_code propagate(std::uint32_t stage, level_pull how, device_error* why);
  device_code commit_small(const device_record& what, device_record& changed, device_error* why);
  /// Brings what changed to the host, behind `pages_out_` and `lines_out_`.
  device_code gather(std::uint32_t stage, device_record& changed, device_error* why);
  device_code begin_timing(device_error* why) noexcept;
  device_code end_timing(device_error* why) noexcept;
  void drop_graph() noexcept;
  device_code find_columns_of_plan(device_error* why) noexcept;
  cudaError_t launch_columns() noexcept;
  /// The fastest way for a commit of so much of the sources.
  [[nodiscard]] run_way choose(level_pull after_sources) const noexcept;

  device_context& device_;
  plan_memory memory_;
  small_runner small_;
  const device_plan& host_plan_ = memory_.plan();
  const run_view& view_ = memory_.view();
  std::uint32_t source_slots_ = 0;
  std::vector<launch> launches_;
  record_stream* records_ = nullptr;
  collector* collector_ = nullptr;
  std::optional<column_levels> columns_;
  column_kernel column_kernel_ = nullptr;
  std::vector<cudaGraphExec_t> graphs_;  ///< by stage
  cudaGraphExec_t full_graph_ = nullptr;
  std::uint32_t next_stage_ = 0;  ///< not 0: of a commit that has begun and not come to its end
  std::uint32_t* params_ = nullptr;                ///< pinned; what a graph is told
  cudaEvent_t begun_ = nullptr, ended_ = nullptr;  ///< of the levels, where they are timed
  std::vector<line_record> pages_out_;
  std::vector<std::byte> lines_out_;
  device_figures figures_{};
};

}  // namespace sheaf::inline v0
