/// \file
/// `fixpoint` on a real graph: who reaches whom in SQLite's call graph (bench/data), all pairs, one
/// bit each. A seeded sample of edges is taken away and put back, one a commit.
///
/// Floors, in the same run and on the same graph: `plain`, from scratch by bitsets (Warshall 1962,
/// rows of bits), what people write; `condensed`, from scratch by strongly connected components in
/// topological order, the best from-scratch way known. Every result is compared with the floors'.
#include <benchmark/benchmark.h>

#include <sheaf/engine/engine.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "support/paired.hpp"

namespace {

using namespace sheaf;
using namespace sheaf_bench;

[[noreturn]] void stop(const std::string& why) {
  std::fprintf(stderr, "benchmark stopped: %s\n", why.c_str());
  std::abort();
}

struct edge {
  std::uint32_t from, to;
};
struct call_graph {
  std::uint32_t vertices = 0;
  std::vector<edge> edges;
};

/// What a function reaches flows from callee to caller.
const call_graph& sqlite() {
  static const call_graph read = [] {
    call_graph graph;
    std::ifstream file(SHEAF_BENCH_DATA "/sqlite_callgraph.tsv");
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string kind;
      words >> kind;
      if (kind == "f") ++graph.vertices;
      if (kind != "d" && kind != "i") continue;
      edge call{};
      words >> call.to >> call.from;
      graph.edges.push_back(call);
    }
    if (graph.vertices != 2399 || graph.edges.size() != 9028) stop("no call graph in bench/data");
    return graph;
  }();
  return read;
}

using rows_of_bits = std::vector<std::uint64_t>;

/// From scratch by plain bitsets: row v is what v reaches, itself included.
class plain_floor {
 public:
  plain_floor(std::uint32_t vertices, std::uint64_t stride) : count_(vertices), stride_(stride) {}
  void run(const std::vector<edge>& edges, const std::vector<bool>& is_there) {
    rows_.assign(count_ * stride_, 0);
    for (std::uint32_t v = 0; v < count_; ++v) set(v, v);
    for (std::size_t e = 0; e < edges.size(); ++e) {
      if (is_there[e]) set(edges[e].to, edges[e].from);
    }
    for (std::uint32_t k = 0; k < count_; ++k) {
      const std::uint64_t* through = &rows_[k * stride_];
      for (std::uint32_t v = 0; v < count_; ++v) {
        std::uint64_t* row = &rows_[v * stride_];
        if ((row[k >> 6] >> (k & 63) & 1) == 0) continue;
        for (std::uint64_t i = 0; i < stride_; ++i) row[i] |= through[i];
      }
    }
  }
  const rows_of_bits& rows() const { return rows_; }

 private:
  void set(std::uint32_t v, std::uint32_t bit) {
    rows_[v * stride_ + (bit >> 6)] |= std::uint64_t{1} << (bit & 63);
  }
  std::uint32_t count_;
  std::uint64_t stride_;
  rows_of_bits rows_;
};

/// From scratch by components (Tarjan 1972): members share one row, and a component's row is the
/// union of its members and of the rows it takes from, which are complete by then.
class condensed_floor {
 public:
  condensed_floor(std::uint32_t vertices, std::uint64_t stride)
      : count_(vertices), stride_(stride) {}
  void run(const std::vector<edge>& edges, const std::vector<bool>& is_there) {
    begin_.assign(count_ + 1, 0);
    for (std::size_t e = 0; e < edges.size(); ++e) begin_[edges[e].to + 1] += is_there[e];
    for (std::uint32_t v = 0; v < count_; ++v) begin_[v + 1] += begin_[v];
    takes_.resize(begin_[count_]);
    next_.assign(begin_.begin(), begin_.end() - 1);
    for (std::size_t e = 0; e < edges.size(); ++e) {
      if (is_there[e]) takes_[next_[edges[e].to]++] = edges[e].from;
    }
    rows_.assign(count_ * stride_, 0);
    number_.assign(count_, 0);
    lowest_.assign(count_, 0);
    root_.assign(count_, count_);
    next_.assign(begin_.begin(), begin_.end() - 1);
    counter_ = 0;
    for (std::uint32_t v = 0; v < count_; ++v) {
      if (number_[v] == 0) walk(v);
    }
  }
  const rows_of_bits& rows() const { return rows_; }

 private:
  void walk(std::uint32_t start) {
    const auto enter = [&](std::uint32_t v) {
      number_[v] = lowest_[v] = ++counter_;
      open_.push_back(v);
      stack_.push_back(v);
    };
    enter(start);
    while (!stack_.empty()) {
      const std::uint32_t v = stack_.back();
      if (next_[v] < begin_[v + 1]) {
        const std::uint32_t other = takes_[next_[v]++];
        if (number_[other] == 0) enter(other);
        else if (root_[other] == count_) lowest_[v] = std::min(lowest_[v], number_[other]);
        continue;
      }
      stack_.pop_back();
      if (!stack_.empty()) lowest_[stack_.back()] = std::min(lowest_[stack_.back()], lowest_[v]);
      if (lowest_[v] == number_[v]) close(v);
    }
  }
  void close(std::uint32_t root) {
    std::uint64_t* own = &rows_[root * stride_];
    const auto first = std::find(open_.rbegin(), open_.rend(), root).base() - 1;
    for (auto member = first; member != open_.end(); ++member) root_[*member] = root;
    for (auto member = first; member != open_.end(); ++member) {
      own[*member >> 6] |= std::uint64_t{1} << (*member & 63);
      for (std::uint32_t i = begin_[*member]; i < begin_[*member + 1]; ++i) {
        if (root_[takes_[i]] == root) continue;
        const std::uint64_t* other = &rows_[takes_[i] * stride_];
        for (std::uint64_t k = 0; k < stride_; ++k) own[k] |= other[k];
      }
    }
    for (auto member = first; member != open_.end(); ++member) {
      if (*member != root) std::copy_n(own, stride_, &rows_[*member * stride_]);
    }
    open_.erase(first, open_.end());
  }

