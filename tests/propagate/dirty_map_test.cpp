/// \file
/// The two dirty maps against each other and against what each operator reads, element by element,
/// on small models of every kind of operator, mixing page sizes.
#include "propagate/dirty_map.hpp"

#include <gtest/gtest.h>

#include <set>

#include <sheaf/base/isa.hpp>
#include <sheaf/graph/dense.hpp>
#include <sheaf/graph/model.hpp>
#include <sheaf/graph/sparse.hpp>
#include <sheaf/graph/stencil.hpp>

#include "model/naive_products.hpp"
#include "page/random.hpp"
#include "propagate/operators/rules.hpp"

namespace sheaf {
namespace {

/// A sorted run reads its values. A merged entry o may be one of the entries p of a row below with
/// p <= o <= p + the other row's.
template <class Visitor>
void visit_order(const plan& graph, const plan_operation& op, std::uint64_t i, Visitor&& visitor) {
  const order_data& data = graph.orders[op.payload];
  const std::uint64_t entry = i / (data.is_last || !data.is_wide() ? 1 : 2);
  const std::uint64_t row = entry / data.stride();
  const std::uint64_t rank = entry - row * data.stride();
  if (op.kind == operator_kind::sorted_runs) {
    for (std::uint64_t k = 0; k < data.values_of(row); ++k) visitor(row * data.span + k);
    return;
  }
  order_data below = data;
  below.span /= 2;
  const std::uint64_t words = data.is_wide() ? 2 : 1;
  for (std::uint64_t from = row * 2; from < std::min(row * 2 + 2, below.rows()); ++from) {
    const std::uint64_t others = (from ^ 1) < below.rows() ? below.entries_of(from ^ 1) : 0;
    for (std::uint64_t p = 0; p < below.entries_of(from); ++p) {
      if (p <= rank && rank <= p + others) visitor((from * below.stride() + p) * words);
    }
  }
}

/// The kinds that go by the order of elements.
template <class Visitor>
void visit_ordered(const plan& graph, const plan_operation& op, std::uint32_t which,
                   std::uint64_t operand_length, std::uint64_t i, Visitor&& visitor) {
  switch (op.kind) {
    case operator_kind::scan_totals:
      for (std::uint64_t at = i * 64; at < std::min(i * 64 + 64, operand_length); ++at) visitor(at);
      return;
    case operator_kind::scan:  // without segments: inclusive, or the exclusive scan of totals
      if (operand_length == op.length) {
        const std::uint64_t end = graph.scans[op.payload].exclusive ? i : i + 1;
        for (std::uint64_t at = i / 64 * 64; at < end; ++at) visitor(at);
      } else if (i >= 64) {
        visitor(i / 64);
      }
      return;
    case operator_kind::cast: visitor(i); return;
    case operator_kind::gather_at:
      if (which == 1) return visitor(i);
      for (std::uint64_t at = 0; at < operand_length; ++at) visitor(at);
      return;
    case operator_kind::bin_counts: {
      const histogram_data& data = graph.histograms[op.payload];
      if (i % data.stride >= data.bins) return;
      const std::uint64_t first = i / data.stride * data.chunk;
      const std::uint64_t last = std::min(operand_length, first + data.chunk);
      for (std::uint64_t at = first; at < last; ++at) visitor(at);
      return;
    }
    case operator_kind::row_sums: {
      const histogram_data& data = graph.histograms[op.payload];
      const std::uint64_t first = i / data.stride * 64;
      const std::uint64_t last = std::min(operand_length / data.stride, first + 64);
      for (std::uint64_t row = first; row < last; ++row) {
        visitor(row * data.stride + i % data.stride);
      }
      return;
    }
    case operator_kind::sorted_runs:
    case operator_kind::merged_runs: return visit_order(graph, op, i, visitor);
    default: FAIL() << "a kind whose reads are not said";
  }
}

/// Elements of operand `k` that result element `i` reads, by the definition of each kind.
template <class Visitor>
void visit_reads(const plan& graph, const plan_operation& op, std::uint32_t which,
                 const plan_operand& operand, std::uint64_t operand_length, std::uint64_t i,
                 Visitor&& visitor) {
  switch (op.kind) {
    case operator_kind::combine:
    case operator_kind::program:
      visitor(operand.element == no_index ? i : operand.element);
      return;
    case operator_kind::fold_lines: {
      const std::uint64_t lanes = line_size >> size_shift(operand.type);
      for (std::uint64_t at = i * lanes; at < std::min((i + 1) * lanes, operand_length); ++at) {
        visitor(at);
      }
      return;
    }
    case operator_kind::fold_blocks:
      for (std::uint64_t at = i * 64; at < std::min(i * 64 + 64, operand_length); ++at) visitor(at);
      return;
    case operator_kind::segment_fold: {
      const index_table& table = graph.tables[op.payload];
      for (std::uint32_t item = table.offsets[i]; item < table.offsets[i + 1]; ++item) {
        visitor(table.indices.empty() ? item : table.indices[item]);
      }
      return;
    }
    case operator_kind::gather: visitor(graph.tables[op.payload].indices[i]); return;
    case operator_kind::spmv: {
      const sparse_structure& matrix = *graph.matrices[op.payload];
      for (std::uint32_t e = matrix.offsets[i]; e < matrix.offsets[i + 1]; ++e) {
        visitor(which == 0 ? e : matrix.indices[e]);
      }
      return;
    }
    case operator_kind::gemv:
      for (std::uint64_t k = 0; k < graph.dense[op.payload].inner; ++k) {
        visitor(which == 0 ? i * graph.dense[op.payload].inner + k : k);
      }
      return;
    case operator_kind::matmul: {  // a change anywhere in the second operand counts for all
      const dense_shape& shape = graph.dense[op.payload];
      const std::uint64_t begin = which == 0 ? i / shape.columns * shape.inner : 0;
      const std::uint64_t end = which == 0 ? begin + shape.inner : operand_length;
      for (std::uint64_t at = begin; at < end; ++at) visitor(at);
      return;
    }
    case operator_kind::stencil: {
      const stencil_shape& shape = *graph.stencils[op.payload];
      const auto rows = static_cast<std::int64_t>(shape.rows);
      const auto columns = static_cast<std::int64_t>(shape.columns);
      for (const stencil_tap& tap : shape.taps) {
        const auto at = static_cast<std::int64_t>(i);
        const auto row = model_test::place_on(at / columns + tap.row, rows, shape.edge);
        const auto column = model_test::place_on(at % columns + tap.column, columns, shape.edge);
        if (row && column) visitor(static_cast<std::uint64_t>(*row * columns + *column));
      }
      return;
    }
    case operator_kind::delay: return;  // no node
    case operator_kind::slice:
      visitor((std::uint64_t{op.payload} << line_shift >> size_shift(operand.type)) + i);
      return;
    case operator_kind::fixpoint:
    case operator_kind::host:
      for (std::uint64_t at = 0; at < operand_length; ++at) visitor(at);
      return;
    default: return visit_ordered(graph, op, which, operand_length, i, visitor);
  }
}

/// One model, compiled, with its masks.
class mapped {
 public:
  explicit mapped(const model& declared) {
    graph_ = declared.compile().value();
    plan_ = resolved_plan::resolve(graph_, declared.data(), isa::scalar).value();
    masks_.resize(graph_->slot_count);
    elements_.resize(plan_->indexed_lines + 1);
    changed_.resize(plan_->tracked_lines + 1);
    dirty_ = dirty_set(graph_->slot_count);
    map_ = std::make_unique<dirty_map>(*plan_, masks_.data(), elements_.data(), changed_.data(),
                                       dirty_);
  }

