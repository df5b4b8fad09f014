/// \file
/// Which arrays a recipe reads, in which order recipes can be computed, and what becomes of lengths
/// when an operand gets another one: the rules of docs/graph_changes.md in the plainest form.
///
/// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "model/naive_engine.hpp"

namespace model_test {

/// The arrays that `recipe` computes from, each once, rising. What a delay follows is none of them.
[[nodiscard]] std::vector<std::uint32_t> reads_of(const array_recipe& recipe);
/// As `reads_of`, with what a delay follows: what must not be dropped.
[[nodiscard]] std::vector<std::uint32_t> needs_of(const array_recipe& recipe);
/// Live arrays, each behind what it reads; where possible by number.
[[nodiscard]] std::vector<std::uint32_t> order_of(const std::vector<array_recipe>& arrays);
/// True where `array` is `from`, or computed from it through others.
[[nodiscard]] std::vector<bool> reached_from(const std::vector<array_recipe>& arrays,
                                             std::uint32_t from);

/// Lengths of operands, by array: those that each was defined over, or has followed.
using operand_lengths = std::vector<std::vector<std::uint64_t>>;
[[nodiscard]] std::vector<std::uint64_t> operand_lengths_of(
    const std::vector<array_recipe>& arrays, std::uint32_t at);

/// Gives everything derived the length it has over its operands as they are, and says so in
/// `known`. False where some definition does not fit; then only part of it is done.
[[nodiscard]] bool follow_lengths(std::vector<array_recipe>& arrays, operand_lengths& known);

}  // namespace model_test
