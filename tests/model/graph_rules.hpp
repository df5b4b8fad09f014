/// \file
/// Which arrays a recipe reads, in which order recipes can be computed, and what becomes of lengths
/// when an operand gets another one: the rules of docs/graph_changes.md in the plainest form.
///
/// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
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

/// The length of `arrays[at]` where it follows its operands as they are; none where it cannot.
[[nodiscard]] std::optional<std::uint64_t> length_over(const std::vector<array_recipe>& arrays,
                                                       std::uint32_t at);
/// True where the engine promises to follow; elsewhere it may answer `unsupported`.
[[nodiscard]] bool follows(const std::vector<array_recipe>& arrays, std::uint32_t at);

}  // namespace model_test