  /// For every eager node: random changed lines of its operands, then the lines that push, pull and
  /// the definition name.
  void compare(sheaf_test::random_numbers& random, std::set<operator_kind>& kinds) {
    for (std::uint32_t index = 0; index < graph_->eager_node_count; ++index) {
      const plan_node& node = graph_->nodes[index];
      const plan_operation& op = graph_->operation_of(node);
      kinds.insert(op.kind);
      reset();
      std::fill(changed_.begin(), changed_.end(), 0);
      whole_lines_ = random() % 4 == 0;
      map_->set_whole_lines(whole_lines_);
      change_operands(node, op, random);
      const std::vector<line_mask> wanted = wanted_lines(node, op);
      const std::vector<line_mask> changed = masks_;
      if (!dirty_map::is_pushed_only(op)) {
        for (std::uint32_t page = 0; page < op.page_count; ++page) {
          ASSERT_EQ(map_->pull(node, op, page), wanted[page]) << words(op, page);
        }
      } else {
        map_->push_into(node, op);
        expect_pushed(node, op, wanted);
        reset();
        masks_ = changed;
      }
      for (const std::uint32_t producer : producers_of(node, op)) {
        for (std::uint32_t page = 0; page < pages_of(producer); ++page) {
          const line_mask mask = changed[slot_of(producer) + page];
          if (mask != 0) map_->push(producer, page, mask);
        }
      }
      for (std::uint32_t which = 0; dirty_map::takes_pages(op) && which < op.operand_count;
           ++which) {
        const std::uint32_t producer = graph_->operand_details[graph_->operands[
            node.operand_begin + which]].producer;
        // In two parts: what lies before the second is not to be looked at.
        const std::uint32_t pages = pages_of(producer), middle = random() % (pages + 1);
        for (std::uint32_t page = 0; page < pages; ++page) {
          if (changed[slot_of(producer) + page] != 0) dirty_.insert(slot_of(producer) + page);
        }
        map_->push_operand_pages(node, op, which, 0, middle);
        map_->push_operand_pages(node, op, which, middle, pages);
      }
      expect_pushed(node, op, wanted);
    }
  }

