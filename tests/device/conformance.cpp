#include "device/conformance.hpp"

#include <optional>

#include "device/conformance_graph.hpp"
#include "model/dice.hpp"

namespace sheaf_test {

using namespace sheaf;
using model_test::dice;

namespace {

/// What a commit writes.
enum class write_kind : unsigned { all, one_element, few, one_source, same_again, half, few_again };
constexpr unsigned write_kinds = 7;

/// The writes of one commit: drawn once, put into a transaction of each engine.
template <element T>
class writes {
 public:
  writes(const conformance_graph<T>& graph, dice& random, write_kind kind) : graph_(graph) {
    const std::uint64_t sources = graph.sources.size();
    const std::uint64_t chosen = random.below(sources);
    for (std::uint64_t i = 0; i < sources; ++i) {
      const std::uint64_t length = graph.sources[i].size();
      const bool is_one = kind == write_kind::one_element || kind == write_kind::one_source;
      if (is_one && i != chosen) continue;
      if (kind == write_kind::all || kind == write_kind::one_source) add_run(i, 0, length, random);
      else if (kind == write_kind::half) add_run(i, length / 4, (length + 1) / 2, random);
      else add_elements(i, is_one ? 1 : 5, random);
    }
    indices_.resize(kind == write_kind::all || kind == write_kind::half ? graph.at.size() : 1);
    first_index_ = random.below(graph.at.size() - indices_.size() + 1);
    for (auto& each : indices_) {
      each = static_cast<std::uint32_t>(random.below(graph.sources[0].size() + 3));
    }
  }
  void operator()(transaction& txn) const {
    for (const run& each : runs_) txn.range(graph_.sources[each.source], {each.first}, each.values);
    txn.range(graph_.at, {first_index_}, indices_);
  }

 private:
  struct run {
    std::uint64_t source, first;
    std::vector<T> values;
  };
  void add_run(std::uint64_t source, std::uint64_t first, std::uint64_t count, dice& random) {
    run made{source, first, std::vector<T>(count)};
    for (T& each : made.values) each = random.value<T>();
    runs_.push_back(std::move(made));
  }
  void add_elements(std::uint64_t source, unsigned count, dice& random) {
    for (; count != 0; --count) {
      add_run(source, random.below(graph_.sources[source].size()), 1, random);
    }
  }
  const conformance_graph<T>& graph_;
  std::vector<run> runs_;
  std::vector<std::uint32_t> indices_;
  std::uint64_t first_index_ = 0;
};

/// One element type with one page size; false: something differed, and is in `report`.
template <element T>
class conformance_run {
 public:
  conformance_run(const std::vector<conformance_backend>& backends, page_class page,
                  std::uint64_t seed, conformance_report& report)
      : backends_(backends),
        report_(report),
        random_(seed),
        graph_(page, seed),
        group_(graph_.declared, graph_.derived),
        place_(std::string(name_of(dtype_of<T>)) + ", pages of " +
               std::to_string(bytes_of(page)) + " bytes: ") {}

  void run() {
    for (const status& each : graph_.declared.mistakes()) return fail(each.message());
    if (const std::string why = group_.add(reference_way()); !why.empty()) return fail(why);
    for (const conformance_backend& each : backends_) {
      if (const std::string why = group_.add(each.way); !why.empty()) return fail(why);
    }
    if (const std::string differs = group_.compare(); !differs.empty()) {
      return fail("when opened, " + differs);
    }
    std::optional<writes<T>> last;
    for (unsigned kind = 0; kind < write_kinds; ++kind) {
      const auto which = static_cast<write_kind>(kind);
      if (which != write_kind::same_again) last.emplace(graph_, random_, which);
      const std::string differs = group_.commit(*last);
      if (!differs.empty()) return fail("commit " + std::to_string(kind) + ", " + differs);
      if (!count_commits(kind)) return;
    }
    report_.combinations += graph_.derived.size() * backends_.size();
  }

 private:
  void fail(const std::string& why) { report_.wrong.push_back(place_ + why); }
  bool count_commits(unsigned kind) {
    for (std::size_t i = 0; i < backends_.size(); ++i) {
      engine& each = group_[i + 1];
      const std::uint64_t there = each.last_commit().device_commits;
      report_.device_commits += there;
      ++report_.commits;
      if (there == std::uint64_t{backends_[i].is_device}) continue;
      fail(group_.name_of(i + 1) + ", commit " + std::to_string(kind) +
           " ran on the other side: " + each.stats().device);
      return false;
    }
    return true;
  }

  const std::vector<conformance_backend>& backends_;
  conformance_report& report_;
  dice random_;
  conformance_graph<T> graph_;
  engine_group group_;
  std::string place_;
};

}  // namespace

conformance_report run_conformance(const std::vector<conformance_backend>& backends,
                                   std::uint64_t seed, unsigned stride) {
  conformance_report report;
  unsigned number = 0;
  const auto run = [&]<element T>(page_class page, T) {
    if (number++ % stride == 0) conformance_run<T>(backends, page, seed, report).run();
  };
  for (unsigned i = 0; i < page_class_count; ++i) {
    const page_class page{static_cast<std::uint8_t>(i)};
    run(page, float{});
    run(page, double{});
    run(page, std::int32_t{});
    run(page, std::int64_t{});
    run(page, std::uint8_t{});
    run(page, std::uint32_t{});
    run(page, std::uint64_t{});
  }
  return report;
}

}  // namespace sheaf_test