  std::uint32_t count_;
  std::uint64_t stride_;
  rows_of_bits rows_;
  std::vector<std::uint32_t> begin_, takes_, next_, number_, lowest_, root_, open_, stack_;
  std::uint32_t counter_ = 0;
};

/// The engine's side.
class reachability {
 public:
  explicit reachability(const call_graph& graph) : graph_(graph) {
    stride = fixpoint_stride<std::uint64_t>((graph.vertices + 63) / 64);
    base_ = declared_.source<std::uint64_t>("self", graph.vertices * stride);
    from_ = declared_.source<std::uint32_t>("from", graph.edges.size());
    to_ = declared_.source<std::uint32_t>("to", graph.edges.size());
    reaches_ = declared_.derive(
        "reaches", fixpoint(semiring_id::or_and, base_, from_, to_, {.columns = stride}));
    auto opened = engine::open(declared_);
    if (!opened) stop(opened.error().message());
    desk.emplace(std::move(*opened));
    auto txn = desk->begin();
    for (std::uint32_t e = 0; e < graph.edges.size(); ++e) set(txn, e, true);
    for (std::uint32_t v = 0; v < graph.vertices; ++v) {
      txn.set(base_, {.index = v * stride + v / 64}, std::uint64_t{1} << (v % 64));
    }
    if (auto done = std::move(txn).commit(); !done) stop(done.error().message());
  }
  /// Seconds of the commit.
  double change(std::uint32_t e, bool is_there) {
    const double begin = seconds_now();
    auto txn = desk->begin();
    set(txn, e, is_there);
    auto done = std::move(txn).commit();
    const double took = seconds_now() - begin;
    if (!done) stop(done.error().message());
    return took;
  }
  void expect(const rows_of_bits& wanted) {
    const snapshot now = desk->snapshot();
    const auto view = now.fetch(reaches_);
    if (!view) stop(view.error().message());
    rows_of_bits found(wanted.size());
    view->copy_to(found);
    if (found != wanted) stop("the engine's bits are not the floor's");
  }
  std::uint64_t stride = 0;
  std::optional<engine> desk;

 private:
  void set(transaction& txn, std::uint32_t e, bool is_there) {
    txn.set(from_, {.index = e}, is_there ? graph_.edges[e].from : no_vertex);
    txn.set(to_, {.index = e}, graph_.edges[e].to);
  }
  const call_graph& graph_;
  model declared_;
  array<std::uint64_t> base_, reaches_;
  array<std::uint32_t> from_, to_;
};

void report(benchmark::State& state, const std::string& name, std::vector<double> times,
            const std::vector<double>& plain, const std::vector<double>& condensed) {
  const auto us = [&](double q) { return quantile(times, q) * 1e6; };
  state.counters[name + "_p50_us"] = us(0.5);
  state.counters[name + "_p90_us"] = us(0.9);
  state.counters[name + "_p99_us"] = us(0.99);
  state.counters[name + "_max_us"] = us(1.0);
  std::vector<double> ratios(times.size());
  for (std::size_t i = 0; i < times.size(); ++i) ratios[i] = plain[i] / times[i];
  state.counters[name + "_plain_ratio"] = quantile(ratios, 0.5);
  for (std::size_t i = 0; i < times.size(); ++i) ratios[i] = condensed[i] / times[i];
  state.counters[name + "_condensed_ratio"] = quantile(ratios, 0.5);
}

void sqlite_edges(benchmark::State& state) {
  const call_graph& graph = sqlite();
  reachability ours(graph);
  plain_floor plain(graph.vertices, ours.stride);
  condensed_floor condensed(graph.vertices, ours.stride);
  std::vector<bool> is_there(graph.edges.size(), true);
  std::mt19937 random(20'261'123);
  std::vector<double> removed, added, plain_times, condensed_times;
  const auto floors = [&] {
    plain_times.push_back(time_of([&] { plain.run(graph.edges, is_there); }, 1));
    condensed_times.push_back(time_of([&] { condensed.run(graph.edges, is_there); }, 1));
    if (plain.rows() != condensed.rows()) stop("the floors disagree");
    ours.expect(plain.rows());
  };
  floors();
  plain_times.clear();
  condensed_times.clear();
  for (auto _ : state) {
    const auto e = static_cast<std::uint32_t>(random() % graph.edges.size());
    is_there[e] = false;
    removed.push_back(ours.change(e, false));
    floors();
    is_there[e] = true;
    added.push_back(ours.change(e, true));
    state.SetIterationTime(removed.back() + added.back());
  }
  ours.expect((plain.run(graph.edges, is_there), plain.rows()));
  state.counters["plain_us"] = quantile(plain_times, 0.5) * 1e6;
  state.counters["condensed_us"] = quantile(condensed_times, 0.5) * 1e6;
  report(state, "added", added, plain_times, condensed_times);
  report(state, "removed", removed, plain_times, condensed_times);
}
BENCHMARK(sqlite_edges)->UseManualTime()->Iterations(400)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
