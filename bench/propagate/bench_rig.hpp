/// \file
/// An executor over frames of its own, without an engine, for figures of a full propagation in
/// which every line changes: sources are written aside, then `recompute` alone is timed.
///
/// Thread safety: none.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include <sheaf/base/isa.hpp>
#include <sheaf/graph/model.hpp>
#include <sheaf/propagate/executor.hpp>

namespace sheaf_bench {

/// The value, or the end of the program: a benchmark without its subject says nothing.
template <class T>
T must(sheaf::result<T>&& made) {
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().message().c_str());
    std::abort();
  }
  return std::move(made).value();
}
inline void must(const sheaf::status& done) {
  if (done.is_ok()) return;
  std::fprintf(stderr, "%s\n", done.message().c_str());
  std::abort();
}

class bench_rig {
 public:
  explicit bench_rig(const sheaf::model& declared) {
    graph_ = must(declared.compile());
    frames_ = must(sheaf::frame_store::create({.slot_count = graph_->slot_count}));
    for (const sheaf::plan_source& source : graph_->sources) {
      create(source.slot, source.page_count, source.page);
    }
    for (std::uint32_t index = 0; index < graph_->eager_node_count; ++index) {
      const sheaf::plan_operation& op = graph_->operation_of(graph_->nodes[index]);
      create(graph_->nodes[index].slot, op.page_count, op.page);
    }
    executor_ = must(sheaf::executor::create(graph_, declared.data(), *frames_,
                                             {.set = sheaf::widest_isa(), .threads = 1}));
  }

  /// Overwrites a source in place and tells nobody.
  template <sheaf::element T>
  void write(const sheaf::array<T>& target, const std::vector<T>& values) {
    visit_pages(target, [&](std::byte* page, std::size_t first, std::size_t count) {
      std::memcpy(page, values.data() + first, count * sizeof(T));
    });
  }
  template <sheaf::element T>
  std::vector<T> read(const sheaf::array<T>& target) {
    std::vector<T> out(target.size());
    visit_pages(target, [&](std::byte* page, std::size_t first, std::size_t count) {
      std::memcpy(out.data() + first, page, count * sizeof(T));
    });
    return out;
  }
  void recompute() {
    frames_->begin_commit(++epoch_, 0);
    must(executor_->recompute());
    executor_->discard();
  }

 private:
  void create(std::uint32_t slot, std::uint32_t pages, sheaf::page_class page) {
    for (std::uint32_t at = slot; at < slot + pages; ++at) must(frames_->create_page(at, page));
  }
  template <sheaf::element T, class Visitor>
  void visit_pages(const sheaf::array<T>& target, Visitor&& visitor) {
    const std::uint32_t producer = graph_->producer_of_array[index_of(target.id())];
    std::uint32_t slot = 0;
    sheaf::page_class page{};
    if (graph_->is_source(producer)) {
      slot = graph_->sources[producer].slot, page = graph_->sources[producer].page;
    } else {
      const sheaf::plan_node& node = graph_->node_of(producer);
      slot = node.slot, page = graph_->operation_of(node).page;
    }
    const std::size_t per_page = bytes_of(page) / sizeof(T);
    for (std::size_t first = 0; first < target.size(); first += per_page) {
      visitor(frames_->current(slot++, page), first, std::min(per_page, target.size() - first));
    }
  }

  std::shared_ptr<const sheaf::plan> graph_;
  std::unique_ptr<sheaf::frame_store> frames_;
  std::unique_ptr<sheaf::executor> executor_;
  std::uint64_t epoch_ = 1;
};

/// Times `ours` and `theirs` in turn; `before` runs untimed ahead of each pair. `ours` does
/// `repeats` times what is reported. Counters: medians, and that of the ratios of neighbours.
template <class Before, class Ours, class Theirs>
void run_pair_after(benchmark::State& state, Before&& before, Ours&& ours, Theirs&& theirs,
                    int repeats = 1) {
  std::vector<double> ours_times, their_times, ratios;
  for (auto _ : state) {
    before();
    const double a = time_of(ours, 1) / repeats;
    const double b = time_of(theirs, 1);
    state.SetIterationTime(a);
    ours_times.push_back(a);
    their_times.push_back(b);
    ratios.push_back(b / a);
  }
  state.counters["ours_us"] = quantile(ours_times, 0.5) * 1e6;
  state.counters["theirs_us"] = quantile(their_times, 0.5) * 1e6;
  state.counters["times_faster"] = quantile(ratios, 0.5);
}

}  // namespace sheaf_bench
