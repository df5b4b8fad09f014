/// \file
/// Cards say what the plan says.
#include "cuda/propagate/slot_card.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include <sheaf/graph/model.hpp>

#include "propagate/device_sections.hpp"

namespace {

using namespace sheaf;

class Cards : public testing::Test {
 protected:
  /// Frames in an order of their own, so that a slot in place of a frame shows.
  void make() {
    auto compiled = declared.compile();
    ASSERT_TRUE(compiled) << compiled.error().message();
    graph = *compiled;
    sections = device_sections::of(*graph, device_stages(*graph), {});
    plan = device_plan_at(sections->sections().data());
    frames.resize(plan.header->slot_count);
    std::iota(frames.rbegin(), frames.rend(), 100u);
    for (std::uint32_t slot = 0; slot < plan.header->slot_count; ++slot) {
      const std::uint32_t producer = plan.slots[slot].producer;
      classes.push_back(
          producer < plan.header->source_count
              ? page_class{plan.source_pages[producer]}
              : plan.operations[plan.nodes[producer - plan.header->source_count].operation].page);
    }
    cards = make_cards(plan, frames, classes);
    ASSERT_EQ(cards.size(), plan.header->slot_count);
  }
  /// The first slot of a node of this kind with so many operands.
  std::uint32_t slot_of(operator_kind kind, std::uint32_t operands) const {
    for (std::uint32_t node = 0; node < plan.header->node_count; ++node) {
      const plan_operation& op = plan.operations[plan.nodes[node].operation];
      if (op.kind == kind && op.operand_count == operands) return plan.nodes[node].slot;
    }
    ADD_FAILURE() << "no such node";
    return 0;
  }

  model declared;
  std::shared_ptr<const sheaf::plan> graph;
  std::unique_ptr<const device_sections> sections;
  device_plan plan{};
  std::vector<std::uint32_t> frames;
  std::vector<page_class> classes;
  std::vector<slot_card> cards;
};

TEST_F(Cards, NameTheFramesOfAllOperandsOfAShortSum) {
  std::vector<array<float>> sources;
  for (unsigned i = 0; i < 3; ++i) {
    sources.push_back(declared.source<float>("", 3000, {.page = page_class::b4k}));
  }
  declared.derive("", combine(semiring_id::min_plus, std::span<const array<float>>(sources)),
                  {.page = page_class::b4k});
  make();
  const std::uint32_t first = slot_of(operator_kind::combine, 3);
  for (std::uint32_t page = 0; page < 3; ++page) {
    const slot_card& card = cards[first + page];
    EXPECT_EQ(card.body, card_body::direct);
    EXPECT_EQ(card.semiring, semiring_id::min_plus);
    EXPECT_EQ(card.type, dtype::f32);
    EXPECT_EQ(card.size, page_class::b4k);
    EXPECT_EQ(card.page, page);
    EXPECT_EQ(card.level, 1);
    EXPECT_EQ(card.frame, frames[first + page]);
    EXPECT_EQ(card.elements, page == 2 ? 3000 - 2048 : 1024);
    EXPECT_EQ(card.child_count, 0);
    ASSERT_EQ(card.operand_count, 3);
    for (unsigned k = 0; k < 3; ++k) EXPECT_EQ(card.operands[k], frames[3 * k + page]);
  }
  for (std::uint32_t slot = 0; slot < first; ++slot) {
    EXPECT_EQ(cards[slot].body, card_body::none);
    ASSERT_EQ(cards[slot].child_count, 1);
    EXPECT_EQ(cards[slot].children[0], first + slot % 3);
  }
}

TEST_F(Cards, LeaveWhatTheyCannotHoldToThePlan) {
  const auto a = declared.source<float>("a", 100, {.page = page_class::b512});
  std::vector<array<float>> five;
  for (unsigned i = 0; i < 5; ++i) five.push_back(declared.derive("", a + static_cast<float>(i)));
  const auto six = declared.source<float>("six", 100, {.page = page_class::b512});
  for (unsigned i = 0; i < 6; ++i) declared.derive("", six + static_cast<float>(i));
  const auto wide =
      declared.derive("", combine(semiring_id::sum_product, std::span<const array<float>>(five)));
  declared.derive("", sum(wide));
  make();
  EXPECT_EQ(cards[0].child_count, 5);
  EXPECT_EQ(cards[1].child_count, many_children);
  EXPECT_EQ(cards[slot_of(operator_kind::combine, 5)].body, card_body::combine);
  EXPECT_EQ(cards[slot_of(operator_kind::combine, 5)].child_count, many_children);
  EXPECT_EQ(cards[slot_of(operator_kind::fold_lines, 1)].body, card_body::elsewhere);
}

TEST_F(Cards, KnowTheirLevel) {
  auto last = declared.source<double>("", 8);
  for (unsigned i = 0; i < 7; ++i) last = declared.derive("", last + last);
  make();
  for (std::uint32_t slot = 0; slot < 8; ++slot) EXPECT_EQ(cards[slot].level, slot);
  EXPECT_EQ(cards[7].elements, 8);
}

}  // namespace
