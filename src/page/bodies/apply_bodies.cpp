/// \file
/// The apply bodies of `delta_apply.hpp`, compiled once per instruction set. Bodies that depend on
/// bits alone (`assign`, `and`, `or`, `xor`, integer `add`) exist once per element size.
#include <bit>
#include <cstddef>
#include <cstdint>

#include <sheaf/page/delta_apply.hpp>

#include "page/bodies/merge_line.hpp"

namespace sheaf::inline v0::page_bodies::SHEAF_ARCH {

// How many indices ahead an element's line is fetched. PERF: 10^6 random u64 assigns into 64 MiB
// cost
// 3.1 / 2.1 / 1.4 / 1.2 / 1.2 x the flat loop's time at a distance of 16 / 32 / 64 / 128 / 256
// (delta_bench, scatter_body).
constexpr std::size_t prefetch_distance = 128;
// A shorter scatter is over before a fetch would help.
constexpr std::size_t prefetch_count_min = 16;

template <merge_operator Op, element T>
line_mask range(std::byte* page, const void* values, std::uint32_t first, std::uint32_t count) {
  constexpr std::uint32_t line_elements = line_size / sizeof(T);
  const auto* given = static_cast<const std::byte*>(values);
  std::uint32_t line = first / line_elements;
  std::byte* place = page + line * line_size;
  line_mask changed = 0;
  if (const std::uint32_t within = first % line_elements; within != 0) {
    const std::uint32_t part = within + count < line_elements ? count : line_elements - within;
    changed |= line_mask{merge_part<Op, T>(place + within * sizeof(T), given, part)} << line;
    given += part * sizeof(T);
    count -= part;
    ++line;
    place += line_size;
  }
  for (; count >= line_elements; count -= line_elements, ++line) {
    changed |= line_mask{merge_line<Op, T, false>(place, given, 0)} << line;
    given += line_size;
    place += line_size;
  }
  if (count != 0) changed |= line_mask{merge_part<Op, T>(place, given, count)} << line;
  return changed;
}

template <merge_operator Op, element T, class Index>
void scatter(const scatter_target& target, const Index* SHEAF_RESTRICT indices, const void* values,
             std::size_t count) {
  constexpr std::uint32_t line_elements = line_size / sizeof(T);
  const std::uint32_t* const frames = target.frames;
  std::byte* const base = target.base;
  const std::uint32_t page_shift = target.page_shift, frame_shift = target.frame_shift;
  line_mask* const masks = target.masks;
  const std::uint64_t* const touched = target.touched;
  const Index within = static_cast<Index>((Index{1} << page_shift) - 1);
  const auto* given = static_cast<const std::byte*>(values);
  const auto place_of = [&](Index index) __attribute__((always_inline)) {
    std::byte* frame = base + (std::uint64_t{frames[index >> page_shift]} << frame_shift);
    return frame + (index & within) * sizeof(T);
  };
  const auto merge_one = [&](std::size_t k) __attribute__((always_inline)) {
    const Index index = indices[k];
    const auto page = static_cast<std::uint32_t>(index >> page_shift);
    if (SHEAF_UNLIKELY((touched[page >> 6] >> (page & 63) & 1) == 0)) {
      target.touch(target.context, page);
    }
    const bool differs = merge_at<Op, T>(place_of(index), given + k * sizeof(T));
    masks[page] |= line_mask{differs} << ((index & within) / line_elements);
  };
  std::size_t k = 0;
  if (count >= prefetch_count_min) {
    const std::size_t ahead = count < prefetch_distance ? count : prefetch_distance;
    for (std::size_t i = 0; i < ahead; ++i) __builtin_prefetch(place_of(indices[i]), 1);
    for (; k + prefetch_distance < count; ++k) {
      __builtin_prefetch(place_of(indices[k + prefetch_distance]), 1);
      merge_one(k);
    }
  }
  for (; k < count; ++k) merge_one(k);
}

template <merge_operator Op, element T>
line_mask lines(std::byte* page, line_mask mask, const std::uint64_t* element_masks,
                const std::byte* payload) {
  line_mask changed = 0;
  for (; mask != 0; mask &= mask - 1, ++element_masks, payload += line_size) {
    const auto line = static_cast<unsigned>(__builtin_ctzll(mask));
    std::byte* place = page + line * line_size;
    changed |= line_mask{merge_line<Op, T, true>(place, payload, *element_masks)} << line;
  }
  return changed;
}

template <class Index>
std::uint64_t greatest(const Index* indices, std::size_t count) {
  Index most = 0;
  for (std::size_t k = 0; k < count; ++k) most = indices[k] > most ? indices[k] : most;
  return most;
}

// The type whose bodies (Op, T) may share.
template <merge_operator Op, element T>
using shared_type =
    std::conditional_t<Op == merge_operator::min || Op == merge_operator::max ||
                           (Op == merge_operator::add && std::is_floating_point_v<T>),
                       T, bits_of<T>>;

template <merge_operator Op, element T>
constexpr void add_bodies(apply_table& table) {
  if constexpr (supports(Op, dtype_of<T>)) {
    using U = shared_type<Op, T>;
    constexpr auto o = static_cast<unsigned>(Op);
    constexpr auto t = static_cast<unsigned>(dtype_of<T>);
    table.range[o][t] = range<Op, U>;
    table.scatter32[o][t] = scatter<Op, U, std::uint32_t>;
    table.scatter64[o][t] = scatter<Op, U, std::uint64_t>;
    table.lines[o][t] = lines<Op, U>;
  }
}

template <merge_operator Op>
constexpr void add_operator(apply_table& table) {
  add_bodies<Op, float>(table);
  add_bodies<Op, double>(table);
  add_bodies<Op, std::int32_t>(table);
  add_bodies<Op, std::int64_t>(table);
  add_bodies<Op, std::uint8_t>(table);
  add_bodies<Op, std::uint32_t>(table);
  add_bodies<Op, std::uint64_t>(table);
}

constexpr apply_table make_table() {
  apply_table table{};
  table.set = isa{SHEAF_ARCH_ID};
  table.max_index32 = greatest<std::uint32_t>;
  table.max_index64 = greatest<std::uint64_t>;
  add_operator<merge_operator::assign>(table);
  add_operator<merge_operator::add>(table);
  add_operator<merge_operator::min>(table);
  add_operator<merge_operator::max>(table);
  add_operator<merge_operator::bit_and>(table);
  add_operator<merge_operator::bit_or>(table);
  add_operator<merge_operator::bit_xor>(table);
  return table;
}

extern const apply_table table;
constinit const apply_table table = make_table();

}  // namespace sheaf::inline v0::page_bodies::SHEAF_ARCH