 private:
  std::uint32_t slot_of(std::uint32_t producer) const {
    return graph_->is_source(producer) ? graph_->sources[producer].slot
                                       : graph_->node_of(producer).slot;
  }
  std::uint32_t pages_of(std::uint32_t producer) const {
    return graph_->is_source(producer) ? graph_->sources[producer].page_count
                                       : graph_->operation_of(graph_->node_of(producer)).page_count;
  }
  std::uint64_t length_of(std::uint32_t producer) const {
    return graph_->is_source(producer) ? graph_->sources[producer].length
                                       : graph_->operation_of(graph_->node_of(producer)).length;
  }
  static bool is_by_element(const plan_operation& op) {
    const operator_rules* rules = rules_of(op.kind);
    return rules != nullptr && rules->by_element;
  }
  static std::string words(const plan_operation& op, std::uint32_t page) {
    return "kind " + std::to_string(static_cast<int>(op.kind)) + " page " + std::to_string(page) +
           " of " + std::to_string(op.page_count) + ", length " + std::to_string(op.length);
  }

  /// The operands of `node`, whichever way the plan writes them down.
  std::vector<plan_operand> operands_of(const plan_node& node, const plan_operation& op) const {
    std::vector<plan_operand> out;
    for (std::uint32_t k = 0; k < op.operand_count; ++k) {
      const std::uint32_t entry = graph_->operands[node.operand_begin + k];
      if (!op.uniform) {
        if (graph_->operand_details[entry].producer != no_index) {
          out.push_back(graph_->operand_details[entry]);
        }
        continue;
      }
      for (std::uint32_t p = 0; p < graph_->source_count() + graph_->eager_node_count; ++p) {
        if (slot_of(p) == entry) out.push_back({p, entry, no_index, op.page, op.type});
      }
    }
    return out;
  }
  std::set<std::uint32_t> producers_of(const plan_node& node, const plan_operation& op) const {
    std::set<std::uint32_t> out;
    for (const plan_operand& operand : operands_of(node, op)) out.insert(operand.producer);
    return out;
  }

