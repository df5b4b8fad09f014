/// \file
/// Small walks over `model_data` that checks, compiler and DOT writer share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sheaf/graph/model_data.hpp>

namespace sheaf::inline v0 {

/// Brings the name index up to date. O(arrays declared since the last call).
void index_names(model_data& data);

/// Calls `visitor(array)` for every operand that is an array, in order, repeats included.
template <class Visitor>
void for_each_operand(const model_data& data, const definition_record& definition,
                      Visitor&& visitor) {
  for (std::uint32_t i = 0; i < definition.operand_count; ++i) {
    const std::uint32_t at = definition.operand_begin + i;
    if (definition.uniform) {
      visitor(data.operand_arrays[at]);
    } else if (data.operands[at].array != no_index) {
      visitor(data.operands[at].array);
    }
  }
}

/// True where `array` is a delay: its level is 0, and the engine writes it.
[[nodiscard]] inline bool is_delay(const model_data& data, const array_record& array) noexcept {
  return !data.delays.empty() && array.definition < refused_definition &&
         data.definitions[array.definition].kind == operator_kind::delay;
}
/// What the delay `array` follows.
[[nodiscard]] inline const delay_record& delay_of(const model_data& data,
                                                  const array_record& array) noexcept {
  return data.delays[data.definitions[array.definition].payload];
}

/// Levels of all arrays by their definitions alone, and the definitions that have none because they
/// lie on a cycle or behind one.
struct level_table {
  std::vector<std::uint32_t> levels;   ///< by array; no_index where there is none
  std::vector<std::uint32_t> blocked;  ///< definition indices, rising
};
/// O(arrays + operands), no recursion.
[[nodiscard]] level_table levels_of(const model_data& data);

/// One message per group of definitions that depend on each other; `blocked` as above.
[[nodiscard]] std::vector<status> cycles_among(const model_data& data,
                                               const std::vector<std::uint32_t>& blocked);

/// The mistakes that only the whole model shows, without cycles; appended to `found`.
void check_whole(const model_data& data, std::vector<status>& found);

}  // namespace sheaf::inline v0
