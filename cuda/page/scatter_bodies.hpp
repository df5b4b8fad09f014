/// \file
/// What a scatter kernel does to one line: finding it, merging a quarter of it, noting that it
/// changed. The grid is not here: a warp or a loop of the host walks over tiles.
///
/// Terms
///   tile     64 packed lines, one warp's work.
///   starts   of a tile: bit j where line j of it is the first line of its page in the part.
///   quarter  16 bytes, what one lane moves at a time; four lanes a line.
///
/// Thread safety: lines of a part are written in any order by any number of threads; `note` is
/// atomic.
#pragma once

#include <cstddef>
#include <cstdint>
#if !defined(__CUDA_ARCH__)
#include <atomic>
#endif

#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/macros.hpp>

#include "cuda/page/device_pages.hpp"
#include "cuda/page/packed_part.hpp"

namespace sheaf::inline v0 {

inline constexpr unsigned line_quarters = 4;

struct alignas(16) quarter {
  std::uint64_t low, high;
};

[[nodiscard]] SHEAF_HD unsigned set_bits(std::uint64_t word) noexcept {
#if defined(__CUDA_ARCH__)
  return static_cast<unsigned>(__popcll(static_cast<unsigned long long>(word)));
#else
  return line_count(word);
#endif
}

/// The place of the set bit of `mask` that has `rank` set bits below it; there is one.
[[nodiscard]] SHEAF_HD unsigned line_of_rank(line_mask mask, unsigned rank) noexcept {
  unsigned place = 0;
  for (unsigned width = 32; width != 0; width >>= 1) {
    const unsigned below = set_bits(mask & first_lines(width));
    if (rank >= below) {
      rank -= below;
      mask >>= width;
      place += width;
    }
  }
  return place;
}

/// Bit j of a tile's `starts` that page `index` of the part sets, or 0.
[[nodiscard]] SHEAF_HD std::uint64_t start_bit(const part_view& part, std::uint32_t tile,
                                               std::uint32_t index) noexcept {
  if (index >= part.page_count) return 0;
  const std::uint32_t first = part.pages[index].first_line;
  return first >> tile_shift == tile ? std::uint64_t{1} << (first & (tile_lines - 1)) : 0;
}

/// The same of all pages: what a warp finds with two look-ups a lane, for a host.
[[nodiscard]] inline std::uint64_t tile_starts(const part_view& part, std::uint32_t tile) noexcept {
  std::uint64_t starts = 0;
  for (std::uint32_t i = 0; i < tile_lines; ++i) {
    starts |= start_bit(part, tile, part.tiles[tile] + i);
  }
  return starts;
}

/// Where one packed line goes.
struct line_place {
  std::uint32_t slot;
  std::uint32_t line;
  page_class size;
  bool is_first;    ///< the first line of its page in the part
  line_mask lines;  ///< all of its page in the part, where the form is by page; else its own bit
};

/// Line `j` of `tile`, with the tile's `starts`; by page.
[[nodiscard]] SHEAF_HD line_place place_by_page(const part_view& part, std::uint32_t tile,
                                                std::uint64_t starts, unsigned j) noexcept {
  // The page a tile begins with is counted once, whether it starts in it or before it.
  const unsigned before = set_bits(starts & first_lines(j + 1));
  const auto skipped = static_cast<unsigned>(starts & 1);
  const packed_page page = part.pages[part.tiles[tile] + before - skipped];
  const std::uint32_t rank = (tile << tile_shift) + j - page.first_line;
  return {page.slot, line_of_rank(page.lines, rank), static_cast<page_class>(page.size), rank == 0,
          page.lines};
}
[[nodiscard]] SHEAF_HD line_place place_by_line(const part_view& part,
                                                std::uint32_t index) noexcept {
  const packed_line place = part.places[index];
  return {place.slot, place.line, static_cast<page_class>(place.size), true,
          line_mask{1} << place.line};
}

/// The 8 bytes of which byte i is all ones where bit i of `bits` is set.
[[nodiscard]] SHEAF_HD std::uint64_t spread_bytes(std::uint64_t bits) noexcept {
  // Bit i to the lowest bit of byte i: halves, quarters, eighths apart.
  bits &= 0xff;
  bits = (bits | bits << 28) & 0x0000'000f'0000'000fu;
  bits = (bits | bits << 14) & 0x0003'0003'0003'0003u;
  bits = (bits | bits << 7) & 0x0101'0101'0101'0101u;
  return (bits << 8) - bits;
}

/// `old` with those bytes of `value` whose bits are set in the 16 `bytes`.
[[nodiscard]] SHEAF_HD quarter blend(quarter old, quarter value, std::uint64_t bytes) noexcept {
  const std::uint64_t low = spread_bytes(bytes), high = spread_bytes(bytes >> 8);
  return {old.low ^ ((old.low ^ value.low) & low), old.high ^ ((old.high ^ value.high) & high)};
}
[[nodiscard]] SHEAF_HD bool is_equal(quarter a, quarter b) noexcept {
  return ((a.low ^ b.low) | (a.high ^ b.high)) == 0;
}

/// Adds `lines` to what is noted of `slot`.
SHEAF_HD void note(line_mask* changed, std::uint32_t slot, line_mask lines) noexcept {
#if defined(__CUDA_ARCH__)
  atomicOr(reinterpret_cast<unsigned long long*>(changed + slot),
           static_cast<unsigned long long>(lines));
#else
  std::atomic_ref<line_mask>(changed[slot]).fetch_or(lines, std::memory_order_relaxed);
#endif
}

/// What a scatter is besides its part.
struct device_scatter {
  device_pages pages;
  line_mask* changed;      ///< by slot; or-ed into
  bool notes_equal_lines;  ///< false: a line whose bits stay is not noted (cut-off at the source)
};

/// Merges quarter `q` of packed line `index` of the part into the line at `to`; true where a bit
/// changed.
SHEAF_HD bool merge_quarter(const part_view& part, std::uint32_t index, unsigned q,
                            std::byte* to) noexcept {
  auto* place = reinterpret_cast<quarter*>(to) + q;
  const auto value =
      reinterpret_cast<const quarter*>(part.lines)[std::size_t{index} * line_quarters + q];
  const quarter old = *place;
  const quarter merged =
      part.masks == nullptr ? value : blend(old, value, part.masks[index] >> (q * 16));
  *place = merged;
  return !is_equal(old, merged);
}

/// Writes and notes one tile, one thread: a host in place of a warp.
inline void scatter_tile(const part_view& part, const device_scatter& target,
                         std::uint32_t tile) noexcept {
  const std::uint64_t starts = part.pages != nullptr ? tile_starts(part, tile) : 0;
  for (unsigned j = 0; j < tile_lines; ++j) {
    const std::uint32_t index = (tile << tile_shift) + j;
    if (index >= part.line_count) return;
    const line_place place =
        part.pages != nullptr ? place_by_page(part, tile, starts, j) : place_by_line(part, index);
    std::byte* to = target.pages.page(place.slot, place.size) + place.line * line_size;
    bool differs = false;
    for (unsigned q = 0; q < line_quarters; ++q) differs |= merge_quarter(part, index, q, to);
    if (differs || target.notes_equal_lines) {
      note(target.changed, place.slot, line_mask{1} << place.line);
    }
  }
}

}  // namespace sheaf::inline v0