  void reset() {
    dirty_.drain([](std::uint32_t) {});
    std::fill(masks_.begin(), masks_.end(), 0);
    std::fill(elements_.begin(), elements_.end(), 0);
  }

  /// Some lines with elements of some pages of every operand.
  void change_operands(const plan_node& node, const plan_operation& op,
                       sheaf_test::random_numbers& random) {
    for (const plan_operand& operand : operands_of(node, op)) {
      const std::uint64_t per_line = line_size >> size_shift(operand.type);
      const std::uint64_t lines = (length_of(operand.producer) + per_line - 1) / per_line;
      const std::uint32_t count = random() % 4;
      for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint64_t line = random() % lines;
        const auto slot =
            operand.slot + static_cast<std::uint32_t>(line >> static_cast<unsigned>(operand.page));
        masks_[slot] |= line_mask{1} << (line & (lines_of(operand.page) - 1));
        dirty_.insert(slot);
        std::uint64_t* tracked = plan_->tracked_elements(operand.producer, changed_.data());
        if (tracked == nullptr) continue;
        const std::uint64_t left = length_of(operand.producer) - line * per_line;
        const auto valid = first_lines(static_cast<unsigned>(std::min(left, per_line)));
        tracked[line] = (random() | std::uint64_t{random()} << 32) & valid;
        if (tracked[line] == 0) tracked[line] = 1;
      }
    }
  }
  /// True where element `at` counts as changed for an indexed node: the producer noted it, or notes
  /// nothing.
  bool is_noted(const plan_operand& operand, std::uint64_t at) {
    const std::uint64_t* tracked = plan_->tracked_elements(operand.producer, changed_.data());
    const std::uint64_t per_line = line_size >> size_shift(operand.type);
    return whole_lines_ || tracked == nullptr || (tracked[at / per_line] >> at % per_line & 1) != 0;
  }

  /// By definition: the result lines with an element that reads an element of a changed line.
  std::vector<line_mask> wanted_lines(const plan_node& node, const plan_operation& op) {
    std::vector<line_mask> wanted(op.page_count, 0);
    wanted_elements_.clear();
    const std::uint64_t per_line = line_size >> size_shift(op.type);
    std::uint32_t which = 0;  // of kinds with constants among their operands nobody asks
    for (const plan_operand& operand : operands_of(node, op)) {
      const std::uint32_t number = which++;
      for (std::uint64_t i = 0; i < op.length; ++i) {
        bool reads = false;
        visit_reads(*graph_, op, number, operand, length_of(operand.producer), i,
                    [&](std::uint64_t at) {
          const std::uint64_t line = (at << size_shift(operand.type)) / line_size;
          const line_mask mask =
              masks_[operand.slot + (line >> static_cast<unsigned>(operand.page))];
          const bool by_index = is_by_element(op);
          reads |= (mask >> (line & (lines_of(operand.page) - 1)) & 1) != 0 &&
                   (!by_index || is_noted(operand, at));
        });
        if (!reads) continue;
        const std::uint64_t line = i / per_line;
        wanted[line >> static_cast<unsigned>(op.page)] |= line_mask{1}
                                                          << (line & (lines_of(op.page) - 1));
        wanted_elements_.insert(i);
      }
    }
    return wanted;
  }

