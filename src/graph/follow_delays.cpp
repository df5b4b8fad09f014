/// \file
/// Delays take the length of what they follow, loops included. A delay has no level above zero, and
/// what it follows may read it, so lengths are found before definitions are made anew: from what is
/// known without delays, round by round, as far as it reaches. A delay whose length nothing tells
/// keeps the one it has.
#include <algorithm>

#include "declaration_state.hpp"
#include "model_walk.hpp"

namespace sheaf::inline v0 {
namespace {

/// Where nothing tells a length, as yet.
constexpr std::uint64_t unknown = 0;

class delay_lengths {
 public:
  explicit delay_lengths(const model_data& data) : data_(data), lengths_(data.array_count()) {
    for (std::uint32_t i = 0; i < data.array_count(); ++i) {
      const std::uint32_t definition = data.arrays[i].definition;
      const bool is_told = definition >= refused_definition;
      lengths_[i] = is_told ? data.arrays[i].length : unknown;
    }
    const level_table levels = levels_of(data);
    for (std::uint32_t i = 0; i < data.definitions.size(); ++i) {
      if (levels.levels[data.definitions[i].result] != no_index) order_.push_back(i);
    }
    std::ranges::stable_sort(order_, {}, [&](std::uint32_t definition) {
      return levels.levels[data.definitions[definition].result];
    });
  }

  /// By array; `unknown` where nothing tells it.
  const std::vector<std::uint64_t>& find() {
    // A length goes one delay further each round.
    for (std::size_t round = 0; round <= data_.delays.size() + 1; ++round) {
      bool moved = false;
      for (const std::uint32_t definition : order_) {
        const definition_record& made = data_.definitions[definition];
        const std::uint64_t length = length_of(made);
        moved |= length != lengths_[made.result];
        lengths_[made.result] = length;
      }
      if (!moved) break;
    }
    return lengths_;
  }

 private:
  std::uint64_t length_of(const definition_record& made) const {
    switch (made.kind) {
      case operator_kind::delay: return lengths_[data_.delays[made.payload].array];
      case operator_kind::combine:
      case operator_kind::program: return length_of_aligned(made);
      case operator_kind::cast:
      case operator_kind::stencil:
      case operator_kind::scan:
      case operator_kind::fixpoint: return lengths_[operand(made, 0)];
      case operator_kind::gather_at: return lengths_[operand(made, 1)];
      case operator_kind::gemv:
      case operator_kind::matmul: return length_of_product(made);
      case operator_kind::sorted_runs:
      case operator_kind::merged_runs: return length_of_order(made);
      default: return data_.arrays[made.result].length;
    }
  }

  std::uint32_t operand(const definition_record& made, std::uint32_t which) const {
    return data_.operands[made.operand_begin + which].array;
  }

  std::uint64_t length_of_product(const definition_record& made) const {
    const std::uint64_t first = lengths_[operand(made, 0)];
    const std::uint64_t second = lengths_[operand(made, 1)];
    if (first == unknown || second == unknown) return unknown;
    if (made.kind == operator_kind::gemv) return first / second;
    const std::uint64_t inner = data_.dense[made.payload].inner;
    return (first / inner) * (second / inner);
  }

  /// Of the last step of a sort.
  std::uint64_t length_of_order(const definition_record& made) const {
    if (!data_.orders[made.payload].takes_all) return data_.arrays[made.result].length;
    const definition_record* step = &made;
    while (step->kind == operator_kind::merged_runs) {
      step = &data_.definitions[data_.arrays[operand(*step, 0)].definition];
    }
    return lengths_[operand(*step, 0)];
  }

  /// The longest operand's. One element beside something unknown says nothing.
  std::uint64_t length_of_aligned(const definition_record& made) const {
    std::uint64_t longest = 0;
    bool all_known = true;
    for (std::uint32_t i = 0; i < made.operand_count; ++i) {
      model_operand operand{0, no_index, no_index};
      if (made.uniform) operand.array = data_.operand_arrays[made.operand_begin + i];
      else operand = data_.operands[made.operand_begin + i];
      const bool meets = operand.array != no_index &&
                         (operand.element == no_index || operand.bits == implied_broadcast);
      if (!meets) continue;
      all_known &= lengths_[operand.array] != unknown;
      longest = std::max(longest, lengths_[operand.array]);
    }
    if (longest > 1 || (longest == 1 && all_known)) return longest;
    return all_known ? data_.arrays[made.result].length : unknown;
  }

  const model_data& data_;
  std::vector<std::uint64_t> lengths_;
  std::vector<std::uint32_t> order_;  ///< definitions, operands first
};

}  // namespace

void declaration_state::follow_delays() {
  const bool any = std::ranges::any_of(data->definitions, [](const definition_record& made) {
    return made.kind == operator_kind::delay;
  });
  if (!any) return;
  delay_lengths found(*data);
  const std::vector<std::uint64_t>& lengths = found.find();
  for (const definition_record& made : data->definitions) {
    if (made.kind != operator_kind::delay || lengths[made.result] == unknown) continue;
    data->arrays[made.result].length = lengths[made.result];
  }
}

}  // namespace sheaf::inline v0
