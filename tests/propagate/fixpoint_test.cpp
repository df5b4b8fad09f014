/// \file
/// The parts of `fixpoint`: bodies agree on every instruction set, the order of components holds
/// while edges come and go, and a solver that is updated holds what one from scratch holds.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "model/dice.hpp"
#include "propagate/fixpoint/solver.hpp"

namespace propagate_test {
namespace {

using namespace sheaf;  // NOLINT: tests of one library
using model_test::dice;

std::uint64_t seed_of(std::uint64_t usual) {
  const char* given = std::getenv("SHEAF_SEED");
  return given == nullptr ? usual : std::strtoull(given, nullptr, 10);
}

constexpr unsigned row_lines = 9;
using test_row = std::vector<row_line>;

template <element T>
test_row canonical_row(dice& any) {
  test_row row(row_lines);
  for (row_line& line : row) {
    for (unsigned i = 0; i < line_size / sizeof(T); ++i) {
      const T value = canonical(any.value<T>());
      std::memcpy(line.bytes + i * sizeof(T), &value, sizeof value);
    }
  }
  return row;
}
bool same(const test_row& a, const test_row& b) {
  return std::memcmp(a.data(), b.data(), row_lines * line_size) == 0;
}

template <element T>
void expect_agreement(semiring_id id) {
  const fixpoint_kernels* plain = fixpoint_kernels_of(isa::scalar, id, dtype_of<T>);
  for (const isa set : {isa::avx2, isa::avx512}) {
    const fixpoint_kernels* wide = fixpoint_kernels_of(set, id, dtype_of<T>);
    if (!is_available(set)) continue;
    ASSERT_EQ(wide == nullptr, plain == nullptr) << name_of(id);
    if (plain == nullptr) return;
    const std::uint64_t seed = seed_of(77);
    dice any(seed);
    for (int round = 0; round < 60; ++round) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " " + std::string(name_of(id)));
      const test_row to = canonical_row<T>(any), from = canonical_row<T>(any),
                     after = any.chance(50) ? canonical_row<T>(any) : from,
                     kept = canonical_row<T>(any);
      const T weight_value = any.value<T>();
      const auto* weight =
          any.chance(30) ? nullptr : reinterpret_cast<const std::byte*>(&weight_value);
      const line_mask lines = any.word() & first_lines(row_lines);
      const auto* was = from.front().bytes;
      const auto* now = any.chance(30) ? nullptr : after.front().bytes;
      const auto* keep = any.chance(50) ? nullptr : kept.front().bytes;
      test_row a = to, b = to;
      EXPECT_EQ(plain->relax(a.front().bytes, was, weight, lines),
                wide->relax(b.front().bytes, was, weight, lines));
      EXPECT_TRUE(same(a, b));
      // What was relaxed has something to take out again.
      EXPECT_EQ(plain->supported(a.front().bytes, was, now, weight, lines),
                wide->supported(b.front().bytes, was, now, weight, lines));
      const row_difference d = plain->difference(to.front().bytes, a.front().bytes, lines);
      const row_difference e = wide->difference(to.front().bytes, a.front().bytes, lines);
      EXPECT_EQ(d.changed, e.changed);
      EXPECT_EQ(d.lost, e.lost);
      EXPECT_EQ(d.gained, e.gained);
      EXPECT_EQ(d.lost, 0u) << "relaxing makes nothing worse";
      EXPECT_EQ(plain->retract(a.front().bytes, was, now, weight, keep, lines),
                wide->retract(b.front().bytes, was, now, weight, keep, lines));
      EXPECT_TRUE(same(a, b));
      plain->clear(a.front().bytes, lines);
      wide->clear(b.front().bytes, lines);
      EXPECT_TRUE(same(a, b));
    }
  }
}

TEST(FixpointBodies, GiveTheSameBitsOnEveryInstructionSet) {
  for (unsigned id = 0; id < semiring_count; ++id) {
    const auto ring = static_cast<semiring_id>(id);
    expect_agreement<float>(ring);
    expect_agreement<double>(ring);
    expect_agreement<std::int32_t>(ring);
    expect_agreement<std::int64_t>(ring);
    expect_agreement<std::uint8_t>(ring);
    expect_agreement<std::uint32_t>(ring);
    expect_agreement<std::uint64_t>(ring);
  }
}

TEST(FixpointBodies, ExistWherePlusIsIdempotentAndTimesMonotone) {
  const auto exists = [](semiring_id id, dtype type) {
    return fixpoint_kernels_of(isa::scalar, id, type) != nullptr;
  };
  EXPECT_TRUE(exists(semiring_id::or_and, dtype::u64));
  EXPECT_TRUE(exists(semiring_id::max_times, dtype::f32));
  EXPECT_FALSE(exists(semiring_id::max_times, dtype::i32)) << "products wrap";
  EXPECT_FALSE(exists(semiring_id::sum_product, dtype::f32));
  EXPECT_FALSE(exists(semiring_id::xor_and, dtype::u8));
  EXPECT_FALSE(exists(semiring_id::or_and, dtype::f32));
}