  void expect_pushed(const plan_node& node, const plan_operation& op,
                     const std::vector<line_mask>& wanted) {
    if (runs_whole(op.kind)) {  // marked at its first page, and marked at its first page
      bool any = false;
      for (const line_mask mask : wanted) any |= mask != 0;
      ASSERT_EQ(masks_[node.slot], any ? 1u : 0u);
      ASSERT_EQ(dirty_.contains(node.slot), any);
      return;
    }
    for (std::uint32_t page = 0; page < op.page_count; ++page) {
      ASSERT_EQ(masks_[node.slot + page], wanted[page]) << words(op, page);
      ASSERT_EQ(dirty_.contains(node.slot + page), wanted[page] != 0) << words(op, page);
    }
    if (!is_by_element(op)) return;
    const std::uint64_t per_line = line_size >> size_shift(op.type);
    const std::uint64_t* masks = elements_.data() + plan_->indexed_begin[plan_->node_index(node)];
    for (std::uint64_t i = 0; i < op.length; ++i) {
      ASSERT_EQ((masks[i / per_line] >> (i % per_line) & 1) != 0, wanted_elements_.count(i) != 0)
          << words(op, 0) << ", element " << i;
    }
  }

  std::shared_ptr<const plan> graph_;
  std::shared_ptr<const resolved_plan> plan_;
  std::vector<line_mask> masks_;
  std::vector<std::uint64_t> elements_;
  std::vector<std::uint64_t> changed_;
  bool whole_lines_ = false;
  dirty_set dirty_;
  std::unique_ptr<dirty_map> map_;
  std::set<std::uint64_t> wanted_elements_;
};

/// Stencils and dense products of arrays of `length`.
template <element T, class Page>
void declare_products(model& m, std::uint64_t length, const array<T>& a, const array<T>& b,
                      const array<T>& sum_of, Page&& page) {
  for (const boundary edge :
       {boundary::clamp, boundary::wrap, boundary::constant, boundary::skip}) {
    (void)m.derive({}, stencil(semiring_id::sum_product, a, {{-40, T{1}}, {-1, T{2}}, {2, T{3}}},
                               {.edge = edge}), {.page = page()});
    for (std::uint64_t wide = 1; wide <= length; wide = wide * 7 + 3) {
      if (length % wide != 0) continue;
      (void)m.derive({}, stencil(semiring_id::sum_product, sum_of, grid{length / wide, wide},
                                 {{-1, 0, T{1}}, {0, 3, T{2}}, {0, 0, T{3}}, {7, -1, T{3}}},
                                 {.edge = edge}), {.page = page()});
    }
  }
  for (std::uint64_t inner = 1; inner <= length; inner = inner * 3 + 2) {
    if (length % inner != 0 || length / inner > 100) continue;
    (void)m.derive({}, matmul(semiring_id::sum_product, a, sum_of, inner), {.page = page()});
    const auto x = m.source<T>({}, inner, {.page = page()});
    (void)m.derive({}, gemv(semiring_id::sum_product, sum_of, x), {.page = page()});
    (void)m.derive({}, gemv(semiring_id::sum_product, b, x), {.page = page()});
  }
}

/// Every kind of operator over arrays of `length`, with page sizes drawn at random.
template <element T>
void declare_all(model& m, std::uint64_t length, sheaf_test::random_numbers& random) {
  const auto page = [&] { return static_cast<page_class>(random() % page_class_count); };
  const auto a = m.source<T>("a", length, {.page = page()});
  const auto b = m.source<T>("b", length, {.page = page()});
  const auto one = m.source<T>("one", 1);
  const auto sum_of = m.derive("sum", combine(semiring_id::sum_product, {a, b}), {.page = page()});
  (void)m.derive("again", combine(semiring_id::sum_product, {a, a, sum_of}), {.page = page()});
  (void)m.derive("weighted",
                 combine(semiring_id::sum_product,
                         {term<T>(a, T{3}), term<T>(b, a),
                          term<T>(sum_of, element_of(b, length / 2))}),
                 {.page = page()});
  (void)m.derive("program", a * b + sum_of - one, {.page = page()});
  (void)m.derive("broadcast", a * element_of(b, length - 1), {.page = page()});
  (void)m.derive("uniform", b + T{1});
  (void)m.derive("total", sum(a), {.page = page()});
  (void)m.derive("highest", maximum_of(a * b));
  std::vector<std::uint32_t> ids(length), picks(length / 2 + 1);
  for (std::uint32_t& id : ids) id = random() % 37;
  for (std::uint32_t& pick : picks) pick = static_cast<std::uint32_t>(random() % length);
  (void)m.derive("groups", segment_reduce(semiring_id::sum_product, a, segments::from_ids(ids, 37)),
                 {.page = page()});
  (void)m.derive("picked", gather(b, picks), {.page = page()});
  const auto inner = m.derive("inner", gather(sum_of, picks), {.page = page()});
  (void)m.derive("outer", gather(inner, {0, static_cast<std::uint32_t>(length / 2), 0}));
  (void)m.derive("regrouped",
                 segment_reduce(semiring_id::max_plus, sum_of, segments::from_ids(ids, 37)));
  std::vector<std::uint32_t> offsets{0}, columns;
  for (std::uint64_t row = 0; row < length / 2 + 3; ++row) {
    for (std::uint32_t e = random() % 5; e != 0; --e) {
      columns.push_back(static_cast<std::uint32_t>(random() % length));
    }
    offsets.push_back(static_cast<std::uint32_t>(columns.size()));
  }
  columns.push_back(0), ++offsets.back();
  const auto weights = m.source<T>("weights", columns.size(), {.page = page()});
  const auto matrix = sparse_matrix::from_csr(length, offsets, columns);
  (void)m.derive("product", spmv(semiring_id::sum_product, matrix, weights, sum_of),
                 {.page = page()});
  (void)m.derive("product of a source", spmv(semiring_id::max_plus, matrix, weights, a));
  declare_products(m, length, a, b, sum_of, page);
  (void)m.derive("running", scan(semiring_id::sum_product, a), {.page = page()});
  (void)m.derive("cast", cast<std::uint32_t>(a), {.page = page()});
  (void)m.derive("wide", cast<std::int64_t>(sum_of), {.page = page()});
  (void)m.derive("counts", histogram(a, even_edges<T>(T{0}, T{40}, 40)), {.page = page()});
  if (length <= 1100) {
    (void)m.derive("sorted", sort_index(a), {.page = page()});
    (void)m.derive("first", top_k(b, length / 3 + 1), {.page = page()});
  }
  const auto left = m.declare<T>("left", length, {.page = page()});
  const auto right = m.declare<T>("right", length, {.page = page()});
  m.fixpoint<T>(semiring_id::min_plus, {{left, {a, right}}, {right, {left, sum_of}}});
  (void)m.derive_host<T>("host", length, {a, sum_of}, [](host_call&) { return status(); });
}

template <element T>
void compare_maps(std::set<operator_kind>& kinds) {
  for (const std::uint64_t length : {1, 15, 16, 17, 64, 100, 1000, 1025, 2100}) {
    for (std::uint32_t seed = 0; seed < 2; ++seed) {
      SCOPED_TRACE(testing::Message() << "length " << length << " seed " << seed);
      sheaf_test::random_numbers random(static_cast<std::uint32_t>(length) * 16 + seed);
      model m;
      declare_all<T>(m, length, random);
      mapped both(m);
      for (int round = 0; round < 4; ++round) both.compare(random, kinds);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(DirtyMap, PushAndPullNameTheLinesTheDefinitionNamesForEveryKind) {
  std::set<operator_kind> kinds;
  ASSERT_NO_FATAL_FAILURE(compare_maps<float>(kinds));
  ASSERT_NO_FATAL_FAILURE(compare_maps<std::uint8_t>(kinds));
  ASSERT_NO_FATAL_FAILURE(compare_maps<double>(kinds));
  EXPECT_EQ(kinds.size(), 21u) << "every kind of operator takes part";
}

}  // namespace
}  // namespace sheaf
