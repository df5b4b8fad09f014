/// \file
/// Derived arrays follow the lengths of their operands: in order of level, each definition whose
/// operands have other lengths than before is made anew over them.
///
/// | kind                 | how it follows |
/// |----------------------|----------------|
/// | combine, program     | the longest operand gives the length; a single element meets all |
/// | reduce               | inner arrays get the sizes of the new tree, with levels on top or off |
/// | segment_fold, gather | the items stay; they must lie inside the operand |
/// | host                 | its length is its own |
/// | delay                | what it follows gives the length (follow_delays.cpp) |
/// | cast, gather by array, stencil, products, fixpoint | one step anew (follow_steps.cpp) |
/// | scan, histogram, sort, top_k | all of their steps anew (follow_steps.cpp) |
/// | fixpoint groups      | not: they are to be redefined |
///
/// What cannot follow is a mistake of the whole, not of a call: a later call may mend it.
#include "length_follower.hpp"

#include <algorithm>
#include <sheaf/algebra/fold_tree.hpp>

#include "definer.hpp"
#include "model_walk.hpp"

namespace sheaf::inline v0 {
namespace {

using ull = unsigned long long;

}  // namespace

void length_follower::run() {
  std::vector<std::uint32_t> again = std::move(state_.stuck);
  std::ranges::sort(again);
  state_.stuck.clear();
  state_.stuck_mistakes.clear();
  for (const std::uint32_t array : in_order()) {
    const std::uint32_t index = data().arrays[array].definition;
    if (index >= refused_definition || redone_.contains(array)) continue;
    const definition_record made = data().definitions[index];
    bool concerned = std::ranges::binary_search(again, array);
    for_each_operand(data(), made, [&](std::uint32_t operand) {
      concerned |= has_moved(operand);
    });
    if (concerned) follow(index, made);
  }
}

bool length_follower::has_moved(std::uint32_t array) {
  return array < state_.settled_lengths.size() &&
         state_.settled_lengths[array] != data().arrays[array].length;
}

std::vector<std::uint32_t> length_follower::in_order() {
  const level_table levels = levels_of(data());
  std::vector<std::uint32_t> order;
  for (const definition_record& made : data().definitions) {
    if (levels.levels[made.result] != no_index) order.push_back(made.result);
  }
  std::ranges::stable_sort(order, {}, [&](std::uint32_t array) { return levels.levels[array]; });
  return order;
}

void length_follower::stick(std::uint32_t array, const status& why) {
  state_.stuck.push_back(array);
  state_.stuck_mistakes.push_back(why);
}

std::string length_follower::shown(std::uint32_t array) {
  while (data().arrays[array].kind == array_kind::hidden) array = data().arrays[array].name_begin;
  return data().name_of(array_id{array});
}

std::string length_follower::shown_operand(std::uint32_t array) {
  while (data().arrays[array].kind == array_kind::hidden &&
         data().arrays[array].definition < refused_definition) {
    std::uint32_t moved = no_index;
    for_each_operand(data(), data().definitions[data().arrays[array].definition],
                     [&](std::uint32_t operand) {
                       if (moved == no_index || has_moved(operand)) moved = operand;
                     });
    if (moved == no_index) break;
    array = moved;
  }
  return shown(array);
}

model_operand length_follower::operand_of(const definition_record& made, std::uint32_t which) {
  if (!made.uniform) return data().operands[made.operand_begin + which];
  return {0, data().operand_arrays[made.operand_begin + which], no_index};
}

void length_follower::forget(std::uint32_t array) {
  data().definitions[data().arrays[array].definition].result = no_index;
  state_.has_gaps = true;
  data().forward_declared = true;
}

void length_follower::follow(std::uint32_t index, const definition_record& made) {
  switch (made.kind) {
    case operator_kind::combine:
    case operator_kind::program: return follow_aligned(made);
    case operator_kind::fold_lines: return follow_fold(made);
    case operator_kind::segment_fold:
    case operator_kind::gather: return follow_table(index, made);
    case operator_kind::host:
    case operator_kind::delay: return;
    case operator_kind::cast:
      return follow_step(made, length_of(operand_array(made, 0)), made.payload, false);
    case operator_kind::stencil: return follow_stencil(made);
    case operator_kind::spmv: return follow_spmv(made);
    case operator_kind::gemv: return follow_gemv(made);
    case operator_kind::matmul: return follow_matmul(made);
    case operator_kind::gather_at: return follow_gather_at(made);
    case operator_kind::scan_totals:
    case operator_kind::scan:
    case operator_kind::bin_counts:
    case operator_kind::row_sums:
    case operator_kind::sorted_runs:
    case operator_kind::merged_runs: return follow_chain(made);
    case operator_kind::fixpoint: return follow_fixpoint(made);
    case operator_kind::fold_blocks:
    case operator_kind::slice: return refuse(made);
  }
}

/// For want of a rule.
void length_follower::refuse(const definition_record& made) {
  std::uint32_t moved = no_index;
  for_each_operand(data(), made, [&](std::uint32_t operand) {
    if (moved == no_index || has_moved(operand)) moved = operand;
  });
  stick(made.result,
        make_status(status_code::unsupported, subsystem::graph,
                    "an array cannot follow the length of what it reads, redefine it in the same "
                    "transaction",
                    "'%s', which reads '%s' of %llu elements", shown(made.result).c_str(),
                    shown_operand(moved).c_str(), static_cast<ull>(length_of(moved))));
}

void length_follower::follow_aligned(const definition_record& made) {
  const status fault = fault_of_lengths(made);
  if (!fault.is_ok()) return stick(made.result, fault);
  forget(made.result);
  definer again(state_, made.result, false, data().arrays[made.result].page);
  if (again.follow_aligned(made)) data().redefined.push_back(made.result);
}

status length_follower::fault_of_lengths(const definition_record& made) {
  std::uint32_t longest = no_index;
  for (std::uint32_t i = 0; i < made.operand_count; ++i) {
    const model_operand operand = operand_of(made, i);
    if (operand.array == no_index) continue;
    const std::uint64_t length = data().arrays[operand.array].length;
    if (operand.element != no_index && operand.bits != implied_broadcast) {
      if (operand.element < length) continue;
      return make_status(status_code::out_of_range, subsystem::graph,
                         "an element past the end of its array",
                         "element %u of '%s', which has %llu, in the definition of '%s'",
                         operand.element, shown(operand.array).c_str(),
                         static_cast<ull>(length), shown(made.result).c_str());
    }
    if (length == 1) continue;
    if (longest == no_index) longest = operand.array;
    const std::uint64_t other = data().arrays[longest].length;
    if (other == length) continue;
    return make_status(status_code::length_mismatch, subsystem::graph,
                       "operands of different lengths meet",
                       "'%s' has %llu elements, '%s' has %llu, in the definition of '%s'",
                       shown(longest).c_str(), static_cast<ull>(other),
                       shown(operand.array).c_str(), static_cast<ull>(length),
                       shown(made.result).c_str());
  }
  return {};
}

/// The reduction that the inner array `made.result` belongs to, as a whole.
void length_follower::follow_fold(const definition_record& made) {
  const array_record& record = data().arrays[made.result];
  const std::uint32_t owner =
      record.kind == array_kind::hidden ? record.name_begin : made.result;
  std::vector<std::uint32_t> partials;
  std::uint32_t at = owner;
  while (at != made.result) {
    const definition_record& above = data().definitions[data().arrays[at].definition];
    if (above.kind != operator_kind::fold_blocks) break;
    at = data().operands[above.operand_begin].array;
    partials.insert(partials.begin(), at);
  }
  if (at != made.result) return refuse(made);
  const std::uint32_t operand = operand_of(made, 0).array;
  redone_.insert(owner);
  redone_.insert(partials.begin(), partials.end());
  definer again(state_, owner, true, std::nullopt);
  if (again.follow_fold(operand, made.semiring, partials)) data().redefined.push_back(owner);
}

void length_follower::follow_table(std::uint32_t index, const definition_record& made) {
  const index_table& table = *data().tables[made.payload];
  const std::uint32_t operand = operand_of(made, 0).array;
  const std::uint64_t length = data().arrays[operand].length;
  const std::uint64_t known = table.reach_offsets.size() - 1;
  if (length == known) return;
  if (length < known && table.reach_offsets[length] != table.reach_offsets[known]) {
    std::uint64_t last = known;
    while (table.reach_offsets[last - 1] == table.reach_offsets[known]) --last;
    return stick(made.result,
                 make_status(status_code::out_of_range, subsystem::graph,
                             made.kind == operator_kind::gather
                                 ? "an index of gather is past the end of the operand"
                                 : "a member of a segment is past the end of the operand",
                             "element %llu of '%s', which has %llu, in the definition of '%s'",
                             static_cast<ull>(last - 1), shown_operand(operand).c_str(),
                             static_cast<ull>(length), shown(made.result).c_str()));
  }
  const auto [place, is_new] = tables_.try_emplace({made.payload, length}, no_index);
  if (is_new) {
    auto longer = std::make_shared<index_table>(table);
    longer->reach_offsets.resize(static_cast<std::size_t>(length) + 1,
                                 table.reach_offsets[known]);
    place->second = static_cast<std::uint32_t>(data().tables.size());
    data().tables.push_back(std::move(longer));
  }
  data().definitions[index].payload = place->second;
  state_.has_gaps = true;
}

void declaration_state::follow_lengths() {
  close_gaps();
  if (settled_lengths.empty()) {
    for (const array_record& record : data->arrays) settled_lengths.push_back(record.length);
  }
  follow_delays();
  length_follower(*this).run();
  settled_lengths.clear();
  lengths_moved = false;
}

bool definer::follow_aligned(const definition_record& before) {
  state_.scratch.clear();
  std::uint64_t length = 1;
  bool was_aligned = false;
  for (std::uint32_t i = 0; i < before.operand_count; ++i) {
    model_operand operand =
        before.uniform
            ? model_operand{0, data_.operand_arrays[before.operand_begin + i], no_index}
            : data_.operands[before.operand_begin + i];
    was_aligned |= operand.array != no_index && operand.element == no_index;
    const bool meets = operand.array != no_index &&
                       (operand.element == no_index || operand.bits == implied_broadcast);
    if (meets) length = std::max(length, data_.arrays[operand.array].length);
    state_.scratch.push_back(operand);
  }
  if (length == 1 && !was_aligned) length = record().length;
  bool meets_otherwise = false;
  for (model_operand& operand : state_.scratch) {
    const bool implied = operand.element != no_index && operand.bits == implied_broadcast;
    if (operand.array == no_index || (operand.element != no_index && !implied)) continue;
    const bool broadcast = data_.arrays[operand.array].length != length;
    meets_otherwise |= broadcast != implied;
    operand.element = broadcast ? 0 : no_index;
    operand.bits = broadcast ? implied_broadcast : 0;
  }
  definition_record made = before;
  made.operand_begin = made.operand_count = 0;
  settle(made, length, true);
  return meets_otherwise;
}

bool definer::follow_fold(std::uint32_t operand, semiring_id semiring,
                          std::span<const std::uint32_t> partials) {
  const fold_tree_shape shape = shape_of_fold_tree(data_.arrays[operand].length, type_);
  const bool base_is_inner = data_.arrays[operand].kind == array_kind::hidden &&
                             data_.arrays[operand].name_begin == result_;
  if (base_is_inner) hidden_count_ = data_.arrays[operand].name_size + 1;
  for (const std::uint32_t partial : partials) {
    hidden_count_ = std::max(hidden_count_, data_.arrays[partial].name_size + 1);
  }
  const auto forget = [&](std::uint32_t array) {
    data_.definitions[data_.arrays[array].definition].result = no_index;
    state_.has_gaps = true;
  };
  forget(result_);
  for (const std::uint32_t partial : partials) forget(partial);
  data_.forward_declared = true;
  // A block of 64 elements is read from one page.
  const auto holds_blocks = [&](const array_record& partial, std::uint64_t length) {
    return bytes_of(partial.page) >> size_shift(type_) >= fold_block_items_max ||
           page_count_of(length, type_, partial.page) == 1;
  };
  bool reads_another = false;
  for (std::size_t level = 0; level + 1 < shape.levels; ++level) {
    const std::uint64_t length = shape.sizes[level];
    std::uint32_t partial = level < partials.size() ? partials[level] : no_index;
    if (partial != no_index && !holds_blocks(data_.arrays[partial], length)) {
      data_.arrays[partial].definition = no_definition;
      state_.bury(partial);
      partial = no_index;
    }
    if (partial != no_index && reads_another) data_.redefined.push_back(partial);
    if (partial == no_index) {
      partial = add_hidden(length);
      reads_another = true;
    }
    data_.arrays[partial].length = length;
    definer(state_, partial, true, std::nullopt)
        .define_fold(level == 0 ? operator_kind::fold_lines : operator_kind::fold_blocks, semiring,
                     operand, length, no_index);
    operand = partial;
  }
  for (std::size_t level = shape.levels - 1; level < partials.size(); ++level) {
    data_.arrays[partials[level]].definition = no_definition;
    state_.bury(partials[level]);
  }
  define_fold(shape.levels == 1 ? operator_kind::fold_lines : operator_kind::fold_blocks, semiring,
              operand, 1, no_index);
  return reads_another || shape.levels != partials.size() + 1;
}

}  // namespace sheaf::inline v0
