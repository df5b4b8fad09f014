/// \file
/// An executor over frames of its own, without an engine: what the executor's tests share.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include <sheaf/base/isa.hpp>
#include <sheaf/graph/model.hpp>
#include <sheaf/propagate/executor.hpp>

namespace propagate_test {

using namespace sheaf;  // NOLINT: tests of one library

class rig {
 public:
  explicit rig(const model& declared, unsigned threads = 1, isa set = widest_isa()) {
    graph_ = declared.compile().value();
    frames_ = frame_store::create({.slot_count = graph_->slot_count}).value();
    for (const plan_source& source : graph_->sources) {
      create(source.slot, source.page_count, source.page);
    }
    for (std::uint32_t index = 0; index < graph_->eager_node_count; ++index) {
      const plan_operation& op = graph_->operation_of(graph_->nodes[index]);
      create(graph_->nodes[index].slot, op.page_count, op.page);
    }
    executor_ = executor::create(graph_, declared.data(), *frames_,
                                 {.set = set, .threads = threads})
                    .value();
    recompute();
  }

  /// Writes one element of a source in place and marks its line where the bits differ.
  template <element T>
  void set(const array<T>& target, std::uint64_t index, std::type_identity_t<T> value) {
    const plan_source& source = graph_->sources[graph_->producer_of_array[index_of(target.id())]];
    const std::uint64_t byte = index * sizeof(T);
    const auto slot = source.slot + static_cast<std::uint32_t>(byte >> byte_shift(source.page));
    std::byte* at = frames_->current(slot, source.page) + (byte & (bytes_of(source.page) - 1));
    if (std::memcmp(at, &value, sizeof(T)) == 0) return;
    std::memcpy(at, &value, sizeof(T));
    executor_->masks()[slot] |= line_mask{1}
                                << ((byte >> line_shift) & (lines_of(source.page) - 1));
    executor_->mark(slot);
    delta written;
    EXPECT_TRUE(written.set(target.id(), merge_operator::assign, index, value).is_ok());
    executor_->note_written(written);
  }
  /// Brings everything up to date, in place.
  work_counters propagate() {
    frames_->begin_commit(++epoch_, 0);
    const status done = executor_->propagate();
    EXPECT_TRUE(done.is_ok()) << done.message();
    executor_->finish(false);
    return executor_->take_counters();
  }
  /// The same, stopped at every look at the clock and taken up again; `stops` counts.
  work_counters propagate_in_pieces(unsigned& stops) {
    frames_->begin_commit(++epoch_, 0);
    for (;;) {
      const auto ran = executor_->propagate_until(std::chrono::steady_clock::now());
      EXPECT_TRUE(ran) << ran.error().message();
      if (!ran || *ran == progress::done) break;
      ++stops;
    }
    executor_->finish(false);
    return executor_->take_counters();
  }
  work_counters recompute() {
    frames_->begin_commit(++epoch_, 0);
    const status done = executor_->recompute();
    EXPECT_TRUE(done.is_ok()) << done.message();
    executor_->discard();
    return executor_->take_counters();
  }
  template <element T>
  std::vector<T> values(const array<T>& target) const {
    std::vector<T> out(target.size());
    const std::uint32_t producer = graph_->producer_of_array[index_of(target.id())];
    std::uint32_t slot = 0;
    page_class page{};
    if (graph_->is_source(producer)) {
      slot = graph_->sources[producer].slot, page = graph_->sources[producer].page;
    } else {
      const plan_node& node = graph_->node_of(producer);
      slot = node.slot, page = graph_->operation_of(node).page;
    }
    const std::size_t per_page = bytes_of(page) / sizeof(T);
    for (std::size_t first = 0; first < out.size(); first += per_page) {
      std::memcpy(out.data() + first, frames_->current(slot++, page),
                  std::min(per_page, out.size() - first) * sizeof(T));
    }
    return out;
  }
  void expect_glued() {
    const auto report = executor_->audit();
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_EQ(report->lines_different, 0u);
  }
  /// Between commits: no mask is set.
  void expect_quiet() {
    for (std::uint32_t slot = 0; slot < graph_->slot_count; ++slot) {
      ASSERT_EQ(executor_->masks()[slot], 0u);
    }
  }

  /// Every current byte: equal where all bits of all arrays are.
  std::vector<std::byte> image() const {
    std::vector<std::byte> out;
    const auto add = [&](std::uint32_t slot, std::uint32_t pages, page_class page) {
      for (std::uint32_t at = slot; at < slot + pages; ++at) {
        const std::byte* from = frames_->current(at, page);
        out.insert(out.end(), from, from + bytes_of(page));
      }
    };
    for (const plan_source& source : graph_->sources) {
      add(source.slot, source.page_count, source.page);
    }
    for (std::uint32_t index = 0; index < graph_->eager_node_count; ++index) {
      const plan_operation& op = graph_->operation_of(graph_->nodes[index]);
      add(graph_->nodes[index].slot, op.page_count, op.page);
    }
    return out;
  }

  executor& run() { return *executor_; }
  frame_store& frames() { return *frames_; }
  const plan& graph() const { return *graph_; }
  std::uint64_t epoch() const { return epoch_; }

 private:
  void create(std::uint32_t slot, std::uint32_t pages, page_class page) {
    for (std::uint32_t at = slot; at < slot + pages; ++at) {
      EXPECT_TRUE(frames_->create_page(at, page).is_ok());
    }
  }
  std::shared_ptr<const plan> graph_;
  std::unique_ptr<frame_store> frames_;
  std::unique_ptr<executor> executor_;
  std::uint64_t epoch_ = 0;
};

}  // namespace propagate_test