/// Invariants of `component_order` after a refresh, in the plainest way.
void expect_ordered(const component_order& order, const edge_lists& edges) {
  for (std::uint32_t v = 0; v < edges.vertices(); ++v) {
    ASSERT_EQ(order.vertex_at(order.place_of(v)), v);
    const component_order::range own = order.component_at(order.place_of(v));
    ASSERT_LE(own.begin, order.place_of(v));
    ASSERT_LT(order.place_of(v), own.end);
    for (const arc& edge : edges.out(v)) {
      const component_order::range other = order.component_at(order.place_of(edge.vertex));
      ASSERT_TRUE(order.same_component(v, edge.vertex) || own.end <= other.begin)
          << v << " to " << edge.vertex;
    }
  }
}

TEST(ComponentOrder, LeadsForwardAfterEveryRefresh) {
  const std::uint64_t seed = seed_of(4'711);
  for (std::uint64_t round = 0; round < 30; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed + round));
    dice any(seed + round);
    const auto vertices = static_cast<std::uint32_t>(any.between(1, 60));
    const auto capacity = static_cast<std::uint32_t>(any.between(1, 120));
    edge_lists edges(vertices, capacity);
    component_order order(vertices);
    for (int step = 0; step < 200; ++step) {
      const auto e = static_cast<std::uint32_t>(any.below(capacity));
      if (edges.has(e)) {
        order.note_erased(edges.from(e), edges.to(e));
        edges.erase(e);
      } else {
        const auto from = static_cast<std::uint32_t>(any.below(vertices));
        const auto to = static_cast<std::uint32_t>(any.below(vertices));
        edges.insert(e, from, to);
        order.note_inserted(from, to);
      }
      if (!any.chance(40)) continue;
      order.refresh(edges);
      expect_ordered(order, edges);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(ComponentOrder, FindsTheComponentsThatAreThere) {
  edge_lists edges(6, 8);
  component_order order(6);
  const std::uint32_t ends[][2] = {{5, 4}, {4, 3}, {3, 5}, {3, 0}, {0, 1}, {1, 0}};
  for (std::uint32_t e = 0; e < 6; ++e) {
    edges.insert(e, ends[e][0], ends[e][1]);
    order.note_inserted(ends[e][0], ends[e][1]);
  }
  order.refresh(edges);
  EXPECT_TRUE(order.same_component(5, 4) && order.same_component(4, 3));
  EXPECT_TRUE(order.same_component(0, 1));
  EXPECT_FALSE(order.same_component(0, 3));
  EXPECT_FALSE(order.same_component(2, 0));
  order.note_erased(edges.from(1), edges.to(1));
  edges.erase(1);
  order.refresh(edges);
  EXPECT_FALSE(order.same_component(5, 4) || order.same_component(4, 3)) << "it fell apart";
  EXPECT_TRUE(order.same_component(0, 1));
}

/// A solver that is updated, on rows of more than 64 lines.
TEST(FixpointSolver, UpdatedHoldsWhatOneFromScratchHolds) {
  const std::uint64_t seed = seed_of(99);
  for (std::uint64_t round = 0; round < 40; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed + round));
    dice any(seed + round);
    const fixpoint_size size{.vertices = static_cast<std::uint32_t>(any.between(2, 12)),
                             .edge_capacity = 40,
                             .row_lines = static_cast<std::uint32_t>(any.between(1, 130)),
                             .weight_bytes = 4,
                             .iterations_max = 0,
                             .zero_annihilates = true};
    const fixpoint_kernels& bodies =
        *fixpoint_kernels_of(isa::scalar, semiring_id::min_plus, dtype::u32);
    fixpoint_solver kept(size, bodies);
    std::vector<edge_change> known(size.edge_capacity);
    for (std::uint32_t e = 0; e < size.edge_capacity; ++e) {
      known[e] = {e, 0, 0, no_vertex, no_vertex, 0, 0};
    }
    std::vector<row_line> base(kept.line_count());
    std::memset(kept.base_line(0), 0, base.size() * line_size);
    std::memset(base.data(), 0, base.size() * line_size);
    ASSERT_TRUE(kept.solve().converged);
    for (int commit = 0; commit < 30; ++commit) {
      fixpoint_changes changes;
      changes.retracts = true;
      const std::uint64_t line = any.below(base.size());
      for (std::byte& byte : base[line].bytes) byte = static_cast<std::byte>(any.below(3));
      changes.base_lines = {line};
      changes.base_content = {base[line]};
      edge_change& edge = known[any.below(size.edge_capacity)];
      edge.old_from = edge.new_from;
      edge.old_to = edge.new_to;
      edge.old_weight = edge.new_weight;
      const bool gone = any.chance(40);
      edge.new_from = gone ? no_vertex : static_cast<std::uint32_t>(any.below(size.vertices));
      edge.new_to = gone ? no_vertex : static_cast<std::uint32_t>(any.below(size.vertices));
      edge.new_weight = any.below(3);
      changes.edges = {edge};
      ASSERT_TRUE(kept.update(changes).converged);
      fixpoint_solver anew(size, bodies);
      std::memcpy(anew.base_line(0), base.data(), base.size() * line_size);
      for (const edge_change& one : known) {
        anew.set_edge(one.edge, one.new_from, one.new_to, one.new_weight);
      }
      ASSERT_TRUE(anew.solve().converged);
      ASSERT_EQ(std::memcmp(kept.rows(), anew.rows(), base.size() * line_size), 0)
          << "commit " << commit;
    }
  }
}

}  // namespace
}  // namespace propagate_test
