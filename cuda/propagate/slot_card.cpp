#include "cuda/propagate/slot_card.hpp"

#include <algorithm>

#include "cuda/propagate/run_state.hpp"

namespace sheaf::inline v0 {

namespace {

void put_children(const device_plan& plan, const device_slot& at, slot_card& card) {
  const std::uint32_t begin = plan.child_begin[at.producer];
  const std::uint32_t count = plan.child_begin[at.producer + 1] - begin;
  const device_child* const children = plan.children + begin;
  const bool is_short = count <= card_children &&
                        std::all_of(children, children + count, [](const device_child& child) {
                          return child.is_uniform != 0;
                        });
  card.child_count = is_short ? static_cast<std::uint8_t>(count) : many_children;
  if (!is_short) return;
  for (std::uint32_t i = 0; i < count; ++i) card.children[i] = children[i].slot + at.page;
}

void put_operation(const device_plan& plan, const device_slot& at,
                   std::span<const std::uint32_t> frames, slot_card& card) {
  card.node = at.producer - plan.header->source_count;
  card.batch = plan.batch_of_node[card.node];
  const plan_node& node = plan.nodes[card.node];
  const plan_operation& op = plan.operations[node.operation];
  card.type = op.type;
  card.semiring = op.semiring;
  const std::uint64_t each = bytes_of(op.page) >> element_shift_of(op.type);
  card.elements = static_cast<std::uint16_t>(std::min(each, op.length - at.page * each));
  card.level =
      card.batch == no_index ? 0 : static_cast<std::uint16_t>(plan.batches[card.batch].level);
  card.body = card_body::elsewhere;
  if (card.batch == no_index) return;
  if (op.kind == operator_kind::program) card.body = card_body::program;
  if (op.kind != operator_kind::combine) return;
  card.body = card_body::combine;
  if (!op.uniform || op.weighted || op.operand_count > card_operands) return;
  card.body = card_body::direct;
  card.operand_count = static_cast<std::uint8_t>(op.operand_count);
  for (std::uint32_t k = 0; k < op.operand_count; ++k) {
    card.operands[k] = frames[plan.operands[node.operand_begin + k] + at.page];
  }
}

}  // namespace

std::vector<slot_card> make_cards(const device_plan& plan, std::span<const std::uint32_t> frames,
                                  std::span<const page_class> classes) {
  std::vector<slot_card> cards;
  if (plan.header->level_count > card_levels_max) return cards;
  cards.resize(plan.header->slot_count);
  for (std::uint32_t slot = 0; slot < plan.header->slot_count; ++slot) {
    const device_slot& at = plan.slots[slot];
    slot_card& card = cards[slot];
    card.frame = frames[slot];
    card.page = at.page;
    card.node = no_index;
    card.batch = no_index;
    card.size = classes[slot];
    card.is_observed = at.is_observed;
    put_children(plan, at, card);
    if (at.producer >= plan.header->source_count) put_operation(plan, at, frames, card);
  }
  return cards;
}

}  // namespace sheaf::inline v0
