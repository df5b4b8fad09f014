/// \file
/// How a plan is cut into stages: what the device computes, what the host, in which order, and what
/// of it a device is told.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include <sheaf/graph/model.hpp>

#include "propagate/device_sections.hpp"
#include "propagate/mixed_plan.hpp"

namespace {

using namespace sheaf;

struct cut {
  explicit cut(const model& declared)
      : graph(*declared.compile()),
        stages(*graph),
        sections(device_sections::of(*graph, stages, {})),
        view(sections->view()) {}

  [[nodiscard]] std::uint32_t node(any_array of) const {
    return graph->producer_of_array[static_cast<std::uint32_t>(of.id())] - graph->source_count();
  }
  [[nodiscard]] std::uint32_t stage(any_array of) const { return stages.stage_of_node[node(of)]; }
  [[nodiscard]] bool is_host_run(any_array of) const { return stages.is_host_run[node(of)] != 0; }

  std::shared_ptr<const plan> graph;
  device_stages stages;
  std::unique_ptr<const device_sections> sections;
  device_plan view;
};

/// sum -> order (host) -> picked -> running (host) -> last, beside a chain that the host has no
/// part in, and a scan that nobody reads.
struct zigzag {
  model declared;
  array<float> a = declared.source<float>("a", 5000);
  array<float> sum = declared.derive("sum", a + 1.0f);
  array<std::uint32_t> order = declared.derive("order", sort_index(sum));
  array<float> picked = declared.derive("picked", gather(sum, order));
  array<float> running = declared.derive("running", scan(semiring_id::max_plus, picked));
  array<float> last = declared.derive("last", running + sum);
  array<float> one = declared.derive("one", sum * 2.0f);
  array<float> two = declared.derive("two", one * one);
  array<float> three = declared.derive("three", two + one);
  array<float> unread = declared.derive("unread", scan(semiring_id::sum_product, three));
};

TEST(PlanStages, AreAsManyAsAPathChangesFromHostToDevice) {
  const zigzag of;
  const cut made(of.declared);
  EXPECT_EQ(made.stages.stage_count, 3u);
  EXPECT_EQ(made.stage(of.sum), 0u);
  EXPECT_EQ(made.stage(of.order), 0u);
  EXPECT_EQ(made.stage(of.picked), 1u);
  EXPECT_EQ(made.stage(of.running), 1u);
  EXPECT_EQ(made.stage(of.last), 2u);
  for (const any_array each : {any_array(of.one), any_array(of.two), any_array(of.three)}) {
    EXPECT_EQ(made.stage(each), 0u);
    EXPECT_FALSE(made.is_host_run(each));
  }
  EXPECT_EQ(made.stage(of.unread), 0u);
  for (const any_array each : {any_array(of.order), any_array(of.running), any_array(of.unread)}) {
    EXPECT_TRUE(made.is_host_run(each));
  }
}

TEST(PlanStages, HaveNoBatchAndNoReaderThatIsOfTheHost) {
  const zigzag of;
  const cut made(of.declared);
  const device_plan& view = made.view;
  EXPECT_EQ(view.header->stage_count, 3u);
  EXPECT_EQ(view.header->host_node_count, made.stages.host_node_count);
  std::vector<std::uint32_t> seen(view.header->node_count, 0);
  for (std::uint32_t stage = 0; stage < 3; ++stage) {
    const device_stage& known = view.stages[stage];
    EXPECT_EQ(known.level_begin, stage == 0 ? 1u : view.stages[stage - 1].level_end);
    EXPECT_EQ(known.batch_begin, stage == 0 ? 0u : view.stages[stage - 1].batch_end);
    EXPECT_EQ(known.batch_begin, view.levels[known.level_begin].batch_begin);
    EXPECT_EQ(known.batch_end, view.levels[known.level_end - 1].batch_end);
    for (std::uint32_t i = known.slot_begin; i < known.slot_end; ++i) {
      const std::uint32_t producer = view.slots[view.batch_slots[i]].producer;
      const std::uint32_t node = producer - view.header->source_count;
      EXPECT_EQ(made.stages.stage_of_node[node], stage);
      ++seen[node];
    }
  }
  EXPECT_EQ(view.stages[2].level_end, view.header->level_count);
  for (std::uint32_t node = 0; node < view.header->node_count; ++node) {
    const bool is_host_run = made.stages.is_host_run[node] != 0;
    EXPECT_EQ(seen[node] == 0, is_host_run);
    EXPECT_EQ(view.batch_of_node[node] == no_index, is_host_run);
  }
  const std::uint32_t producers = view.header->source_count + view.header->node_count;
  for (std::uint32_t i = 0; i < view.child_begin[producers]; ++i) {
    EXPECT_EQ(made.stages.is_host_run[view.children[i].node], 0);
  }
}

/// What the host computes and the device reads, behind the stage in which it is computed.
TEST(PlanStages, NameTheSlotsThatComeFromTheHost) {
  const zigzag of;
  const cut made(of.declared);
  const device_plan& view = made.view;
  std::vector<std::uint32_t> wanted;
  for (std::uint32_t stage = 0; stage < 3; ++stage) {
    std::vector<std::uint32_t> found(view.host_slots + view.stages[stage].host_begin,
                                     view.host_slots + view.stages[stage].host_end);
    std::vector<std::uint32_t> expected;
    for (std::uint32_t slot = 0; slot < view.header->slot_count; ++slot) {
      const std::uint32_t producer = view.slots[slot].producer;
      if (producer < view.header->source_count) continue;
      const std::uint32_t node = producer - view.header->source_count;
      const bool is_read = view.child_begin[producer] != view.child_begin[producer + 1];
      if (made.stages.is_host_run[node] == 0 || !is_read) continue;
      if (made.stages.stage_of_node[node] == stage) expected.push_back(slot);
    }
    EXPECT_EQ(found, expected) << stage;
    EXPECT_EQ(expected.empty(), stage == 2);
  }
}

/// Every reader of the device is told where its level is flagged.
TEST(PlanStages, KnowWhichLevelsReadALevel) {
  const zigzag of;
  const cut made(of.declared);
  const device_plan& view = made.view;
  const auto level_of = [&](std::uint32_t producer) {
    const std::uint32_t sources = view.header->source_count;
    return producer < sources ? 0 : view.batches[view.batch_of_node[producer - sources]].level;
  };
  const std::uint32_t producers = view.header->source_count + view.header->node_count;
  for (std::uint32_t producer = 0; producer < producers; ++producer) {
    if (producer >= view.header->source_count &&
        made.stages.is_host_run[producer - view.header->source_count] != 0) {
      continue;
    }
    const device_level& level = view.levels[level_of(producer)];
    for (std::uint32_t i = view.child_begin[producer]; i < view.child_begin[producer + 1]; ++i) {
      const std::uint32_t reader =
          level_of(view.header->source_count + std::uint32_t{view.children[i].node});
      EXPECT_EQ(std::count(view.consumers + level.consumer_begin,
                           view.consumers + level.consumer_end, reader),
                1);
      EXPECT_GT(reader, level_of(producer));
    }
  }
}

TEST(PlanStages, OfAPlanThatTheDeviceComputesWholeAreItsLevels) {
  zigzag of;
  model plain;
  const auto a = plain.source<float>("a", 5000);
  const auto b = plain.derive("b", a + 1.0f);
  plain.derive("c", sheaf::sum(b * 2.0f));
  const cut made(plain);
  EXPECT_FALSE(made.stages.is_mixed());
  ASSERT_EQ(made.view.header->stage_count, 1u);
  EXPECT_EQ(made.view.header->level_count, made.graph->levels.size());
  EXPECT_EQ(made.view.stages[0].level_end, made.graph->levels.size());
  EXPECT_EQ(made.view.stages[0].batch_end, made.view.header->batch_count);
  for (std::size_t level = 0; level < made.graph->levels.size(); ++level) {
    EXPECT_EQ(made.view.levels[level].consumer_begin, made.graph->levels[level].consumer_begin);
  }
}

TEST(MixedPlan, KnowsWhoReadsAcrossTheSides) {
  const zigzag of;
  const cut made(of.declared);
  const mixed_plan mixed(*made.graph, made.stages);
  const std::uint32_t sources = made.graph->source_count();
  const auto later = [&](any_array each) {
    const auto found = mixed.later_stages(sources + made.node(each));
    return std::vector<std::uint32_t>(found.begin(), found.end());
  };
  EXPECT_EQ(mixed.stage_count(), 3u);
  EXPECT_EQ(later(of.sum), (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(later(of.order), (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(later(of.running), (std::vector<std::uint32_t>{2}));
  EXPECT_EQ(later(of.one), (std::vector<std::uint32_t>{}));
  EXPECT_TRUE(mixed.host_readers(sources + made.node(of.one)).empty());
  EXPECT_FALSE(mixed.host_readers(sources + made.node(of.three)).empty());
  EXPECT_TRUE(mixed.is_on_device(sources + made.node(of.order)));
  EXPECT_FALSE(mixed.is_on_device(sources + made.node(of.unread)));
}

TEST(MixedPlan, IsPiecesThatHoldEveryNodeOnceInTheOrderOfStages) {
  const zigzag of;
  const cut made(of.declared);
  const mixed_plan mixed(*made.graph, made.stages);
  std::uint32_t next = 0;
  for (const plan_piece& piece : mixed.pieces()) {
    EXPECT_EQ(piece.node_begin, next);
    EXPECT_EQ(piece.slot_begin, made.graph->nodes[next].slot);
    for (next = piece.node_begin; next < piece.node_end; ++next) {
      EXPECT_EQ(made.stages.stage_of_node[next], piece.stage);
      EXPECT_EQ(made.stages.is_host_run[next] != 0, piece.is_host_run);
    }
  }
  EXPECT_EQ(next, made.graph->eager_node_count);
  std::size_t pieces = 0;
  for (std::uint32_t stage = 0; stage < mixed.stage_count(); ++stage) {
    std::uint32_t level = 0;
    for (const std::uint32_t index : mixed.host_pieces(stage)) {
      EXPECT_TRUE(mixed.pieces()[index].is_host_run);
      EXPECT_EQ(mixed.pieces()[index].stage, stage);
      EXPECT_GE(mixed.pieces()[index].level, level);
      level = mixed.pieces()[index].level;
      ++pieces;
    }
  }
  EXPECT_EQ(pieces, static_cast<std::size_t>(std::ranges::count(mixed.pieces(), true,
                                                               &plan_piece::is_host_run)));
}

}  // namespace
