/// \file
/// scan: totals of blocks level by level, their carries back down, then the result.
#include <algorithm>

#include <sheaf/algebra/scan_order.hpp>

#include "graph/definer.hpp"

namespace sheaf::inline v0 {
namespace {

using ull = unsigned long long;

/// Which elements begin a segment: one word per block, or none where only element 0 does.
using head_words = std::vector<std::uint64_t>;

head_words words_for(std::uint64_t length) {
  head_words words(scan_blocks_of(length), 0);
  words[0] = 1;
  return words;
}

void set_head(head_words& words, std::uint64_t element) {
  words[element / scan_block_items] |= std::uint64_t{1} << element % scan_block_items;
}

/// A block is a head of the totals where any of its elements is.
head_words heads_of_totals(const head_words& below) {
  if (below.empty()) return {};
  head_words above(scan_blocks_of(below.size()), 0);
  for (std::size_t block = 0; block < below.size(); ++block) {
    if (below[block] != 0) set_head(above, block);
  }
  return above;
}

/// The group of every element, or no_index; false where an element is in two.
bool groups_of_elements(const segment_table& groups, std::vector<std::uint32_t>& out,
                        std::uint32_t& twice) {
  for (std::uint32_t g = 0; g + 1 < groups.offsets.size(); ++g) {
    for (std::uint32_t i = groups.offsets[g]; i < groups.offsets[g + 1]; ++i) {
      std::uint32_t& group = out[groups.members[i]];
      if (group != no_index && group != g) return twice = groups.members[i], false;
      group = g;
    }
  }
  return true;
}

}  // namespace

bool definer::scan_heads(const definition_data& computed, std::uint32_t operand,
                         std::vector<std::uint64_t>& heads) {
  const std::uint64_t length = data_.arrays[operand].length;
  if (computed.groups == nullptr && computed.indices.empty()) return true;
  heads = words_for(length);
  for (const std::uint32_t start : computed.indices) {
    if (start < length) {
      set_head(heads, start);
      continue;
    }
    refuse(make_status(status_code::out_of_range, subsystem::graph,
                       "a segment of a scan begins past the end of the operand",
                       "element %u of '%s', which has %llu, in the definition of '%s'", start,
                       data_.name_of(array_id{operand}).c_str(), static_cast<ull>(length),
                       name().c_str()));
    return false;
  }
  if (computed.groups == nullptr) return true;
  if (!members_fit(*computed.groups, operand)) return false;
  std::vector<std::uint32_t> group(length, no_index);
  std::uint32_t twice = 0;
  if (!groups_of_elements(*computed.groups, group, twice)) {
    refuse(make_status(status_code::invalid_argument, subsystem::graph,
                       "an element of a segmented scan is in two segments",
                       "element %u of '%s' in the definition of '%s'", twice,
                       data_.name_of(array_id{operand}).c_str(), name().c_str()));
    return false;
  }
  for (std::uint64_t i = 1; i < length; ++i) {
    if (group[i] != group[i - 1]) set_head(heads, i);
  }
  return true;
}

std::uint32_t definer::add_scan(scan_data&& made) {
  auto& scans = data_.scans;
  if (made.heads.empty()) {
    // Scans of whole arrays share an entry, so that nodes of equal shape are one operation.
    for (std::size_t i = 0; i < std::min<std::size_t>(scans.size(), 8); ++i) {
      if (*scans[i] == made) return static_cast<std::uint32_t>(i);
    }
  }
  scans.push_back(std::make_shared<const scan_data>(std::move(made)));
  return static_cast<std::uint32_t>(scans.size() - 1);
}

void definer::define_scan(const definition_data& computed) {
  if (!semiring_fits(computed.semiring)) return;
  const std::uint32_t operand = whole_operand(computed.steps);
  head_words heads;
  if (operand == no_index || !scan_heads(computed, operand, heads)) return;
  scan_steps(computed.semiring, computed.exclusive, operand, std::move(heads));
}

/// New elements belong to the last segment; segments past the end are gone.
void definer::follow_scan(semiring_id semiring, std::uint32_t payload, std::uint32_t operand) {
  number_from(operand);
  const scan_data& before = *data_.scans[payload];
  head_words heads = before.heads;
  const std::uint64_t length = data_.arrays[operand].length;
  if (!heads.empty()) {
    heads.resize(scan_blocks_of(length), 0);
    const std::uint64_t inside = length % scan_block_items;
    if (inside != 0) heads.back() &= (std::uint64_t{1} << inside) - 1;
  }
  scan_steps(semiring, before.exclusive, operand, std::move(heads));
}

void definer::scan_steps(semiring_id semiring, bool exclusive, std::uint32_t operand,
                         std::vector<std::uint64_t>&& heads) {
  struct level {
    std::uint32_t values;
    std::uint64_t length;
    head_words heads;
  };
  std::vector<level> levels{{operand, data_.arrays[operand].length, std::move(heads)}};
  while (levels.back().length > scan_block_items) {
    const level& below = levels.back();
    const std::uint64_t blocks = scan_blocks_of(below.length);
    const std::uint32_t totals =
        hidden_step(operator_kind::scan_totals, semiring, type_, {below.values}, blocks,
                    add_scan({.heads = below.heads}));
    levels.push_back({totals, blocks, heads_of_totals(below.heads)});
  }
  std::uint32_t carries = no_index;
  for (std::size_t i = levels.size() - 1; i > 0; --i) {
    const std::uint32_t payload =
        add_scan({.exclusive = true, .zero_at_heads = false, .heads = levels[i].heads});
    const std::uint32_t values = levels[i].values;
    carries = carries == no_index
                  ? hidden_step(operator_kind::scan, semiring, type_, {values},
                                levels[i].length, payload)
                  : hidden_step(operator_kind::scan, semiring, type_, {values, carries},
                                levels[i].length, payload);
  }
  const std::uint32_t payload =
      add_scan({.exclusive = exclusive, .heads = levels[0].heads});
  if (carries == no_index) {
    define_step(operator_kind::scan, semiring, {operand}, levels[0].length, payload);
  } else {
    define_step(operator_kind::scan, semiring, {operand, carries}, levels[0].length,
                payload);
  }
}

}  // namespace sheaf::inline v0
