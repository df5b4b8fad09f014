/// \file
/// All that one block needs to take a changed line through a page, in one 64-byte read: where the
/// page and its operands lie, what it computes, and which pages read it.
///
/// Cards repeat what the plan says by index. A small commit is a chain of dependent reads, and a
/// plan read by reference is five of them a level where a card is one.
///
/// Thread safety: constant data.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <sheaf/propagate/device_plan.hpp>

namespace sheaf::inline v0 {

enum class card_body : std::uint8_t {
  none,      ///< a source
  direct,    ///< an unweighted uniform combine of at most `card_operands` operands
  combine,   ///< any other combine
  program,   ///< a line program
  elsewhere  ///< a kind that a small commit leaves to the kernels of batches
};

inline constexpr unsigned card_operands = 4;
inline constexpr unsigned card_children = 5;

struct alignas(64) slot_card {
  std::uint32_t frame;
  std::uint32_t operands[card_operands];  ///< direct: frames
  std::uint32_t page;                     ///< of the array
  std::uint32_t node;
  std::uint32_t batch;
  std::uint16_t level;  ///< of the plan; sources 0
  card_body body;
  page_class size;
  dtype type;
  semiring_id semiring;
  std::uint8_t operand_count;  ///< direct
  /// How many pages read this one, all by equal lines of an equal page; `many_children`: see the
  /// plan.
  std::uint8_t child_count;
  std::uint8_t is_observed;
  std::uint8_t reserved;
  std::uint16_t elements;                 ///< of the page that are in the array
  std::uint32_t children[card_children];  ///< slots
};
static_assert(sizeof(slot_card) == 64);
inline constexpr std::uint8_t many_children = 0xff;
inline constexpr std::uint32_t card_levels_max = 0xffff;

/// The card of every slot of `plan`, in host memory, whose pages lie in `frames`, by slot; none
/// where the plan has more than `card_levels_max` levels. O(slots + children). Throws
/// std::bad_alloc.
[[nodiscard]] std::vector<slot_card> make_cards(const device_plan& plan,
                                                std::span<const std::uint32_t> frames,
                                                std::span<const page_class> classes);

}  // namespace sheaf::inline v0
